import { TrustError, type TrustErrorCode, type TrustErrorFacts } from '../../keys/trust-error.ts'

/** The TrustError that this ends with. Anything else, success included, fails the test. */
export async function refusalOf(act: () => unknown): Promise<TrustError> {
  try {
    await act()
  } catch (error) {
    if (error instanceof TrustError) return error
    throw error
  }
  throw new Error('expected a refusal, and it was accepted')
}

/** All that a refusal tells an operator. */
export async function said(
  act: () => unknown,
): Promise<{ code: TrustErrorCode; message: string; facts: TrustErrorFacts }> {
  const { code, message, facts } = await refusalOf(act)
  return { code, message, facts }
}

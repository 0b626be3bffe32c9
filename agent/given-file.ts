import { TrustError } from '../keys/trust-error.ts'
import { plainLine } from '../schema/cli/plain-text.ts'

/** What came with a command: `--minimum-role old.json`, and what it should have been. */
export interface Given {
  readonly words: string
  readonly expected: string
}

/** A file that a person gave does not verify: it is the file that is wrong, and not the repository. `cause` says how. */
export class GivenFileError extends Error {
  override readonly name = 'GivenFileError'
  override readonly cause: TrustError
  readonly given: Given

  constructor(given: Given, cause: TrustError, found: string) {
    super(`expected ${given.expected}${found === '' ? '' : `; the file says that it is ${found}`}`)
    this.given = given
    this.cause = cause
  }
}

/** What `verify` returns; a TrustError of it becomes a GivenFileError. */
export function verifyGiven<T>(given: Given, bytes: Uint8Array, verify: () => T): T {
  try {
    return verify()
  } catch (error) {
    throw error instanceof TrustError ? new GivenFileError(given, error, saidOf(bytes)) : error
  }
}

/** What the file says of itself, verified by nobody: `targets 3`, `the role of beta, version 2`. Empty where it says nothing. */
function saidOf(bytes: Uint8Array): string {
  const signed = fieldOf(jsonOf(bytes), 'signed')
  const type = fieldOf(signed, '_type')
  if (typeof type !== 'string') return ''
  const channel = fieldOf(fieldOf(signed, 'channel'), 'name')
  const product = fieldOf(signed, 'product')
  const what = typeof channel === 'string' ? `the role of ${channel}` : type
  return plainLine(
    `${what}, version ${fieldOf(signed, 'version')}${typeof product === 'string' ? ` of ${product}` : ''}`,
  )
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined // the refusal itself says that it is none
  }
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined
}

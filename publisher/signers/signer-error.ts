/** Every way in which a key that lies outside a keyring can refuse to sign. */
export type SignerErrorCode =
  | 'not-here' // only the public half is known on this machine
  | 'writable-by-others' // the file that says what to run may be changed by others
  | 'program-missing' // the program that signs is not there, or may not be run
  | 'program-failed' // it ended with another status than 0
  | 'timeout' // it did not answer in time, and was ended
  | 'bad-output' // what it wrote is not a signature in hexadecimal
  | 'wrong-signature' // a signature, but not of this message by the registered key
  | 'wrong-pin' // the token refused the PIN, or is locked
  | 'no-token' // the module or the token is not there
  | 'no-key' // the token holds no such key
  | 'too-long' // the token's program takes no message of this length

/** What is known about the refusal. */
export interface SignerErrorFacts {
  /** What the program said: the end of its stderr, not yet fit for a terminal. */
  readonly said?: string
  /** Whose key it is. */
  readonly holder?: string
  /** The file or folder that others may change. */
  readonly path?: string
  /** Where it is known what helps: commands to run next. */
  readonly next?: readonly string[]
}

/** A key outside a keyring did not sign. Nothing was signed with it, and whatever was being signed is not kept. */
export class SignerError extends Error {
  override readonly name = 'SignerError'
  readonly code: SignerErrorCode
  readonly facts: SignerErrorFacts

  constructor(code: SignerErrorCode, message: string, facts: SignerErrorFacts = {}, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.facts = facts
  }
}

/** The same refusal with more that is known about it. Everything else stays what it is. */
export function withSignerFacts(error: unknown, facts: SignerErrorFacts): unknown {
  if (!(error instanceof SignerError)) return error
  return new SignerError(error.code, error.message, { ...error.facts, ...facts }, { cause: error.cause })
}

/** Every way in which signed data can be refused. One word a check, so that an operator and a test can name the reason. */
export type TrustErrorCode =
  | 'malformed' // not strict JSON, or not the shape of its role
  | 'too-large' // more bytes, signatures, keys or depth than allowed
  | 'unsigned' // fewer valid signatures than the threshold asks for
  | 'duplicate-signature' // one key id twice in `signatures`
  | 'bad-key' // weak, malformed, or its key id is not the hash of its content
  | 'wrong-role' // `_type`, role name or product is not the one asked for
  | 'wrong-version' // not the version that was announced or asked for
  | 'rollback' // older than what was trusted before, or a role has vanished
  | 'expired' // past its `expires` at the fixed start of this refresh
  | 'not-yet-valid' // before its `not_before`
  | 'freeze' // the same timestamp is still served although it has expired
  | 'hash' // length or hash is not what signed metadata says
  | 'missing' // announced by signed metadata but not there
  | 'not-delegated' // no role that may speak for this path lists it
  | 'bad-delegation' // a channel role delegates to something else than its own lines
  | 'too-many-roots' // more root rotations than one refresh may follow
  | 'no-root' // no usable trusted root: nothing can be verified
  | 'foreign' // another product, platform or repository

/** Facts of a refusal: which role or file, and the two values that do not agree. */
export interface TrustErrorFacts {
  readonly role?: string
  readonly path?: string
  readonly expected?: string
  readonly actual?: string
  /** `unsigned` only: the key ids that signed, the other key ids that could, and how many are needed. */
  readonly have?: readonly string[]
  readonly candidates?: readonly string[]
  readonly threshold?: number
}

/** Signed data was refused. Nothing that it says may be used. */
export class TrustError extends Error {
  override readonly name = 'TrustError'
  readonly code: TrustErrorCode
  readonly facts: TrustErrorFacts

  constructor(code: TrustErrorCode, message: string, facts: TrustErrorFacts = {}, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.facts = facts
  }
}

/** Every way in which the machine or the network can refuse. */
export type PlatformErrorCode =
  | 'unreachable' // no connection, name not found, connection reset
  | 'timeout' // the deadline passed
  | 'too-slow' // fewer bytes a second than the lowest rate
  | 'too-large' // the body went past its limit
  | 'http-status' // an answer, but not a usable one
  | 'redirect' // sent to another origin
  | 'insecure' // plain http to another machine
  | 'encoding' // a content encoding nobody asked for
  | 'cancelled' // the caller's signal
  | 'locked' // another process holds the lock
  | 'no-space' // ENOSPC, EDQUOT
  | 'not-permitted' // EACCES, EPERM, EROFS
  | 'not-found' // ENOENT
  | 'exists' // EEXIST on an exclusive create
  | 'io' // everything else that the disk says

export interface PlatformErrorFacts {
  readonly url?: string
  readonly path?: string
  readonly status?: number
  readonly limit?: number
  readonly holder?: string
}

/** The machine or the network did not do what was asked. */
export class PlatformError extends Error {
  override readonly name = 'PlatformError'
  readonly code: PlatformErrorCode
  readonly facts: PlatformErrorFacts

  constructor(code: PlatformErrorCode, message: string, facts: PlatformErrorFacts = {}, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.facts = facts
  }
}

import type { ShapeIssue } from '../../schema/shape-error.ts'

/** Every way in which the core says no. `http/` turns each into one status, a command line into one exit code. */
export type CoreErrorCode =
  | 'unauthenticated' // 401: no such token or host, wrong signature, expired, revoked
  | 'forbidden' // 403: known, but may not do this
  | 'not-found' // 404
  | 'conflict' // 409: the state does not allow it now; nothing changed
  | 'offset' // 409: a chunk that does not continue where the upload stands
  | 'invalid' // 400: a value that cannot be read; `issues` say where
  | 'unverified' // 422: signed documents that do not verify; `cause` is the TrustError
  | 'refused' // 422: verified, but against the rules of a repository (downgrade, wrong product, missing artifact)
  | 'too-large' // 413
  | 'no-space' // 507
  | 'unavailable' // 503: database or storage does not answer, or the server is going down

/** Facts for programs: names and values that the message also says in words. */
export interface CoreErrorFacts {
  readonly issues?: readonly ShapeIssue[]
  /** A finer reason where a program may want to tell cases apart, e.g. the TrustError's code. */
  readonly reason?: string
  readonly expected?: string
  readonly actual?: string
  /** What to do next, as commands or sentences. */
  readonly next?: readonly string[]
}

/** The core refused. Message: lower case, what was expected and what came. Nothing was changed. */
export class CoreError extends Error {
  override readonly name = 'CoreError'
  readonly code: CoreErrorCode
  readonly facts: CoreErrorFacts

  constructor(code: CoreErrorCode, message: string, facts: CoreErrorFacts = {}, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.facts = facts
  }
}

import type { CoreErrorFacts } from '../core/core-error.ts'
import type { ProblemCode } from './problem-code.ts'

/** The HTTP layer refused. Message: lower case, what was expected and what came. `headers` go with the answer. */
export class HttpError extends Error {
  override readonly name = 'HttpError'
  readonly code: ProblemCode
  readonly facts: CoreErrorFacts
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: ProblemCode,
    message: string,
    facts: CoreErrorFacts = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message)
    this.code = code
    this.facts = facts
    this.headers = headers
  }
}

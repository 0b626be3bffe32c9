import type { ExitCode } from './exit-code.ts'

/** The four things that a command line says when it fails, and the status it ends with. */
export interface FailureFacts {
  /** `E-SIG-THRESHOLD`: stable, searchable, explained by `netlink help CODE`. */
  readonly code: string
  readonly exit: ExitCode
  /** What failed: one lower-case sentence without a full stop. */
  readonly title: string
  /** Why: what was expected and what came. */
  readonly detail: string
  /** What state things are in now, as a whole sentence. */
  readonly state: string
  /** The commands to run next. */
  readonly next: readonly string[]
}

/** The four things and the exit status, in the order in which they are told. */
export function failureFacts(
  code: string,
  exit: ExitCode,
  title: string,
  detail: string,
  state: string,
  next: readonly string[],
): FailureFacts {
  return { code, exit, title, detail, state, next }
}

/** An error that a person will read. Every program turns what it catches into one of these at its top. */
export class Failure extends Error {
  override readonly name = 'Failure'
  readonly facts: FailureFacts

  constructor(facts: FailureFacts, options?: ErrorOptions) {
    super(`${facts.code}: ${facts.title}`, options)
    this.facts = facts
  }
}

import { EXIT } from './exit-code.ts'
import type { FailureFacts } from './failure.ts'

/** What a program says about an error that nobody foresaw. `look` is the command that shows what state things are in. */
export function unexpectedFailure(error: unknown, look: string): FailureFacts {
  return {
    code: 'E-UNEXPECTED',
    exit: EXIT.unexpected,
    title: 'something happened that should not',
    detail: error instanceof Error ? (error.stack ?? error.message) : String(error),
    state: `It is not known what was done; ${look} tells.`,
    next: [look],
  }
}

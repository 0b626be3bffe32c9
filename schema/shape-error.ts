import { plainLine } from './cli/plain-text.ts'

/** Where in a document something is wrong: a JSON pointer (RFC 6901) and what was expected there, lower case, no full stop. */
export interface ShapeIssue {
  readonly pointer: string
  readonly message: string
}

/** One line a place, for people: `/listen: expected HOST:PORT`. A pointer may hold names that others chose. */
export function issueLines(issues: readonly ShapeIssue[]): string {
  return issues.map(({ pointer, message }) => plainLine(`${pointer || '/'}: ${message}`)).join('\n')
}

/** A document is readable but not what it should be. `subject` names the file or message; the issues name the places in it. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError'
  readonly subject: string
  readonly issues: readonly ShapeIssue[]

  constructor(subject: string, issues: readonly ShapeIssue[], options?: ErrorOptions) {
    super(`${subject}: ${issues.map((issue) => `${issue.pointer || '/'} ${issue.message}`).join('; ')}`, options)
    this.subject = subject
    this.issues = issues
  }
}

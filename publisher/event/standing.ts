// How a signing event stands, for people and for programs.
import type { SigningEvent } from '../../schema/signing-event.ts'
import { bareName } from '../holder-names.ts'
import type { RootStanding as RoleStanding } from '../root/change.ts'
import type { Section } from './words.ts'

/** `alpha v4   1 of 2 signatures: alice; could sign: bob, carol`, a line for each set of keys. */
export function standingLines(standing: readonly RoleStanding[]): readonly string[] {
  return standing.map(({ role, by, version, have, missing, threshold, complete }) => {
    const who = have.length === 0 ? 'nobody yet' : have.join(', ')
    const others = complete || missing.length === 0 ? '' : `; could sign: ${missing.join(', ')}`
    const keys = by === null ? '' : ` with ${by}`
    return `${role} v${version}${keys}: ${have.length} of ${threshold} signatures (${who})${others}`
  })
}

/** Whether every document has what it needs. */
export function isComplete(standing: readonly RoleStanding[]): boolean {
  return standing.every(({ complete }) => complete)
}

/** Whose signature would still help, each name once and as `--signer` takes it. */
export function missingNames(standing: readonly RoleStanding[]): readonly string[] {
  return [...new Set(standing.filter(({ complete }) => !complete).flatMap(({ missing }) => missing.map(bareName)))]
}

/** One line about an event. */
export function eventTitle({ id, kind, subject, proposed_by, proposed_at, until }: SigningEvent): string {
  const by = proposed_by === null ? '' : ` by ${proposed_by}`
  return `${id}: ${changeName(kind, subject)}, proposed${by} at ${proposed_at}, open until ${until}`
}

/** `release of 0a2`; `root-2` says what it is. */
export function changeName(kind: string, subject: string): string {
  return kind === 'root' || kind === 'refresh' ? subject : `${kind} of ${subject}`
}

/** What would change, as a person reads it before signing. */
export function sectionLines(sections: readonly Section[]): readonly string[] {
  return sections.flatMap(({ title, lines }) => [title, ...lines.map((line) => `  ${line}`)])
}

/** What programs are told of an event. */
export function eventFields(event: SigningEvent, standing: readonly RoleStanding[]): object {
  const { id, kind, subject, proposed_by, proposed_at, until } = event
  return {
    event: id,
    kind,
    subject,
    proposed_by,
    proposed_at,
    until,
    complete: isComplete(standing),
    missing: missingNames(standing),
    roles: standing,
  }
}

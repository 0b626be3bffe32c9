// What the last check found about this host's assignment, for `status`, for reports and for whoever reads --json.
import type { AssignmentLook } from './assignment-check.ts'
import { countIn, optionalTextIn, recordOf, textIn } from './record.ts'
import { utcSecond } from './utc-second.ts'

export interface AssignmentRecord {
  /** What the server directs this host to now, null: nothing. */
  readonly in_force: {
    readonly action: string
    readonly version: string
    readonly sequence: number
    readonly rollout: string | null
    /** UTC. */
    readonly expires: string
  } | null
  /** What was refused, until a good one comes; of what is in force, why it is not obeyed. */
  readonly refusal: { readonly code: string; readonly message: string } | null
}

/** The record of a look; null where nothing was ever assigned and nothing refused. */
export function buildAssignmentRecord(look: AssignmentLook | null): AssignmentRecord | null {
  if (!look || (look.directive === null && look.refused === null)) return null
  const { directive, refused } = look
  return {
    in_force: directive && {
      action: directive.action,
      version: directive.version,
      sequence: directive.sequence,
      rollout: directive.rollout,
      expires: utcSecond(directive.expires),
    },
    refusal: refused && { code: refused.code, message: refused.message.slice(0, 2_000) },
  }
}

/** As it was kept; null for none. Throws ShapeError. */
export function readAssignmentRecord(value: unknown, subject: string): AssignmentRecord | null {
  if (value === null || value === undefined) return null
  const { fields } = recordOf(value, subject)
  const inForce = fields.in_force === null ? null : recordOf(fields.in_force, subject)
  const refusal = fields.refusal === null ? null : recordOf(fields.refusal, subject)
  return {
    in_force: inForce && {
      action: textIn(inForce, 'action'),
      version: textIn(inForce, 'version'),
      sequence: countIn(inForce, 'sequence'),
      rollout: optionalTextIn(inForce, 'rollout'),
      expires: textIn(inForce, 'expires'),
    },
    refusal: refusal && { code: textIn(refusal, 'code'), message: textIn(refusal, 'message') },
  }
}

/** Whether this refusal was told before: its words may name the hour, the same document is refused once. */
export function isToldBefore(record: AssignmentRecord, before: AssignmentRecord | null): boolean {
  if (record.refusal?.code !== before?.refusal?.code) return false
  const isSameDocument = record.in_force !== null && record.in_force.sequence === before?.in_force?.sequence
  return isSameDocument || record.refusal?.message === before?.refusal?.message
}

/** For people, a line each: what is in force, and what was refused. */
export function assignmentLines(record: AssignmentRecord | null): readonly string[] {
  if (!record) return []
  const { in_force: directive, refusal } = record
  return [
    ...(directive
      ? [`${directive.action} to ${directive.version} until ${directive.expires} (number ${directive.sequence})`]
      : []),
    ...(refusal ? [`refused: ${refusal.code}: ${refusal.message}`] : []),
  ]
}

// The outbox as a value: numbered reports waiting for the server, and the rules by which they grow, shrink and are acknowledged. Pure.
//
//   {next_seq: 8, reports: [5 attempt …, 7 inventory], told: {update_0a1_0a2_…: 'succeeded'}}
//
// A number is given once, in the same durable write as its report, and never again. An inventory says what is true now, so a newer one makes older ones
// worthless; of an attempt that is over, only the end is worth keeping when room is short.
import type { AttemptState } from '../../schema/attempt.ts'
import type { Report, ReportBody } from '../../schema/report.ts'

export interface Backlog {
  /** The number of the next report. */
  readonly next_seq: number
  /** Waiting, ascending. */
  readonly reports: readonly Report[]
  /** The last state that was reported of each recent attempt, oldest first: what a journal says beyond that was never told. */
  readonly told: readonly (readonly [updateId: string, state: AttemptState])[]
}

/** So many reports wait at most. */
export const MAX_WAITING = 1_000
/** So many attempts are remembered. */
export const MAX_TOLD = 200

export const emptyBacklog: Backlog = { next_seq: 1, reports: [], told: [] }

/** The backlog with one more report, numbered, and what it makes superfluous taken out. `at`: UTC, one second's resolution. */
export function appendReport(backlog: Backlog, at: string, body: ReportBody): Backlog {
  const report: Report = { seq: backlog.next_seq, at, body }
  const kept =
    body.type === 'inventory' ? backlog.reports.filter((one) => one.body.type !== 'inventory') : backlog.reports
  return {
    next_seq: backlog.next_seq + 1,
    reports: shrink([...kept, report]),
    told: body.type === 'attempt' ? tell(backlog.told, body.attempt.update_id, body.attempt.state) : backlog.told,
  }
}

function tell(told: Backlog['told'], updateId: string, state: AttemptState): Backlog['told'] {
  return [...told.filter(([id]) => id !== updateId), [updateId, state] as const].slice(-MAX_TOLD)
}

/** Past the limit, states on the way go first, then refusals, then the oldest; the newest report always stays. */
function shrink(reports: readonly Report[]): readonly Report[] {
  if (reports.length <= MAX_WAITING) return reports
  const newest = reports.length - 1
  const victim =
    indexBefore(newest, (index) => isOnTheWay(reports, index)) ??
    indexBefore(newest, (index) => reports[index]?.body.type === 'refusal') ??
    0
  return shrink(reports.toSpliced(victim, 1))
}

function indexBefore(end: number, isVictim: (index: number) => boolean): number | undefined {
  for (let index = 0; index < end; index++) if (isVictim(index)) return index
  return undefined
}

/** Whether a later report speaks of the same attempt. */
function isOnTheWay(reports: readonly Report[], index: number): boolean {
  const body = reports[index]?.body
  if (body?.type !== 'attempt') return false
  const { update_id } = body.attempt
  return reports.some(
    (later, at) => at > index && later.body.type === 'attempt' && later.body.attempt.update_id === update_id,
  )
}

/** Takes out what the server has stored: every report up to `seq`. A number that was never given is not believed. */
export function acknowledge(backlog: Backlog, seq: number): Backlog {
  if (seq >= backlog.next_seq) return backlog
  return { ...backlog, reports: backlog.reports.filter((report) => report.seq > seq) }
}

/**
 * Puts the backlog behind the greatest number that the server has of this host. Normally that is an old one of ours, and this is an acknowledgement. If it
 * is greater than any given here, this host's state is an older copy: what waits was never sent under its number, so it gets new ones.
 */
export function resumeAfter(backlog: Backlog, storedSeq: number): Backlog {
  if (storedSeq < backlog.next_seq) return acknowledge(backlog, storedSeq)
  const reports = backlog.reports.map((report, index) => ({ ...report, seq: storedSeq + 1 + index }))
  return { ...backlog, reports, next_seq: storedSeq + 1 + reports.length }
}

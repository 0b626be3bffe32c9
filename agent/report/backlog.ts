// The outbox as a value: what waits to be told, what was numbered and may have been sent, and the rules by which both grow, shrink and are acknowledged. Pure.
//
//   {epoch: '5f…', stored: {seq: 4, sha256: 'a1…'}, numbered: [5 attempt …, 6 inventory], waiting: [attempt …], told: {update_0a1_0a2_…: 'succeeded'}, left: null}
//
// A report gets its number when it is first taken to be sent, and is never changed after: each is signed over the hash of the one before, so numbers have no
// holes and one number has one content. Until then an inventory says what is true now, so a newer one makes older ones worthless; of an attempt that is
// over, only the end is worth keeping when room is short.
import type { AttemptState } from '../../schema/attempt.ts'
import type { Report, ReportBody } from '../../schema/report.ts'
import { isHole } from '../../schema/report-number.ts'

/** What waits to be told. */
export type Draft = Pick<Report, 'at' | 'body'>

/** What this host said to one server. */
export interface Chain {
  /** Names the chain, null: none was begun, or what was known of it is lost. */
  readonly epoch: string | null
  /** The last report that the server acknowledged, and the hash of its statement; null: the next one begins a chain. */
  readonly stored: { readonly seq: number; readonly sha256: string | null }
  /** Without holes behind `stored`. */
  readonly numbered: readonly Report[]
}

export interface Backlog extends Chain {
  /** Oldest first. */
  readonly waiting: readonly Draft[]
  /** The last state that was reported of each recent attempt, oldest first: what a journal says beyond that was never told. */
  readonly told: readonly (readonly [updateId: string, state: AttemptState])[]
  /** Where this host was when it was told a number that it never gave, null: it was not. */
  readonly left: Chain | null
}

/** So many wait at most, beside those that have a number. */
export const MAX_WAITING = 1_000
/** So many attempts are remembered. */
export const MAX_TOLD = 200

export const emptyBacklog: Backlog = {
  epoch: null,
  stored: { seq: 0, sha256: null },
  numbered: [],
  waiting: [],
  told: [],
  left: null,
}

/** The hash of a report's statement in this chain, given the hash of the one before it. */
export type LinkHash = (report: Report, epoch: string, previous: string | null) => string

/** The backlog with one more report, and what it makes superfluous taken out. `at`: UTC, one second's resolution. */
export function appendReport(backlog: Backlog, at: string, body: ReportBody): Backlog {
  const { waiting, told } = backlog
  const kept = body.type === 'inventory' ? waiting.filter((one) => one.body.type !== 'inventory') : waiting
  return {
    ...backlog,
    waiting: shrink([...kept, { at, body }]),
    told: body.type === 'attempt' ? tell(told, body.attempt.update_id, body.attempt.state) : told,
  }
}

function tell(told: Backlog['told'], updateId: string, state: AttemptState): Backlog['told'] {
  return [...told.filter(([id]) => id !== updateId), [updateId, state] as const].slice(-MAX_TOLD)
}

/** Past the limit, states on the way go first, then refusals, then the oldest; the newest report always stays. */
function shrink(drafts: readonly Draft[]): readonly Draft[] {
  if (drafts.length <= MAX_WAITING) return drafts
  const newest = drafts.length - 1
  const victim =
    indexBefore(newest, (index) => isOnTheWay(drafts, index)) ??
    indexBefore(newest, (index) => drafts[index]?.body.type === 'refusal') ??
    0
  return shrink(drafts.toSpliced(victim, 1))
}

function indexBefore(end: number, isVictim: (index: number) => boolean): number | undefined {
  for (let index = 0; index < end; index++) if (isVictim(index)) return index
  return undefined
}

/** Whether a later report speaks of the same attempt. */
function isOnTheWay(drafts: readonly Draft[], index: number): boolean {
  const body = drafts[index]?.body
  if (body?.type !== 'attempt') return false
  const { update_id } = body.attempt
  return drafts.some(
    (later, at) => at > index && later.body.type === 'attempt' && later.body.attempt.update_id === update_id,
  )
}

/** The backlog with as many numbered reports as there are, up to `limit`, to be sent in this order. `epoch` names a chain if one has to begin. */
export function numberReports(backlog: Backlog, limit: number, epoch: string): Backlog {
  const { numbered, waiting } = backlog
  const more = waiting.slice(0, Math.max(0, limit - numbered.length))
  if (more.length === 0) return backlog
  const last = lastNumber(backlog)
  return {
    ...backlog,
    epoch: backlog.epoch ?? epoch,
    numbered: [...numbered, ...more.map(({ at, body }, index) => ({ seq: last + 1 + index, at, body }))],
    waiting: waiting.slice(more.length),
  }
}

function lastNumber({ stored, numbered }: Chain): number {
  return numbered.at(-1)?.seq ?? stored.seq
}

/**
 * Puts the backlog behind the greatest number that the server has of this host. Normally that is an old one of ours, and this is an acknowledgement.
 *
 * A number that was never given here, or one from very long ago: this host's state is an older copy, another machine has its key, or the server does not say
 * what is so. Whichever it is, what was numbered gets new numbers there, behind the report that this machine sent last, so that it is heard; a server that
 * has what it says sees that this does not continue it, and that is the point. As soon as a server speaks again as one that knows only what was said before,
 * the host goes on from there as if it had never been told otherwise.
 */
export function resumeAfter(backlog: Backlog, storedSeq: number, hash: LinkHash): Backlog {
  const { left } = backlog
  if (left && follows(left, storedSeq))
    return acknowledge({ ...backlog, ...left, left: null, waiting: unnumbered(backlog) }, storedSeq, hash)
  if (follows(backlog, storedSeq)) return acknowledge(backlog, storedSeq, hash)
  const { epoch, stored, numbered } = backlog
  return {
    ...backlog,
    stored: { seq: storedSeq, sha256: stored.sha256 },
    numbered: [],
    waiting: unnumbered(backlog),
    left: left ?? { epoch, stored, numbered },
  }
}

/** Whether a server that has this number of the chain has nothing else of it, and takes what comes next. */
function follows(chain: Chain, storedSeq: number): boolean {
  return storedSeq <= lastNumber(chain) && isHole(storedSeq, chain.stored.seq + 1)
}

/** Takes out what the server has stored: every report up to `seq`. */
function acknowledge(backlog: Backlog, seq: number, hash: LinkHash): Backlog {
  const { epoch, numbered } = backlog
  if (epoch === null) return backlog
  let stored = backlog.stored
  for (const report of numbered)
    if (report.seq <= seq) stored = { seq: report.seq, sha256: hash(report, epoch, stored.sha256) }
  return { ...backlog, stored, numbered: numbered.filter((report) => report.seq > seq) }
}

/** The host was enrolled: a chain begins behind the greatest number that the server has of it. What was not acknowledged is told in it. */
export function beginChain(backlog: Backlog, epoch: string, storedSeq: number): Backlog {
  return {
    ...backlog,
    epoch,
    stored: { seq: storedSeq, sha256: null },
    numbered: [],
    waiting: unnumbered(backlog),
    left: null,
  }
}

function unnumbered({ numbered, waiting }: Backlog): readonly Draft[] {
  return [...numbered.map(({ at, body }) => ({ at, body })), ...waiting]
}

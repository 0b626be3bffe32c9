// The outbox on disk: `<state>/outbox.json`, shared by the daemon and every command. Each change is read, changed and durably replaced under a lock of
// its own, so that two processes never give one number twice and a power cut leaves the backlog before or after a change.
import type { Clock } from '../../keys/platform/clock.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { replaceFile } from '../../keys/platform/durable.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import type { AttemptState } from '../../schema/attempt.ts'
import type { Report, ReportBody } from '../../schema/report.ts'
import { utcSecond } from '../utc-second.ts'
import { acknowledge, appendReport, type Backlog, emptyBacklog, resumeAfter } from './backlog.ts'

export interface OutboxDeps {
  readonly disk: Disk
  readonly clock: Clock
  readonly file: string
  /** Takes the outbox's lock, waiting for whoever holds it, up to some seconds. Rejects with PlatformError `locked`. */
  readonly lock: () => Promise<{ release(): Promise<void> }>
}

export interface Outbox {
  /** Numbers the report and makes it durable. */
  append(body: ReportBody): Promise<void>
  /** The first `limit` waiting reports, ascending. */
  waiting(limit: number): Promise<readonly Report[]>
  /** The server has stored everything up to this number. */
  acknowledge(seq: number): Promise<void>
  /** The server says the greatest number that it has of this host. */
  resumeAfter(storedSeq: number): Promise<void>
  /** The last state that was reported of an attempt, undefined if none was. */
  toldOf(updateId: string): Promise<AttemptState | undefined>
}

const MAX_BYTES = 16 * 1024 * 1024

export function buildOutbox(deps: OutboxDeps): Outbox {
  return {
    append: (body) => change(deps, (backlog) => appendReport(backlog, utcSecond(deps.clock.now()), body)),
    waiting: async (limit) => (await load(deps)).reports.slice(0, limit),
    acknowledge: (seq) => change(deps, (backlog) => acknowledge(backlog, seq)),
    resumeAfter: (storedSeq) => change(deps, (backlog) => resumeAfter(backlog, storedSeq)),
    toldOf: async (updateId) => (await load(deps)).told.find(([id]) => id === updateId)?.[1],
  }
}

async function change(deps: OutboxDeps, step: (backlog: Backlog) => Backlog): Promise<void> {
  const lock = await deps.lock()
  try {
    const before = await load(deps)
    const after = step(before)
    if (JSON.stringify(after) !== JSON.stringify(before)) await save(deps, after)
  } finally {
    await lock.release()
  }
}

function save({ disk, file }: OutboxDeps, backlog: Backlog): Promise<void> {
  return replaceFile(disk, file, Buffer.from(`${JSON.stringify({ schema: 'netlink.outbox/v1', ...backlog })}\n`), 0o600)
}

async function load(deps: OutboxDeps): Promise<Backlog> {
  let bytes: Uint8Array
  try {
    bytes = await deps.disk.readFile(deps.file, MAX_BYTES)
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') return emptyBacklog
    if (error instanceof PlatformError && error.code === 'too-large') return damagedBacklog(deps)
    throw error
  }
  return readBacklog(bytes) ?? damagedBacklog(deps)
}

/**
 * Nothing can be read: what waited is lost, and no number may come twice. Seconds since 1970 are far above any number that was ever counted up to, and the
 * server's own count (`resumeAfter`) is obeyed all the same.
 */
function damagedBacklog({ clock }: OutboxDeps): Backlog {
  return { ...emptyBacklog, next_seq: Math.floor(clock.now().getTime() / 1000) }
}

/** Our own file, replaced as a whole: a few looks tell whether it is what was written. */
function readBacklog(bytes: Uint8Array): Backlog | undefined {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { next_seq, reports, told } = value as Partial<Backlog>
  if (!Number.isSafeInteger(next_seq) || !Array.isArray(reports) || !Array.isArray(told)) return undefined
  return { next_seq: Number(next_seq), reports, told }
}

// What happened on this host, as the journals say: each update that ever got a plan, how far it came and how it ended.
import type { Disk } from '../keys/platform/disk.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import type { AttemptKind, AttemptState } from '../schema/attempt.ts'
import { parseShape } from '../schema/parse-shape.ts'
import type { Version } from '../schema/version.ts'
import { attemptStateDuring } from './engine/event.ts'
import { readJournal } from './engine/journal.ts'
import { attemptStateOf, type Outcome } from './engine/outcome.ts'
import { planShape, type StepName } from './engine/plan.ts'
import { type Paths, updateFiles } from './paths.ts'

/** One update, newest state first known. Times: UTC, one second's resolution. */
export interface PastUpdate {
  readonly update_id: string
  readonly kind: AttemptKind
  readonly from: Version | null
  readonly to: Version
  readonly started_at: string
  /** null while it runs, or was cut off and waits for its recovery. */
  readonly ended_at: string | null
  readonly state: AttemptState
  /** The step that it is at, or was at when it failed. */
  readonly phase: StepName | null
  readonly code: string | null
  readonly reason: string | null
  readonly details: readonly string[]
  readonly unreachable_ms: number | null
}

const MAX_PLAN_BYTES = 32 << 20

/** The newest updates of this host, all of them unless a number is said, newest first. One that can't be read is left out and named in `damaged`. */
export async function loadHistory(
  disk: Disk,
  paths: Paths,
  most = Number.POSITIVE_INFINITY,
): Promise<{ readonly updates: readonly PastUpdate[]; readonly damaged: readonly string[] }> {
  const updates: PastUpdate[] = []
  const damaged: string[] = []
  for (const id of (await listUpdates(disk, paths)).slice(0, most)) {
    const update = await loadUpdate(disk, paths, id)
    if (update) updates.push(update)
    else damaged.push(id)
  }
  return { updates, damaged }
}

/** Ids of updates that got a plan, newest first: by the time in the id. */
export async function listUpdates(disk: Disk, paths: Paths): Promise<readonly string[]> {
  try {
    const entries = await disk.list(paths.updates)
    const ids = entries
      .filter((entry) => entry.kind === 'directory' && TIMED.test(entry.name))
      .map((entry) => entry.name)
    return ids.sort((a, b) => (timeIn(a) < timeIn(b) ? 1 : -1))
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') return []
    throw error
  }
}

const TIMED = /^update_.+_(\d{8}_\d{6})$/

function timeIn(id: string): string {
  return TIMED.exec(id)?.[1] ?? ''
}

/** One update, undefined if there is none of this id or its plan or journal can't be read. */
export async function loadUpdate(disk: Disk, paths: Paths, id: string): Promise<PastUpdate | undefined> {
  if (!TIMED.test(id) || id.includes('/')) return undefined
  const files = updateFiles(paths, id)
  const plan = await readOrUndefined(async () => {
    const bytes = await disk.readFile(files.plan, MAX_PLAN_BYTES)
    return parseShape(planShape, JSON.parse(Buffer.from(bytes).toString('utf8')), files.plan)
  })
  if (!plan) return undefined
  const base = {
    update_id: id,
    kind: plan.kind,
    from: plan.from?.version ?? null,
    to: plan.to,
    started_at: plan.created_at,
  }
  const journal = await readOrUndefined(() => readJournal(disk, files.journal))
  if (!journal || journal.kind === 'damaged') return { ...base, ...NOT_BEGUN }
  const last = journal.records.at(-1)
  const phase = journal.records.findLast((record) => record.entry.phase === 'INTENT')?.entry
  const step = phase?.phase === 'INTENT' ? phase.step : null
  if (last?.entry.phase === 'DECIDE' && last.entry.decision.to === 'end') {
    return { ...base, ...endOf(last.entry.decision.outcome), ended_at: last.at, phase: step }
  }
  return { ...base, ...NOT_BEGUN, state: step ? attemptStateDuring(step) : 'offered', phase: step }
}

const NOT_BEGUN = {
  ended_at: null,
  state: 'offered' as AttemptState,
  phase: null,
  code: null,
  reason: null,
  details: [],
  unreachable_ms: null,
}

function endOf(outcome: Outcome): Pick<PastUpdate, 'state' | 'code' | 'reason' | 'details' | 'unreachable_ms'> {
  const state = attemptStateOf(outcome)
  if (outcome.kind === 'committed')
    return { state, code: null, reason: null, details: outcome.warnings, unreachable_ms: outcome.unreachable_ms }
  const { code, message, details } = outcome.reason
  return { state, code, reason: message, details, unreachable_ms: null }
}

async function readOrUndefined<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-permitted') throw error
    return undefined // missing or damaged: said in the answer, not hidden
  }
}

// One plan carried out, and everything that goes with it: the human log, the reports, the request to stop. Commands, the daemon's worker and the library
// all come through here, so that an update is the same whoever started it.
import { PlatformError } from '../keys/platform/platform-error.ts'
import type { Verified } from '../keys/verified.ts'
import type { Manifest } from '../schema/manifest.ts'
import type { EngineDeps, HeldLock } from './engine/deps.ts'
import { type Recovery, recover, runUpdate } from './engine/engine.ts'
import type { EngineEvent } from './engine/event.ts'
import type { Outcome } from './engine/outcome.ts'
import type { Plan } from './engine/plan.ts'
import { loadHistory, type PastUpdate } from './history.ts'
import type { Host } from './host.ts'
import { buildInventory } from './inventory.ts'
import { updateFiles } from './paths.ts'
import { buildAttemptReporter, reportUntold } from './report/attempt-reporter.ts'
import { openUpdateLog, type UpdateLog } from './update-log.ts'
import { utcSecond } from './utc-second.ts'

export interface PerformRequest {
  readonly plan: Plan
  readonly verified: Verified<Manifest> | null
  /** The update lock, held by the caller. */
  readonly lock: HeldLock
  readonly signal?: AbortSignal | undefined
  readonly deadlineMs?: number | undefined
  readonly acceptUnhealthy?: boolean | undefined
  /** As the engine's: once, durably, before anything that can't be taken back. */
  readonly beforeStop?: (() => Promise<void>) | undefined
  readonly onEvent?: ((event: EngineEvent) => void) | undefined
}

const ABORT_POLL_MS = 300
/** So many of the newest updates are compared with what was told. */
const MOST_LOOKED_AT = 20

/** Carries the plan out. Every end is an Outcome; reports and log lines that can't be written change nothing about it. */
export async function performPlan(host: Host, engine: EngineDeps, request: PerformRequest): Promise<Outcome> {
  const { plan } = request
  const log = openUpdateLog(host.paths.updateLog)
  const write = (text: string) => log.write(utcSecond(host.clock.now()), plan.update_id, text)
  const reporter = buildAttemptReporter(host.outbox, plan, (error) => write(`not reported: ${wordsOf(error)}`))
  const stop = watchForAbort(host, plan.update_id, request.signal)
  write(`${plan.kind} ${plan.from?.version ?? 'none'} -> ${plan.to} begins`)
  try {
    const outcome = await runUpdate(engine, plan, request.verified, {
      signal: stop.signal,
      deadlineMs: request.deadlineMs,
      lock: request.lock,
      acceptUnhealthy: request.acceptUnhealthy,
      beforeStop: request.beforeStop,
      onEvent: (event) => {
        logEvent(write, event)
        reporter.onEvent(event)
        request.onEvent?.(event)
      },
    })
    write(outcomeWords(outcome))
    await reporter.end(outcome)
    return outcome
  } finally {
    stop.end()
    await log.flush()
  }
}

/** Brings what a crash cut to its end, tells it, and tells what was never told. First thing before every change. */
export async function recoverHost(
  host: Host,
  engine: EngineDeps,
  onEvent?: (event: EngineEvent) => void,
): Promise<Recovery> {
  const log = openUpdateLog(host.paths.updateLog)
  const recovery = await recover(engine, {
    onEvent: (event) => {
      logEvent((text) => log.write(utcSecond(host.clock.now()), event.update_id, text), event)
      onEvent?.(event)
    },
  })
  if (recovery.kind === 'finished') {
    log.write(utcSecond(host.clock.now()), recovery.outcome.update_id, `recovered: ${outcomeWords(recovery.outcome)}`)
  }
  await log.flush()
  if (recovery.kind !== 'locked')
    await quietly(host, log, async () => reportUntold(host.outbox, await updatesSinceEnrolled(host)))
  return recovery
}

/** What ended before this host was enrolled is no affair of this server. */
async function updatesSinceEnrolled({ disk, paths, enrolment }: Host): Promise<readonly PastUpdate[]> {
  const { updates } = await loadHistory(disk, paths, MOST_LOOKED_AT)
  const sinceMs = Date.parse(enrolment.enrolled_at)
  return updates.filter(({ ended_at }) => ended_at === null || Date.parse(ended_at) >= sinceMs)
}

/** Puts what runs now into the outbox. Whatever goes wrong is a line in the log. */
export async function reportInventory(host: Host, engine: EngineDeps): Promise<void> {
  const log = openUpdateLog(host.paths.updateLog)
  await quietly(host, log, async () => {
    await host.outbox.append({ type: 'inventory', inventory: await buildInventory(host, engine) })
  })
}

/** Failing to report never changes what runs. */
async function quietly(host: Host, log: UpdateLog, report: () => Promise<void>): Promise<void> {
  try {
    await report()
  } catch (error) {
    log.write(utcSecond(host.clock.now()), null, `not reported: ${wordsOf(error)}`)
    await log.flush()
  }
}

function logEvent(write: (text: string) => void, event: EngineEvent): void {
  if (event.type === 'log') write(`${event.level}: ${event.message}`)
  else if (event.type === 'phase' && event.status !== 'started')
    write(`${event.phase}: ${event.status} after ${event.elapsed_ms} ms: ${event.message}`)
}

function outcomeWords(outcome: Outcome): string {
  const change = `${outcome.from ?? 'none'} -> ${outcome.to}`
  if (outcome.kind === 'committed') return `${change} committed as generation ${outcome.generation}`
  return `${change} ${outcome.kind.replace('_', ' ')}: ${outcome.reason.code}: ${outcome.reason.message}`
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

// ---- the request to stop ---------------------------------------------------------------------------------------------------------

/** Where `netlink update abort` leaves its request: whoever runs this update looks there. */
export function abortFileOf(host: Pick<Host, 'paths'>, updateId: string): string {
  return `${updateFiles(host.paths, updateId).dir}/abort`
}

function watchForAbort(
  host: Host,
  updateId: string,
  signal: AbortSignal | undefined,
): { readonly signal: AbortSignal; end(): void } {
  const asked = new AbortController()
  const file = abortFileOf(host, updateId)
  const timer = setInterval(() => {
    host.disk.lstat(file).then(
      () => asked.abort(new Error('netlink update abort')),
      (error: unknown) => {
        if (!(error instanceof PlatformError && error.code === 'not-found')) clearInterval(timer)
      },
    )
  }, ABORT_POLL_MS)
  return {
    signal: signal ? AbortSignal.any([signal, asked.signal]) : asked.signal,
    end: () => clearInterval(timer),
  }
}

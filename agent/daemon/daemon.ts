// The resident process: one socket, one timer, one door for local programs. Everything that costs memory happens in workers that come and go.
//
//   start -> recover (nothing starts the service before) -> look -> wait for a hint, the timer, the brake's release, a local request -> look …
//
// Two looks never run at once. Whatever a worker runs into is in its answer; the daemon itself never ends because of it.
import type { Clock } from '../../keys/platform/clock.ts'
import type { Brake } from '../../schema/protocol.ts'
import type { Outbox } from '../report/outbox.ts'
import type { AgentSocket, SocketListener } from '../report/socket.ts'
import type { TickResult, WorkerTask } from '../worker-protocol.ts'
import { buildReportPump } from './report-pump.ts'
import type { WorkerRun } from './worker-process.ts'

export interface DaemonDeps {
  readonly clock: Clock
  /** 0 up to 1. */
  readonly random: () => number
  readonly outbox: Outbox
  readonly buildSocket: (listener: SocketListener) => AgentSocket
  readonly startWorker: (task: WorkerTask, onProgress?: () => void) => WorkerRun
  readonly saveBrake: (brake: Brake) => Promise<void>
  /** Puts a document, which nobody has verified, where the next look finds it. */
  readonly saveOffered: (document: string) => Promise<void>
  /** When the outbox last changed, so that reports of other commands are sent too. */
  readonly outboxChangedMs: () => Promise<number>
  /** Nothing is going to happen for a while: the moment to tidy up. */
  readonly rest: () => void
  readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void
}

export interface Daemon {
  readonly state: () => DaemonState
  /** Look now, and resolve when that look is over. */
  look(): void
  /** A task that somebody asked for over the local interface. */
  start(task: WorkerTask): WorkerRun
  /** Runs until the signal; a worker that is at an update is asked to end safely and waited for. */
  run(signal: AbortSignal): Promise<void>
}

export interface DaemonState {
  readonly connected: boolean
  readonly timestamp_version: number
  readonly busy: boolean
  readonly next_look_ms: number | null
}

const FIRST_INTERVAL_MS = 15 * 60_000
const LOCKED_PAUSE_MS = 1_000
const OUTBOX_POLL_MS = 2_000
/** Hints come to a whole fleet at once: a moment each spreads the first requests. */
const HINT_SPREAD_MS = 150
const CONNECT_SPREAD_MS = 500
const LEAST_PAUSE_MS = 200

export function buildDaemon(deps: DaemonDeps): Daemon {
  const { clock, random, log } = deps
  let connected = false
  let seen = 0
  let lastInventory = ''
  let isFreshConnection = false
  let paused: boolean | undefined
  let nextLookMs: number | null = null
  let wake: () => void = () => undefined
  let lookWanted = false
  const running = new Set<WorkerRun>()
  const trouble = (event: string) => (error: unknown) =>
    log(event, { error: error instanceof Error ? error.message : String(error) })

  const socket: AgentSocket = deps.buildSocket({
    onWelcome: (welcome) => {
      connected = true
      isFreshConnection = true
      log('socket.welcome', { timestamp_version: welcome.timestamp_version, stored_seq: welcome.stored_seq })
      onBrake(welcome.brake)
      void pump.onWelcome(welcome.stored_seq)
      lookSoon(CONNECT_SPREAD_MS)
    },
    onHint: (hint) => {
      log('socket.hint', { cause: hint.cause, timestamp_version: hint.timestamp_version })
      if (hint.cause === 'check_now' || hint.timestamp_version > seen) lookSoon(HINT_SPREAD_MS)
    },
    onBrake: (brake) => onBrake(brake),
    onAssignment: (document) => {
      log('socket.assignment', { bytes: document.length })
      void deps.saveOffered(document).then(() => lookSoon(HINT_SPREAD_MS), trouble('assignment.failed'))
    },
    onAck: (seq) => void pump.onAck(seq),
    onClosed: () => {
      connected = false
    },
  })
  const pump = buildReportPump({
    outbox: deps.outbox,
    socket: () => socket,
    nowMs: () => clock.monotonicMs(),
    onTrouble: trouble('outbox.failed'),
  })

  function onBrake(brake: Brake): void {
    const before = paused
    paused = brake.paused
    void deps.saveBrake(brake).then(() => {
      if (before !== brake.paused && before !== undefined) lookSoon(HINT_SPREAD_MS)
    }, trouble('brake.failed'))
  }

  function lookSoon(spreadMs: number): void {
    void clock.sleep(random() * spreadMs).then(look)
  }

  function look(): void {
    lookWanted = true
    wake()
  }

  function start(task: WorkerTask): WorkerRun {
    const run = deps.startWorker(task, () => void pump.pump())
    running.add(run)
    void run.end.then((end) => {
      running.delete(run)
      if (end.kind === 'failed')
        log('worker.failed', { task: task.task, code: end.failure.code, detail: end.failure.detail })
      if (task.task === 'upgrade' || task.task === 'rollback') look()
      void pump.pump()
    })
    return run
  }

  function stopAll(): void {
    for (const run of running) run.stop()
  }

  /** Until it is known what counts here; another process may be at it for as long as an update takes. */
  async function recover(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const end = await start({ task: 'recover' }).end
      const recovery = end.kind === 'done' ? recoveryIn(end.result) : undefined
      log('daemon.recovered', end.kind === 'done' ? { result: end.result } : { failure: end.failure.detail })
      if (recovery !== 'locked') return
      await clock.sleep(LOCKED_PAUSE_MS, signal).catch(() => undefined)
    }
  }

  async function tick(): Promise<number> {
    lookWanted = false
    const end = await start({ task: 'tick', flush: !connected }).end
    if (end.kind === 'failed') return FIRST_INTERVAL_MS
    const result = tickIn(end.result)
    if (result.timestamp_version > seen) seen = result.timestamp_version
    socket.send({ type: 'seen', timestamp_version: seen })
    await tellInventory(result)
    if (result.changed) lookWanted = true
    return pauseAfter(result)
  }

  async function tellInventory({ inventory }: TickResult): Promise<void> {
    const text = JSON.stringify(inventory)
    if (text === lastInventory && !isFreshConnection) return
    isFreshConnection = false
    lastInventory = text
    await deps.outbox.append({ type: 'inventory', inventory }).catch(trouble('outbox.failed'))
    void pump.pump()
  }

  function pauseAfter({ interval_ms, wake_at }: TickResult): number {
    const interval = interval_ms * (0.9 + random() * 0.2)
    const untilMs = wake_at === null ? interval : new Date(wake_at).getTime() - clock.now().getTime() + 1_000
    return Math.max(LEAST_PAUSE_MS, Math.min(interval, untilMs))
  }

  async function waitForLook(pauseMs: number, signal: AbortSignal): Promise<void> {
    if (lookWanted || signal.aborted) return
    const woken = new AbortController()
    wake = () => woken.abort()
    nextLookMs = clock.monotonicMs() + pauseMs
    deps.rest()
    await clock.sleep(pauseMs, AbortSignal.any([signal, woken.signal])).catch(() => undefined)
    nextLookMs = null
    wake = () => undefined
  }

  async function watchOutbox(signal: AbortSignal): Promise<void> {
    for (let known = 0; !signal.aborted; ) {
      await clock.sleep(OUTBOX_POLL_MS, signal).catch(() => undefined)
      const changed = await deps.outboxChangedMs().catch(() => known)
      if (changed !== known && connected) void pump.pump()
      known = changed
    }
  }

  return {
    state: () => ({
      connected,
      timestamp_version: seen,
      busy: running.size > 0,
      next_look_ms: nextLookMs === null ? null : Math.max(0, Math.round(nextLookMs - clock.monotonicMs())),
    }),
    look,
    start,
    run: async (signal) => {
      signal.addEventListener('abort', stopAll, { once: true })
      await recover(signal)
      const others = [socket.run(signal), watchOutbox(signal)]
      while (!signal.aborted) {
        const pauseMs = await tick()
        await waitForLook(pauseMs, signal)
      }
      await Promise.all([...others, ...[...running].map((run) => run.end)])
    },
  }
}

function recoveryIn(result: unknown): string | undefined {
  if (typeof result !== 'object' || result === null || !('recovery' in result)) return undefined
  return typeof result.recovery === 'string' ? result.recovery : undefined
}

/** From our own worker, of the same package. */
function tickIn(result: unknown): TickResult {
  return result as TickResult
}

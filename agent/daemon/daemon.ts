// What the resident process does for a host of one identity: one socket, one timer, one door for local programs. Everything that costs memory happens in
// workers that come and go.
//
//   start -> recover (nothing starts the service before) -> look -> wait for a hint, the timer, the brake's release, a local request -> look …
//
// Two looks never run at once. Whatever a worker runs into is in its answer; the daemon itself never ends because of it. What others ask for over the socket
// comes at its own pace (look-pace.ts), what this host's own people ask for at once.
import type { Clock } from '../../keys/platform/clock.ts'
import type { Brake } from '../../schema/protocol.ts'
import type { Outbox } from '../report/outbox.ts'
import type { AgentSocket, SocketListener } from '../report/socket.ts'
import type { TickResult, WorkerTask } from '../worker-protocol.ts'
import { buildLookPace } from './look-pace.ts'
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
  /** Remembers whether the server said that it does not know this host. */
  readonly saveStanding: (standing: 'known' | 'forgotten') => Promise<void>
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
  /**
   * Runs until one of the signals. `stop`, the end of the process: a worker that is at an update is asked to end safely and waited for. `over`, the end of
   * this identity: nothing is said or heard any more, looks are stopped, an update goes on to its end and is waited for.
   */
  run(stop: AbortSignal, over: AbortSignal): Promise<void>
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
  let lastConcern = ''
  let isFreshConnection = false
  let paused: boolean | undefined
  let unsavedBrake: Brake | undefined
  let isSavingBrake = false
  let nextLookMs: number | null = null
  let wake: () => void = () => undefined
  let wanted: 'nothing' | 'hinted' | 'now' = 'nothing'
  let isSpreading = false
  let offered: string | undefined
  let isOver = false
  const pace = buildLookPace(clock)
  const running = new Set<WorkerRun>()
  /** Those of them that have begun to change something. */
  const changing = new Set<WorkerRun>()
  const trouble = (event: string) => (error: unknown) =>
    log(event, { error: error instanceof Error ? error.message : String(error) })

  const socket: AgentSocket = deps.buildSocket(
    untilOver({
      onWelcome: (welcome) => {
        connected = true
        isFreshConnection = true
        log('socket.welcome', { timestamp_version: welcome.timestamp_version, stored_seq: welcome.stored_seq })
        void deps.saveStanding('known').catch(trouble('standing.failed'))
        onBrake(welcome.brake)
        void pump.onWelcome(welcome.stored_seq)
        lookSoon(CONNECT_SPREAD_MS)
      },
      onHint: (hint) => {
        if (hint.cause !== 'check_now' && hint.timestamp_version <= seen) return
        if (lookSoon(HINT_SPREAD_MS))
          log('socket.hint', { cause: hint.cause, timestamp_version: hint.timestamp_version })
      },
      onBrake: (brake) => onBrake(brake),
      onAssignment: (document) => {
        offered = document
        if (lookSoon(HINT_SPREAD_MS)) log('socket.assignment', { bytes: document.length })
      },
      onAck: (seq) => void pump.onAck(seq),
      onUnknown: () => void deps.saveStanding('forgotten').catch(trouble('standing.failed')),
      onClosed: () => {
        connected = false
      },
    }),
  )

  /** What still comes over a socket that is being closed was not meant for what this host is now. */
  function untilOver(listener: SocketListener): SocketListener {
    const guarded =
      <A extends unknown[]>(hear: (...heard: A) => void) =>
      (...heard: A) => {
        if (!isOver) hear(...heard)
      }
    return {
      onWelcome: guarded(listener.onWelcome),
      onHint: guarded(listener.onHint),
      onBrake: guarded(listener.onBrake),
      onAssignment: guarded(listener.onAssignment),
      onAck: guarded(listener.onAck),
      onUnknown: guarded(listener.onUnknown),
      onClosed: listener.onClosed,
    }
  }

  const pump = buildReportPump({
    outbox: deps.outbox,
    socket: () => socket,
    nowMs: () => clock.monotonicMs(),
    onTrouble: trouble('outbox.failed'),
  })

  function onBrake(brake: Brake): void {
    unsavedBrake = brake
    if (!isSavingBrake) void keepBrake().catch(trouble('brake.failed'))
  }

  /** One at a time, the newest: a server that changes its mind all the time does not keep the disk busy with every word. */
  async function keepBrake(): Promise<void> {
    isSavingBrake = true
    try {
      for (let brake = unsavedBrake; brake && !isOver; brake = unsavedBrake) {
        unsavedBrake = undefined
        await deps.saveBrake(brake)
        if (paused !== undefined && paused !== brake.paused) lookSoon(HINT_SPREAD_MS)
        paused = brake.paused
      }
    } finally {
      isSavingBrake = false
    }
  }

  /** Somebody else wants a look. Says whether that is new: one that is wanted already is not wanted more by being asked for again. */
  function lookSoon(spreadMs: number): boolean {
    if (isSpreading || wanted !== 'nothing') return false
    isSpreading = true
    void clock.sleep(random() * spreadMs).then(() => {
      isSpreading = false
      if (wanted === 'nothing') wanted = 'hinted'
      wake()
    })
    return true
  }

  function look(): void {
    wanted = 'now'
    wake()
  }

  function start(task: WorkerTask): WorkerRun {
    const run = deps.startWorker(task, send)
    running.add(run)
    void run.planned.then((updateId) => updateId !== undefined && changing.add(run))
    void run.end.then((end) => {
      running.delete(run)
      changing.delete(run)
      if (end.kind === 'failed')
        log('worker.failed', { task: task.task, code: end.failure.code, detail: end.failure.detail })
      if (task.task === 'upgrade' || task.task === 'rollback') look()
      send()
    })
    return run
  }

  function send(): void {
    if (!isOver) void pump.pump()
  }

  function stopAll(): void {
    for (const run of running) run.stop()
  }

  function leave(): void {
    isOver = true
    for (const run of running) if (!changing.has(run)) run.stop()
    wake()
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
    wanted = 'nothing'
    await keepOffered()
    const end = await start({ task: 'tick', flush: !connected }).end
    if (isOver || end.kind === 'failed') {
      pace.ended('nothing')
      return FIRST_INTERVAL_MS
    }
    const result = tickIn(end.result)
    if (result.timestamp_version > seen) seen = result.timestamp_version
    socket.send({ type: 'seen', timestamp_version: seen })
    pace.ended(result.changed || concernOf(result) !== lastConcern ? 'news' : 'nothing')
    lastConcern = concernOf(result)
    await tellInventory(result)
    if (result.changed) wanted = 'now'
    return pauseAfter(result)
  }

  /** Only with a look, so that however many come, one is written. */
  async function keepOffered(): Promise<void> {
    if (offered === undefined) return
    const document = offered
    offered = undefined
    await deps.saveOffered(document).catch(trouble('assignment.failed'))
  }

  async function tellInventory({ inventory }: TickResult): Promise<void> {
    const text = JSON.stringify(inventory)
    if (text === lastInventory && !isFreshConnection) return
    isFreshConnection = false
    lastInventory = text
    await deps.outbox.append({ type: 'inventory', inventory }).catch(trouble('outbox.failed'))
    send()
  }

  function pauseAfter({ interval_ms, wake_at }: TickResult): number {
    const interval = interval_ms * (0.9 + random() * 0.2)
    const untilMs = wake_at === null ? interval : new Date(wake_at).getTime() - clock.now().getTime() + 1_000
    return Math.max(LEAST_PAUSE_MS, Math.min(interval, untilMs))
  }

  async function waitForLook(pauseMs: number, signal: AbortSignal): Promise<void> {
    const timerMs = clock.monotonicMs() + pauseMs
    if (wanted === 'nothing') deps.rest()
    while (wanted !== 'now' && !signal.aborted) {
      const now = clock.monotonicMs()
      nextLookMs = wanted === 'hinted' ? Math.min(timerMs, now + pace.waitMs()) : timerMs
      if (nextLookMs <= now) break
      await sleepUntilWoken(nextLookMs - now, signal)
    }
    nextLookMs = null
    if (wanted === 'hinted') pace.take()
  }

  async function sleepUntilWoken(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    wake = () => woken.abort()
    await clock.sleep(ms, AbortSignal.any([signal, woken.signal])).catch(() => undefined)
    wake = () => undefined
  }

  async function watchOutbox(signal: AbortSignal): Promise<void> {
    for (let known = 0; !signal.aborted; ) {
      await clock.sleep(OUTBOX_POLL_MS, signal).catch(() => undefined)
      const changed = await deps.outboxChangedMs().catch(() => known)
      if (changed !== known && connected) send()
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
    run: async (stop, over) => {
      stop.addEventListener('abort', stopAll, { once: true })
      over.addEventListener('abort', leave, { once: true })
      const signal = AbortSignal.any([stop, over])
      const others = [socket.run(signal), watchOutbox(signal)]
      await recover(signal)
      while (!signal.aborted) {
        const pauseMs = await tick()
        await waitForLook(pauseMs, signal)
      }
      await Promise.all([...others, ...[...running].map((run) => run.end)])
    },
  }
}

/** What of an inventory tells whether a look found something for this host: that something else was published does not. */
function concernOf({ inventory }: TickResult): string {
  return JSON.stringify({ ...inventory, timestamp_version: 0 })
}

function recoveryIn(result: unknown): string | undefined {
  if (typeof result !== 'object' || result === null || !('recovery' in result)) return undefined
  return typeof result.recovery === 'string' ? result.recovery : undefined
}

/** From our own worker, of the same package. */
function tickIn(result: unknown): TickResult {
  return result as TickResult
}

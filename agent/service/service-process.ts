// The one service of a host, as its supervisor holds it.
//
//   stopped ── start ──> running ── ends by itself ──> crashed ── back-off ──> running …
//      ^────── stop ────────'────────── stop ─────────────'
//
// A supervisor that was killed is followed by one that finds the process in the record: it is adopted (watched by number and start time, since only a
// parent is told of an end) or, where a stop had been ordered, stopped. While an update is undecided nothing is started but by that update, and a
// crashed service stays down: whether it may come up again is what the update is deciding.
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../keys/platform/clock.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { generationDir, type Paths } from '../paths.ts'
import { rotateAppLog, tailOfAppLog } from './app-log.ts'
import { type ServiceDefinition, ServiceError, type ServiceIdentity, type ServiceStatus } from './control.ts'
import { resolveService } from './definition.ts'
import { ExpandError, parseAppEnv } from './expand.ts'
import { isAlive, readBootId } from './process-facts.ts'
import { loadProcessRecord, noteProcessRecord, type ProcessRecord, saveProcessRecord } from './process-record.ts'
import { startProcess } from './start-process.ts'

export interface SupervisionDeps {
  readonly disk: Disk
  readonly clock: Clock
  readonly paths: Paths
  /** The supervisor's own environment, of which a service gets the names in INHERITED. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void
}

/** Orders are carried out one after the other; `status` may be asked at any time. All reject with ServiceError. */
export interface ServiceProcess {
  start(generation: number, updateId: string | null): Promise<void>
  restart(generation: number, updateId: string | null): Promise<void>
  stop(): Promise<void>
  status(): ServiceStatus
  /** Looks after a process that is not our child, after the log's size, and after a crash that waits. Called twice a second or so. */
  tick(): void
}

const FIRST_BACKOFF_MS = 500
const MAX_BACKOFF_MS = 30_000
/** After so long a run the next crash counts as the first. */
const SETTLED_MS = 60_000
const KILL_WAIT_MS = 5_000
const POLL_MS = 5

type State =
  | { readonly kind: 'stopped'; readonly onPurpose: boolean }
  | {
      readonly kind: 'running'
      readonly process: Running
      readonly child: ChildProcess | null
      readonly sinceMs: number
    }
  | {
      readonly kind: 'crashed'
      readonly process: Running
      readonly ended: string
      readonly tail: readonly string[]
      readonly retryAtMs: number
    }

type Running = NonNullable<ProcessRecord['process']>

/** Takes up what an earlier supervisor left. */
export async function openServiceProcess(deps: SupervisionDeps): Promise<ServiceProcess> {
  const { disk, clock, paths, log } = deps
  let state: State = { kind: 'stopped', onPurpose: false }
  let isStopping = false
  let isRetrying = false
  let last: Promise<unknown> = Promise.resolve()

  /** One after the other: a crash that is being mended and an order to stop must not cross. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work)
    last = turn.catch(() => undefined)
    return turn
  }

  function crashed(process: Running, sinceMs: number, ended: string): void {
    const settled = clock.monotonicMs() - sinceMs >= SETTLED_MS
    const restarts = settled ? 0 : process.restarts
    const backoffMs = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(restarts, 10))
    const tail = tailOfAppLog(paths.appLog, process.logOffset)
    state = {
      kind: 'crashed',
      process: { ...process, restarts },
      ended,
      tail,
      retryAtMs: clock.monotonicMs() + backoffMs,
    }
    log('service.crashed', { generation: process.generation, ended, restarts, retry_ms: backoffMs })
  }

  async function launch(generation: number, restarts: number): Promise<void> {
    const definition = loadDefinition(deps, generation)
    const started = await startProcess(definition, paths.appLog)
    const process: Running = {
      generation,
      version: definition.version,
      identity: started.identity,
      startedAt: clock.now().toISOString(),
      logOffset: started.logOffset,
      restarts,
      stopSignal: definition.stopSignal,
      stopTimeoutMs: definition.stopTimeoutMs,
    }
    const sinceMs = clock.monotonicMs()
    started.child.once('exit', (code, signal) => {
      if (isStopping || state.kind !== 'running' || state.child !== started.child) return
      killGroup(started.identity.pid, 'SIGKILL') // children that it left behind
      crashed(process, sinceMs, signal ? `killed by ${signal}` : `exit code ${code}`)
    })
    try {
      await noteProcessRecord(disk, paths, { wanted: 'running', process })
    } catch (error) {
      started.child.kill('SIGKILL')
      throw new ServiceError('not-startable', `the process could not be recorded: ${wordsOf(error)}`, { cause: error })
    }
    state = { kind: 'running', process, child: started.child, sinceMs }
    if (started.child.exitCode !== null || started.child.signalCode !== null)
      crashed(process, sinceMs, 'ended before it was let go')
    started.release()
    // The program begins now: nobody should wait for the disk while it does.
    await saveProcessRecord(disk, paths, { wanted: 'running', process }).catch((error: unknown) =>
      log('record.not-durable', { message: wordsOf(error) }),
    )
    log('service.started', { generation, version: definition.version, pid: started.identity.pid, restarts })
  }

  async function stop(): Promise<void> {
    const process = state.kind === 'stopped' ? null : state.process
    await saveProcessRecord(disk, paths, { wanted: 'stopped', process })
    if (state.kind === 'running') {
      isStopping = true
      try {
        await endProcess(clock, state.process, state.child)
      } finally {
        isStopping = false
      }
    }
    state = { kind: 'stopped', onPurpose: true }
    log('service.stopped', { generation: process?.generation ?? null })
  }

  async function retry(): Promise<void> {
    const before = state
    if (before.kind !== 'crashed' || readMark(paths) !== null) return
    try {
      await launch(before.process.generation, before.process.restarts + 1)
    } catch (error) {
      const message = wordsOf(error)
      state = {
        ...before,
        ended: `can't be started again: ${message}`,
        retryAtMs: clock.monotonicMs() + MAX_BACKOFF_MS,
      }
      log('service.restart-failed', { generation: before.process.generation, message })
    }
  }

  function refuseUndecided(updateId: string | null): void {
    const open = readMark(paths)
    if (open === null || open === updateId) return
    throw new ServiceError('undecided', `${open} is undecided: nothing is started before it has ended or was recovered`)
  }

  const record = await loadProcessRecord(disk, paths)
  if (record.process && isAlive(record.process.identity)) {
    log('service.adopted', {
      pid: record.process.identity.pid,
      generation: record.process.generation,
      wanted: record.wanted,
    })
    state = { kind: 'running', process: record.process, child: null, sinceMs: clock.monotonicMs() }
    if (record.wanted === 'stopped') await stop()
  } else if (record.wanted === 'running' && record.process?.identity.bootId === readBootId()) {
    crashed(record.process, clock.monotonicMs(), 'ended while nobody watched')
  } else {
    state = { kind: 'stopped', onPurpose: record.wanted === 'stopped' && record.process !== null }
  }

  return {
    start: (generation, updateId) =>
      inTurn(async () => {
        refuseUndecided(updateId)
        if (state.kind === 'running' && state.process.generation === generation && isAlive(state.process.identity))
          return
        if (state.kind === 'running') await stop()
        await launch(generation, 0)
      }),

    restart: (generation, updateId) =>
      inTurn(async () => {
        refuseUndecided(updateId)
        if (state.kind === 'running') await stop()
        await launch(generation, 0)
      }),

    stop: () => inTurn(stop),

    status() {
      switch (state.kind) {
        case 'stopped':
          return { state: 'stopped', onPurpose: state.onPurpose }
        case 'running': {
          const { generation, version, identity, restarts } = state.process
          return {
            state: 'running',
            generation,
            version,
            identity,
            restarts,
            sinceMs: Math.round(clock.monotonicMs() - state.sinceMs),
          }
        }
        case 'crashed': {
          const { generation, version, restarts } = state.process
          return { state: 'crashed', generation, version, ended: state.ended, restarts, tail: state.tail }
        }
      }
    },

    tick() {
      if (isStopping) return
      if (state.kind === 'running' && state.child === null && !isAlive(state.process.identity)) {
        killGroup(state.process.identity.pid, 'SIGKILL')
        crashed(state.process, state.sinceMs, 'its end was not seen')
      }
      if (state.kind === 'running') rotateAppLog(paths.appLog)
      if (isRetrying || state.kind !== 'crashed' || clock.monotonicMs() < state.retryAtMs) return
      isRetrying = true
      void inTurn(retry).finally(() => {
        isRetrying = false
      })
    },
  }
}

/** The update that is undecided, null if there is none. What can't be read counts as undecided: it was meant to keep everything still. */
function readMark(paths: Paths): string | null {
  try {
    return readFileSync(paths.undecided, 'utf8').trim() || 'an update'
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT' ? null : 'an update'
  }
}

/** What is to run, read anew at every start: from the generation, and from app.env as it is now. Throws ServiceError. */
function loadDefinition({ paths, env }: SupervisionDeps, generation: number): ServiceDefinition {
  const file = join(generationDir(paths, generation), 'generation.json')
  try {
    const { number, version, service } = JSON.parse(readFileSync(file, 'utf8'))
    const definition = resolveService(
      { number, version, service },
      { paths, appEnv: parseAppEnv(readAppEnv(paths)), inherited: env },
    )
    if (definition) return definition
  } catch (error) {
    if (error instanceof ExpandError) throw new ServiceError('bad-environment', error.message, { cause: error })
    throw new ServiceError('not-startable', `${file}: ${wordsOf(error)}`, { cause: error })
  }
  throw new ServiceError('not-startable', `${file}: this release has no service`)
}

function readAppEnv(paths: Paths): string {
  try {
    return readFileSync(paths.appEnv, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}

/** Asks the process to end, waits as long as its release says, then makes it. What it started goes with it. */
async function endProcess(
  clock: Clock,
  { identity, stopSignal, stopTimeoutMs }: Running,
  child: ChildProcess | null,
): Promise<void> {
  const ended = new AbortController()
  child?.once('exit', () => ended.abort())
  killGroup(identity.pid, stopSignal)
  if (!(await isGone(clock, identity, stopTimeoutMs, ended.signal))) {
    killGroup(identity.pid, 'SIGKILL')
    if (!(await isGone(clock, identity, KILL_WAIT_MS, ended.signal)))
      throw new ServiceError('not-stoppable', `process ${identity.pid} is still there after SIGKILL`)
  }
  killGroup(identity.pid, 'SIGKILL')
}

/** A parent is told of the end; for an adopted process it has to be asked for. */
async function isGone(clock: Clock, identity: ServiceIdentity, waitMs: number, ended: AbortSignal): Promise<boolean> {
  const began = clock.monotonicMs()
  while (isAlive(identity)) {
    const waited = clock.monotonicMs() - began
    if (waited >= waitMs) return false
    if (ended.aborted) return true
    await clock.sleep(waited < 500 ? POLL_MS : 10 * POLL_MS, ended).catch(() => undefined)
  }
  return true
}

/** The process leads its own session and group. */
function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // nobody of the group is left
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

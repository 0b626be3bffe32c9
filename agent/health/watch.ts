// Health over time. Three questions: how well does the running version do (baseline), is the started one ready, and does it stay well.
// A service process that ends while it is watched is the answer at once, with its last lines as the reason; nobody waits for a timeout then.
import type { Clock } from '../../keys/platform/clock.ts'
import { unreachable } from '../../schema/unreachable.ts'
import type { ServiceControl, ServiceIdentity, ServiceStatus } from '../service/control.ts'
import type { ResolvedCheck } from '../service/definition.ts'
import { applyProbe, beginCheck, type CheckState } from './check.ts'
import { type ProbeContext, type Probes, probe } from './probe.ts'

export interface WatchDeps {
  readonly clock: Clock
  readonly probes: Probes
  readonly service: ServiceControl
}

export interface WatchRequest {
  readonly checks: readonly ResolvedCheck[]
  readonly context: ProbeContext
  /** The generation that should run; null where the release has no service, and then only checks count. */
  readonly generation: number | null
  /** Required checks that failed before the update too: they count as `wanted`. */
  readonly excused: ReadonlySet<string>
  /** Asked now and then: true ends the watch. */
  readonly isStopped: () => boolean
  readonly signal?: AbortSignal | undefined
}

export type WatchEnd =
  | {
      readonly kind: 'well'
      readonly tookMs: number
      readonly failing: readonly string[]
      readonly identity: ServiceIdentity | null
    }
  | { readonly kind: 'crashed'; readonly words: string; readonly tail: readonly string[] }
  /** Required checks that were not healthy when the time was over, or became unhealthy. */
  | { readonly kind: 'unwell'; readonly words: string; readonly details: readonly string[] }
  | { readonly kind: 'stopped' }

/** While something is awaited it is asked at least this often: a release that answers after 300 ms should not be found after a second. */
const READY_INTERVAL_MS = 150
const STATUS_INTERVAL_MS = 200

/** Resolves as soon as every required check is healthy, or with why not after `readyMs`. Never rejects. */
export function proveReady(deps: WatchDeps, request: WatchRequest, readyMs: number): Promise<WatchEnd> {
  return watch(deps, request, readyMs, 'until-well')
}

/** Resolves with `well` when no required check became unhealthy and the same process ran for `stabilityMs`. Never rejects. */
export function proveStable(deps: WatchDeps, request: WatchRequest, stabilityMs: number): Promise<WatchEnd> {
  return watch(deps, request, stabilityMs, 'whole-time')
}

/** Names of checks that do not pass now, after as many tries as their threshold allows. Never rejects. */
export async function takeBaseline(
  deps: WatchDeps,
  request: Pick<WatchRequest, 'checks' | 'context' | 'isStopped' | 'signal'>,
): Promise<readonly string[]> {
  const failing = await Promise.all(
    request.checks.map(async (check) => {
      for (let left = check.failure_threshold; left > 0 && !request.isStopped(); left--) {
        if ((await probe(deps.probes, check, request.context, request.signal)).kind === 'passed') return []
        if (left > 1) await pause(deps.clock, Math.min(check.interval_ms, READY_INTERVAL_MS), request.signal)
      }
      return [check.name]
    }),
  )
  return failing.flat()
}

async function watch(
  deps: WatchDeps,
  request: WatchRequest,
  timeMs: number,
  mode: 'until-well' | 'whole-time',
): Promise<WatchEnd> {
  const { clock } = deps
  const began = clock.monotonicMs()
  const states = new Map(request.checks.map((check) => [check.name, beginCheck(check)]))
  const over = new AbortController()
  const signal = request.signal ? AbortSignal.any([request.signal, over.signal]) : over.signal
  let identity: ServiceIdentity | null = null
  let seen = request.generation === null
  let end: WatchEnd | undefined

  function finish(how: WatchEnd): void {
    end ??= how
    over.abort()
  }

  function finishWell(): void {
    const failing = [...states.values()].filter((state) => state.health !== 'healthy').map((state) => state.check.name)
    finish({ kind: 'well', tookMs: clock.monotonicMs() - began, failing, identity })
  }

  /** A change of health: the awaited one ends the watch, so does the feared one. */
  function weigh(): void {
    const required = [...states.values()].filter((state) => counts(state.check, request.excused))
    if (mode === 'until-well') {
      if (seen && required.every((state) => state.health === 'healthy')) finishWell()
      return
    }
    const sick = required.filter((state) => state.health === 'unhealthy')
    if (sick.length > 0) finish({ kind: 'unwell', words: wordsOf(sick), details: sick.map(detailOf) })
  }

  async function watchCheck(check: ResolvedCheck): Promise<void> {
    const interval = mode === 'until-well' ? Math.min(check.interval_ms, READY_INTERVAL_MS) : check.interval_ms
    while (!end) {
      const result = await probe(deps.probes, check, request.context, signal)
      if (end) return
      const state = states.get(check.name)
      if (state) states.set(check.name, applyProbe(state, result))
      weigh()
      await pause(clock, interval, signal)
    }
  }

  async function watchProcess(): Promise<void> {
    while (!end) {
      if (request.isStopped()) return finish({ kind: 'stopped' })
      const status = request.generation === null ? ({ state: 'unmanaged' } as const) : await askStatus(deps.service)
      const bad = end ? undefined : judge(status, identity)
      if (bad) return finish(bad)
      if (status.state === 'running') identity = status.identity
      if (!seen) {
        seen = true
        weigh()
      }
      await pause(clock, STATUS_INTERVAL_MS, signal)
    }
  }

  async function watchTime(): Promise<void> {
    await pause(clock, timeMs, signal)
    if (end) return
    if (mode === 'whole-time') return finishWell()
    const late = [...states.values()].filter(
      (state) => counts(state.check, request.excused) && state.health !== 'healthy',
    )
    finish({ kind: 'unwell', words: `${wordsOf(late)} within ${timeMs} ms`, details: late.map(detailOf) })
  }

  weigh()
  await Promise.all([...request.checks.map(watchCheck), watchProcess(), watchTime()])
  return end ?? { kind: 'stopped' }
}

/** The status, or in its stead why it can't be had. */
async function askStatus(
  service: ServiceControl,
): Promise<ServiceStatus | { readonly state: 'unknown'; readonly words: string }> {
  try {
    return await service.status()
  } catch (error) {
    return { state: 'unknown', words: error instanceof Error ? error.message : String(error) }
  }
}

/** What a status means for the process that is watched; undefined where all is well. */
function judge(status: Awaited<ReturnType<typeof askStatus>>, known: ServiceIdentity | null): WatchEnd | undefined {
  switch (status.state) {
    case 'unmanaged':
      return undefined
    case 'running':
      if (known === null || isSame(known, status.identity)) return undefined
      return { kind: 'crashed', words: 'the service was restarted by somebody', tail: [] }
    case 'crashed':
      return { kind: 'crashed', words: `the service ended: ${status.ended}`, tail: status.tail }
    case 'stopped':
      return { kind: 'crashed', words: 'the service does not run', tail: [] }
    case 'unknown':
      return { kind: 'crashed', words: `the service can't be asked about: ${status.words}`, tail: [] }
    default:
      return unreachable(status)
  }
}

function isSame(a: ServiceIdentity, b: ServiceIdentity): boolean {
  return a.pid === b.pid && a.startTime === b.startTime && a.bootId === b.bootId
}

function counts(check: ResolvedCheck, excused: ReadonlySet<string>): boolean {
  return check.severity === 'required' && !excused.has(check.name)
}

function wordsOf(states: readonly CheckState[]): string {
  const names = states.map((state) => state.check.name).join(', ')
  return states.length === 1 ? `check ${names} is not healthy` : `checks ${names} are not healthy`
}

function detailOf({ check, words }: CheckState): string {
  return `${check.name}: ${words ?? 'never answered'}`
}

/** Sleeps, and wakes without a word when the watch is over. */
async function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  await clock.sleep(ms, signal).catch(() => undefined)
}

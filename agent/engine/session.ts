import type { Verified } from '../../keys/verified.ts'
import type { Manifest } from '../../schema/manifest.ts'
import type { EngineDeps, RunOptions } from './deps.ts'
import type { EngineEvent } from './event.ts'
import type { HashMemory } from './hash-memory.ts'
import type { Journal } from './journal.ts'
import { failure } from './machine.ts'
import type { Reason } from './outcome.ts'
import type { Plan, StepName } from './plan.ts'

/** One run of the engine over one plan, from the start or from a recovery. */
export interface Session {
  readonly deps: EngineDeps
  readonly plan: Plan
  /** Null for a rollback, and in a recovery: neither brings new bytes onto the host. */
  readonly verified: Verified<Manifest> | null
  readonly options: RunOptions
  /** Aborted by the caller; passed to whatever waits for something outside. */
  readonly signal: AbortSignal
  /** What was found out on the way and is worth nothing after a crash. */
  readonly memory: { stoppedAtMs: number | null; tree: string | null; hashed: HashMemory | null }
  /** Why it should stop now, null while it may go on. */
  stop(): Reason | null
  phase(step: StepName, status: 'started' | 'done' | 'failed' | 'skipped', message?: string): void
  progress(step: StepName, done: number, total: number | null): void
  log(step: StepName | null, level: 'info' | 'warning' | 'error', message: string): void
}

export type OpenSession = Session & { readonly journal: Journal }

const PROGRESS_INTERVAL_MS = 100

export function buildSession(
  deps: EngineDeps,
  plan: Plan,
  verified: Verified<Manifest> | null,
  options: RunOptions,
): Session {
  const { clock } = deps
  const deadline = options.deadlineMs === undefined ? null : clock.monotonicMs() + options.deadlineMs
  const expired = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, expired.signal]) : expired.signal
  const began = new Map<StepName, number>()
  let lastProgressMs = Number.NEGATIVE_INFINITY

  function emit(event: EngineEvent): void {
    try {
      options.onEvent?.(event)
    } catch {
      // Whoever listens must not be able to break an update in the middle.
    }
  }

  function stop(): Reason | null {
    if (options.signal?.aborted) return failure('cancelled', null, 'cancelled')
    if (deadline === null || clock.monotonicMs() < deadline) return null
    expired.abort(new Error('the deadline is over'))
    return failure('deadline', null, `not done within ${options.deadlineMs} ms`)
  }

  return {
    deps,
    plan,
    verified,
    options,
    signal,
    memory: { stoppedAtMs: null, tree: null, hashed: null },
    stop,
    phase(step, status, message) {
      const now = clock.monotonicMs()
      if (status === 'started') began.set(step, now)
      const elapsed_ms = Math.round(now - (began.get(step) ?? now))
      const words = message ?? wordsOf(plan, step)
      emit({ type: 'phase', update_id: plan.update_id, phase: step, status, message: words, elapsed_ms })
      lastProgressMs = Number.NEGATIVE_INFINITY
    },
    progress(phase, done, total) {
      stop() // past the deadline: aborts what is going on
      const now = clock.monotonicMs()
      if (now - lastProgressMs < PROGRESS_INTERVAL_MS && done !== total) return
      lastProgressMs = now
      emit({ type: 'progress', update_id: plan.update_id, phase, done, total })
    },
    log(phase, level, message) {
      emit({ type: 'log', update_id: plan.update_id, phase, level, message })
    },
  }
}

/** Steps that a plan does not list: nobody plans to go back. */
const UNPLANNED: Readonly<Partial<Record<StepName, string>>> = {
  self_test: 'self-tests',
  back_stop: 'stop the new version',
  back_switch: 'switch back',
  back_start: 'start the version before',
  back_prove: 'see that it is as healthy as before',
  back_record: 'record why',
}

function wordsOf(plan: Plan, step: StepName): string {
  return plan.steps.find((line) => line.step === step)?.words ?? UNPLANNED[step] ?? step
}

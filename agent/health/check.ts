// One check as a value: what its probes said so far and what that makes it. Pure.
import type { ResolvedCheck } from '../service/definition.ts'

/** One probe's answer. */
export type ProbeResult = { readonly kind: 'passed' } | { readonly kind: 'failed'; readonly words: string }

export interface CheckState {
  readonly check: ResolvedCheck
  /** `unknown` until a threshold is reached for the first time. */
  readonly health: 'unknown' | 'healthy' | 'unhealthy'
  readonly passes: number
  readonly failures: number
  /** What the last failed probe said. */
  readonly words: string | null
}

export function beginCheck(check: ResolvedCheck): CheckState {
  return { check, health: 'unknown', passes: 0, failures: 0, words: null }
}

/** The state after one more probe: so many passes in a row make it healthy, so many failures in a row unhealthy. */
export function applyProbe(state: CheckState, result: ProbeResult): CheckState {
  const { success_threshold, failure_threshold } = state.check
  if (result.kind === 'passed') {
    const passes = state.passes + 1
    return { ...state, passes, failures: 0, health: passes >= success_threshold ? 'healthy' : state.health }
  }
  const failures = state.failures + 1
  return {
    ...state,
    passes: 0,
    failures,
    words: result.words,
    health: failures >= failure_threshold ? 'unhealthy' : state.health,
  }
}

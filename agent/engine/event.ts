import type { AttemptState } from '../../schema/attempt.ts'
import { unreachable } from '../../schema/unreachable.ts'
import type { StepName } from './plan.ts'

/** What the engine says while it works. Listeners must not throw and cannot stop it; events are never what decides. */
export type EngineEvent =
  | {
      readonly type: 'phase'
      readonly update_id: string
      readonly phase: StepName
      readonly status: 'started' | 'done' | 'failed' | 'skipped'
      readonly message: string
      readonly elapsed_ms: number
    }
  /** Bytes of the running phase. `total` null where it is not known. At most ten a second. */
  | {
      readonly type: 'progress'
      readonly update_id: string
      readonly phase: StepName
      readonly done: number
      readonly total: number | null
    }
  | {
      readonly type: 'log'
      readonly update_id: string
      readonly phase: StepName | null
      readonly level: 'info' | 'warning' | 'error'
      readonly message: string
    }

/** The attempt's state in reports while this phase runs. */
export function attemptStateDuring(phase: StepName): AttemptState {
  switch (phase) {
    case 'preflight':
    case 'download':
      return 'downloading'
    case 'verify':
    case 'unpack':
    case 'stage':
    case 'check':
    case 'baseline':
      return 'staged'
    case 'stop':
    case 'switch':
      return 'applying'
    case 'start':
      return 'restarting'
    case 'ready':
    case 'self_test':
    case 'stability':
      return 'verifying'
    case 'commit':
    case 'collect':
      return 'succeeded'
    case 'back_stop':
    case 'back_switch':
    case 'back_start':
    case 'back_prove':
    case 'back_record':
      return 'reverting'
    default:
      return unreachable(phase)
  }
}

// What a worker is asked and what it says: one task in its arguments, one JSON object a line on its standard output, the result last. Types only, so that
// the daemon imports nothing with them.
import type { ExitCode } from '../schema/cli/exit-code.ts'
import type { Inventory } from '../schema/report.ts'

export type WorkerTask =
  /** Brings what a crash cut to its end, starts the service. */
  | { readonly task: 'recover' }
  /** One look, and what policy makes of it. */
  | { readonly task: 'tick'; readonly flush: boolean }
  | { readonly task: 'check' }
  | { readonly task: 'details' }
  | { readonly task: 'status'; readonly update_id: string }
  | {
      readonly task: 'upgrade'
      /** A version, `latest` or `stable`. */
      readonly target: string
      readonly force: boolean
      readonly allow_channel_change: boolean
      readonly deadline_ms: number | null
    }
  | { readonly task: 'rollback'; readonly update_id: string | null }

export interface TickResult {
  readonly inventory: Inventory
  readonly timestamp_version: number
  /** Something was installed: look again at once. */
  readonly changed: boolean
  /** When the reason for waiting may be over, UTC; null if nobody knows. */
  readonly wake_at: string | null
  /** How often to look without being told to. */
  readonly interval_ms: number
}

export interface WorkerFailure {
  readonly code: string
  readonly exit: ExitCode
  readonly title: string
  readonly detail: string
  readonly state: string
  readonly next: readonly string[]
}

export type WorkerLine =
  /** A plan is going to be carried out: from here on there is an update id. */
  | { readonly type: 'planned'; readonly update_id: string }
  /** Something happened that is worth sending what waits. */
  | { readonly type: 'progress' }
  | { readonly type: 'done'; readonly result: unknown }
  | { readonly type: 'failed'; readonly failure: WorkerFailure }

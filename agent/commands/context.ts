import type { ExitCode } from '../../schema/cli/exit-code.ts'
import type { Machine } from '../machine.ts'
import type { Output } from './output.ts'

/** What every command gets. */
export interface CommandContext {
  readonly machine: Machine
  readonly output: Output
  /** Aborted by the first SIGINT or SIGTERM; the second one ends the process. */
  readonly signal: AbortSignal
  /** What the process was asked to end with, null while nobody asked. */
  readonly stoppedBy: () => 'SIGINT' | 'SIGTERM' | null
  /** Goes on as another program of this package: same process number, fresh memory. Never comes back. */
  readonly become: (entry: URL, nodeFlags: readonly string[]) => never
}

/** Resolves with the exit status, or rejects with what went wrong. */
export type Command<Options> = (context: CommandContext, options: Options) => Promise<ExitCode>

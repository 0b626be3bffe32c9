import type { ExitCode } from '../../schema/cli/exit-code.ts'
import type { AdminClient } from './client.ts'
import type { AdminDeps } from './deps.ts'
import type { Output } from './output.ts'

/** What a command gets. */
export interface CommandContext {
  readonly deps: AdminDeps
  readonly client: AdminClient
  readonly output: Output
}

/** Resolves with the exit status, or throws what failed. */
export type Command<Args extends readonly unknown[]> = (context: CommandContext, ...args: Args) => Promise<ExitCode>

import type { AdminClient } from './client.ts'
import type { AdminDeps } from './deps.ts'
import type { Output } from './output.ts'

/** What a command gets. */
export interface CommandContext {
  readonly deps: AdminDeps
  readonly client: AdminClient
  readonly output: Output
}

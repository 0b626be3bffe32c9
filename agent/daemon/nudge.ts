import { PlatformError } from '../../keys/platform/platform-error.ts'
import type { Machine } from '../machine.ts'
import { askDaemon } from './local-client.ts'

/** Tells a running daemon that something about this host has changed. None running is fine: the next one looks when it starts. */
export async function nudgeDaemon(machine: Pick<Machine, 'disk' | 'files'>): Promise<void> {
  try {
    await askDaemon(machine, 'POST', '/api/v1/agent/look')
  } catch (error) {
    // Not worth failing a command that has done its work: the daemon looks by itself before long.
    if (!(error instanceof PlatformError)) throw error
  }
}

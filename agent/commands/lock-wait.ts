import type { LockWait } from '../update-lock.ts'
import type { CommandContext } from './context.ts'

/** Whoever waits at a command line is told what for. */
export function buildLockWait({ output, signal }: Pick<CommandContext, 'output' | 'signal'>): LockWait {
  return { signal, onWait: (holder) => output.note(`waiting for the update lock, held by ${holder}`) }
}

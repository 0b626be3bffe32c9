import { acquireLock, type Lock } from '../keys/platform/lock.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import type { Machine } from './machine.ts'

/** What goes on while somebody else holds the lock. */
export interface LockWait {
  readonly signal?: AbortSignal | undefined
  /** Once, if it takes more than a moment: who holds it, as in `netlink recover (process 123, since …)`. */
  readonly onWait?: ((holder: string) => void) | undefined
}

/** A daemon that looks around or has just started holds the lock for so long at most; an update holds it for longer. */
const PATIENCE_MS = 5_000
/** Nobody wonders before. */
const MOMENT_MS = 1_000

/**
 * The lock that every update, return and recovery holds; its folder must exist. Waits some seconds for a holder that is soon done. Rejects with
 * PlatformError `locked` naming a holder that is not, or `cancelled`.
 */
export async function takeUpdateLock(
  { owner, clock, paths }: Pick<Machine, 'owner' | 'clock' | 'paths'>,
  { signal, onWait }: LockWait = {},
): Promise<Lock> {
  const take = (waitMs: number) =>
    acquireLock(paths.updateLock, { owner, clock, waitMs, ...(signal ? { signal } : {}) })
  try {
    return await take(MOMENT_MS)
  } catch (error) {
    if (!(error instanceof PlatformError && error.code === 'locked')) throw error
    onWait?.(String(error.facts.holder))
  }
  return take(PATIENCE_MS - MOMENT_MS)
}

import { acquireLock } from '../keys/platform/lock.ts'
import type { Machine } from './machine.ts'
import { buildOutbox, type Outbox } from './report/outbox.ts'

const LOCK_WAIT_MS = 15_000

/** The outbox of this host; its lock folder must exist. */
export function openOutbox({ disk, clock, files, owner }: Machine): Outbox {
  const lock = () => acquireLock(files.outboxLock, { owner, clock, waitMs: LOCK_WAIT_MS })
  return buildOutbox({ disk, clock, file: files.outbox, lock })
}

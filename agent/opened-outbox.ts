import type { KeyObject } from 'node:crypto'
import { acquireLock } from '../keys/platform/lock.ts'
import { signStatement } from './enrolment.ts'
import type { Machine } from './machine.ts'
import { buildOutbox, type Outbox } from './report/outbox.ts'

const LOCK_WAIT_MS = 15_000

/** The outbox of this host, which signs with its key; its lock folder must exist. */
export function openOutbox(
  { disk, clock, files, owner }: Machine,
  { hostId, key }: { readonly hostId: string; readonly key: KeyObject },
): Outbox {
  const lock = () => acquireLock(files.outboxLock, { owner, clock, waitMs: LOCK_WAIT_MS })
  const sign = (statement: Uint8Array) => signStatement(key, statement)
  return buildOutbox({ disk, clock, file: files.outbox, hostId, sign, lock })
}

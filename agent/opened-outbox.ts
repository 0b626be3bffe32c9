import type { KeyObject } from 'node:crypto'
import { acquireLock } from '../keys/platform/lock.ts'
import { type Enrolment, partiesOf, signStatement } from './enrolment.ts'
import type { Machine } from './machine.ts'
import { buildOutbox, type Outbox } from './report/outbox.ts'

const LOCK_WAIT_MS = 15_000

/** The outbox of this host for this server, which signs with the host's key; its lock folder must exist. */
export function openOutbox(
  { disk, clock, files, owner }: Machine,
  who: Pick<Enrolment, 'host_id' | 'server'>,
  key: KeyObject,
): Outbox {
  const lock = () => acquireLock(files.outboxLock, { owner, clock, waitMs: LOCK_WAIT_MS })
  const sign = (statement: Uint8Array) => signStatement(key, statement)
  return buildOutbox({ disk, clock, file: files.outbox, hostId: who.host_id, parties: partiesOf(who), sign, lock })
}

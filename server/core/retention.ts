// What is not kept for ever. The audit log is.
import { sql } from 'drizzle-orm'
import type { Clock } from '../../keys/platform/clock.ts'
import { DAY_MS } from './online-roles.ts'
import type { Db, Log } from './ports.ts'
import { at } from './sql-time.ts'
import type { Uploads } from './uploads.ts'

/** Reports of hosts, and attempts that ended. */
const HISTORY_DAYS = 90
/** Uploads that nobody went on with. */
const SPOOL_DAYS = 7
const BATCH = 10_000

export interface RetentionDeps {
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
  readonly uploads: Uploads
}

/** Removes what is older than it is kept, in statements of a size that nobody notices. The newest report of a host always stays. */
export async function sweepOld(deps: RetentionDeps): Promise<void> {
  const { db, clock } = deps
  const before = (days: number) => new Date(clock.now().getTime() - days * DAY_MS)
  const history = at(before(HISTORY_DAYS))
  const events = await inBatches(() =>
    db.queries.execute(sql`delete from host_events where (host_id, seq) in (
      select e.host_id, e.seq from host_events e join hosts h using (host_id)
      where e.received_at < ${history} and e.seq < h.stored_seq limit ${BATCH}) returning 1`),
  )
  const attempts = await inBatches(() =>
    db.queries.execute(sql`delete from attempts where (host_id, update_id) in (
      select a.host_id, a.update_id from attempts a join hosts h using (host_id)
      where a.updated_at < ${history} and a.update_id is distinct from h.attempt ->> 'update_id' limit ${BATCH}) returning 1`),
  )
  await db.queries.execute(sql`delete from replicas where heard_at < ${at(before(1))}`)
  const spooled = await deps.uploads.sweep(before(SPOOL_DAYS))
  if (events + attempts + spooled > 0) deps.log('info', 'retention.swept', { events, attempts, spooled })
}

async function inBatches(remove: () => Promise<{ readonly length: number }>): Promise<number> {
  let total = 0
  for (;;) {
    const { length } = await remove()
    total += length
    if (length < BATCH) return total
  }
}

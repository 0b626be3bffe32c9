// Work by the clock is done by one replica at a time. A lease lapses by the database's clock, so that a replica that died holds nothing for long.
import { sql } from 'drizzle-orm'
import type { Clock } from '../../keys/platform/clock.ts'
import { CoreError } from './core-error.ts'
import type { Db, Log } from './ports.ts'

/** How long a replica that was killed keeps others waiting. Held longer by asking again while the work goes on. */
const LEASE_SECONDS = 15
const RENEW_MS = 4_000
const WAIT_MS = 90_000
const POLL_MS = 200

export interface LeaseDeps {
  readonly db: Db
  readonly clock: Clock
  readonly replicaId: string
  readonly log: Log
}

export interface Lease {
  /** Makes sure that it is still held. Throws CoreError 'unavailable' if somebody else has taken it. */
  renew(): Promise<void>
}

/** Runs `work` under the lease, one after another within this process and between replicas. Throws CoreError 'unavailable' if it does not get it in 90 s. */
export function buildLease(deps: LeaseDeps, name: string): <T>(work: (lease: Lease) => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const turn = last.catch(() => {}).then(() => hold(deps, name, work))
    last = turn
    return turn
  }
}

async function hold<T>(deps: LeaseDeps, name: string, work: (lease: Lease) => Promise<T>): Promise<T> {
  const { db, clock, replicaId, log } = deps
  const until = clock.monotonicMs() + WAIT_MS
  while (!(await take(deps, name))) {
    if (clock.monotonicMs() > until)
      throw new CoreError('unavailable', `another replica has held the lease ${name} for ${WAIT_MS / 1000} s`)
    await clock.sleep(POLL_MS)
  }
  const done = new AbortController()
  const renewing = keep(deps, name, done.signal)
  try {
    return await work({
      renew: async () => {
        if (!(await take(deps, name))) throw new CoreError('unavailable', `another replica took over the lease ${name}`)
      },
    })
  } finally {
    done.abort()
    await renewing
    // If it can't be given back it lapses by itself: how the work ended is what matters.
    await db.queries
      .execute(sql`delete from leases where name = ${name} and holder = ${replicaId}`)
      .catch((error) => log('warn', 'lease.not_given_back', { lease: name, error: words(error) }))
  }
}

/** While the work goes on. A renewal that fails is not the work's affair: it looks again before it matters. */
async function keep(deps: LeaseDeps, name: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // It only rejects because of the signal.
    await deps.clock.sleep(RENEW_MS, signal).catch(() => {})
    if (!signal.aborted) await renewOnce(deps, name)
  }
}

async function renewOnce(deps: LeaseDeps, name: string): Promise<void> {
  try {
    if (!(await take(deps, name))) deps.log('warn', 'lease.taken_over', { lease: name })
  } catch (error) {
    deps.log('warn', 'lease.not_renewed', { lease: name, error: words(error) })
  }
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

async function take({ db, replicaId }: LeaseDeps, name: string): Promise<boolean> {
  const rows = await db.queries.execute(sql`insert into leases (name, holder, expires_at)
    values (${name}, ${replicaId}, now() + make_interval(secs => ${LEASE_SECONDS}))
    on conflict (name) do update set holder = excluded.holder, expires_at = excluded.expires_at
      where leases.expires_at < now() or leases.holder = excluded.holder
    returning name`)
  return rows.length === 1
}

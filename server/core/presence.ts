// Which hosts have a socket here, and when each was last heard of. Signs of life come far too often to be written one by one: they are kept in
// memory and written in batches.
//
//   open -> written with the next flush, with this replica as the one that holds the socket
//   touch -> last_seen is written at most once a minute for each host
//   close -> written with the next flush; a host that meanwhile came back elsewhere keeps its new replica
//
// A replica says every flush that it lives, and how many sockets it holds. One that is silent for LIVE_SECONDS holds none, whatever stands in the rows.
import { sql } from 'drizzle-orm'
import type { Clock } from '../../keys/platform/clock.ts'
import type { Presence, PresenceHandle } from './core.ts'
import type { Db, Queries } from './ports.ts'
import { at } from './sql-time.ts'

const LIVE_SECONDS = 20
const LAST_SEEN_EVERY_MS = 60_000
/** Rows in one statement. */
const BATCH = 5_000

export interface PresenceDeps {
  readonly db: Db
  readonly clock: Clock
  readonly replicaId: string
}

export interface WrittenPresence extends Presence {
  /** Registers this replica. With an embedded database it is the only one, so what others left is removed. */
  begin(): Promise<void>
  /** Signs off: nobody is online here any more. */
  end(): Promise<void>
}

interface Known {
  connection: symbol | undefined
  lastSeen: Date
  timestampVersion: number
  /** When last_seen was last written, undefined: something else than last_seen has to be written. */
  writtenAt: Date | undefined
}

export function buildPresence(deps: PresenceDeps): WrittenPresence {
  const { db, clock, replicaId } = deps
  const known = new Map<string, Known>()
  let online = 0

  function remember(hostId: string): Known {
    const found = known.get(hostId)
    if (found) {
      found.lastSeen = clock.now()
      return found
    }
    const fresh: Known = { connection: undefined, lastSeen: clock.now(), timestampVersion: 0, writtenAt: undefined }
    known.set(hostId, fresh)
    return fresh
  }

  function open(hostId: string): PresenceHandle {
    const host = remember(hostId)
    const connection = Symbol(hostId)
    if (!host.connection) online++
    host.connection = connection
    host.writtenAt = undefined
    const isCurrent = () => host.connection === connection
    return {
      touch: () => {
        if (isCurrent()) host.lastSeen = clock.now()
      },
      seen: (timestampVersion) => {
        host.lastSeen = clock.now()
        if (timestampVersion === host.timestampVersion) return
        host.timestampVersion = timestampVersion
        host.writtenAt = undefined
      },
      close: () => {
        if (!isCurrent()) return
        host.connection = undefined
        host.writtenAt = undefined
        online--
      },
    }
  }

  async function flush(): Promise<void> {
    const now = clock.now()
    const due = [...known].filter(([, host]) => isDue(host, now))
    for (let from = 0; from < due.length; from += BATCH) {
      const rows = due.slice(from, from + BATCH)
      const written = rows.map(([, host]) => ({ host, was: host.writtenAt }))
      for (const { host } of written) host.writtenAt = now
      try {
        await writePresence(db.queries, replicaId, rows)
      } catch (error) {
        for (const { host, was } of written) host.writtenAt = was
        throw error
      }
    }
    // Who is gone and written needs no place in memory.
    for (const [hostId, host] of due) if (!host.connection && host.writtenAt === now) known.delete(hostId)
    await db.queries.execute(sql`insert into replicas (id, started_at, heard_at, online) values (${replicaId}, ${at(now)}, ${at(now)}, ${online})
      on conflict (id) do update set heard_at = excluded.heard_at, online = excluded.online`)
  }

  return {
    get online() {
      return online
    },
    open,
    touch: (hostId) => void remember(hostId),
    begin: async () => {
      const now = clock.now()
      if (db.kind === 'embedded') {
        // Whoever was here before is dead, and holds nothing.
        await db.queries.execute(sql`delete from replicas where id <> ${replicaId}`)
        await db.queries.execute(sql`delete from leases where holder <> ${replicaId}`)
      }
      await db.queries.execute(sql`insert into replicas (id, started_at, heard_at, online) values (${replicaId}, ${at(now)}, ${at(now)}, 0)
        on conflict (id) do update set heard_at = excluded.heard_at`)
    },
    flush,
    end: async () => {
      for (const host of known.values()) {
        host.connection = undefined
        host.writtenAt = undefined
      }
      online = 0
      await flush()
      await db.queries.execute(sql`delete from replicas where id = ${replicaId}`)
    },
  }
}

/** The replicas that were heard of lately. */
export async function liveReplicas(queries: Queries, now: Date): Promise<string[]> {
  const rows = await queries.execute<{ id: string }>(sql`select id from replicas where heard_at > ${livesSince(now)}`)
  return rows.map((row) => row.id)
}

/** How many sockets the other replicas that live hold. */
export async function onlineElsewhere(queries: Queries, replicaId: string, now: Date): Promise<number> {
  const [row] = await queries.execute<{ online: number }>(
    sql`select coalesce(sum(online), 0)::int as online from replicas where heard_at > ${livesSince(now)} and id <> ${replicaId}`,
  )
  return row?.online ?? 0
}

function livesSince(now: Date) {
  return at(new Date(now.getTime() - LIVE_SECONDS * 1000))
}

function isDue(host: Known, now: Date): boolean {
  if (!host.writtenAt) return true
  if (!host.connection) return true
  return host.lastSeen > host.writtenAt && now.getTime() - host.writtenAt.getTime() >= LAST_SEEN_EVERY_MS
}

async function writePresence(
  queries: Queries,
  replicaId: string,
  rows: readonly (readonly [string, Known])[],
): Promise<void> {
  const hostIds = sql.param(rows.map(([hostId]) => hostId))
  const lastSeen = sql.param(rows.map(([, host]) => host.lastSeen.toISOString()))
  const replicas = sql.param(rows.map(([, host]) => (host.connection ? replicaId : '')))
  const versions = sql.param(rows.map(([, host]) => host.timestampVersion))
  // Hosts that were forgotten meanwhile drop out. A closed socket only clears what this replica had written.
  await queries.execute(sql`insert into presence (host_id, last_seen, replica, timestamp_version)
    select n.host_id, n.last_seen, nullif(n.replica, ''), n.timestamp_version
    from unnest(${hostIds}::text[], ${lastSeen}::timestamptz[], ${replicas}::text[], ${versions}::int[])
      as n(host_id, last_seen, replica, timestamp_version)
    join hosts using (host_id) order by n.host_id
    on conflict (host_id) do update set
      last_seen = greatest(presence.last_seen, excluded.last_seen),
      replica = case when excluded.replica is null and presence.replica is distinct from ${replicaId} then presence.replica else excluded.replica end,
      timestamp_version = greatest(presence.timestamp_version, excluded.timestamp_version)`)
}

// The fleet's hosts: who they are, how they prove it, what was heard of them.

import type { KeyObject } from 'node:crypto'
import { and, desc, eq, getTableColumns, lt, type SQL, sql } from 'drizzle-orm'
import type { Clock } from '../../keys/platform/clock.ts'
import type { AttemptReport } from '../../schema/attempt.ts'
import { hostEvents, hosts, type StoredFork } from '../../schema/db/tables.ts'
import { helloStatement, requestStatement } from '../../schema/protocol.ts'
import type { Identity as HostIdentity, Inventory } from '../../schema/report.ts'
import type { Host, HostEvent } from '../../schema/rest.ts'
import type { Channel } from '../../schema/version.ts'
import { writeAudit } from './audit.ts'
import { buildBatch } from './batch.ts'
import type { RingingBell } from './bell.ts'
import type { HostSort, Hosts, KnownHost } from './core.ts'
import { CoreError } from './core-error.ts'
import { filterCondition, parseFilter } from './filter.ts'
import { loadHostKey, verifyHostSignature } from './host-key.ts'
import { buildPage, CURSOR_PART, parseCursor, parseLimit } from './page.ts'
import type { Db } from './ports.ts'
import { liveReplicas } from './presence.ts'
import { wireTime } from './wire-time.ts'

/** How far a host's clock may stand from ours when it signs a request. */
const MAX_SKEW_SECONDS = 300
/** Hosts looked up in one statement: ten thousand may come back at once. */
const LOOKUP_BATCH = 1_000

export interface HostsDeps {
  readonly db: Db
  readonly clock: Clock
  readonly bell: RingingBell
}

interface Identity {
  readonly host: KnownHost
  readonly key: KeyObject
}

interface HostRow extends Record<string, unknown> {
  readonly host_id: string
  readonly name: string
  readonly group_name: string | null
  readonly labels: Record<string, string> | string
  readonly platform: string
  readonly channel: Channel
  readonly enrolled_at: string
  readonly last_seen: string | null
  readonly replica: string | null
  readonly inventory: Inventory | string | null
  readonly attempt: AttemptReport | string | null
  readonly forked_at: string | null
  readonly fork: StoredFork | string | null
  readonly sort_key: string
}

interface Order {
  /** What hosts are sorted by, as text that sorts byte by byte and is never null. */
  readonly key: SQL
  readonly by: SQL
  /** Whether a host comes after this one. */
  beyond(key: string, hostId: string): SQL
}

/**
 * Every order ends in the host id, so that pages neither repeat nor leave out a host. By host id a page is as fast for a million hosts as for one;
 * the other orders read all that the filter lets through.
 */
function orderOf(sort: HostSort = 'host_id'): Order {
  const [direction, than] = sort.startsWith('-') ? [sql`desc`, sql`<`] : [sql`asc`, sql`>`]
  const key = SORT_KEYS[sort.replace('-', '')]
  if (!key) {
    return {
      key: sql`''`,
      by: sql`h.host_id ${direction}`,
      beyond: (_key, hostId) => sql`h.host_id ${than} ${hostId}`,
    }
  }
  return {
    key,
    by: sql`${key} ${direction}, h.host_id ${direction}`,
    beyond: (after, hostId) => sql`(${key}, h.host_id) ${than} (${after}, ${hostId})`,
  }
}

const SORT_KEYS: Readonly<Record<string, SQL>> = {
  name: sql`h.name collate "C"`,
  version: sql`coalesce(h.version_order, '') collate "C"`,
  last_seen: sql`coalesce(to_char(p.last_seen at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '') collate "C"`,
}

export function buildHosts(deps: HostsDeps): Hosts {
  const { db, clock, bell } = deps
  const lookUp = buildBatch<string, Identity | 'unknown'>((hostIds) => loadIdentities(db, hostIds), LOOKUP_BATCH)

  async function authenticate(hostId: string, statement: Uint8Array, signature: string): Promise<KnownHost> {
    const identity = await lookUp(hostId)
    // Who is not known and who can't sign are told the same: host ids are not for guessing.
    if (identity === 'unknown' || !verifyHostSignature(identity.key, statement, signature)) {
      throw new CoreError('unauthenticated', `host ${hostId} is not enrolled here with the key that signed`, {
        reason: 'unknown-host',
      })
    }
    return identity.host
  }

  async function select(condition: SQL, limit: number, order = orderOf()): Promise<HostRow[]> {
    return db.queries.execute<HostRow>(sql`select h.host_id, h.name, h.group_name, h.labels, h.platform, h.channel, h.enrolled_at, h.inventory, h.attempt,
        h.forked_at, h.fork, p.last_seen, p.replica, ${order.key} as sort_key
      from hosts h left join presence p using (host_id) where ${condition} order by ${order.by} limit ${limit}`)
  }

  const readWith = (live: readonly string[]) => (row: HostRow) => readHost(row, live)

  return {
    list: async (request) => {
      const limit = parseLimit(request)
      const [after, afterId] = parseCursor(request, CURSOR_PART.text, CURSOR_PART.text) ?? []
      const order = orderOf(request.sort)
      const filter = request.where ? parseFilter(request.where) : undefined
      const live = await liveReplicas(db.queries, clock.now())
      const conditions = [
        sql`true`,
        ...(filter ? [filterCondition(filter, { now: clock.now(), liveReplicas: live })] : []),
        ...(request.group ? [sql`h.group_name = ${request.group}`] : []),
        ...(after === undefined || afterId === undefined ? [] : [order.beyond(after, afterId)]),
      ]
      const rows = await select(sql.join(conditions, sql` and `), limit + 1, order)
      return buildPage(rows, limit, (row) => [row.sort_key, row.host_id], readWith(live))
    },
    show: async (hostId, group) => {
      const inGroup = group ? sql` and h.group_name = ${group}` : sql``
      const [row] = await select(sql`h.host_id = ${hostId}${inGroup}`, 1)
      if (!row) throw unknownHost(hostId)
      return readHost(row, await liveReplicas(db.queries, clock.now()))
    },
    history: async (hostId, request) => {
      const limit = parseLimit(request)
      const [before] = parseCursor(request, CURSOR_PART.number) ?? []
      const rows = await db.queries
        .select({ ...getTableColumns(hostEvents), text: sql<string>`${hostEvents.body}::text` })
        .from(hostEvents)
        .where(
          and(eq(hostEvents.hostId, hostId), before === undefined ? undefined : lt(hostEvents.seq, Number(before))),
        )
        .orderBy(desc(hostEvents.seq))
        .limit(limit + 1)
      return buildPage(rows, limit, (row) => [String(row.seq)], readEvent)
    },
    forget: async (hostId, mutation) => {
      await db.transaction(async (tx) => {
        const [row] = await tx.select().from(hosts).where(eq(hosts.hostId, hostId)).for('update')
        if (!row) throw unknownHost(hostId)
        if (mutation.dryRun) return
        await tx.delete(hosts).where(eq(hosts.hostId, hostId))
        const before = {
          name: row.name,
          group: row.group,
          channel: row.channel,
          version: row.version,
          enrolled_at: wireTime(row.enrolledAt),
        }
        await writeAudit(tx, clock, mutation, { action: 'host.forget', subject: hostId, before })
      })
      if (!mutation.dryRun) await bell.ring({ type: 'forgotten', hostId })
    },
    checkNow: async (hostId, mutation) => {
      await db.transaction(async (tx) => {
        const [row] = await tx.select({ hostId: hosts.hostId }).from(hosts).where(eq(hosts.hostId, hostId))
        if (!row) throw unknownHost(hostId)
        if (!mutation.dryRun) await writeAudit(tx, clock, mutation, { action: 'host.check_now', subject: hostId })
      })
      if (mutation.dryRun) return
      await bell.ring({ type: 'check_now', hostId, timestampVersion: bell.remembered.published.timestampVersion })
    },
    authenticateHello: ({ hostId, nonce, signature }) => authenticate(hostId, helloStatement(hostId, nonce), signature),
    authenticateRequest: async (request) => {
      const skew = Math.abs(clock.now().getTime() / 1000 - request.time)
      if (!(skew <= MAX_SKEW_SECONDS)) {
        throw new CoreError(
          'unauthenticated',
          `host ${request.hostId} signed at another time: its clock and ours differ by ${Math.round(skew)} s, at most ${MAX_SKEW_SECONDS} are allowed`,
          {
            reason: 'clock-skew',
          },
        )
      }
      return authenticate(request.hostId, requestStatement(request), request.signature)
    },
  }
}

async function loadIdentities(db: Db, hostIds: readonly string[]): Promise<(Identity | 'unknown')[]> {
  const rows = await db.queries.execute<{
    host_id: string
    name: string
    group_name: string | null
    channel: Channel
    stored_seq: string
    public_key: Uint8Array
  }>(
    sql`select host_id, name, group_name, channel, stored_seq, public_key from hosts where host_id = any(${sql.param([...new Set(hostIds)])}::text[])`,
  )
  const found = new Map(
    rows.map((row) => [
      row.host_id,
      {
        host: {
          hostId: row.host_id,
          name: row.name,
          group: row.group_name,
          channel: row.channel,
          storedSeq: Number(row.stored_seq),
          publicKey: row.public_key,
        },
        key: loadHostKey(row.public_key),
      },
    ]),
  )
  return hostIds.map((hostId) => found.get(hostId) ?? 'unknown')
}

function readHost(row: HostRow, live: readonly string[]): Host {
  return {
    host_id: row.host_id,
    name: row.name,
    group: row.group_name,
    labels: readJson(row.labels),
    platform: row.platform,
    channel: row.channel,
    online: row.replica !== null && live.includes(row.replica),
    enrolled_at: wireTime(new Date(row.enrolled_at)),
    last_seen: row.last_seen === null ? null : wireTime(new Date(row.last_seen)),
    identity: readIdentity(row),
    inventory: row.inventory === null ? null : readJson(row.inventory),
    attempt: row.attempt === null ? null : readJson(row.attempt),
  }
}

function readIdentity({ forked_at: since, fork }: HostRow): HostIdentity {
  if (since === null || fork === null) return { state: 'single' }
  return { state: 'forked', since: wireTime(new Date(since)), ...readJson(fork) }
}

/** In hand-written SQL drizzle leaves JSON as the client gives it: text. We wrote it, parsed, ourselves. */
function readJson<T>(value: T | string): T {
  return typeof value === 'string' ? (JSON.parse(value) as T) : value
}

function readEvent(row: typeof hostEvents.$inferSelect & { readonly text: string }): HostEvent {
  const { seq, epoch, previous, signature } = row
  const at = wireTime(row.at)
  const signed = { epoch, seq, at, previous, body: row.text, signature }
  return { seq, at, received_at: wireTime(row.receivedAt), body: row.body, signed }
}

function unknownHost(hostId: string): CoreError {
  return new CoreError('not-found', `there is no host ${hostId}`)
}

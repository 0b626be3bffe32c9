// What hosts tell about themselves. Reports of many hosts are stored together: one transaction takes the hosts' rows in order, drops what is
// known, and writes events, attempts and hosts with one statement each; the counts are kept by the database in the last of them.
import { createHash } from 'node:crypto'
import { sql } from 'drizzle-orm'
import type { Clock } from '../../keys/platform/clock.ts'
import type { AttemptReport } from '../../schema/attempt.ts'
import type { Inventory, Report } from '../../schema/report.ts'
import { isVersion } from '../../schema/version.ts'
import { buildBatch } from './batch.ts'
import type { RingingBell } from './bell.ts'
import type { Reports } from './core.ts'
import { CoreError } from './core-error.ts'
import type { Db, Log, Transaction } from './ports.ts'
import { at } from './sql-time.ts'
import { versionOrder } from './version-order.ts'

/** Hosts in one transaction. */
const BATCH = 500

export interface ReportsDeps {
  readonly db: Db
  readonly clock: Clock
  readonly bell: RingingBell
  readonly log: Log
}

interface Delivery {
  readonly hostId: string
  readonly items: readonly Report[]
}

export interface StoringReports extends Reports {
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
  /** Rings for pages if anything was stored since the last call. */
  ringFleet(): Promise<void>
}

export function buildReports(deps: ReportsDeps): StoringReports {
  let changed = false
  const store = buildBatch<Delivery, number | 'unknown'>(async (deliveries) => {
    const stored = await storeDeliveries(deps, deliveries)
    changed = true
    return stored
  }, BATCH)
  return {
    ingest: async (hostId, items) => {
      const storedSeq = await store({ hostId, items })
      if (storedSeq === 'unknown')
        throw new CoreError('unauthenticated', `host ${hostId} is not enrolled here any more`, {
          reason: 'unknown-host',
        })
      return { storedSeq }
    },
    idle: () => store.idle(),
    ringFleet: async () => {
      if (!changed) return
      changed = false
      await deps.bell.ring({ type: 'fleet' })
    },
  }
}

async function storeDeliveries(deps: ReportsDeps, deliveries: readonly Delivery[]): Promise<(number | 'unknown')[]> {
  const byHost = Map.groupBy(deliveries, (delivery) => delivery.hostId)
  const hostIds = [...byHost.keys()].sort()
  const stored = await deps.db.transaction(async (tx) => {
    const rows = await tx.execute<{ host_id: string; stored_seq: string }>(
      sql`select host_id, stored_seq from hosts where host_id = any(${sql.param(hostIds)}::text[]) order by host_id for update`,
    )
    const known = new Map(rows.map((row) => [row.host_id, Number(row.stored_seq)]))
    const fresh = hostIds.flatMap((hostId) => {
      const seq = known.get(hostId)
      const items = byHost.get(hostId)?.flatMap((delivery) => delivery.items) ?? []
      return seq === undefined ? [] : [foldReports(hostId, seq, items)]
    })
    await reportForks(deps, tx, fresh)
    const changed = fresh.filter((host) => host.events.length > 0)
    if (changed.length > 0) {
      await insertEvents(tx, changed, deps.clock.now())
      await upsertAttempts(tx, changed)
      await updateHosts(tx, changed)
    }
    for (const host of changed) known.set(host.hostId, host.storedSeq)
    return known
  })
  return deliveries.map(({ hostId }) => stored.get(hostId) ?? 'unknown')
}

/** What a host's new reports come to. */
export interface Folded {
  readonly hostId: string
  readonly storedSeq: number
  /** In order of their numbers, each once. */
  readonly events: readonly Report[]
  /** Reports under numbers that are stored already. */
  readonly repeated: readonly Report[]
  /** The newest that these say, null: they say nothing about it. */
  readonly inventory: Inventory | null
  readonly attempt: AttemptReport | null
  readonly attempts: ReadonlyMap<
    string,
    { readonly report: AttemptReport; readonly first: Report; readonly last: Report }
  >
}

/** Pure. `storedSeq` is the greatest number stored before. Of two reports under one number the first counts. */
export function foldReports(hostId: string, storedSeq: number, items: readonly Report[]): Folded {
  const bySeq = new Map<number, Report>()
  for (const item of items) if (item.seq > storedSeq && !bySeq.has(item.seq)) bySeq.set(item.seq, item)
  const events = [...bySeq.values()].sort((a, b) => a.seq - b.seq)
  let inventory: Inventory | null = null
  let attempt: AttemptReport | null = null
  const attempts = new Map<string, { report: AttemptReport; first: Report; last: Report }>()
  for (const event of events) {
    if (event.body.type === 'inventory') inventory = event.body.inventory
    if (event.body.type === 'attempt') {
      attempt = event.body.attempt
      const first = attempts.get(attempt.update_id)?.first ?? event
      attempts.set(attempt.update_id, { report: attempt, first, last: event })
    }
  }
  const repeated = items.filter((item) => item.seq <= storedSeq)
  return { hostId, storedSeq: events.at(-1)?.seq ?? storedSeq, events, repeated, inventory, attempt, attempts }
}

/** Numbers never repeat on one machine: the same number with other content means that two machines use one key. */
async function reportForks(deps: ReportsDeps, tx: Transaction, hosts: readonly Folded[]): Promise<void> {
  const repeated = hosts.flatMap((host) => host.repeated.map((report) => ({ hostId: host.hostId, report })))
  if (repeated.length === 0) return
  const rows = await tx.execute<{
    host_id: string
    seq: string
    at: string
    body: unknown
  }>(sql`select e.host_id, e.seq, e.at, e.body
    from unnest(${sql.param(repeated.map((one) => one.hostId))}::text[], ${sql.param(repeated.map((one) => one.report.seq))}::bigint[]) as n(host_id, seq)
    join host_events e using (host_id, seq)`)
  const stored = new Map(rows.map((row) => [`${row.host_id} ${row.seq}`, fingerprint(row.at, row.body)]))
  const forked = new Set<string>()
  for (const { hostId, report } of repeated) {
    const before = stored.get(`${hostId} ${report.seq}`)
    if (before !== undefined && before !== fingerprint(report.at, report.body)) forked.add(hostId)
  }
  for (const hostId of forked) {
    deps.log('warn', 'host.forked', { host_id: hostId })
    await tx.execute(sql`insert into audit (at, actor, action, subject, reason)
      select ${at(deps.clock.now())}, '{"kind":"server"}', 'host.forked', ${hostId}::text, 'two machines report under one key: a copied disk, or a stolen key'
      where not exists (select from audit where action = 'host.forked' and subject = ${hostId} and at > ${at(new Date(deps.clock.now().getTime() - 86_400_000))})`)
  }
}

function fingerprint(time: string, body: unknown): string {
  const parsed: unknown = typeof body === 'string' ? JSON.parse(body) : body
  return createHash('sha256')
    .update(`${new Date(time).toISOString()} ${sortedJson(parsed)}`)
    .digest('hex')
}

/** The database gives JSON back with its own order of names. */
function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const entries = Object.entries(value).filter(([, one]) => one !== undefined)
  return `{${entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, one]) => `${JSON.stringify(name)}:${sortedJson(one)}`)
    .join()}}`
}

async function insertEvents(tx: Transaction, hosts: readonly Folded[], now: Date): Promise<void> {
  const rows = hosts.flatMap((host) => host.events.map((event) => ({ hostId: host.hostId, event })))
  await tx.execute(sql`insert into host_events (host_id, seq, at, received_at, type, body)
    select host_id, seq, at, ${at(now)}, type, body from unnest(
      ${sql.param(rows.map((row) => row.hostId))}::text[], ${sql.param(rows.map((row) => row.event.seq))}::bigint[],
      ${sql.param(rows.map((row) => row.event.at))}::timestamptz[], ${sql.param(rows.map((row) => row.event.body.type))}::text[],
      ${sql.param(rows.map((row) => JSON.stringify(row.event.body)))}::jsonb[]) as n(host_id, seq, at, type, body)
    on conflict do nothing`)
}

async function upsertAttempts(tx: Transaction, hosts: readonly Folded[]): Promise<void> {
  const rows = hosts.flatMap((host) =>
    [...host.attempts.values()].map((attempt) => ({ hostId: host.hostId, ...attempt })),
  )
  if (rows.length === 0) return
  const column = <T>(read: (row: (typeof rows)[number]) => T) => sql.param(rows.map(read))
  await tx.execute(sql`insert into attempts (host_id, update_id, kind, from_version, to_version, state, code, reason, seq, started_at, updated_at)
    select * from unnest(${column((row) => row.hostId)}::text[], ${column((row) => row.report.update_id)}::text[], ${column((row) => row.report.kind)}::text[],
      ${column((row) => row.report.from)}::text[], ${column((row) => row.report.to)}::text[], ${column((row) => row.report.state)}::text[],
      ${column((row) => row.report.code)}::text[], ${column((row) => row.report.reason)}::text[], ${column((row) => row.last.seq)}::bigint[],
      ${column((row) => row.first.at)}::timestamptz[], ${column((row) => row.last.at)}::timestamptz[])
    on conflict (host_id, update_id) do update set
      kind = excluded.kind, from_version = excluded.from_version, to_version = excluded.to_version, state = excluded.state,
      code = excluded.code, reason = excluded.reason, seq = excluded.seq, updated_at = excluded.updated_at
    where attempts.seq < excluded.seq`)
}

async function updateHosts(tx: Transaction, hosts: readonly Folded[]): Promise<void> {
  const column = <T>(read: (host: Folded) => T) => sql.param(hosts.map(read))
  await tx.execute(sql`update hosts h set
      stored_seq = n.seq,
      inventory = coalesce(n.inventory, h.inventory),
      version = case when n.inventory is null then h.version else n.inventory ->> 'version' end,
      version_order = case when n.inventory is null then h.version_order else n.version_order end,
      channel = coalesce(n.inventory ->> 'channel', h.channel),
      waiting = case when n.inventory is null then h.waiting else n.inventory ->> 'waiting' end,
      attempt = coalesce(n.attempt, h.attempt),
      state = coalesce(n.attempt ->> 'state', h.state)
    from unnest(${column((host) => host.hostId)}::text[], ${column((host) => host.storedSeq)}::bigint[],
      ${column((host) => host.inventory && JSON.stringify(host.inventory))}::jsonb[],
      ${column((host) => orderOf(host.inventory))}::text[],
      ${column((host) => host.attempt && JSON.stringify(host.attempt))}::jsonb[]) as n(host_id, seq, inventory, version_order, attempt)
    where h.host_id = n.host_id`)
}

function orderOf(inventory: Inventory | null): string | null {
  const version = inventory?.version
  return version && isVersion(version) ? versionOrder(version) : null
}

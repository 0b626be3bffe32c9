// What hosts tell about themselves, signed. Reports of many hosts are stored together: one transaction takes the hosts' rows in order, follows each
// one's chain (report-chain.ts), and writes events, attempts and hosts with one statement each; the counts are kept by the database in the last of them.
import { sql } from 'drizzle-orm'
import type { Clock } from '../../keys/platform/clock.ts'
import type { AttemptReport } from '../../schema/attempt.ts'
import type { Inventory, Report } from '../../schema/report.ts'
import { isVersion } from '../../schema/version.ts'
import { buildBatch } from './batch.ts'
import type { RingingBell } from './bell.ts'
import type { Reports } from './core.ts'
import { CoreError } from './core-error.ts'
import { DAY_MS } from './online-roles.ts'
import type { Db, Log, Transaction } from './ports.ts'
import {
  type Chain,
  type Followed,
  followChain,
  type Kept,
  type VerifiedReport,
  verifyReports,
} from './report-chain.ts'
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
  readonly items: readonly VerifiedReport[]
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
    ingest: async (host, items) => {
      const { hostId } = host
      const storedSeq = await store({ hostId, items: verifyReports(host, items) })
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
    const chains = await loadChains(tx, hostIds)
    const speaking = hostIds.flatMap((hostId) => {
      const chain = chains.get(hostId)
      const items = byHost.get(hostId)?.flatMap((delivery) => delivery.items) ?? []
      return chain ? [{ hostId, chain, items }] : []
    })
    const kept = await loadKept(tx, speaking)
    const folded = speaking.map(({ hostId, chain, items }) =>
      foldReports(hostId, followChain(chain, items, kept.get(hostId))),
    )
    const changed = folded.filter((host) => host.events.length > 0)
    if (changed.length > 0) {
      await insertEvents(tx, changed, deps.clock.now())
      await upsertAttempts(tx, changed)
      await updateHosts(tx, changed)
    }
    await markForks(deps, tx, folded)
    return new Map(folded.map((host) => [host.hostId, host.chain.storedSeq]))
  })
  return deliveries.map(({ hostId }) => stored.get(hostId) ?? 'unknown')
}

/** Takes the hosts' rows, in one order, until the transaction ends. */
async function loadChains(tx: Transaction, hostIds: readonly string[]): Promise<Map<string, Chain>> {
  const rows = await tx.execute<{ host_id: string; epoch: string | null; tip: string | null; stored_seq: string }>(
    sql`select host_id, epoch, tip, stored_seq from hosts where host_id = any(${sql.param(hostIds)}::text[]) order by host_id for update`,
  )
  return new Map(
    rows.map((row) => [row.host_id, { epoch: row.epoch, tip: row.tip, storedSeq: Number(row.stored_seq) }]),
  )
}

/** What a host's new reports come to. */
export interface Folded extends Pick<Followed, 'chain' | 'fork'> {
  readonly hostId: string
  /** In order of their numbers, each once. */
  readonly events: readonly VerifiedReport[]
  /** The newest that these say, null: they say nothing about it. */
  readonly inventory: Inventory | null
  readonly attempt: AttemptReport | null
  readonly attempts: ReadonlyMap<
    string,
    { readonly report: AttemptReport; readonly first: Report; readonly last: Report }
  >
}

/** Pure. */
function foldReports(hostId: string, { chain, fresh, fork }: Followed): Folded {
  let inventory: Inventory | null = null
  let attempt: AttemptReport | null = null
  const attempts = new Map<string, { report: AttemptReport; first: Report; last: Report }>()
  for (const { report } of fresh) {
    if (report.body.type === 'inventory') inventory = report.body.inventory
    if (report.body.type === 'attempt') {
      attempt = report.body.attempt
      const first = attempts.get(attempt.update_id)?.first ?? report
      attempts.set(attempt.update_id, { report: attempt, first, last: report })
    }
  }
  return { hostId, chain, fork, events: fresh, inventory, attempt, attempts }
}

/** What is stored under numbers that came again: it has to be the same. */
async function loadKept(
  tx: Transaction,
  hosts: readonly { readonly chain: Chain; readonly hostId: string; readonly items: readonly VerifiedReport[] }[],
): Promise<Map<string, Kept>> {
  const repeated = hosts.flatMap(({ hostId, chain, items }) =>
    items.filter(({ report }) => report.seq <= chain.storedSeq).map(({ report }) => ({ hostId, seq: report.seq })),
  )
  if (repeated.length === 0) return new Map()
  const rows = await tx.execute<{ host_id: string; seq: string; sha256: string }>(sql`select host_id, seq, sha256
    from unnest(${sql.param(repeated.map((one) => one.hostId))}::text[], ${sql.param(repeated.map((one) => one.seq))}::bigint[]) as n(host_id, seq)
    join host_events e using (host_id, seq)`)
  const hostIds = [...new Set(repeated.map((one) => one.hostId))]
  const oldest = await tx.execute<{ host_id: string; oldest: string | null }>(sql`select n.host_id, e.oldest
    from unnest(${sql.param(hostIds)}::text[]) as n(host_id), lateral (select min(seq) as oldest from host_events h where h.host_id = n.host_id) as e`)
  const hashes = Map.groupBy(rows, (row) => row.host_id)
  return new Map(
    oldest.map((row) => [
      row.host_id,
      {
        hashes: new Map(hashes.get(row.host_id)?.map((one) => [Number(one.seq), one.sha256])),
        oldest: row.oldest === null ? Number.POSITIVE_INFINITY : Number(row.oldest),
      },
    ]),
  )
}

/** The host keeps the first fork that was seen; the audit log says it again once a day for as long as it goes on. */
async function markForks(deps: ReportsDeps, tx: Transaction, hosts: readonly Folded[]): Promise<void> {
  const now = deps.clock.now()
  for (const { hostId, fork } of hosts) {
    if (!fork) continue
    deps.log('warn', 'host.forked', { host_id: hostId, ...fork })
    const text = JSON.stringify(fork)
    await tx.execute(
      sql`update hosts set forked_at = ${at(now)}, fork = ${text}::jsonb where host_id = ${hostId} and forked_at is null`,
    )
    await tx.execute(sql`insert into audit (at, actor, action, subject, reason, after)
      select ${at(now)}, '{"kind":"server"}', 'host.forked', ${hostId}::text, ${fork.detail}, ${text}::jsonb
      where not exists (select from audit a join hosts h on h.host_id = a.subject
        where a.action = 'host.forked' and a.subject = ${hostId} and a.at > ${at(new Date(now.getTime() - DAY_MS))} and a.at >= h.forked_at)`)
  }
}

async function insertEvents(tx: Transaction, hosts: readonly Folded[], now: Date): Promise<void> {
  const rows = hosts.flatMap((host) => host.events.map((event) => ({ hostId: host.hostId, ...event })))
  const column = <T>(read: (row: (typeof rows)[number]) => T) => sql.param(rows.map(read))
  await tx.execute(sql`insert into host_events (host_id, seq, at, received_at, type, body, epoch, previous, signature, sha256)
    select host_id, seq, at, ${at(now)}, type, body::json, epoch, previous, signature, sha256 from unnest(
      ${column((row) => row.hostId)}::text[], ${column((row) => row.report.seq)}::bigint[], ${column((row) => row.report.at)}::timestamptz[],
      ${column((row) => row.report.body.type)}::text[], ${column((row) => row.signed.body)}::text[], ${column((row) => row.signed.epoch)}::text[],
      ${column((row) => row.signed.previous)}::text[], ${column((row) => row.signed.signature)}::text[], ${column((row) => row.sha256)}::text[])
      as n(host_id, seq, at, type, body, epoch, previous, signature, sha256)
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
      epoch = n.epoch,
      tip = n.tip,
      inventory = coalesce(n.inventory, h.inventory),
      version = case when n.inventory is null then h.version else n.inventory ->> 'version' end,
      version_order = case when n.inventory is null then h.version_order else n.version_order end,
      channel = coalesce(n.inventory ->> 'channel', h.channel),
      waiting = case when n.inventory is null then h.waiting else n.inventory ->> 'waiting' end,
      attempt = coalesce(n.attempt, h.attempt),
      state = coalesce(n.attempt ->> 'state', h.state)
    from unnest(${column((host) => host.hostId)}::text[], ${column((host) => host.chain.storedSeq)}::bigint[],
      ${column((host) => host.chain.epoch)}::text[], ${column((host) => host.chain.tip)}::text[],
      ${column((host) => host.inventory && JSON.stringify(host.inventory))}::jsonb[],
      ${column((host) => orderOf(host.inventory))}::text[],
      ${column((host) => host.attempt && JSON.stringify(host.attempt))}::jsonb[]) as n(host_id, seq, epoch, tip, inventory, version_order, attempt)
    where h.host_id = n.host_id`)
}

function orderOf(inventory: Inventory | null): string | null {
  const version = inventory?.version
  return version && isVersion(version) ? versionOrder(version) : null
}

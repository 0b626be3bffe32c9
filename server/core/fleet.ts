// The fleet at a glance, and its brake.
import { eq, sql } from 'drizzle-orm'
import type { Clock } from '../../keys/platform/clock.ts'
import { brake as brakeTable } from '../../schema/db/tables.ts'
import { decideAlarms } from '../../schema/expiry.ts'
import type { Brake } from '../../schema/protocol.ts'
import type { FleetSummary } from '../../schema/rest.ts'
import { writeAudit } from './audit.ts'
import type { RingingBell } from './bell.ts'
import type { Fleet, Presence } from './core.ts'
import { CoreError } from './core-error.ts'
import { loadExpiries, withinDays } from './expiry.ts'
import type { Db } from './ports.ts'
import { onlineElsewhere } from './presence.ts'
import { newestVersions } from './releases.ts'
import { wireTime } from './wire-time.ts'

export interface FleetDeps {
  readonly db: Db
  readonly clock: Clock
  readonly bell: RingingBell
  readonly presence: Presence
  readonly replicaId: string
}

/** Stands in lists of counts for hosts that have no version, or no group. Neither can be called that. */
export const NONE = '(none)'

export function buildFleet(deps: FleetDeps): Fleet {
  const { db, clock, bell } = deps
  return {
    summary: async () => {
      const now = clock.now()
      const [rows, elsewhere, newest, expiries] = await Promise.all([
        db.queries.execute<{ dimension: string; key: string; hosts: string }>(
          sql`select dimension, key, hosts from counts where hosts <> 0 order by dimension, hosts desc, key`,
        ),
        onlineElsewhere(db.queries, deps.replicaId, now),
        newestVersions(db),
        loadExpiries(db),
      ])
      const count = (dimension: string) =>
        rows
          .filter((row) => row.dimension === dimension)
          .map((row) => ({ key: row.key === '' ? NONE : row.key, hosts: Number(row.hosts) }))
      const summary: FleetSummary = {
        product: bell.remembered.published.product,
        hosts: count('total')[0]?.hosts ?? 0,
        online: deps.presence.online + elsewhere,
        by_version: count('version'),
        by_channel: count('channel'),
        by_group: count('group'),
        by_state: count('state'),
        by_waiting: count('waiting'),
        forked: count('identity').find(({ key }) => key === 'forked')?.hosts ?? 0,
        newest,
        expiring: decideAlarms(expiries, now).map((alarm) => ({
          role: alarm.role,
          expires: alarm.expires,
          within_days: withinDays(alarm),
        })),
        brake: bell.remembered.brake,
        at: wireTime(now),
      }
      return summary
    },
    brake: () => bell.remembered.brake,
    setBrake: async (paused, mutation) => {
      if (mutation.reason.trim() === '')
        throw new CoreError('invalid', 'expected a reason', {
          issues: [{ pointer: '/reason', message: 'expected a reason' }],
        })
      const next = await db.transaction(async (tx) => {
        const [before] = await tx.select().from(brakeTable).where(eq(brakeTable.id, 1)).for('update')
        // Released, it has no reason and no time; pulled again, it keeps the time at which it was first pulled.
        const since = paused ? ((before?.paused ? before.since : null) ?? clock.now()) : null
        const after = { paused, reason: paused ? mutation.reason : null, since }
        if (mutation.dryRun) return readBrake(after)
        await tx.update(brakeTable).set(after).where(eq(brakeTable.id, 1))
        await writeAudit(tx, clock, mutation, {
          action: paused ? 'brake.pause' : 'brake.resume',
          subject: null,
          before: before && readBrake(before),
          after: readBrake(after),
        })
        return readBrake(after)
      })
      if (!mutation.dryRun) {
        await bell.reread()
        await bell.ring({ type: 'brake', brake: next })
      }
      return next
    },
  }
}

function readBrake(row: { paused: boolean; reason: string | null; since: Date | null }): Brake {
  return { paused: row.paused, reason: row.reason, since: row.since && wireTime(row.since) }
}

// Until when what is published holds. People who sign need to hear of it in time: the log says it when a role comes within 30, 7 and 1 day of its end, when
// it has ended, and again every day; the fleet's summary says it as long as it is so.
import { sql } from 'drizzle-orm'
import type { Clock } from '../../keys/platform/clock.ts'
import { repository, roleDocuments, roles } from '../../schema/db/tables.ts'
import { decideAlarms, type ExpiryAlarm, type RoleExpiry } from '../../schema/expiry.ts'
import type { Db, Log } from './ports.ts'
import { wireTime } from './wire-time.ts'

/** When each accepted role expires, and what the server signed last; the first to expire comes first. Reads no document. */
export async function loadExpiries(db: Db): Promise<readonly RoleExpiry[]> {
  const accepted = await db.queries
    .select({ role: roles.role, expires: roleDocuments.expires })
    .from(roles)
    .innerJoin(
      roleDocuments,
      sql`${roleDocuments.role} = ${roles.role} and ${roleDocuments.version} = ${roles.version}`,
    )
  const [row] = await db.queries
    .select({ snapshot: repository.snapshotExpires, timestamp: repository.timestampExpires })
    .from(repository)
  const online = [
    { role: 'snapshot', expires: row?.snapshot },
    { role: 'timestamp', expires: row?.timestamp },
  ]
  return [...accepted, ...online]
    .flatMap(({ role, expires }) => (expires ? [{ role, expires: wireTime(expires) }] : []))
    .sort((a, b) => (a.expires < b.expires ? -1 : 1))
}

export interface ExpiryWatchDeps {
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
}

const REPEAT_MS = 86_400_000

/** Looks once and logs what somebody has to be told, `repository.expiry`: as a warning before, as an error after. */
export function buildExpiryWatch({ db, clock, log }: ExpiryWatchDeps): () => Promise<void> {
  const told = new Map<string, { readonly what: string; readonly atMs: number }>()
  return async () => {
    const now = clock.now()
    const alarms = decideAlarms(await loadExpiries(db), now)
    for (const role of told.keys()) if (!alarms.some((alarm) => alarm.role === role)) told.delete(role)
    for (const alarm of alarms) {
      const { role, expires, expiry } = alarm
      const what = `${expires} ${levelOf(alarm)}`
      const before = told.get(role)
      if (before?.what === what && now.getTime() - before.atMs < REPEAT_MS) continue
      told.set(role, { what, atMs: now.getTime() })
      const isOver = expiry.kind === 'expired'
      log(isOver ? 'error' : 'warn', 'repository.expiry', { role, expires, within_days: withinDays(alarm) })
    }
  }
}

function levelOf({ expiry }: ExpiryAlarm): string {
  return expiry.kind === 'soon' ? String(expiry.days) : 'expired'
}

/** 30, 7 or 1; null: it has expired. */
export function withinDays({ expiry }: ExpiryAlarm): number | null {
  return expiry.kind === 'soon' ? expiry.days : null
}

// What anybody changed, who and why. A line is written in the transaction of the change: there is no change without its line. The table refuses to be edited.
import { and, desc, eq, gte, lt } from 'drizzle-orm'
import type { Clock } from '../../keys/platform/clock.ts'
import { audit } from '../../schema/db/tables.ts'
import type { Actor, Audit, AuditEntry, Mutation } from './core.ts'
import { buildPage, CURSOR_PART, parseCursor, parseLimit } from './page.ts'
import type { Db, Transaction } from './ports.ts'
import { wireTime } from './wire-time.ts'

export interface Change {
  /** `token.create`, `brake.set`: subject and verb. */
  readonly action: string
  readonly subject: string | null
  readonly before?: unknown
  readonly after?: unknown
}

/** Adds a line for this change. Never pass a secret in `before` or `after`. */
export async function writeAudit(tx: Transaction, clock: Clock, mutation: Mutation, change: Change): Promise<void> {
  await tx.insert(audit).values({
    at: clock.now(),
    actor: mutation.actor,
    action: change.action,
    subject: change.subject,
    reason: mutation.reason,
    before: change.before ?? null,
    after: change.after ?? null,
    requestId: mutation.requestId ?? null,
  })
}

export function buildAudit(db: Db): Audit {
  return {
    list: async (request) => {
      const limit = parseLimit(request)
      const [after] = parseCursor(request, CURSOR_PART.number) ?? []
      const rows = await db.queries
        .select()
        .from(audit)
        .where(
          and(
            after === undefined ? undefined : lt(audit.id, Number(after)),
            request.since && gte(audit.at, request.since),
            request.action === undefined ? undefined : eq(audit.action, request.action),
          ),
        )
        .orderBy(desc(audit.id))
        .limit(limit + 1)
      return buildPage(rows, limit, (row) => [String(row.id)], readEntry)
    },
  }
}

function readEntry(row: typeof audit.$inferSelect): AuditEntry {
  return {
    id: String(row.id),
    at: wireTime(row.at),
    actor: row.actor as Actor,
    action: row.action,
    subject: row.subject,
    reason: row.reason,
    before: row.before,
    after: row.after,
    request_id: row.requestId,
  }
}

// The signed documents that are accepted, as the database keeps them: what the next snapshot lists.
import { eq, sql } from 'drizzle-orm'
import type { Clock } from '../../keys/platform/clock.ts'
import { repository, roleDocuments, roles } from '../../schema/db/tables.ts'
import type { Db, Queries, Transaction } from './ports.ts'

export interface RoleDocument {
  readonly role: string
  readonly version: number
  readonly bytes: Uint8Array
  readonly sha256: string
  readonly expires: Date
  readonly signedBy: readonly string[]
  readonly threshold: number
}

/** What is accepted, as it was at one moment. */
export interface Accepted {
  readonly repository: typeof repository.$inferSelect
  /** The newest root, undefined: there is none yet. */
  readonly root: RoleDocument | undefined
  /** targets and delegated roles in their newest version, by name. */
  readonly roles: ReadonlyMap<string, RoleDocument>
}

export async function loadAccepted(db: Db): Promise<Accepted> {
  return db.transaction(async (tx) => {
    const row = await loadRepository(tx)
    const documents = await tx
      .select({ document: roleDocuments })
      .from(roles)
      .innerJoin(
        roleDocuments,
        sql`${roleDocuments.role} = ${roles.role} and ${roleDocuments.version} = ${roles.version}`,
      )
    const all = documents.map(({ document }) => readDocument(document))
    return {
      repository: row,
      root: all.find((document) => document.role === 'root'),
      roles: new Map(all.filter((document) => document.role !== 'root').map((document) => [document.role, document])),
    }
  })
}

/** Every accepted version of a role, oldest first. */
export async function loadVersions(db: Db, role: string): Promise<RoleDocument[]> {
  const rows = await db.queries
    .select()
    .from(roleDocuments)
    .where(eq(roleDocuments.role, role))
    .orderBy(roleDocuments.version)
  return rows.map(readDocument)
}

export async function loadRepository(queries: Queries | Transaction): Promise<typeof repository.$inferSelect> {
  const [row] = await queries.select().from(repository)
  if (!row) throw new Error('the table repository has no row')
  return row
}

/** The same row, locked: whoever else accepts something waits. */
export async function lockRepository(tx: Transaction): Promise<typeof repository.$inferSelect> {
  const [row] = await tx.select().from(repository).for('update')
  if (!row) throw new Error('the table repository has no row')
  return row
}

/** Whether nothing was accepted since. Call it under `lockRepository`. */
export async function isStillAccepted(tx: Transaction, accepted: Accepted): Promise<boolean> {
  const now = await tx.select().from(roles)
  const then = new Map(
    [...accepted.roles.values(), ...(accepted.root ? [accepted.root] : [])].map(({ role, version }) => [role, version]),
  )
  return now.length === then.size && now.every(({ role, version }) => then.get(role) === version)
}

/** Adds documents and makes each the one that its role points to. In the order of their versions. */
export async function insertDocuments(
  tx: Transaction,
  clock: Clock,
  documents: readonly RoleDocument[],
): Promise<void> {
  for (const document of documents) {
    const { role, version } = document
    await tx.insert(roleDocuments).values({
      role,
      version,
      document: document.bytes,
      sha256: document.sha256,
      length: document.bytes.length,
      expires: document.expires,
      signedBy: [...document.signedBy],
      threshold: document.threshold,
      acceptedAt: clock.now(),
    })
    await tx.insert(roles).values({ role, version }).onConflictDoUpdate({ target: roles.role, set: { version } })
  }
}

function readDocument(row: typeof roleDocuments.$inferSelect): RoleDocument {
  return {
    role: row.role,
    version: row.version,
    bytes: row.document,
    sha256: row.sha256,
    expires: row.expires,
    signedBy: row.signedBy,
    threshold: row.threshold,
  }
}

// Migrations: numbered SQL files that are never edited later, run in order under an advisory lock, each recorded with the hash of its text.
// The first line of a file says `-- compatible` (a server of the version before goes on working beside it) or `-- breaking`.
//
//   what this program knows    0001 0002 0003
//   what the database has      0001 0002                   -> 0003 is pending: `migrate up`
//                              0001 0002 0003 0004 compat. -> fine: a newer server runs beside this one
//                              0001 0002 0003 0004 breaking-> this program must not touch it
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { CoreError } from '../core/core-error.ts'
import type { Db, Queries, Transaction } from '../core/ports.ts'

export interface Migration {
  readonly id: string
  readonly sql: string
  readonly sha256: string
  readonly breaking: boolean
}

export interface AppliedMigration {
  readonly id: string
  readonly sha256: string
  readonly breaking: boolean
  readonly appliedAt: string
}

export interface MigrationState {
  readonly applied: readonly AppliedMigration[]
  readonly pending: readonly Migration[]
  /** In the database, not known here, compatible. */
  readonly newer: readonly AppliedMigration[]
}

/** Any number: the same for all servers on one database. */
const ADVISORY_LOCK = 7_276_450_017

/** The migrations that come with this program, in order. */
export async function loadMigrations(folder: string = migrationsFolder()): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  return Promise.all(names.map(async (name) => parseMigration(name, await readFile(join(folder, name), 'utf8'))))
}

/** In a checkout beside the sources; in an installed package beside `dist/`. */
function migrationsFolder(): string {
  const candidates = ['../../schema/db/migrations', '../../../schema/db/migrations'].map((path) =>
    join(import.meta.dirname, path),
  )
  const found = candidates.find((path) => existsSync(path))
  if (!found) throw new Error(`no migrations in ${candidates.join(' or ')}`)
  return found
}

function parseMigration(name: string, text: string): Migration {
  const kind = /^-- (compatible|breaking)\n/.exec(text)?.[1]
  if (!/^\d{4}_[a-z0-9_]+\.sql$/.test(name) || !kind) {
    throw new Error(
      `migration ${name}: expected a name such as 0001_words.sql and a first line "-- compatible" or "-- breaking"`,
    )
  }
  const sha256 = createHash('sha256').update(text).digest('hex')
  return { id: name.slice(0, -'.sql'.length), sql: text, sha256, breaking: kind === 'breaking' }
}

/**
 * What the database has and what it lacks. Throws CoreError 'refused' with reason `schema-newer` if it has a breaking migration that this
 * program does not know, `schema-altered` if a migration that ran is not the one in our files.
 */
export async function readMigrations(db: Db, known: readonly Migration[]): Promise<MigrationState> {
  return decide(await readApplied(db.queries), known)
}

/** Runs what is pending in one transaction. Two processes at once: the second waits, then finds nothing to do. Same refusals as `readMigrations`. */
export async function applyMigrations(db: Db, known: readonly Migration[]): Promise<readonly Migration[]> {
  return db.transaction(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(${ADVISORY_LOCK})`)
    const { pending } = decide(await readApplied(tx), known)
    await tx.execute(sql`create table if not exists schema_migrations (
      id text primary key, sha256 text not null, breaking boolean not null, applied_at timestamptz not null default now())`)
    for (const migration of pending) {
      await tx.execute(sql.raw(migration.sql))
      await tx.execute(
        sql`insert into schema_migrations (id, sha256, breaking) values (${migration.id}, ${migration.sha256}, ${migration.breaking})`,
      )
    }
    return pending
  })
}

async function readApplied(queries: Queries | Transaction): Promise<AppliedMigration[]> {
  const [found] = await queries.execute<{ there: boolean }>(
    sql`select to_regclass('schema_migrations') is not null as there`,
  )
  if (!found?.there) return []
  const rows = await queries.execute<{ id: string; sha256: string; breaking: boolean; applied_at: string }>(
    sql`select id, sha256, breaking, applied_at::text from schema_migrations order by id`,
  )
  return rows.map((row) => ({ id: row.id, sha256: row.sha256, breaking: row.breaking, appliedAt: row.applied_at }))
}

function decide(applied: readonly AppliedMigration[], known: readonly Migration[]): MigrationState {
  const here = new Map(known.map((migration) => [migration.id, migration]))
  const altered = applied.find((row) => here.has(row.id) && here.get(row.id)?.sha256 !== row.sha256)
  if (altered) {
    throw new CoreError('refused', `migration ${altered.id} ran with another text than this program has`, {
      reason: 'schema-altered',
      expected: altered.sha256,
      actual: here.get(altered.id)?.sha256 ?? 'none',
    })
  }
  const newer = applied.filter((row) => !here.has(row.id))
  const clash = newer.filter((row) => row.breaking)
  if (clash.length > 0) {
    throw new CoreError(
      'refused',
      `the database has ${clash.map((row) => row.id).join(', ')}, which this program does not know and which breaks it; it knows up to ${known.at(-1)?.id ?? 'none'}`,
      { reason: 'schema-newer', expected: known.at(-1)?.id ?? 'none', actual: clash.map((row) => row.id).join(', ') },
    )
  }
  const done = new Set(applied.map((row) => row.id))
  return { applied, newer, pending: known.filter((migration) => !done.has(migration.id)) }
}

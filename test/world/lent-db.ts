// Embedded databases for tests that come one after another: each is emptied and lent again for as long as this process lives. A new one costs a second.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import type { Db } from '../../server/core/ports.ts'
import { openEmbeddedDb } from '../../server/store/embedded-db.ts'

const free: Db[] = []

/** An empty database without tables. It is given back, not closed, when whoever borrowed it is done. */
export async function borrowDb(): Promise<Db> {
  const db = free.pop() ?? (await open())
  await db.queries.execute(sql.raw('drop schema public cascade; create schema public'))
  return db
}

/** For the next one. */
export function giveBackDb(db: Db): void {
  free.push(db)
}

async function open(): Promise<Db> {
  const folder = await mkdtemp(join(tmpdir(), 'netlink-db-'))
  return openEmbeddedDb({
    folder: join(folder, 'db'),
    lock: async () => ({ release: () => rm(folder, { recursive: true, force: true }) }),
    log: () => undefined,
  })
}

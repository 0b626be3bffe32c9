import { createHash } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core'
import { describe, expect, test } from 'vitest'
import * as tables from '../../schema/db/tables.ts'
import { applyMigrations, loadMigrations, type Migration, readMigrations } from '../../server/store/migrate.ts'
import { dbKinds, openTestDb } from './world.ts'

const migration = (id: string, text: string, breaking = false): Migration => ({
  id,
  sql: text,
  breaking,
  sha256: createHash('sha256').update(text).digest('hex'),
})

describe.each(dbKinds)('migrations (%s database)', (kind) => {
  async function fresh() {
    const { db, close } = await openTestDb(kind)
    return { db, known: await loadMigrations(), [Symbol.asyncDispose]: close }
  }

  test('run once, in order, and say what ran', async () => {
    await using world = await fresh()
    const { db, known } = world
    expect(await readMigrations(db, known)).toMatchObject({
      applied: known.map(({ id }) => ({ id })),
      pending: [],
      newer: [],
    })
    const more = [
      ...known,
      migration('0900_a', 'create table a (x int)'),
      migration('0901_b', 'alter table a add y int'),
    ]
    expect((await readMigrations(db, more)).pending.map(({ id }) => id)).toEqual(['0900_a', '0901_b'])
    expect((await applyMigrations(db, more)).map(({ id }) => id)).toEqual(['0900_a', '0901_b'])
    expect(await applyMigrations(db, more)).toEqual([])
    await db.queries.execute(sql`select x, y from a`)
  })

  test('all or nothing', async () => {
    await using world = await fresh()
    const { db, known } = world
    const broken = [...known, migration('0900_a', 'create table a (x int)'), migration('0901_b', 'create nonsense')]
    await expect(applyMigrations(db, broken)).rejects.toThrow()
    await expect(db.queries.execute(sql`select from a`)).rejects.toThrow()
    expect((await readMigrations(db, known)).applied).toHaveLength(known.length)
  })

  test('two processes at once: one runs them, the other finds nothing to do', async () => {
    await using world = await fresh()
    const { db, known } = world
    const more = [...known, migration('0900_a', 'create table a (x int)')]
    const ran = await Promise.all([applyMigrations(db, more), applyMigrations(db, more)])
    expect(ran.flat().map(({ id }) => id)).toEqual(['0900_a'])
  })

  test('a newer compatible schema is fine, a newer breaking one is not, and is named', async () => {
    await using world = await fresh()
    const { db, known } = world
    await applyMigrations(db, [...known, migration('0900_later', 'select 1')])
    expect((await readMigrations(db, known)).newer).toMatchObject([{ id: '0900_later' }])
    await applyMigrations(db, [
      ...known,
      migration('0900_later', 'select 1'),
      migration('0901_break', 'select 2', true),
    ])
    await expect(readMigrations(db, known)).rejects.toMatchObject({
      code: 'refused',
      facts: { reason: 'schema-newer', actual: '0901_break' },
    })
    await expect(applyMigrations(db, known)).rejects.toMatchObject({ facts: { reason: 'schema-newer' } })
  })

  test('a migration that was edited after it ran is noticed', async () => {
    await using world = await fresh()
    const { db, known } = world
    const [first] = known
    if (!first) return expect.fail()
    await expect(readMigrations(db, [migration(first.id, `${first.sql} -- edited`)])).rejects.toMatchObject({
      facts: { reason: 'schema-altered' },
    })
  })

  test('numbers that filled 32 bits are kept when their columns grow, and can go on', async () => {
    await using world = await fresh()
    const { db, known } = world
    await db.queries.execute(sql.raw('drop schema public cascade; create schema public'))
    const before = known.slice(
      0,
      known.findIndex(({ id }) => id === '0005_wide_numbers'),
    )
    await applyMigrations(db, before)
    const end = 2 ** 31 - 1
    const insertDocument = (role: string, version: number) => sql`insert into role_documents
      values (${role}, ${version}, '\\x00', '', 1, now(), '{}', 1, now())`
    await db.queries.execute(sql`update repository set timestamp_version = ${end}, published_timestamp = ${end}`)
    await db.queries.execute(insertDocument('alpha', end))
    await db.queries.execute(sql`insert into roles values ('alpha', ${end})`)
    await expect(db.queries.execute(insertDocument('beta', end + 1))).rejects.toThrow()

    expect((await applyMigrations(db, known))[0]?.id).toBe('0005_wide_numbers')
    const [kept] = await db.queries.select().from(tables.repository)
    expect(kept).toMatchObject({ timestampVersion: end, publishedTimestamp: end, snapshotVersion: 0 })
    await db.queries.execute(insertDocument('alpha', Number.MAX_SAFE_INTEGER))
    await db.queries.execute(sql`update roles set version = ${Number.MAX_SAFE_INTEGER}`)
    expect(await db.queries.select().from(tables.roles)).toEqual([{ role: 'alpha', version: Number.MAX_SAFE_INTEGER }])
    await expect(db.queries.execute(sql`update roles set version = 7`)).rejects.toThrow()
  })

  test('the tables are those that the code knows, column by column', async () => {
    await using world = await fresh()
    const rows = await world.db.queries.execute<{ table_name: string; column_name: string; is_nullable: string }>(
      sql`select table_name, column_name, is_nullable from information_schema.columns where table_schema = 'public' and table_name <> 'schema_migrations' order by 1, 2`,
    )
    const real = rows.map((row) => `${row.table_name}.${row.column_name}${row.is_nullable === 'YES' ? '?' : ''}`)
    const known = Object.values(tables).flatMap((table) => {
      const { name, columns } = getTableConfig(table as PgTable)
      return columns.map((column) => `${name}.${column.name}${column.notNull ? '' : '?'}`)
    })
    expect([...known].sort()).toEqual([...real].sort())
  })
})

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { isDatabaseGone } from '../../server/core/database-gone.ts'
import type { Db } from '../../server/core/ports.ts'
import { openEmbeddedDb } from '../../server/store/embedded-db.ts'
import { openServerDb } from '../../server/store/postgres-db.ts'
import { describeDb } from './db.ts'

// Making a database takes seconds, on a busy machine many.
vi.setConfig({ testTimeout: 120_000 })

let folder = ''
let embedded: Promise<Db> | undefined
const openEmbedded = () => {
  embedded ??= openEmbeddedDb({
    folder: join(folder, 'db'),
    lock: async () => ({ release: async () => {} }),
    log: () => {},
  })
  return embedded
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-db-'))
  await openEmbedded()
}, 120_000)
afterAll(async () => {
  await (await embedded)?.close()
  await rm(folder, { recursive: true, force: true })
})

describeDb('embedded', openEmbedded)

describe('embedded database', () => {
  test('what was written is there after closing and opening again, and the lock goes with it', async () => {
    const held: string[] = []
    const open = () =>
      openEmbeddedDb({
        folder: join(folder, 'again'),
        lock: async () => {
          held.push('taken')
          return { release: async () => void held.push('released') }
        },
        log: () => {},
      })
    const first = await open()
    await first.queries.execute(sql`create table kept as select 7 as value`)
    await first.close()
    const second = await open()
    expect(Array.from(await second.queries.execute(sql`select value from kept`))).toEqual([{ value: 7 }])
    await second.close()
    expect(held).toEqual(['taken', 'released', 'taken', 'released'])
  })

  test('a folder that cannot be opened says so and lets the lock go', async () => {
    const held: string[] = []
    const refused = openEmbeddedDb({
      folder: '/dev/null/db',
      lock: async () => ({ release: async () => void held.push('released') }),
      log: () => {},
    })
    await expect(refused).rejects.toMatchObject({ code: 'unavailable' })
    expect(held).toEqual(['released'])
  })
})

test('a database that is not there is told apart from a query that is wrong', async () => {
  const db = openServerDb({ url: 'postgres://nobody@127.0.0.1:1/none', connections: 1, connectTimeoutMs: 2_000 })
  const gone = await db.queries.execute(sql`select 1`).catch((error) => error)
  expect(isDatabaseGone(gone)).toBe(true)
  await db.close()
  const wrong = await (await openEmbedded()).queries.execute(sql`selec`).catch((error) => error)
  expect(wrong).toBeInstanceOf(Error)
  expect(isDatabaseGone(wrong)).toBe(false)
})

const address = process.env.NETLINK_TEST_POSTGRES
if (address) {
  const name = `contract_${randomBytes(4).toString('hex')}`
  let opened: Promise<Db> | undefined
  const open = async () => {
    const admin = openServerDb({ url: address, connections: 1 })
    await admin.queries.execute(sql.raw(`create database ${name}`))
    await admin.close()
    const url = new URL(address)
    url.pathname = `/${name}`
    return openServerDb({ url: url.href })
  }
  afterAll(async () => (await opened)?.close())
  describeDb('PostgreSQL server', () => {
    opened ??= open()
    return opened
  })

  describe('PostgreSQL server', () => {
    test('an address where nobody listens is unavailable, in time', async () => {
      const db = openServerDb({ url: 'postgres://nobody@127.0.0.1:1/none', connections: 1 })
      await expect(db.ping(3_000)).rejects.toMatchObject({ code: 'unavailable' })
      await db.close()
    })
  })
} else {
  test.skip('PostgreSQL: skipped, NETLINK_TEST_POSTGRES is not set', () => {})
}

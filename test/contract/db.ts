// What every Db does, run against each adapter.
import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import type { Db } from '../../server/core/ports.ts'

/** Registers the suite. `open` gives a database that is empty the first time and the same one again every time after. */
export function describeDb(name: string, open: () => Promise<Db>): void {
  describe(`Db: ${name}`, () => {
    test('it answers a ping', async () => {
      await (await open()).ping(5_000)
    })

    test('values of every kind that we store come back as they went', async () => {
      const { queries } = await open()
      const bytes = Buffer.from([0, 1, 255])
      const [row] = await queries.execute(
        sql`select ${'text with \u0001 and ünï'}::text as text, ${9_007_199_254_740_991}::bigint as big, ${bytes}::bytea as bytes,
          ${sql.param(['a', '{"quoted"}', 'c,d'])}::text[] as list, ${JSON.stringify({ deep: [1, null] })}::jsonb as json, ${null}::text as nothing`,
      )
      expect(row).toMatchObject({ text: 'text with \u0001 and ünï', list: ['a', '{"quoted"}', 'c,d'], nothing: null })
      expect(Number(row?.big)).toBe(9_007_199_254_740_991)
      expect(Buffer.from(row?.bytes as Uint8Array).equals(bytes)).toBe(true)
    })

    test('a list of times comes back as it went: drizzle lets it through unwritten, and the client then can not send it', async () => {
      const { queries } = await open()
      const times = ['2026-11-23T10:00:00Z', null, '2026-11-23T11:00:00Z']
      const rows = await queries.execute<{ at: string | null }>(
        sql`select extract(epoch from n.at)::text as at from unnest(${sql.param(times)}::timestamptz[]) with ordinality as n(at, place) order by place`,
      )
      expect(rows.map((row) => row.at && Number(row.at))).toEqual([1795428000, null, 1795431600])
    })

    test('a transaction is all or nothing', async () => {
      const db = await open()
      await db.queries.execute(sql`create table accounts (name text primary key, amount int not null)`)
      await db.queries.execute(sql`insert into accounts values ('a', 10), ('b', 0)`)
      await expect(
        db.transaction(async (tx) => {
          await tx.execute(sql`update accounts set amount = amount - 5 where name = 'a'`)
          throw new Error('the power of the second thought')
        }),
      ).rejects.toThrow(/second thought/)
      const read = async () => Array.from(await db.queries.execute(sql`select amount from accounts order by name`))
      expect(await read()).toEqual([{ amount: 10 }, { amount: 0 }])
      const answer = await db.transaction(async (tx) => {
        await tx.execute(sql`update accounts set amount = amount - 5 where name = 'a'`)
        await tx.execute(sql`update accounts set amount = amount + 5 where name = 'b'`)
        return 'moved'
      })
      expect(answer).toBe('moved')
      expect(await read()).toEqual([{ amount: 5 }, { amount: 5 }])
    })

    test('a statement that fails inside a transaction undoes the ones before it, and the connection is good for more', async () => {
      const db = await open()
      await db.queries.execute(sql`create table once (id int primary key)`)
      const failing = db.transaction(async (tx) => {
        await tx.execute(sql`insert into once values (1)`)
        await tx.execute(sql`insert into once values (1)`)
      })
      await expect(failing).rejects.toMatchObject({ cause: { code: '23505' } })
      expect(Array.from(await db.queries.execute(sql`select * from once`))).toEqual([])
      await db.transaction((tx) => tx.execute(sql`insert into once values (1)`))
      expect(Array.from(await db.queries.execute(sql`select * from once`))).toEqual([{ id: 1 }])
    })

    test('a hundred increments at once add up', async () => {
      const db = await open()
      await db.queries.execute(sql`create table counter (value int not null)`)
      await db.queries.execute(sql`insert into counter values (0)`)
      const increment = () =>
        db.transaction(async (tx) => {
          const [row] = await tx.execute<{ value: number }>(sql`select value from counter for update`)
          await tx.execute(sql`update counter set value = ${(row?.value ?? 0) + 1}`)
        })
      await Promise.all(Array.from({ length: 100 }, increment))
      expect(Array.from(await db.queries.execute(sql`select value from counter`))).toEqual([{ value: 100 }])
    })

    test('batches go through unnest', async () => {
      const db = await open()
      await db.queries.execute(sql`create table batch (id text primary key, seq bigint)`)
      const ids = Array.from({ length: 5_000 }, (_, index) => `h${index}`)
      const insert = sql`insert into batch select * from unnest(${sql.param(ids)}::text[], ${sql.param(ids.map((_, index) => index))}::bigint[])`
      await db.queries.execute(insert)
      const [row] = await db.queries.execute(sql`select count(*)::int as rows, max(seq)::int as top from batch`)
      expect(row).toEqual({ rows: 5_000, top: 4_999 })
    })

    test('what is notified reaches every listener of the channel and no other', async () => {
      const db = await open()
      const heard: string[] = []
      let gaps = 0
      const stop = await db.listen(
        'bell',
        (payload) => heard.push(`bell ${payload}`),
        () => void gaps++,
      )
      const stopOther = await db.listen(
        'other',
        (payload) => heard.push(`other ${payload}`),
        () => {},
      )
      await db.notify('bell', 'one')
      await expect.poll(() => heard).toEqual(['bell one'])
      expect(gaps).toBe(1)
      await stop()
      await db.notify('bell', 'two')
      await db.notify('other', 'three')
      await expect.poll(() => heard).toEqual(['bell one', 'other three'])
      await stopOther()
    })

    test('long texts and large results come whole', async () => {
      const { queries } = await open()
      const long = 'x'.repeat(3_000_000)
      const [row] = await queries.execute<{ long: string }>(sql`select ${long}::text as long`)
      expect(row?.long.length).toBe(long.length)
      const rows = await queries.execute(sql`select g, repeat('y', 200) as text from generate_series(1, 20000) g`)
      expect(rows).toHaveLength(20_000)
    })
  })
}

import { sql } from 'drizzle-orm'
import { expect, test } from 'vitest'
import { systemClock } from '../../keys/platform/clock.ts'
import { buildLease } from '../../server/core/lease.ts'
import type { Db } from '../../server/core/ports.ts'
import { openTestDb } from './world.ts'

/** Renewals come every few milliseconds instead of every few seconds. */
const clock = { ...systemClock, sleep: (_: number, signal?: AbortSignal) => systemClock.sleep(5, signal) }

interface Line {
  readonly level: string
  readonly event: string
  readonly fields: unknown
}

async function leaseWorld() {
  const { db, close } = await openTestDb('embedded')
  const logged: Line[] = []
  const log = (level: string, event: string, fields: unknown) => void logged.push({ level, event, fields })
  const underLease = buildLease({ db, clock, replicaId: 'a', log }, 'seal')
  return { db, logged, underLease, [Symbol.asyncDispose]: close }
}

const change = (db: Db, statement: string) => db.queries.execute(sql.raw(statement))

test('a renewal that fails is logged, and the work goes on', async () => {
  await using world = await leaseWorld()
  const done = await world.underLease(async (lease) => {
    await change(world.db, 'alter table leases rename to away')
    await expect.poll(() => world.logged.length).toBeGreaterThan(0)
    await change(world.db, 'alter table away rename to leases')
    await lease.renew()
    return 'sealed'
  })
  expect(done).toBe('sealed')
  expect(world.logged[0]).toMatchObject({ level: 'warn', event: 'lease.not_renewed', fields: { lease: 'seal' } })
  expect(JSON.stringify(world.logged[0])).toContain('leases')
})

test('a lease that somebody else took is logged, and whoever asks for it is refused', async () => {
  await using world = await leaseWorld()
  const work = world.underLease(async (lease) => {
    await change(world.db, "update leases set holder = 'b', expires_at = now() + interval '1 hour'")
    await expect.poll(() => world.logged.map(({ event }) => event)).toContain('lease.taken_over')
    await lease.renew()
  })
  await expect(work).rejects.toMatchObject({ code: 'unavailable' })
})

test('a lease that cannot be given back is logged, and the work has ended as it ended', async () => {
  await using world = await leaseWorld()
  const done = await world.underLease(async () => {
    await change(world.db, 'alter table leases rename to away')
    return 'sealed'
  })
  expect(done).toBe('sealed')
  expect(world.logged.map(({ event }) => event)).toContain('lease.not_given_back')
})

test('a lease that is renewed and given back leaves no word', async () => {
  await using world = await leaseWorld()
  await world.underLease(() => systemClock.sleep(50))
  expect(world.logged).toEqual([])
  expect(await change(world.db, 'select * from leases')).toEqual([])
})

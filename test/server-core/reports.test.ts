import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { attemptReport, enrol, enrollToken, inventoryReport, report } from './fleet-of-hosts.ts'
import { BY, coreWorld, dbKinds } from './world.ts'

describe.each(dbKinds)('reports (%s database)', (kind) => {
  test('change the host, its history, its attempt and the counts', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const { core } = world
    const host = await enrol(core, await enrollToken(world, { group: 'eu' }), 'web-01')
    const answer = await report(core, host, [
      inventoryReport(1, { version: null, waiting: 'notify_only', target: '0a1' }),
      attemptReport(2, 'update_none_0a1_20261123_100000', 'downloading'),
      attemptReport(3, 'update_none_0a1_20261123_100000', 'succeeded'),
      inventoryReport(4, { version: '0a1', service: 'healthy', channel: 'beta' }),
    ])
    expect(answer).toEqual({ storedSeq: 4 })
    expect(await core.hosts.show(host.hostId)).toMatchObject({
      channel: 'beta',
      inventory: { version: '0a1', service: 'healthy' },
      attempt: { update_id: 'update_none_0a1_20261123_100000', state: 'succeeded' },
    })
    expect(await core.fleet.summary()).toMatchObject({
      hosts: 1,
      by_version: [{ key: '0a1', hosts: 1 }],
      by_channel: [{ key: 'beta', hosts: 1 }],
      by_group: [{ key: 'eu', hosts: 1 }],
      by_state: [{ key: 'succeeded', hosts: 1 }],
      by_waiting: [],
    })
    const page = await core.hosts.history(host.hostId, { limit: 3 })
    expect(page.items.map(({ seq }) => seq)).toEqual([4, 3, 2])
    expect(
      (await core.hosts.history(host.hostId, { limit: 3, cursor: page.next_cursor })).items.map(({ seq }) => seq),
    ).toEqual([1])
  })

  test('the same twice, in pieces, out of order or with a gap leaves the same', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const { core } = world
    const host = await enrol(core, await enrollToken(world), 'web-01')
    const reports = [
      inventoryReport(1, { version: '0a1' }),
      inventoryReport(2, { version: '0a2' }),
      inventoryReport(5, { version: '0a3' }),
    ]
    const [one, two, five] = reports
    if (!one || !two || !five) return expect.fail()
    await report(core, host, [two, one])
    expect(await report(core, host, [one, two])).toEqual({ storedSeq: 2 })
    expect(await report(core, host, [two, five, five])).toEqual({ storedSeq: 5 })
    expect(await report(core, host, [])).toEqual({ storedSeq: 5 })
    expect((await core.hosts.history(host.hostId, {})).items.map(({ seq }) => seq)).toEqual([5, 2, 1])
    expect((await core.fleet.summary()).by_version).toEqual([{ key: '0a3', hosts: 1 }])
  })

  test('two machines with one key are told apart by their numbers', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const { core } = world
    const host = await enrol(core, await enrollToken(world), 'web-01')
    await report(core, host, [inventoryReport(1, { version: '0a1' })])
    await report(core, host, [inventoryReport(1, { version: '0a1' })])
    expect((await core.audit.list({ action: 'host.forked' })).items).toEqual([])
    await report(core, host, [inventoryReport(1, { version: '0a7' })])
    await report(core, host, [inventoryReport(1, { version: '0a8' })])
    expect((await core.audit.list({ action: 'host.forked' })).items).toMatchObject([
      { subject: host.hostId, actor: { kind: 'server' } },
    ])
    expect(world.logged.filter(({ event }) => event === 'host.forked')).toHaveLength(2)
  })

  test('counts stay exact while many hosts change at once in two replicas', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const other = await world.another()
    const token = await enrollToken(world)
    const hosts = await Promise.all(Array.from({ length: 40 }, (_, index) => enrol(world.core, token, `h${index}`)))
    const work = hosts.flatMap((host, index) =>
      Array.from({ length: 5 }, (_, step) => {
        const core = (index + step) % 2 === 0 ? world.core : other
        const version = `0a${1 + ((index * 7 + step * 3) % 4)}`
        return report(core, host, [
          inventoryReport(2 * step + 1, { version, waiting: step % 2 === 0 ? 'hold' : null }),
          attemptReport(
            2 * step + 2,
            `update_none_${version}_20261123_10000${step}`,
            step === 4 ? 'succeeded' : 'verifying',
          ),
        ])
      }),
    )
    await Promise.all(
      [...work, ...hosts.slice(0, 5).map((host) => world.core.hosts.forget(host.hostId, BY))].map((one) =>
        one.catch(() => {}),
      ),
    )
    for (const [dimension, column] of [
      ['version', `coalesce(version, '')`],
      ['channel', 'channel'],
      ['group', `coalesce(group_name, '')`],
      ['state', 'state'],
      ['waiting', 'waiting'],
      ['total', `''`],
    ] as const) {
      const kept = await world.db.queries.execute(
        sql`select key, hosts::int as n from counts where dimension = ${dimension} and hosts <> 0 order by key`,
      )
      const counted = await world.db.queries.execute(
        sql.raw(
          `select ${column} as key, count(*)::int as n from hosts where ${column} is not null group by 1 order by 1`,
        ),
      )
      expect(Array.from(kept), dimension).toEqual(Array.from(counted))
    }
    expect((await world.core.fleet.summary()).hosts).toBe(35)
  })
})

describe('presence', () => {
  test('who has a socket here is online, in every replica, until its replica is silent', async () => {
    await using world = await coreWorld()
    await world.begin()
    const host = await enrol(world.core, await enrollToken(world), 'web-01')
    const handle = world.core.presence.open(host.hostId)
    expect(world.core.presence.online).toBe(1)
    expect((await world.core.fleet.summary()).online).toBe(1)
    handle.seen(7)
    await world.core.presence.flush()
    const other = await world.another()
    expect(await other.hosts.show(host.hostId)).toMatchObject({ online: true, last_seen: '2026-11-23T10:00:00Z' })
    expect((await other.fleet.summary()).online).toBe(1)
    world.clock.advance({ minutes: 1 })
    expect(await other.hosts.show(host.hostId)).toMatchObject({ online: false })
    expect((await other.fleet.summary()).online).toBe(0)
  })

  test('a second connection takes over: the first one’s end does not end it', async () => {
    await using world = await coreWorld()
    await world.begin()
    const host = await enrol(world.core, await enrollToken(world), 'web-01')
    const first = world.core.presence.open(host.hostId)
    const second = world.core.presence.open(host.hostId)
    first.close()
    expect(world.core.presence.online).toBe(1)
    second.close()
    second.close()
    expect(world.core.presence.online).toBe(0)
    await world.core.presence.flush()
    expect(await world.core.hosts.show(host.hostId)).toMatchObject({ online: false, last_seen: '2026-11-23T10:00:00Z' })
  })

  test('a host that moved to another replica stays online when the first lets go', async () => {
    await using world = await coreWorld()
    await world.begin()
    const host = await enrol(world.core, await enrollToken(world), 'web-01')
    const other = await world.another()
    const here = world.core.presence.open(host.hostId)
    await world.core.presence.flush()
    other.presence.open(host.hostId)
    await other.presence.flush()
    here.close()
    await world.core.presence.flush()
    expect(await other.hosts.show(host.hostId)).toMatchObject({ online: true })
  })
})

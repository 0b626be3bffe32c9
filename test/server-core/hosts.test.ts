import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import {
  attemptReport,
  enrol,
  enrollRequest,
  enrollToken,
  hello,
  inventoryReport,
  newHost,
  signedRequest,
} from './fleet-of-hosts.ts'
import { BY, type CoreWorld, coreWorld, dbKinds } from './world.ts'

const refusedAs = (code: string, reason: string) => ({ code, facts: { reason } })

describe.each(dbKinds)('enrolling (%s database)', (kind) => {
  test('a token and a key make a host', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const token = await enrollToken(world, { uses: 2, group: 'eu' })
    const host = newHost()
    const answer = await world.core.enrolment.enroll(
      await enrollRequest(host, token, 'web-01', { group: 'us', labels: { rack: '12' } }),
    )
    // The token's group counts, whatever the machine says of itself.
    expect(answer).toMatchObject({ host_id: host.hostId, product: 'demo', group: 'eu', brake: { paused: false } })
    expect(await world.core.hosts.show(host.hostId)).toMatchObject({
      name: 'web-01',
      group: 'eu',
      labels: { rack: '12' },
      online: false,
      inventory: null,
    })
    expect((await world.core.tokens.list({})).items).toMatchObject([{ uses_left: 1 }])
  })

  test('of two machines with the last use of a token one becomes a host', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const token = await enrollToken(world, { uses: 1 })
    const other = await world.another()
    const requests = await Promise.all(['a', 'b'].map((name) => enrollRequest(newHost(), token, name)))
    const outcomes = await Promise.allSettled(
      requests.map((request, index) => (index === 0 ? world.core : other).enrolment.enroll(request)),
    )
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(outcomes.find((one) => one.status === 'rejected')).toMatchObject({
      reason: refusedAs('unauthenticated', 'used-token'),
    })
    expect((await world.core.fleet.summary()).hosts).toBe(1)
  })

  test('the same machine again, because its answer was lost, is the same host and takes no second use', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const request = await enrollRequest(newHost(), await enrollToken(world, { uses: 1 }), 'web-01')
    const first = await world.core.enrolment.enroll(request)
    expect(await world.core.enrolment.enroll(request)).toEqual(first)
    expect((await world.core.fleet.summary()).hosts).toBe(1)
  })

  test('a machine that comes with another token keeps its identity and changes its group', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const host = newHost()
    for (const group of ['eu', 'us'])
      await world.core.enrolment.enroll(await enrollRequest(host, await enrollToken(world, { group }), 'web-01'))
    const summary = await world.core.fleet.summary()
    expect(summary).toMatchObject({ hosts: 1, by_group: [{ key: 'us', hosts: 1 }] })
  })

  test('every bad token and proof is refused, and a good one is not', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const token = await enrollToken(world)
    const host = newHost()
    const attempt = async (changed: string, more: object = {}) =>
      world.core.enrolment.enroll({ ...(await enrollRequest(host, changed, 'web-01')), ...more })
    const admin = await world.core.tokens.create(
      { name: 'a', scope: 'admin', group: null, expiresAt: null, uses: null },
      BY,
    )
    const flipped = token.replace(/.(?=.{12}$)/, (digit) => (digit === '0' ? '1' : '0'))
    await expect(attempt(flipped)).rejects.toMatchObject(refusedAs('unauthenticated', 'malformed-token'))
    await expect(attempt('nlk_host-enroll_x')).rejects.toMatchObject(refusedAs('unauthenticated', 'malformed-token'))
    await expect(attempt(admin.secret)).rejects.toMatchObject({ code: 'forbidden' })
    await expect(attempt(token, { proof: '0'.repeat(128) })).rejects.toMatchObject(
      refusedAs('unauthenticated', 'bad-proof'),
    )
    await expect(attempt(token, { name: 'web-02' })).rejects.toMatchObject(refusedAs('unauthenticated', 'bad-proof'))
    // The point of order one: any signature could be made to fit it.
    await expect(attempt(token, { public_key: `01${'0'.repeat(62)}` })).rejects.toMatchObject(
      refusedAs('invalid', 'bad-key'),
    )
    const expiring = await enrollToken(world, { hours: 1 })
    world.clock.advance({ hours: 2 })
    await expect(attempt(expiring)).rejects.toMatchObject(refusedAs('unauthenticated', 'expired-token'))
    expect((await world.core.fleet.summary()).hosts).toBe(0)
    await attempt(token)
    expect((await world.core.fleet.summary()).hosts).toBe(1)
  })

  test('before anything is published there is nothing to enrol for', async () => {
    await using world = await coreWorld(kind)
    await expect(enrol(world.core, await enrollToken(world), 'early')).rejects.toMatchObject({ code: 'conflict' })
  })
})

describe('a host proves who it is', () => {
  test('to a challenge, with its key, and nobody else’s', async () => {
    await using world = await coreWorld()
    await world.begin()
    const token = await enrollToken(world, { group: 'eu' })
    const host = await enrol(world.core, token, 'web-01')
    const { hosts } = world.core
    expect(await hosts.authenticateHello(await hello(host, 'n'.repeat(32)))).toEqual({
      hostId: host.hostId,
      name: 'web-01',
      group: 'eu',
      channel: 'alpha',
      storedSeq: 0,
    })
    const good = await hello(host, 'n'.repeat(32))
    const unknown = refusedAs('unauthenticated', 'unknown-host')
    await expect(hosts.authenticateHello({ ...good, nonce: 'm'.repeat(32) })).rejects.toMatchObject(unknown)
    await expect(
      hosts.authenticateHello({ ...(await hello(newHost(), 'n'.repeat(32))), hostId: host.hostId }),
    ).rejects.toMatchObject(unknown)
    await expect(hosts.authenticateHello(await hello(newHost(), 'n'.repeat(32)))).rejects.toMatchObject(unknown)
    await expect(hosts.authenticateHello({ ...good, signature: '' })).rejects.toMatchObject(unknown)
  })

  test('with a request, within five minutes, for this method, path and body', async () => {
    await using world = await coreWorld()
    await world.begin()
    const host = await enrol(world.core, await enrollToken(world), 'web-01')
    const { hosts } = world.core
    const time = Math.floor(world.clock.now().getTime() / 1000)
    const good = await signedRequest(host, { time, body: '{}' })
    expect(await hosts.authenticateRequest(good)).toMatchObject({ hostId: host.hostId })
    for (const change of [{ method: 'GET' }, { path: '/x' }, { bodySha256: '0'.repeat(64) }, { time: time + 1 }]) {
      await expect(hosts.authenticateRequest({ ...good, ...change })).rejects.toMatchObject(
        refusedAs('unauthenticated', 'unknown-host'),
      )
    }
    for (const skew of [-301, 301, Number.NaN]) {
      await expect(hosts.authenticateRequest(await signedRequest(host, { time: time + skew }))).rejects.toMatchObject(
        refusedAs('unauthenticated', 'clock-skew'),
      )
    }
    await hosts.authenticateRequest(await signedRequest(host, { time: time + 299 }))
  })

  test('a thousand at once are looked up together', async () => {
    await using world = await coreWorld()
    await world.begin()
    const host = await enrol(world.core, await enrollToken(world), 'web-01')
    const one = await hello(host, 'n'.repeat(32))
    const known = await Promise.all(Array.from({ length: 1_000 }, () => world.core.hosts.authenticateHello(one)))
    expect(new Set(known.map(({ hostId }) => hostId))).toEqual(new Set([host.hostId]))
  })

  test('a forgotten host is nobody, and its sockets hear of it', async () => {
    await using world = await coreWorld()
    await world.begin()
    const host = await enrol(world.core, await enrollToken(world), 'web-01')
    await world.core.reports.ingest(host.hostId, [inventoryReport(1, { version: '0a1' })])
    const rings: unknown[] = []
    world.core.bell.subscribe((ring) => rings.push(ring))
    await world.core.hosts.forget(host.hostId, BY)
    await expect.poll(() => rings).toContainEqual({ type: 'forgotten', hostId: host.hostId })
    await expect(world.core.hosts.authenticateHello(await hello(host, 'n'.repeat(32)))).rejects.toMatchObject({
      code: 'unauthenticated',
    })
    await expect(world.core.reports.ingest(host.hostId, [inventoryReport(2)])).rejects.toMatchObject({
      code: 'unauthenticated',
    })
    expect(await world.core.fleet.summary()).toMatchObject({ hosts: 0, by_version: [], by_channel: [], by_state: [] })
    await expect(world.core.hosts.forget(host.hostId, BY)).rejects.toMatchObject({ code: 'not-found' })
  })
})

describe.each(dbKinds)('reports (%s database)', (kind) => {
  test('change the host, its history, its attempt and the counts', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const { core } = world
    const host = await enrol(core, await enrollToken(world, { group: 'eu' }), 'web-01')
    const answer = await core.reports.ingest(host.hostId, [
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
    await core.reports.ingest(host.hostId, [two, one])
    expect(await core.reports.ingest(host.hostId, [one, two])).toEqual({ storedSeq: 2 })
    expect(await core.reports.ingest(host.hostId, [two, five, five])).toEqual({ storedSeq: 5 })
    expect(await core.reports.ingest(host.hostId, [])).toEqual({ storedSeq: 5 })
    expect((await core.hosts.history(host.hostId, {})).items.map(({ seq }) => seq)).toEqual([5, 2, 1])
    expect((await core.fleet.summary()).by_version).toEqual([{ key: '0a3', hosts: 1 }])
  })

  test('two machines with one key are told apart by their numbers', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const { core } = world
    const host = await enrol(core, await enrollToken(world), 'web-01')
    await core.reports.ingest(host.hostId, [inventoryReport(1, { version: '0a1' })])
    await core.reports.ingest(host.hostId, [inventoryReport(1, { version: '0a1' })])
    expect((await core.audit.list({ action: 'host.forked' })).items).toEqual([])
    await core.reports.ingest(host.hostId, [inventoryReport(1, { version: '0a7' })])
    await core.reports.ingest(host.hostId, [inventoryReport(1, { version: '0a8' })])
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
        return core.reports.ingest(host.hostId, [
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

describe('lists of hosts', () => {
  async function fleet(): Promise<CoreWorld & { names: (where: string, group?: string) => Promise<string[]> }> {
    const world = await coreWorld()
    await world.begin()
    const { core } = world
    const [eu, us] = [await enrollToken(world, { group: 'eu' }), await enrollToken(world, { group: 'us' })]
    const versions = ['0a1', '0b1', '0r1', '0a10', null]
    for (const [index, version] of versions.entries()) {
      const host = await enrol(core, index < 3 ? eu : us, `web-${index}`, { labels: { rack: String(index % 2) } })
      await core.reports.ingest(host.hostId, [inventoryReport(1, { version, waiting: index === 4 ? 'disk' : null })])
      if (index === 0) core.presence.open(host.hostId)
      if (index === 1) core.presence.touch(host.hostId)
    }
    await core.close()
    const again = await world.another()
    await again.start()
    const list = async (where: string, group?: string) =>
      (await again.hosts.list({ where, group: group ?? null })).items.map(({ name }) => name).sort()
    return Object.assign(world, { names: list })
  }

  test('the filter picks them', async () => {
    await using world = await fleet()
    const { names } = world
    expect(await names('')).toEqual(['web-0', 'web-1', 'web-2', 'web-3', 'web-4'])
    expect(await names('version=0a1')).toEqual(['web-0'])
    expect(await names('version>0a1 and version<0a10')).toEqual(['web-1', 'web-2'])
    expect(await names('version>=0a10')).toEqual(['web-3'])
    expect(await names('version=none')).toEqual(['web-4'])
    expect(await names('version!=0a1')).toEqual(['web-1', 'web-2', 'web-3', 'web-4'])
    expect(await names('version in (0a1, 0r1)')).toEqual(['web-0', 'web-2'])
    expect(await names('group=eu and not version=0r1')).toEqual(['web-0', 'web-1'])
    expect(await names('group not in (eu)')).toEqual(['web-3', 'web-4'])
    expect(await names('label.rack=1')).toEqual(['web-1', 'web-3'])
    expect(await names('label.nothing=none')).toHaveLength(5)
    expect(await names('name~web-?')).toHaveLength(5)
    expect(await names('name~*-3')).toEqual(['web-3'])
    expect(await names('name~"%"')).toEqual([])
    expect(await names('waiting=disk or waiting=hold')).toEqual(['web-4'])
    expect(await names('last_seen<1h')).toEqual(['web-0', 'web-1'])
    expect(await names('last_seen=none')).toEqual(['web-2', 'web-3', 'web-4'])
    expect(await names('not last_seen<1h')).toEqual(['web-2', 'web-3', 'web-4'])
    expect(await names('enrolled<1d')).toHaveLength(5)
    expect(await names('enrolled>1d')).toEqual([])
    expect(await names('online=true')).toEqual([])
    expect(await names('online=false')).toHaveLength(5)
    expect(
      await names('state=idle and service=none and agent=0.1.0 and platform=linux-x64 and channel=alpha'),
    ).toHaveLength(5)
    expect(await names('', 'us')).toEqual(['web-3', 'web-4'])
    expect(await names(`name="'; drop table hosts; --"`)).toEqual([])
  })

  test.each([
    'version=1.2.3',
    'version~0a1 or channel<beta',
    'last_seen=1h',
    'last_seen<1x',
    'online=maybe',
    'version<none',
  ])('%s does not fit its field', async (where) => {
    await using world = await coreWorld()
    await expect(world.core.hosts.list({ where })).rejects.toMatchObject({
      code: 'invalid',
      facts: { reason: 'filter' },
    })
  })

  test('pages follow each other without losing or repeating one', async () => {
    await using world = await coreWorld()
    await world.begin()
    const token = await enrollToken(world)
    const hosts = await Promise.all(Array.from({ length: 7 }, (_, index) => enrol(world.core, token, `h${index}`)))
    const seen: string[] = []
    for (let cursor: string | null = null, pages = 0; pages < 5; pages++) {
      const page: { items: { host_id: string }[]; next_cursor: string | null } = await world.core.hosts.list({
        limit: 3,
        cursor,
      })
      seen.push(...page.items.map(({ host_id: id }) => id))
      cursor = page.next_cursor
      if (cursor === null) break
    }
    expect(seen).toEqual(hosts.map(({ hostId }) => hostId).sort())
    for (const cursor of [
      'x',
      Buffer.from('[1]').toString('base64url'),
      Buffer.from('["a","b","c"]').toString('base64url'),
    ]) {
      await expect(world.core.hosts.list({ cursor })).rejects.toMatchObject({ code: 'invalid' })
    }
    for (const limit of [0, 501, 1.5])
      await expect(world.core.hosts.list({ limit })).rejects.toMatchObject({ code: 'invalid' })
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

import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import {
  enrol,
  enrollRequest,
  enrollToken,
  hello,
  inventoryReport,
  newHost,
  report,
  signedRequest,
} from './fleet-of-hosts.ts'
import { BY, coreWorld, dbKinds } from './world.ts'

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

  test('the name of a host is nobody else’s until it is forgotten, and a refused machine takes no use', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const { core } = world
    const token = await enrollToken(world, { uses: 10 })
    const left = async () => (await core.tokens.list({})).items.find((one) => one.uses_left !== null)?.uses_left
    const host = await enrol(core, token, 'web-01')
    const bystander = await enrol(core, token, 'web-02')
    const thief = newHost()
    const comes = async (machine: typeof host, name: string) =>
      core.enrolment.enroll(await enrollRequest(machine, token, name))
    const taken = {
      code: 'conflict',
      facts: { reason: 'name-taken', next: expect.arrayContaining([expect.stringContaining('hosts forget web-01')]) },
    }

    await expect(comes(thief, 'web-01')).rejects.toMatchObject(taken)
    await expect(comes(bystander, 'web-01')).rejects.toMatchObject(taken)
    expect(await left()).toBe(8)
    expect((await core.hosts.list({ where: 'name=web-01' })).items.map((one) => one.host_id)).toEqual([host.hostId])

    // The same machine again, also under another name; what it left is free.
    await report(core, host, [inventoryReport(1)])
    await comes(host, 'web-01')
    await comes(host, 'web-03')
    await comes(bystander, 'web-01')
    await core.hosts.forget(host.hostId, BY)
    await comes(thief, 'web-03')
    expect((await core.hosts.show(thief.hostId)).name).toBe('web-03')
  })

  test('of two machines that come with one name at once, by two tokens and servers, one gets it', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const cores = [world.core, await world.another()]
    for (let round = 0; round < 5; round++) {
      const outcomes = await Promise.allSettled(
        cores.map(async (core) =>
          core.enrolment.enroll(await enrollRequest(newHost(), await enrollToken(world), `twin-${round}`)),
        ),
      )
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
      expect(outcomes.find((one) => one.status === 'rejected')).toMatchObject({
        reason: refusedAs('conflict', 'name-taken'),
      })
    }
  })

  test('a host that shared its name with another before names were kept apart goes on under it', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const token = await enrollToken(world)
    const one = await enrol(world.core, token, 'twin')
    const other = await enrol(world.core, token, 'other')
    await world.db.queries.execute(sql`update hosts set name = 'twin' where host_id = ${other.hostId}`)
    for (const host of [one, other]) await world.core.enrolment.enroll(await enrollRequest(host, token, 'twin'))
    await expect(enrol(world.core, token, 'twin')).rejects.toMatchObject(refusedAs('conflict', 'name-taken'))
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
      publicKey: Buffer.from(host.publicKey, 'hex'),
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
    await report(world.core, host, [inventoryReport(1, { version: '0a1' })])
    const rings: unknown[] = []
    world.core.bell.subscribe((ring) => rings.push(ring))
    await world.core.hosts.forget(host.hostId, BY)
    await expect.poll(() => rings).toContainEqual({ type: 'forgotten', hostId: host.hostId })
    await expect(world.core.hosts.authenticateHello(await hello(host, 'n'.repeat(32)))).rejects.toMatchObject({
      code: 'unauthenticated',
    })
    await expect(report(world.core, host, [inventoryReport(2)])).rejects.toMatchObject({
      code: 'unauthenticated',
    })
    expect(await world.core.fleet.summary()).toMatchObject({ hosts: 0, by_version: [], by_channel: [], by_state: [] })
    await expect(world.core.hosts.forget(host.hostId, BY)).rejects.toMatchObject({ code: 'not-found' })
  })
})

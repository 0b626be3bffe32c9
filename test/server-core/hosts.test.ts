import { describe, expect, test } from 'vitest'
import { enrol, enrollToken, inventoryReport, report } from './fleet-of-hosts.ts'
import { type CoreWorld, coreWorld } from './world.ts'

describe('lists of hosts', () => {
  async function fleet(): Promise<CoreWorld & { names: (where: string, group?: string) => Promise<string[]> }> {
    const world = await coreWorld()
    await world.begin()
    const { core } = world
    const [eu, us] = [await enrollToken(world, { group: 'eu' }), await enrollToken(world, { group: 'us' })]
    const versions = ['0a1', '0b1', '0r1', '0a10', null]
    for (const [index, version] of versions.entries()) {
      const host = await enrol(core, index < 3 ? eu : us, `web-${index}`, { labels: { rack: String(index % 2) } })
      await report(core, host, [inventoryReport(1, { version, waiting: index === 4 ? 'disk' : null })])
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

import { describe, expect, test } from 'vitest'
import type { PublishReleases } from '../../schema/rest.ts'
import { BY, coreWorld, dbKinds } from './world.ts'

describe.each(dbKinds)('publishing (%s database)', (kind) => {
  test('the straight line: root, artifact, release; a host follows and finds it', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    await world.publish('0a1')
    const trusted = await world.follow()
    expect(trusted.product).toBe('demo')
    expect((await trusted.loadChannel('alpha')).value.targets.has('alpha/0a1/manifest.json')).toBe(true)
    expect(await world.core.releases.show('0a1')).toMatchObject({
      version: '0a1',
      channel: 'alpha',
      threshold: 1,
      withdrawn: null,
    })
    expect((await world.core.audit.list({})).items.map((entry) => entry.action)).toEqual([
      'release.accept',
      'artifact.store',
      'root.accept',
    ])
  })

  test('the same documents again change nothing', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const { artifact, ...request } = await world.publisher.release('0a1')
    await world.upload(artifact.bytes, artifact.sha256)
    const first = await world.core.publication.acceptReleases(request, BY)
    const second = await world.core.publication.acceptReleases(request, BY)
    expect(first).toMatchObject({ versions: ['0a1'], unchanged: false })
    expect(second).toEqual({ ...first, unchanged: true })
    expect((await world.core.audit.list({ action: 'release.accept' })).items).toHaveLength(1)
  })

  test('a dry run says what would happen and changes nothing', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const { artifact, ...request } = await world.publisher.release('0a1')
    await world.upload(artifact.bytes, artifact.sha256)
    expect(await world.core.publication.acceptReleases({ ...request, dry_run: true }, BY)).toMatchObject({
      versions: ['0a1'],
      unchanged: false,
    })
    expect((await world.core.releases.list({})).items).toEqual([])
    expect(await world.core.publication.acceptReleases(request, BY)).toMatchObject({
      versions: ['0a1'],
      unchanged: false,
    })
  })

  test('of two publishers at once both or one get in, and what is published is whole', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const other = await world.another()
    const requests: PublishReleases[] = []
    for (const version of ['0a1', '0b1']) {
      const { artifact, ...request } = await world.publisher.release(version)
      await world.upload(artifact.bytes, artifact.sha256)
      requests.push(request)
    }
    await Promise.all(
      [world.core, other].map((core, index) => core.publication.acceptReleases(requests[index] ?? expect.fail(), BY)),
    )
    const trusted = await world.follow()
    expect((await trusted.loadChannel('alpha')).value.targets.size).toBe(1)
    expect((await trusted.loadChannel('beta')).value.targets.size).toBe(1)
  })
})

describe('withdrawing and moving releases', () => {
  test('a withdrawn version is no longer the newest, may leave the list, and can come back', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    await world.publish('0a2')
    const { publisher, core } = world
    const submit = async () =>
      core.publication.acceptReleases(
        { metadata: { alpha: await publisher.channel('alpha') }, manifests: {}, dry_run: false },
        BY,
      )
    publisher.withdrawn.alpha.push({
      version: '0a2',
      reason: 'eats data',
      severity: 'critical',
      replace_with: null,
      at: '2026-11-23T10:00:00Z',
    })
    await submit()
    expect(await core.releases.newest('alpha')).toBe('0a1')
    expect(await core.releases.show('0a2')).toMatchObject({ withdrawn: { reason: 'eats data', severity: 'critical' } })
    publisher.withdrawn.alpha.length = 0
    await submit()
    expect(await core.releases.newest('alpha')).toBe('0a2')
    publisher.withdrawn.alpha.push({
      version: '0a2',
      reason: 'eats data',
      severity: 'critical',
      replace_with: null,
      at: '2026-11-23T10:00:00Z',
    })
    publisher.listed.alpha = Object.fromEntries(
      Object.entries(publisher.listed.alpha ?? {}).filter(([path]) => !path.includes('/0a2/')),
    )
    await submit()
    expect(await core.releases.newest('alpha')).toBe('0a1')
  })

  test('a release moves from its channel to a line of older ones', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    await world.publish('0a2')
    const { publisher, core } = world
    const path = 'alpha/0a1/manifest.json'
    const entry = publisher.listed.alpha?.[path]
    publisher.listed['alpha-0-0'] = entry ? { [path]: entry } : {}
    delete publisher.listed.alpha?.[path]
    publisher.lines.push('alpha-0-0')
    await expect(
      core.publication.acceptReleases(
        { metadata: { alpha: await publisher.channel('alpha') }, manifests: {}, dry_run: false },
        BY,
      ),
    ).rejects.toMatchObject({ code: 'unverified' })
    const metadata = { alpha: await publisher.channel('alpha'), 'alpha-0-0': await publisher.line('alpha-0-0') }
    expect(await core.publication.acceptReleases({ metadata, manifests: {}, dry_run: false }, BY)).toMatchObject({
      unchanged: false,
    })
    expect(await (await world.follow()).findTarget(path)).toMatchObject({ role: 'alpha-0-0' })
  })
})

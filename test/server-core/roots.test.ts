import { describe, expect, test } from 'vitest'
import { newKey, TestPublisher } from './publisher.ts'
import { BY, coreWorld } from './world.ts'

describe('roots', () => {
  test('before there is one, nothing can be published', async () => {
    await using world = await coreWorld()
    const { artifact: _, ...request } = await world.publisher.release('0a1')
    await expect(world.core.publication.acceptReleases(request, BY)).rejects.toMatchObject({
      code: 'conflict',
      facts: { reason: 'no-root' },
    })
    expect(await world.core.publication.state()).toMatchObject({ product: null, root_version: 0, timestamp_version: 0 })
  })

  test('the first one has to name this server’s own online keys', async () => {
    await using world = await coreWorld()
    const foreign = new TestPublisher({ snapshot: [newKey()], timestamp: world.signers.timestamp }, world.clock.now)
    await expect(
      world.core.publication.acceptRoot({ roots: [await foreign.root()], targets: await foreign.targets() }, BY),
    ).rejects.toMatchObject({
      code: 'refused',
      facts: { reason: 'foreign-online-keys' },
    })
    expect(await world.core.publication.state()).toMatchObject({ root_version: 0 })
    await world.begin()
    expect(await world.core.publication.state()).toMatchObject({ product: 'demo', root_version: 1 })
  })

  test('a second first one is a conflict, the same one again is not', async () => {
    await using world = await coreWorld()
    const { core, publisher } = world
    const [root, targets] = [await publisher.root(), await publisher.targets()]
    await core.publication.acceptRoot({ roots: [root], targets }, BY)
    const before = await core.publication.state()
    expect(await core.publication.acceptRoot({ roots: [root], targets }, BY)).toEqual(before)
    const other = new TestPublisher(world.signers, world.clock.now)
    await expect(core.publication.acceptRoot({ roots: [await other.root()], targets: null }, BY)).rejects.toMatchObject(
      { code: 'conflict', facts: { reason: 'other-root' } },
    )
  })

  test('new root keys come along the chain, signed by old and new', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    const { core, publisher } = world
    const [old] = publisher.rootKeys
    publisher.rootKeys[0] = newKey()
    const lonely = await publisher.root()
    publisher.versions.root = 1
    const both = await publisher.root({ alsoBy: old ? [old] : [] })
    await expect(core.publication.acceptRoot({ roots: [lonely], targets: null }, BY)).rejects.toMatchObject({
      code: 'unverified',
      facts: { reason: 'unsigned' },
    })
    // targets is signed by the root keys: with the old signature it would not verify any more.
    await expect(core.publication.acceptRoot({ roots: [both], targets: null }, BY)).rejects.toMatchObject({
      code: 'unverified',
      facts: { reason: 'unsigned' },
    })
    await core.publication.acceptRoot({ roots: [both], targets: await publisher.targets() }, BY)
    const trusted = await world.follow()
    expect(trusted.root.value.version).toBe(2)
    expect((await trusted.loadChannel('alpha')).value.targets.size).toBe(1)
  })

  test('a gap in the chain, another product, an expired root and one that holds for more than a year are refused', async () => {
    await using world = await coreWorld()
    await world.begin()
    const { core, publisher } = world
    const attempt = async (root: string) => core.publication.acceptRoot({ roots: [root], targets: null }, BY)
    publisher.versions.root = 2
    await expect(attempt(await publisher.root())).rejects.toMatchObject({
      code: 'unverified',
      facts: { reason: 'wrong-version' },
    })
    publisher.versions.root = 1
    await expect(
      attempt(await publisher.root({ edit: (signed) => ({ ...signed, product: 'other' }) })),
    ).rejects.toMatchObject({ code: 'refused', facts: { reason: 'foreign' } })
    publisher.versions.root = 1
    await expect(attempt(await publisher.root({ days: -1 }))).rejects.toMatchObject({
      code: 'unverified',
      facts: { reason: 'expired' },
    })
    publisher.versions.root = 1
    await expect(attempt(await publisher.root({ days: 367 }))).rejects.toMatchObject({
      code: 'refused',
      facts: { reason: 'wrong-expiry' },
    })
    publisher.versions.root = 1
    await attempt(await publisher.root())
    expect(await core.publication.state()).toMatchObject({ root_version: 2 })
  })
})

import { describe, expect, test } from 'vitest'
import type { PublishReleases } from '../../schema/rest.ts'
import { newKey, TestPublisher } from './publisher.ts'
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

describe('what a server refuses, and the same story one edit away', () => {
  const refused = async (
    make: (publisher: TestPublisher) => ReturnType<TestPublisher['release']>,
    refusal: object,
    control: (publisher: TestPublisher) => ReturnType<TestPublisher['release']>,
    options: { readonly published?: readonly string[]; readonly uploads?: boolean } = {},
  ) => {
    await using world = await coreWorld()
    await world.begin()
    for (const version of options.published ?? []) await world.publish(version)
    const before = world.core.publication.published()
    const attempt = await make(world.publisher)
    if (options.uploads !== false) await world.upload(attempt.artifact.bytes, attempt.artifact.sha256)
    const { artifact: _, ...request } = attempt
    await expect(world.core.publication.acceptReleases(request, BY)).rejects.toMatchObject(refusal)
    expect(world.core.publication.published()).toEqual(before)
    expect((await world.core.releases.list({})).items.map(({ version }) => version).sort()).toEqual(
      [...(options.published ?? [])].sort(),
    )
    const good = await control(world.publisher)
    await world.upload(good.artifact.bytes, good.artifact.sha256)
    const { artifact: __, ...goodRequest } = good
    await world.core.publication.acceptReleases(goodRequest, BY)
    await world.follow()
  }
  test('unsigned: another key signed the channel', () =>
    refused(
      (publisher) => publisher.release('0a1', { by: [newKey()] }),
      { code: 'unverified', facts: { reason: 'unsigned' } },
      (publisher) => publisher.release('0a1'),
    ))

  test('one signature where two are needed', async () => {
    await using world = await coreWorld()
    world.publisher.channelKeys.alpha.push(newKey())
    world.publisher.channelThreshold = 2
    await world.begin()
    const [one] = world.publisher.channelKeys.alpha
    const { artifact, ...request } = await world.publisher.release('0a1', { by: one ? [one] : [] })
    await world.upload(artifact.bytes, artifact.sha256)
    await expect(world.core.publication.acceptReleases(request, BY)).rejects.toMatchObject({
      code: 'unverified',
      facts: { reason: 'unsigned', expected: '2', actual: '1' },
    })
    const again = await world.publisher.release('0a1', { artifact })
    await world.core.publication.acceptReleases(
      { metadata: again.metadata, manifests: again.manifests, dry_run: false },
      BY,
    )
    expect((await world.core.releases.show('0a1')).signed_by).toHaveLength(2)
  })

  test('an artifact that is not here', () =>
    refused(
      (publisher) => publisher.release('0a1'),
      { code: 'refused', facts: { reason: 'missing-artifact' } },
      (publisher) => publisher.release('0a1'),
      { uploads: false },
    ))

  test('an artifact of another length than its manifest says', () =>
    refused(
      (publisher) =>
        publisher.release('0a1', {
          manifest: TestPublisher.withArtifact({ length: 999 }),
        }),
      { code: 'refused', facts: { reason: 'wrong-artifact' } },
      (publisher) => publisher.release('0a1'),
    ))

  test('an artifact of another SHA-512 than its manifest says', () =>
    refused(
      (publisher) =>
        publisher.release('0a1', {
          manifest: TestPublisher.withArtifact({ sha512: '0'.repeat(128) }),
        }),
      { code: 'refused', facts: { reason: 'wrong-artifact' } },
      (publisher) => publisher.release('0a1'),
    ))

  test('a manifest of another product', () =>
    refused(
      (publisher) => publisher.release('0a1', { manifest: (manifest) => ({ ...manifest, product: 'other' }) }),
      { code: 'unverified', facts: { reason: 'foreign' } },
      (publisher) => publisher.release('0a1'),
    ))

  test('a manifest that was changed after it was signed', () =>
    refused(
      async (publisher) => {
        const release = await publisher.release('0a1')
        return {
          ...release,
          manifests: {
            'alpha/0a1/manifest.json':
              release.manifests['alpha/0a1/manifest.json']?.replace('all about', 'lie about') ?? '',
          },
        }
      },
      { code: 'unverified', facts: { reason: 'hash' } },
      (publisher) => publisher.release('0a1'),
    ))

  test('a manifest that was not handed in', () =>
    refused(
      async (publisher) => ({ ...(await publisher.release('0a1')), manifests: {} }),
      { code: 'refused', facts: { reason: 'missing-manifest' } },
      (publisher) => publisher.release('0a1'),
    ))

  test('a version below the newest of its channel', () =>
    refused(
      (publisher) => publisher.release('0a1'),
      { code: 'refused', facts: { reason: 'downgrade', actual: '0a1' } },
      (publisher) => {
        publisher.listed.alpha = Object.fromEntries(
          Object.entries(publisher.listed.alpha ?? {}).filter(([path]) => path.includes('/0a2/')),
        )
        return publisher.release('0a3')
      },
      { published: ['0a2'] },
    ))

  test('another manifest for a version that is here', () =>
    refused(
      (publisher) => publisher.release('0a1'),
      { code: 'refused', facts: { reason: 'changed-manifest' } },
      async (publisher) => publisher.release('0b1'),
      { published: ['0a1'] },
    ))

  test('a channel that forgets a release', () =>
    refused(
      (publisher) => {
        publisher.listed.alpha = {}
        return publisher.release('0a2')
      },
      { code: 'unverified', facts: { reason: 'not-delegated' } },
      (publisher) => publisher.release('0b1'),
      { published: ['0a1'] },
    ))

  test('an expired role document', () =>
    refused(
      (publisher) => publisher.release('0a1', { days: -1 }),
      { code: 'unverified', facts: { reason: 'expired' } },
      (publisher) => publisher.release('0a1'),
    ))

  test('a role document that was replaced meanwhile, replayed', async () => {
    await using world = await coreWorld()
    await world.begin()
    const first = await world.publisher.release('0a1')
    await world.upload(first.artifact.bytes, first.artifact.sha256)
    const request = { metadata: first.metadata, manifests: first.manifests, dry_run: false }
    await world.core.publication.acceptReleases(request, BY)
    await world.publish('0a2')
    await expect(world.core.publication.acceptReleases(request, BY)).rejects.toMatchObject({
      code: 'refused',
      facts: { reason: 'rollback' },
    })
    await world.publish('0a3')
  })

  test('a role that is none of ours', async () => {
    await using world = await coreWorld()
    await world.begin()
    const document = await world.publisher.channel('alpha')
    for (const role of ['root', 'snapshot', 'timestamp', '../x', 'alpha-0-7', 'gamma']) {
      await expect(
        world.core.publication.acceptReleases({ metadata: { [role]: document }, manifests: {}, dry_run: false }, BY),
      ).rejects.toMatchObject({
        code: 'refused',
        facts: { reason: 'wrong-role' },
      })
    }
    await world.core.publication.acceptReleases({ metadata: { alpha: document }, manifests: {}, dry_run: false }, BY)
  })

  test('garbage instead of a document', async () => {
    await using world = await coreWorld()
    await world.begin()
    for (const garbage of [
      '',
      '{',
      '[]',
      '{"signed":{},"signatures":[]}',
      '{"signed":{"version":1,"version":2},"signatures":[]}',
    ]) {
      await expect(
        world.core.publication.acceptReleases({ metadata: { alpha: garbage }, manifests: {}, dry_run: false }, BY),
      ).rejects.toMatchObject({ code: 'unverified' })
    }
    await world.publish('0a1')
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

  test('a gap in the chain, another product and an expired root are refused', async () => {
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
    await attempt(await publisher.root())
    expect(await core.publication.state()).toMatchObject({ root_version: 2 })
  })
})

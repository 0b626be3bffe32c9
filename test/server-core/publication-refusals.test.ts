import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../keys/json.ts'
import type { Signer } from '../../keys/signer.ts'
import { lineRolePatterns } from '../../schema/release-path.ts'
import { newKey, TestPublisher } from './publisher.ts'
import { BY, coreWorld } from './world.ts'

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

  test('a channel that would hold for more than a year', () =>
    refused(
      (publisher) => publisher.release('0a1', { days: 367 }),
      { code: 'refused', facts: { reason: 'wrong-expiry' } },
      (publisher) => publisher.release('0a1', { days: 365 }),
    ))

  const smuggled: readonly [string, Parameters<typeof withLine>[2]][] = [
    ['to a role that is no line', { name: 'alpha-9', paths: ['alpha/*/manifest.json'] }],
    ['to a line for all paths', { name: 'alpha-0-50', paths: ['alpha/*/manifest.json'] }],
    ['to a line that does not end the search', { name: 'alpha-0-50', terminating: false }],
    ['to a line that somebody else signs', { name: 'alpha-0-50', by: newKey() }],
  ]
  test.each(smuggled)('a channel that delegates %s', (_what, line) =>
    refused(
      (publisher) => publisher.release('0a1', { edit: (signed) => withLine(publisher, signed, line) }),
      { code: 'unverified', facts: { reason: 'bad-delegation' } },
      (publisher) =>
        publisher.release('0a1', { edit: (signed) => withLine(publisher, signed, { name: 'alpha-0-50' }) }),
    ),
  )

  test('a channel that takes a version of another one back', () =>
    refused(
      (publisher) => {
        publisher.withdrawn.alpha.push(takenBack('0r1'))
        return publisher.release('0a1')
      },
      { code: 'unverified', facts: { reason: 'malformed' } },
      (publisher) => {
        publisher.withdrawn.alpha.splice(0, 1, takenBack('0a9'))
        return publisher.release('0a1')
      },
    ))

  test('a line that delegates on', async () => {
    await using world = await coreWorld()
    await world.begin()
    const { publisher } = world
    await world.publish('0a1')
    const line = (edit?: (signed: JsonObject) => JsonObject) => {
      publisher.lines.splice(0, publisher.lines.length, 'alpha-0-0')
      publisher.listed['alpha-0-0'] = { ...publisher.listed['alpha-0-0'], ...publisher.listed.alpha }
      publisher.listed.alpha = {}
      return publisher.line('alpha-0-0', edit)
    }
    const offer = async (edit?: (signed: JsonObject) => JsonObject) => {
      const metadata = { 'alpha-0-0': await line(edit), alpha: await publisher.channel('alpha') }
      return world.core.publication.acceptReleases({ metadata, manifests: {}, dry_run: false }, BY)
    }
    await expect(offer((signed) => withLine(publisher, signed, { name: 'alpha-0-50' }))).rejects.toMatchObject({
      code: 'unverified',
      facts: { reason: 'bad-delegation' },
    })
    await offer()
    await world.follow()
  })

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

  const madeAt = (time: string) => ({ manifest: (manifest: JsonObject) => ({ ...manifest, released_at: time }) })
  const listedAt = (time: string) => ({
    edit: (signed: JsonObject) => {
      const path = 'alpha/0a1/manifest.json'
      const targets = signed.targets as Record<string, { readonly custom: JsonObject }>
      const entry = targets[path]
      return {
        ...signed,
        targets: { ...targets, [path]: { ...entry, custom: { ...entry?.custom, released_at: time } } },
      }
    },
  })
  const notYet = { code: 'refused', facts: { reason: 'not-yet-valid', actual: '2099-01-01T00:00:00Z' } }

  // Two of three holders signed what a third had dated so, and every host that believed its clock stood still.
  test.each([
    ['by its manifest', madeAt],
    ['by its channel, which is what hosts go by', listedAt],
  ])('a release of the year 2099, %s; one of five minutes from now is a matter of clocks', (_what, at) =>
    refused(
      (publisher) => publisher.release('0a1', at('2099-01-01T00:00:00Z')),
      notYet,
      (publisher) => publisher.release('0a1', at('2026-11-23T10:05:00Z')),
    ),
  )

  test('a release of the year 2099, but not one that is withdrawn along with it: no host minds it, and a lost server gets it again', () =>
    refused(
      (publisher) => publisher.release('0a1', listedAt('2099-01-01T00:00:00Z')),
      notYet,
      (publisher) => {
        const why = {
          reason: 'a wrong clock',
          severity: 'high' as const,
          replace_with: null,
          at: '2026-11-23T10:00:00Z',
        }
        publisher.withdrawn.alpha = [{ version: '0a1', ...why }]
        return publisher.release('0a1', listedAt('2099-01-01T00:00:00Z'))
      },
    ))

  test('a release of the year 2099; what was made years ago is what a lost server is handed again', () =>
    refused(
      (publisher) => publisher.release('0a1', madeAt('2099-01-01T00:00:00Z')),
      notYet,
      (publisher) => publisher.release('0a1', madeAt('2020-01-01T00:00:00Z')),
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

const takenBack = (version: string) =>
  ({ version, reason: 'so', severity: 'low', replace_with: null, at: '2026-11-23T10:00:00Z' }) as const

/** The document with one delegation more: a line with the channel's keys, unless said otherwise. */
function withLine(
  { channelKeys }: TestPublisher,
  signed: JsonObject,
  line: { readonly name: string; readonly paths?: string[]; readonly terminating?: boolean; readonly by?: Signer },
): JsonObject {
  const { name, paths = lineRolePatterns(name), terminating = true, by } = line
  const signers = by ? [by] : channelKeys.alpha
  const keyids = signers.map(({ publicKey }) => publicKey.keyid)
  const keys = Object.fromEntries(signers.map(({ publicKey }) => [publicKey.keyid, publicKey.object]))
  return { ...signed, delegations: { keys, roles: [{ name, keyids, threshold: 1, terminating, paths }] } }
}

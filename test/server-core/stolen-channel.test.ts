// A thief of a channel's threshold, with a publish token, signs what nobody can count on from: the number of a role, or the version of a release.
import { createHash } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../keys/json.ts'
import type { PublishReleases } from '../../schema/rest.ts'
import { signSnapshot, signTimestamp } from '../../server/core/online-roles.ts'
import { repositoryKeys } from '../../server/core/repository.ts'
import { loadAccepted } from '../../server/core/role-documents.ts'
import { newKey } from './publisher.ts'
import { BY, type CoreWorld, coreWorld } from './world.ts'

const HIGHEST = `999999999999999a999999999999999+${'z'.repeat(64)}`
const outOfReach = { code: 'refused', facts: { reason: 'out-of-reach' } }

const alphaVersion = async ({ db }: CoreWorld) => (await loadAccepted(db)).roles.get('alpha')?.version

/** Everything as it is, under this number of alpha's role. */
async function signAlpha({ publisher }: CoreWorld, version: number): Promise<PublishReleases> {
  publisher.versions.alpha = version - 1
  return { metadata: { alpha: await publisher.channel('alpha') }, manifests: {}, dry_run: false }
}

/** docs/runbooks/channel-threshold.md, step 3: new channel keys, a new root and targets, and the channel signed by the new keys, in one step. */
async function replaceAlphaKeys({ core, publisher }: CoreWorld): Promise<void> {
  publisher.channelKeys.alpha = [newKey()]
  const [root, targets, alpha] = [await publisher.root(), await publisher.targets(), await publisher.channel('alpha')]
  await core.publication.acceptRoot({ roots: [root], targets, metadata: { alpha } }, BY)
}

async function withdraw({ core, publisher }: CoreWorld, version: string): Promise<void> {
  publisher.withdrawn.alpha.push(withdrawal(version))
  const alpha = await publisher.channel('alpha')
  await core.publication.acceptReleases({ metadata: { alpha }, manifests: {}, dry_run: false }, BY)
}

describe('T44 the number of a role that was driven up', () => {
  test.each([100_002, 2 ** 31 - 1, 2 ** 31, Number.MAX_SAFE_INTEGER])(
    'to %d is refused, and the channel goes on under new keys',
    async (number) => {
      await using world = await coreWorld()
      await world.begin()
      await world.publish('0a1')
      const { core, publisher } = world
      const request = await signAlpha(world, number)
      await expect(core.publication.acceptReleases(request, BY)).rejects.toMatchObject(outOfReach)
      expect(await alphaVersion(world)).toBe(1)

      publisher.versions.alpha = 1
      await replaceAlphaKeys(world)
      await world.publish('0a2')
      expect((await (await world.follow()).loadChannel('alpha')).value.version).toBe(3)
    },
  )

  test('as far as a restored server may lag behind is taken, and its owners count on from there', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    await world.core.publication.acceptReleases(await signAlpha(world, 100_001), BY)
    expect(await alphaVersion(world)).toBe(100_001)
    await replaceAlphaKeys(world)
    await world.publish('0a2')
    expect((await (await world.follow()).loadChannel('alpha')).value.version).toBe(100_003)
  })

  test('by leaps, before the server was put back from a backup, comes back with the root that ended it', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    const { core } = world
    const far = await signAlpha(world, 500_000)
    await expect(core.publication.acceptReleases(far, BY)).rejects.toMatchObject(outOfReach)
    await replaceAlphaKeys(world)
    expect(await alphaVersion(world)).toBe(500_001)
    await world.publish('0a2')
    expect((await (await world.follow()).loadChannel('alpha')).value.version).toBe(500_002)
  })

  test('to the end is refused with a new root too', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    const { core, publisher } = world
    const { metadata } = await signAlpha(world, Number.MAX_SAFE_INTEGER)
    const roots = [await publisher.root()]
    await expect(core.publication.acceptRoot({ roots, targets: null, metadata }, BY)).rejects.toMatchObject(outOfReach)
    await core.publication.acceptRoot(
      { roots, targets: null, metadata: (await signAlpha(world, 2 ** 40)).metadata },
      BY,
    )
    expect(await alphaVersion(world)).toBe(2 ** 40)
  })

  test('before there was a bound goes on too, past 32 bits', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    const end = 2 ** 31 - 1
    const alpha = Buffer.from((await signAlpha(world, end)).metadata.alpha ?? '')
    await world.db.queries.execute(sql`insert into role_documents select role, ${end}, ${alpha}, ${sha256(alpha)},
      ${alpha.length}, expires, signed_by, threshold, accepted_at from role_documents where role = 'alpha'`)
    await world.db.queries.execute(sql`update roles set version = ${end} where role = 'alpha'`)
    await replaceAlphaKeys(world)
    await world.publish('0a2')
    expect((await (await world.follow()).loadChannel('alpha')).value.version).toBe(end + 2)
  })

  test('in the published files is not taken in at start', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    const { clock, signers, blobs } = world
    const start = async (number: number) => {
      const alpha = Buffer.from((await signAlpha(world, number)).metadata.alpha ?? '')
      const { roles } = await loadAccepted(world.db)
      const targets = roles.get('targets')?.bytes ?? expect.fail('no targets')
      const meta = {
        'targets.json': entry(1, targets),
        'alpha.json': entry(number, alpha),
      }
      const expires = new Date(clock.now().getTime() + 86_400_000)
      const snapshot = await signSnapshot(signers.snapshot, 50, meta, expires)
      await put(`${number}.alpha.json`, alpha)
      await put('50.snapshot.json', snapshot)
      await put('timestamp.json', await signTimestamp(signers.timestamp, 50, { version: 50, bytes: snapshot }, expires))
      await (await world.another()).start()
      return (await loadAccepted(world.db)).roles
    }
    const put = (file: string, bytes: Uint8Array) =>
      blobs.put(repositoryKeys.metadata(file), bytes, { length: bytes.length, sha256: sha256(bytes), immutable: false })

    expect((await start(Number.MAX_SAFE_INTEGER)).get('alpha')?.version).toBe(1)
    expect(world.logged).toContainEqual(
      expect.objectContaining({
        event: 'repository.not_recovered',
        fields: { message: expect.stringMatching(/too far/) },
      }),
    )
    expect((await start(7)).get('alpha')?.version).toBe(7)
  })
})

describe('a remark that keeps every host where it is', () => {
  test.each([
    ['dead_ends', 'dead_end'],
    ['barriers', 'barrier'],
  ] as const)('in %s is refused where no manifest says so, and stays where one does', async (list, fact) => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    const { core, publisher } = world
    const remarkOn = (...versions: string[]) => {
      const edit = (signed: JsonObject): JsonObject => ({
        ...signed,
        channel: { ...(signed.channel as JsonObject), [list]: versions.map((version) => ({ version, reason: 'so' })) },
      })
      return { edit }
    }
    const alone = async (...versions: string[]) => {
      const alpha = await publisher.channel('alpha', remarkOn(...versions))
      return core.publication.acceptReleases({ metadata: { alpha }, manifests: {}, dry_run: false }, BY)
    }
    const wrongRemark = { code: 'refused', facts: { reason: 'wrong-remark' } }
    await expect(alone('0a1')).rejects.toMatchObject(wrongRemark)
    await expect(alone('0a7')).rejects.toMatchObject(wrongRemark)

    const manifest = (signed: JsonObject): JsonObject => ({ ...signed, compatibility: { [fact]: { reason: 'so' } } })
    const { artifact, ...request } = await publisher.release('0a2', { ...remarkOn('0a2'), manifest })
    await world.upload(artifact.bytes, artifact.sha256)
    await core.publication.acceptReleases(request, BY)
    await alone('0a2')
    await expect(alone('0a1', '0a2')).rejects.toMatchObject(wrongRemark)
    await world.follow()
  })
})

describe('a release that is named as high as names go', () => {
  test('blocks what comes below it only until it is withdrawn', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    await world.publish(HIGHEST)
    const { core, publisher } = world
    const listed = { ...publisher.listed }
    await expect(world.publish('0a2')).rejects.toMatchObject({ code: 'refused', facts: { reason: 'downgrade' } })
    publisher.listed.alpha = listed.alpha ?? {}
    publisher.versions.alpha = 2
    await withdraw(world, HIGHEST)
    await replaceAlphaKeys(world)
    await world.publish('0a2')
    const releases = (await core.releases.list({})).items.map(({ version }) => version)
    expect(releases.sort()).toEqual(['0a1', '0a2', HIGHEST])
    const { artifact, ...older } = await publisher.release('0a1+hotfix')
    await world.upload(artifact.bytes, artifact.sha256)
    await expect(core.publication.acceptReleases(older, BY)).rejects.toMatchObject({ facts: { reason: 'downgrade' } })
  })

  test('is never free for other bytes, withdrawn or not', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    await world.publish('0a9')
    await withdraw(world, '0a9')
    await expect(world.publish('0a9')).rejects.toMatchObject({ facts: { reason: 'changed-manifest' } })
  })

  test('may be withdrawn along with the release that comes below it, and not reinstated along with it', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a9')
    const { core, publisher } = world
    publisher.withdrawn.alpha.push(withdrawal('0a9'))
    await world.publish('0a2')
    publisher.withdrawn.alpha = []
    await expect(world.publish('0a3')).rejects.toMatchObject({ facts: { reason: 'downgrade' } })
    expect((await core.releases.list({})).items).toHaveLength(2)
  })
})

const withdrawal = (version: string) =>
  ({ version, reason: 'so', severity: 'high', replace_with: null, at: '2026-11-23T10:00:00Z' }) as const

function entry(version: number, bytes: Uint8Array) {
  return { version, length: bytes.length, hashes: { sha256: sha256(bytes) } }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

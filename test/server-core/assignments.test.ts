// What the server directs hosts to do: signed by its director, as far as the offline-signed targets role lets it, and refused where a host would refuse.
import { createHash } from 'node:crypto'
import { eq } from 'drizzle-orm'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { verifyAddressed, verifyAssignment } from '../../keys/assignment.ts'
import { signDocument } from '../../keys/document.ts'
import type { JsonObject } from '../../keys/json.ts'
import type { Signer } from '../../keys/signer.ts'
import { newAssignmentShape } from '../../schema/assignment.ts'
import { hosts } from '../../schema/db/tables.ts'
import { buildCore } from '../../server/core/build-core.ts'
import type { Ring } from '../../server/core/core.ts'
import { DEFAULT_LIFETIMES_MS } from '../../server/core/online-roles.ts'
import { enrol, enrollRequest, enrollToken, newHost, type TestHost } from './fleet-of-hosts.ts'
import { newKey } from './publisher.ts'
import { BY, type CoreWorld, coreWorld, dbKinds } from './world.ts'

const to = (version: string, more: object = {}) => newAssignmentShape.parse({ version, ...more })

describe.each(dbKinds)('assignments (%s database)', (kind) => {
  let world: CoreWorld
  let host: TestHost

  beforeEach(async () => {
    world = await coreWorld(kind)
    await world.begin()
    await world.publish('0a1')
    await world.publish('0a2')
    host = await enrol(world.core, await enrollToken(world), 'web-1')
    return () => world[Symbol.asyncDispose]()
  })

  /** As its last report said. */
  const runs = async (version: string) => {
    await world.db.queries.update(hosts).set({ version }).where(eq(hosts.hostId, host.hostId))
  }

  async function obeyed(document: string | null) {
    const { targets } = await world.follow()
    const assignment = verifyAssignment(targets, Buffer.from(document ?? ''))
    verifyAddressed(assignment, { product: 'demo', hostId: host.hostId, at: world.clock.now() })
    return assignment.value
  }

  test('are what their host verifies, kept with a rising number, and in the audit log', async () => {
    const { core } = world
    expect(await core.assignments.document(host.hostId)).toBeNull()
    const first = await core.assignments.assign(host.hostId, to('0a1', { rollout: 'wave 1' }), BY)
    expect(first).toMatchObject({ name: 'web-1', action: 'update', version: '0a1', rollout: 'wave 1' })
    const document = await core.assignments.document(host.hostId)
    expect(await obeyed(document)).toMatchObject({ action: 'update', version: '0a1', sequence: first.sequence })

    const second = await core.assignments.assign(host.hostId, to('0a2'), BY)
    expect(second.sequence).toBeGreaterThan(first.sequence)
    expect(await core.assignments.show(host.hostId)).toEqual(second)
    const { items } = await core.audit.list({ action: 'host.assign' })
    expect(items.map(({ subject, reason }) => [subject, reason])).toEqual([
      [host.hostId, 'a test'],
      [host.hostId, 'a test'],
    ])
    expect(items[0]).toMatchObject({ before: { version: '0a1' }, after: { version: '0a2', sequence: second.sequence } })
  })

  test('end with one of nothing, and nothing twice is no news', async () => {
    const { core } = world
    await expect(core.assignments.withdraw(host.hostId, BY)).rejects.toMatchObject({ code: 'not-found' })
    const first = await core.assignments.assign(host.hostId, to('0a1'), BY)
    const none = await core.assignments.withdraw(host.hostId, BY)
    expect(none).toMatchObject({ action: 'none', version: null })
    expect(none.sequence).toBeGreaterThan(first.sequence)
    expect(await obeyed(await core.assignments.document(host.hostId))).toMatchObject({ action: 'none' })
    expect(await core.assignments.withdraw(host.hostId, BY)).toEqual(none)
  })

  test('with dry run nothing is kept, nothing is rung and nothing is in the audit log', async () => {
    const { core } = world
    const rings: Ring[] = []
    core.bell.subscribe((ring) => rings.push(ring))
    expect(await core.assignments.assign(host.hostId, to('0a1'), { ...BY, dryRun: true })).toMatchObject({
      version: '0a1',
    })
    expect(await core.assignments.document(host.hostId)).toBeNull()
    expect((await core.audit.list({ action: 'host.assign' })).items).toEqual([])
    expect(rings.filter(({ type }) => type === 'assignment')).toEqual([])
    await core.assignments.assign(host.hostId, to('0a1'), BY)
    await expect.poll(() => rings).toContainEqual({ type: 'assignment', hostId: host.hostId })
  })

  test('of a host that was forgotten go with it, and numbers go on where it comes back', async () => {
    const { core, clock } = world
    const first = await core.assignments.assign(host.hostId, to('0a1'), BY)
    await core.hosts.forget(host.hostId, BY)
    await expect(core.assignments.show(host.hostId)).rejects.toMatchObject({ code: 'not-found' })
    clock.advance({ seconds: 2 })
    const token = await enrollToken(world)
    const again = await enrol(core, token, 'web-1')
    const second = await core.assignments.assign(again.hostId, to('0a1'), BY)
    expect(second.sequence).toBeGreaterThan(first.sequence)
  })

  test('an enrolment hands over the newest role of its channel, as it was signed', async () => {
    const { core } = world
    const token = await enrollToken(world)
    const ask = async (channel: 'alpha' | 'beta') => {
      const machine = newHost()
      return core.enrolment.enroll(await enrollRequest(machine, token, `new-${channel}`, { channel }))
    }
    const { channel_role } = await ask('alpha')
    const published = await world.blobs.read(`repo/metadata/${world.publisher.versions.alpha}.alpha.json`, 1 << 20)
    expect(channel_role).toBe(Buffer.from(published ?? '').toString('utf8'))
    expect(channel_role).toContain('0a2')
    expect((await ask('beta')).channel_role).toBeNull()
  })

  test('two at once get two numbers', async () => {
    const { core } = world
    const both = await Promise.all([
      core.assignments.assign(host.hostId, to('0a1'), BY),
      core.assignments.assign(host.hostId, to('0a2'), BY),
    ])
    expect(new Set(both.map(({ sequence }) => sequence)).size).toBe(2)
    const last = both.toSorted((a, b) => a.sequence - b.sequence).at(-1)
    expect(await core.assignments.show(host.hostId)).toEqual(last)
  })

  test.each([
    ['a version that is not published', { version: '0a9' }, 'not-found', undefined],
    ['an end that is over', { version: '0a1', expires: '2020-01-01T00:00:00Z' }, 'invalid', undefined],
    ['an end in two years', { version: '0a1', expires: '2028-12-01T00:00:00Z' }, 'invalid', undefined],
    [
      'an end before its beginning',
      { version: '0a1', not_before: '2026-12-03T00:00:00Z', expires: '2026-12-02T00:00:00Z' },
      'invalid',
      undefined,
    ],
    ['a way down without an authorisation', { version: '0a1' }, 'refused', 'rollback'],
    ['an authorisation that is none', { version: '0a1', authorization: '{}' }, 'unverified', 'malformed'],
  ] as const)('%s is refused', async (_words, request, code, reason) => {
    const { core } = world
    await runs('0a2')
    const refusal = core.assignments.assign(host.hostId, newAssignmentShape.parse(request), BY)
    await expect(refusal).rejects.toMatchObject({ code, ...(reason ? { facts: { reason } } : {}) })
    expect(await core.assignments.document(host.hostId)).toBeNull()
    // The control: what it runs is what it may be pinned to.
    expect(
      await core.assignments.assign(host.hostId, to('0a2', { expires: '2026-12-02T00:00:00Z' }), BY),
    ).toMatchObject({
      version: '0a2',
    })
  })

  test('a host of another channel, or a release for another machine, is refused', async () => {
    const { core, publisher } = world
    const token = await enrollToken(world)
    const stable = await enrol(core, token, 'stable', { channel: 'release' })
    await expect(core.assignments.assign(stable.hostId, to('0a1'), BY)).rejects.toMatchObject({
      code: 'refused',
      facts: { reason: 'channel' },
    })
    const { artifact, ...release } = await publisher.release('0a3', {
      manifest: (manifest) => {
        const [first] = manifest.artifacts as JsonObject[]
        return { ...manifest, artifacts: [{ ...first, platform: 'linux-arm64' }] }
      },
      edit: (signed) => signed,
    })
    await world.upload(artifact.bytes, artifact.sha256)
    await core.publication.acceptReleases(release, BY)
    await expect(core.assignments.assign(host.hostId, to('0a3'), BY)).rejects.toMatchObject({
      facts: { reason: 'foreign' },
    })
  })

  describe('a way down', () => {
    const sha256 = (text: Uint8Array) => createHash('sha256').update(text).digest('hex')
    const hashOf = async (version: string) => (await world.core.releases.show(version)).manifest_sha256

    async function authorization(
      changes: JsonObject = {},
      signers: readonly Signer[] = world.publisher.channelKeys.alpha,
    ) {
      const signed = {
        _type: 'downgrade-authorization',
        schema: 'netlink.downgrade-authorization/v1',
        product: 'demo',
        hosts: [host.hostId],
        from: { version: '0a2', manifest_sha256: await hashOf('0a2') },
        to: { version: '0a1', manifest_sha256: await hashOf('0a1') },
        reason: 'it eats mail',
        not_before: '2026-11-23T09:00:00Z',
        expires: '2026-11-25T09:00:00Z',
        nonce: 'a'.repeat(32),
        ...changes,
      }
      return Buffer.from(await signDocument(signed, signers)).toString('utf8')
    }

    beforeEach(() => runs('0a2'))

    test('goes along with its authorisation', async () => {
      const text = await authorization()
      const answer = await world.core.assignments.assign(host.hostId, to('0a1', { authorization: text }), BY)
      expect(answer).toMatchObject({ action: 'downgrade', version: '0a1' })
      expect(await obeyed(await world.core.assignments.document(host.hostId))).toMatchObject({ authorization: text })
    })

    test.each([
      ['signed by another channel', {}, () => world.publisher.channelKeys.beta, 'unverified', 'unsigned'],
      ['signed by the director', {}, () => world.signers.director, 'unverified', 'unsigned'],
      ['for another host', { hosts: [`h_${'9'.repeat(32)}`] }, undefined, 'refused', 'foreign'],
      [
        'to another version',
        { to: { version: '0b1', manifest_sha256: sha256(Buffer.from('')) } },
        undefined,
        'unverified',
        'wrong-version',
      ],
      [
        'to another manifest',
        { to: { version: '0a1', manifest_sha256: sha256(Buffer.from('')) } },
        undefined,
        'refused',
        'hash',
      ],
      [
        'from another version',
        { from: { version: '0a7', manifest_sha256: sha256(Buffer.from('')) } },
        undefined,
        'refused',
        'foreign',
      ],
      ['of another product', { product: 'other' }, undefined, 'unverified', 'foreign'],
      ['that is over', { expires: '2026-11-23T10:00:00Z' }, undefined, 'unverified', 'expired'],
      ['for later', { not_before: '2026-11-23T10:00:01Z' }, undefined, 'unverified', 'not-yet-valid'],
    ] as const)('%s is refused', async (_words, changes, signers, code, reason) => {
      const text = await authorization(changes, signers?.())
      const refusal = world.core.assignments.assign(host.hostId, to('0a1', { authorization: text }), BY)
      await expect(refusal).rejects.toMatchObject({ code, facts: { reason } })
      expect(await world.core.assignments.document(host.hostId)).toBeNull()
    })

    test('for later goes along with an assignment for later', async () => {
      const text = await authorization({ not_before: '2026-11-24T10:00:00Z' })
      const later = to('0a1', { authorization: text, not_before: '2026-11-24T10:00:00Z' })
      expect(await world.core.assignments.assign(host.hostId, later, BY)).toMatchObject({ action: 'downgrade' })
    })

    test('that too few have signed is refused, and it is said who goes on with it', async () => {
      const text = await authorization({}, [])
      const refusal = world.core.assignments.assign(host.hostId, to('0a1', { authorization: text }), BY)
      await expect(refusal).rejects.toMatchObject({
        code: 'unverified',
        message: expect.stringMatching(/^the authorisation is not complete: alpha has 0 of \d valid signatures$/),
        facts: { reason: 'unsigned', next: [expect.stringContaining('netlink-publish sign FILE --signer NAME')] },
      })
    })
  })
})

describe('a server without a director', () => {
  let world: CoreWorld
  let host: TestHost
  beforeAll(async () => {
    world = await coreWorld()
    return () => world[Symbol.asyncDispose]()
  })

  test('signs nothing where targets names none, and nothing where it names another', async () => {
    const { publisher, signers } = world
    publisher.online = { snapshot: signers.snapshot, timestamp: signers.timestamp }
    await world.begin()
    await world.publish('0a1')
    host = await enrol(world.core, await enrollToken(world), 'web-1')
    await expect(world.core.assignments.assign(host.hostId, to('0a1'), BY)).rejects.toMatchObject({
      code: 'refused',
      facts: { reason: 'not-delegated' },
    })

    publisher.online = { ...signers, director: [newKey()] }
    const accept = async () => {
      const roots = [await rootOf(world)]
      await world.core.publication.acceptRoot({ roots, targets: await publisher.targets() }, BY)
    }
    await accept()
    await expect(world.core.assignments.assign(host.hostId, to('0a1'), BY)).rejects.toMatchObject({
      facts: { reason: 'foreign-online-keys' },
    })

    // The control: the same once targets names this server's own key.
    publisher.online = signers
    await accept()
    expect(await world.core.assignments.assign(host.hostId, to('0a1'), BY)).toMatchObject({ version: '0a1' })
  })

  test('a replica that has no director key says so', async () => {
    const { db, blobs, clock, folder, signers } = world
    const replica = await buildCore({
      ...{ db, blobs, clock, publicUrl: null, lifetimesMs: DEFAULT_LIFETIMES_MS, spoolFolder: folder },
      signers: { snapshot: signers.snapshot, timestamp: signers.timestamp },
      random: (length) => new Uint8Array(length),
      disk: (await import('../../keys/platform/disk.ts')).nodeDisk,
      log: () => undefined,
    })
    await expect(replica.assignments.assign(host.hostId, to('0a1'), BY)).rejects.toMatchObject({
      facts: { reason: 'foreign-online-keys', actual: 'none' },
    })
    await replica.close()
  })
})

async function rootOf({ blobs }: CoreWorld): Promise<string> {
  return Buffer.from((await blobs.read('repo/metadata/1.root.json', 1 << 20)) ?? '').toString('utf8')
}

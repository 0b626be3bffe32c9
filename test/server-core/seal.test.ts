import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../keys/json.ts'
import { loadTrusted, refresh } from '../../keys/refresh.ts'
import { memoryTrustStore } from '../../server/core/candidate.ts'
import { DAY_MS, signSnapshot, signTimestamp } from '../../server/core/online-roles.ts'
import { publishedMetadata } from '../../server/core/repository.ts'
import { newKey } from './publisher.ts'
import { BY, type CoreWorld, coreWorld, dbKinds } from './world.ts'

const metadata = (world: CoreWorld, file: string) => join(world.folder, 'storage', 'repo', 'metadata', file)
const timestampOf = async (world: CoreWorld) =>
  JSON.parse(await readFile(metadata(world, 'timestamp.json'), 'utf8')).signed
const events = (world: CoreWorld) => world.logged.map(({ event }) => event)

/** A host that remembers between its refreshes, as hosts do. */
function rememberingHost(world: CoreWorld, root: string) {
  const store = memoryTrustStore(Buffer.from(root))
  return () => refresh({ source: publishedMetadata(world.blobs), store, startedAt: world.clock.now() })
}

async function rootOf(world: CoreWorld): Promise<string> {
  return readFile(metadata(world, '1.root.json'), 'utf8')
}

/** What a backup of the database holds, and how it comes back. */
const TABLES = ['repository', 'role_documents', 'roles', 'releases', 'artifacts', 'tokens', 'brake']
async function backUp(world: CoreWorld): Promise<() => Promise<void>> {
  for (const table of TABLES) await world.db.queries.execute(sql.raw(`create table saved_${table} as table ${table}`))
  return async () => {
    await world.db.transaction(async (tx) => {
      await tx.execute(sql.raw(`truncate ${TABLES.join(', ')}`))
      for (const table of TABLES) await tx.execute(sql.raw(`insert into ${table} select * from saved_${table}`))
    })
  }
}

describe.each(dbKinds)('sealing (%s database)', (kind) => {
  test('each release raises both numbers by one, and the timestamp is good for a day', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    expect(world.core.publication.published()).toMatchObject({ rootVersion: 1, timestampVersion: 1 })
    await world.publish('0a1')
    expect(await timestampOf(world)).toMatchObject({
      version: 2,
      expires: '2026-11-24T10:00:00Z',
      meta: { 'snapshot.json': { version: 2 } },
    })
    expect(world.core.publication.published()).toMatchObject({ timestampVersion: 2 })
  })

  test('both are good for as long as was configured, and a shorter life holds at once', async () => {
    // given
    await using world = await coreWorld(kind)
    await world.begin()
    const expiry = async () => {
      const { expires, meta } = await timestampOf(world)
      const file = metadata(world, `${meta['snapshot.json'].version}.snapshot.json`)
      return [expires, JSON.parse(await readFile(file, 'utf8')).signed.expires]
    }
    expect(await expiry()).toEqual(['2026-11-24T10:00:00Z', '2026-11-30T10:00:00Z'])

    // when, then
    const patient = await world.another({ lifetimesMs: { timestamp: 30 * DAY_MS, snapshot: 40 * DAY_MS } })
    await patient.start()
    expect(await expiry()).toEqual(['2026-12-23T10:00:00Z', '2027-01-02T10:00:00Z'])
    world.clock.advance({ days: 14 })
    await (await world.another({ lifetimesMs: { timestamp: 30 * DAY_MS, snapshot: 40 * DAY_MS } })).start()
    expect(await expiry()).toEqual(['2026-12-23T10:00:00Z', '2027-01-02T10:00:00Z'])
    const hasty = await world.another()
    await hasty.start()
    expect(await expiry()).toEqual(['2026-12-08T10:00:00Z', '2026-12-14T10:00:00Z'])
    expect((await world.follow()).timestampVersion).toBe(3)
  })

  test('after half its life the timestamp is renewed without ringing, the snapshot stays', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const rings: string[] = []
    world.core.bell.subscribe((ring) => rings.push(ring.type))
    world.clock.advance({ hours: 11 })
    const again = await world.another()
    await again.start()
    expect(await timestampOf(world)).toMatchObject({ version: 1 })
    world.clock.advance({ hours: 2 })
    await (await world.another()).start()
    expect(await timestampOf(world)).toMatchObject({
      version: 2,
      expires: '2026-11-24T23:00:00Z',
      meta: { 'snapshot.json': { version: 1 } },
    })
    expect(rings).toEqual([])
    await world.follow()
  })

  test('a server that slept for a year seals at start, and a host goes on', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const root = await rootOf(world)
    const refreshHost = rememberingHost(world, root)
    await refreshHost()
    world.clock.advance({ days: 30 })
    await expect(refreshHost()).rejects.toMatchObject({ code: 'freeze' })
    await (await world.another()).start()
    expect((await refreshHost()).timestampVersion).toBe(2)
  })

  test('a database restored to yesterday takes in what was published since, and no host is stuck', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    await world.publish('0a1')
    const restore = await backUp(world)
    const refreshHost = rememberingHost(world, await rootOf(world))
    await world.publish('0a2')
    await world.publish('0b1')
    world.clock.advance({ hours: 13 })
    expect((await refreshHost()).timestampVersion).toBe(4)

    await restore()
    expect((await world.core.releases.list({})).items.map(({ version }) => version)).toEqual(['0a1'])
    const core = await world.another()
    await core.start()
    expect((await core.releases.list({})).items.map(({ version }) => version)).toEqual(['0a2', '0b1', '0a1'])
    expect(events(world)).toContain('repository.recovered_roles')
    expect((await refreshHost()).timestampVersion).toBe(5)
    const { artifact, ...request } = await world.publisher.release('0a3')
    await world.upload(artifact.bytes, artifact.sha256)
    await core.publication.acceptReleases(request, BY)
    expect((await (await refreshHost()).loadChannel('alpha')).value.targets.size).toBe(3)
  })

  test('a newer root that only the published files have comes back too', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    const restore = await backUp(world)
    await world.core.publication.acceptRoot({ roots: [await world.publisher.root()], targets: null }, BY)
    await restore()
    const core = await world.another()
    await core.start()
    expect(await core.publication.state()).toMatchObject({ root_version: 2 })
  })

  test('an empty database takes in the repository whose timestamp its own keys signed', async () => {
    await using world = await coreWorld(kind)
    await world.begin()
    await world.publish('0a1')
    await world.db.queries.execute(sql.raw(`truncate ${TABLES.join(', ')}`))
    await world.db.queries.execute(sql.raw('insert into repository default values; insert into brake default values'))
    const core = await world.another()
    await core.start()
    expect(await core.publication.state()).toMatchObject({ product: 'demo', root_version: 1, timestamp_version: 2 })
    expect((await core.releases.list({})).items.map(({ version }) => version)).toEqual(['0a1'])
  })
})

test('an empty database leaves a repository alone that names its keys and was sealed by others', async () => {
  await using world = await coreWorld()
  const { publisher, signers, blobs } = world
  const stranger = newKey()
  const edit = (signed: JsonObject): JsonObject => {
    const { keys, roles } = signed as unknown as {
      keys: Record<string, JsonObject>
      roles: Record<string, { keyids: string[] }>
    }
    keys[stranger.publicKey.keyid] = stranger.publicKey.object
    roles.timestamp?.keyids.push(stranger.publicKey.keyid)
    return signed
  }
  const root = Buffer.from(await publisher.root({ edit }))
  const targets = Buffer.from(await publisher.targets())
  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
  const put = (file: string, bytes: Uint8Array) =>
    blobs.put(`repo/metadata/${file}`, bytes, { length: bytes.length, sha256: sha256(bytes), immutable: false })
  const later = new Date('2026-12-01T10:00:00Z')
  const meta = { 'targets.json': { version: 1, length: targets.length, hashes: { sha256: sha256(targets) } } }
  const snapshot = await signSnapshot(signers.snapshot, 1, meta, later)
  await put('1.root.json', root)
  await put('1.targets.json', targets)
  await put('1.snapshot.json', snapshot)
  const sealedBy = async (signer: typeof stranger | undefined) => {
    if (signer) await put('timestamp.json', await signTimestamp([signer], 1, { version: 1, bytes: snapshot }, later))
    const core = await world.another()
    await core.start()
    return core.publication.state()
  }
  expect(await sealedBy(stranger)).toMatchObject({ product: null, root_version: 0 })
  expect(await sealedBy(signers.timestamp[0])).toMatchObject({ product: 'demo', root_version: 1 })
})

describe('published files that are not as they should be', () => {
  test('what is missing is put back at start', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    const { blobs } = world
    const keys: string[] = []
    for await (const { key } of blobs.list('repo/')) if (!key.includes('artifacts')) keys.push(key)
    for (const key of keys) await blobs.delete(key)
    await (await world.another()).start()
    for (const key of keys.filter((one) => !/timestamp|snapshot/.test(one))) expect(await blobs.stat(key)).toBeDefined()
    expect((await world.follow()).timestampVersion).toBe(3)
  })

  test('a timestamp that nobody of ours signed is replaced, and its number is not believed', async () => {
    await using world = await coreWorld()
    await world.begin()
    const file = metadata(world, 'timestamp.json')
    const forged = (await readFile(file, 'utf8')).replace('"version": 1', '"version": 2000000000')
    await writeFile(file, forged)
    await (await world.another()).start()
    expect(await timestampOf(world)).toMatchObject({ version: 2 })
    expect(events(world)).toContain('repository.published_unverified')
    await world.follow()
  })

  test('an older timestamp put back is followed by a greater number than ever before', async () => {
    await using world = await coreWorld()
    await world.begin()
    const older = await readFile(metadata(world, 'timestamp.json'))
    await world.publish('0a1')
    await world.publish('0a2')
    const refreshHost = rememberingHost(world, await rootOf(world))
    expect((await refreshHost()).timestampVersion).toBe(3)
    await writeFile(metadata(world, 'timestamp.json'), older)
    await expect(refreshHost()).rejects.toMatchObject({ code: 'rollback' })
    await (await world.another()).start()
    expect((await refreshHost()).timestampVersion).toBe(4)
  })

  test('an older timestamp put back is not kept, however long it is still good', async () => {
    await using world = await coreWorld()
    await world.begin()
    const older = await readFile(metadata(world, 'timestamp.json'))
    const refreshHost = rememberingHost(world, await rootOf(world))
    await world.blobs.delete('repo/metadata/timestamp.json')
    await (await world.another()).start()
    expect((await refreshHost()).timestampVersion).toBe(2)
    await writeFile(metadata(world, 'timestamp.json'), older)
    await (await world.another()).start()
    expect((await refreshHost()).timestampVersion).toBe(3)
    expect(await world.core.publication.state()).toMatchObject({ timestamp_version: 3 })
  })

  test('a timestamp that is too large to be ours is replaced like any other', async () => {
    await using world = await coreWorld()
    await world.begin()
    await writeFile(metadata(world, 'timestamp.json'), Buffer.alloc(1_000_001, ' '))
    expect(await world.core.publication.comparePublished()).toMatchObject({ kind: 'unverified', expected: 1 })
    const core = await world.another()
    await core.start()
    expect(await timestampOf(world)).toMatchObject({ version: 2 })
    expect((await core.readiness()).checks).toContainEqual({ name: 'seal', ok: true, detail: null })
  })

  test('whoever compares storage and database is told what is wrong', async () => {
    await using world = await coreWorld()
    const compare = () => world.core.publication.comparePublished()
    expect(await compare()).toEqual({ kind: 'none' })
    await world.begin()
    const first = await readFile(metadata(world, 'timestamp.json'), 'utf8')
    expect(await compare()).toEqual({ kind: 'current', version: 1 })
    const restore = await backUp(world)
    await world.publish('0a1')
    expect(await compare()).toEqual({ kind: 'current', version: 2 })
    const second = await readFile(metadata(world, 'timestamp.json'), 'utf8')
    const put = (text: string) => writeFile(metadata(world, 'timestamp.json'), text)

    await put(first)
    expect(await compare()).toEqual({ kind: 'older', version: 1, expected: 2 })
    await put(second.replace('"version": 2', '"version": 3'))
    expect(await compare()).toMatchObject({
      kind: 'unverified',
      expected: 2,
      detail: expect.stringMatching(/signature/),
    })
    await put(second)
    const snapshot = await readFile(metadata(world, '2.snapshot.json'))
    await writeFile(metadata(world, '2.snapshot.json'), await readFile(metadata(world, '1.snapshot.json')))
    expect(await compare()).toMatchObject({ kind: 'unverified', detail: expect.stringMatching(/2\.snapshot\.json/) })
    await world.blobs.delete('repo/metadata/2.snapshot.json')
    expect(await compare()).toMatchObject({ kind: 'unverified', detail: expect.stringMatching(/missing/) })
    await writeFile(metadata(world, '2.snapshot.json'), snapshot)
    await world.blobs.delete('repo/metadata/timestamp.json')
    expect(await compare()).toEqual({ kind: 'missing', expected: 2 })
    await put(second)
    expect(await compare()).toEqual({ kind: 'current', version: 2 })
    await restore()
    expect(await compare()).toEqual({ kind: 'newer', version: 2, expected: 1 })
  })

  test('nothing is left lying about', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    expect(await readdir(join(world.folder, 'spool'))).toEqual([])
    expect(await readdir(join(world.folder, 'storage', '.incoming'))).toEqual([])
  })
})

describe('two replicas', () => {
  test('seal at once, and their numbers follow each other', async () => {
    await using world = await coreWorld('embedded')
    await world.begin()
    const other = await world.another()
    await world.publisher.channel('alpha')
    const submit = async (core: typeof other, document: string, channel: string) =>
      core.publication.acceptReleases({ metadata: { [channel]: document }, manifests: {}, dry_run: false }, BY)
    const documents = [
      await world.publisher.channel('alpha'),
      await world.publisher.channel('beta'),
      await world.publisher.channel('release'),
    ]
    const answers = await Promise.all([
      submit(world.core, documents[0] ?? '', 'alpha'),
      submit(other, documents[1] ?? '', 'beta'),
      submit(world.core, documents[2] ?? '', 'release'),
    ])
    expect(answers).toHaveLength(3)
    const trusted = await world.follow()
    for (const channel of ['alpha', 'beta', 'release'] as const) await trusted.loadChannel(channel)
    expect((await timestampOf(world)).version).toBe(trusted.timestampVersion)
  })

  test('each hears of the other’s release and brake', async () => {
    await using world = await coreWorld('embedded')
    await world.begin()
    const other = await world.another()
    const rings: string[] = []
    other.bell.subscribe((ring) => rings.push(ring.type))
    await world.publish('0a1')
    await world.core.fleet.setBrake(true, { ...BY, reason: 'look first' })
    await expect.poll(() => rings).toEqual(['release', 'brake'])
    expect(other.fleet.brake()).toMatchObject({ paused: true, reason: 'look first' })
    expect(other.publication.published()).toMatchObject({ timestampVersion: 2 })
  })
})

test('loading without a network sees the same', async () => {
  await using world = await coreWorld()
  await world.begin()
  const store = memoryTrustStore(Buffer.from(await rootOf(world)))
  await refresh({ source: publishedMetadata(world.blobs), store, startedAt: world.clock.now() })
  expect((await loadTrusted({ store, startedAt: world.clock.now() })).timestampVersion).toBe(1)
})

// T44 on the server: a thief of an online key who can write to the storage signs numbers that nobody can count on from.
import { createHash } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { parseDocument, signDocument } from '../../keys/document.ts'
import type { JsonObject } from '../../keys/json.ts'
import { refresh } from '../../keys/refresh.ts'
import { memoryTrustStore } from '../../server/core/candidate.ts'
import type { OnlineSigners } from '../../server/core/online-roles.ts'
import { publishedMetadata, repositoryKeys } from '../../server/core/repository.ts'
import { newKey } from './publisher.ts'
import { BY, type CoreWorld, coreWorld, dbKinds } from './world.ts'

/** The greatest number that the strict parser admits. */
const GREATEST = Number.MAX_SAFE_INTEGER

/** What lies in storage as timestamp.json, with these fields changed, signed by whoever has stolen the key. */
async function forgeTimestamp({ blobs, signers }: CoreWorld, changes: JsonObject): Promise<void> {
  const bytes = await blobs.read(repositoryKeys.timestamp, 1_000_000)
  const { signed } = parseDocument(bytes ?? expect.fail('nothing is published'))
  const forged = await signDocument({ ...signed, ...changes }, signers.timestamp)
  const sha256 = createHash('sha256').update(forged).digest('hex')
  await blobs.put(repositoryKeys.timestamp, forged, { length: forged.length, sha256, immutable: false })
}

/** A host that remembers between its refreshes. */
async function rememberingHost({ blobs, clock }: CoreWorld) {
  const root = await blobs.read(repositoryKeys.metadata('1.root.json'), 1_000_000)
  const store = memoryTrustStore(root ?? expect.fail('no root'))
  const look = () => refresh({ source: publishedMetadata(blobs), store, startedAt: clock.now() })
  await look()
  return look
}

/** The runbook: new keys in the place of the stolen ones, and a root that names them alone. */
async function replaceOnlineKeys({ core, publisher, signers }: CoreWorld, ...roles: ('timestamp' | 'snapshot')[]) {
  const held = signers as { -readonly [role in keyof OnlineSigners]: OnlineSigners[role] }
  for (const role of roles) held[role] = [newKey()]
  publisher.online = held
  return core.publication.acceptRoot({ roots: [await publisher.root()], targets: null }, BY)
}

describe.each(dbKinds)('T44 a timestamp whose number was driven up (%s database)', (kind) => {
  test.each([2 ** 31 - 2, 2 ** 31 - 1, 2 ** 31 + 5, 2 ** 40, GREATEST - 1, GREATEST])(
    'to %d: the server does not follow, and all goes on once root names another key',
    async (number) => {
      await using world = await coreWorld(kind)
      await world.begin()
      await world.publish('0a1')
      const [deceived, spared] = [await rememberingHost(world), await rememberingHost(world)]
      await forgeTimestamp(world, { version: number })
      expect((await deceived()).timestampVersion).toBe(number)
      expect(await world.core.publication.comparePublished()).toMatchObject({ kind: 'out-of-reach', timestamp: number })

      await world.publish('0a2')
      expect((await spared()).timestampVersion).toBe(3)
      expect(world.logged).toContainEqual(
        expect.objectContaining({ level: 'error', event: 'repository.published_out_of_reach' }),
      )
      await expect(deceived()).rejects.toMatchObject({ code: 'rollback' })

      await forgeTimestamp(world, { version: number })
      expect(await replaceOnlineKeys(world, 'timestamp')).toMatchObject({ root_version: 2, timestamp_version: 4 })
      for (const look of [deceived, spared]) {
        const trusted = await look()
        expect([trusted.root.value.version, trusted.timestampVersion]).toEqual([2, 4])
        expect((await trusted.loadChannel('alpha')).value.targets.size).toBe(2)
      }
      await world.publish('0a3')
      expect((await deceived()).timestampVersion).toBe(5)
    },
  )
})

test('an announced snapshot that was driven up is not followed either', async () => {
  await using world = await coreWorld()
  await world.begin()
  await world.publish('0a1')
  const look = await rememberingHost(world)
  await forgeTimestamp(world, { version: 3, meta: { 'snapshot.json': { version: GREATEST } } })
  await expect(look()).rejects.toMatchObject({ code: 'missing' })
  expect(await world.core.publication.comparePublished()).toMatchObject({ kind: 'out-of-reach', snapshot: GREATEST })
  await world.publish('0a2')
  await expect(look()).rejects.toMatchObject({ code: 'rollback' })
  await replaceOnlineKeys(world, 'timestamp')
  expect((await look()).snapshotVersion).toBe(4)
})

test('a number that a backup explains is followed, so that no host refuses what comes next', async () => {
  await using world = await coreWorld()
  await world.begin()
  const look = await rememberingHost(world)
  await forgeTimestamp(world, { version: 50_000 })
  await look()
  await world.publish('0a1')
  expect((await look()).timestampVersion).toBe(50_001)
  await forgeTimestamp(world, { version: 150_002 })
  await (await world.another()).start()
  expect((await world.follow()).timestampVersion).toBe(50_002)
})

test('a database whose numbers had come to the end of 32 bits goes on', async () => {
  await using world = await coreWorld()
  await world.begin()
  const end = 2 ** 31 - 1
  await world.db.queries.execute(
    sql`update repository set timestamp_version = ${end}, snapshot_version = ${end}, published_timestamp = ${end}`,
  )
  await world.publish('0a1')
  const trusted = await world.follow()
  expect([trusted.timestampVersion, trusted.snapshotVersion]).toEqual([2 ** 31, 2 ** 31])
  expect(world.core.publication.published()).toMatchObject({ timestampVersion: 2 ** 31 })
})

test('an empty database takes in an old repository, and not the numbers of a thief', async () => {
  await using world = await coreWorld()
  const { db } = world
  const forget = async () => {
    const tables = ['repository', 'role_documents', 'roles', 'releases', 'artifacts']
    await db.queries.execute(sql.raw(`truncate ${tables.join(', ')}`))
    await db.queries.execute(sql.raw('insert into repository default values'))
  }
  await world.begin()
  await forgeTimestamp(world, { version: 2_000_000_000 })
  await forget()
  await (await world.another()).start()
  expect((await world.follow()).timestampVersion).toBe(2_000_000_000)
  await forgeTimestamp(world, { version: GREATEST })
  await forget()
  await (await world.another()).start()
  expect((await world.follow()).timestampVersion).toBe(1)
})

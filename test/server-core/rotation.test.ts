// Roots that take keys away: what they force to be signed again comes with them, all or nothing; and the server's own keys, old beside new.

import { and, eq } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import type { Signer } from '../../keys/signer.ts'
import { roleDocuments } from '../../schema/db/tables.ts'
import { loadOnlineKeys } from '../../server/core/online-keys.ts'
import type { OnlineSigners } from '../../server/core/online-roles.ts'
import { loadAccepted } from '../../server/core/role-documents.ts'
import { newKey } from './publisher.ts'
import { BY, type CoreWorld, coreWorld } from './world.ts'

const versionsOf = async ({ db }: CoreWorld) => {
  const { root, roles } = await loadAccepted(db)
  return { root: root?.version, ...Object.fromEntries([...roles.values()].map(({ role, version }) => [role, version])) }
}

describe('a root that takes a channel’s key away', () => {
  test('comes with targets and the channel signed again, in one transaction', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    const { core, publisher } = world
    publisher.channelKeys.alpha.splice(0, 1, newKey())
    const [root, targets, alpha] = [await publisher.root(), await publisher.targets(), await publisher.channel('alpha')]
    const before = await versionsOf(world)

    // Without the channel, hosts would find one that nobody they know has signed.
    await expect(core.publication.acceptRoot({ roots: [root], targets }, BY)).rejects.toMatchObject({
      code: 'unverified',
      facts: { reason: 'unsigned' },
    })
    expect(await versionsOf(world)).toEqual(before)
    // With one that lists less than before it would lose a release.
    const lesser = await publisher.channel('alpha', { edit: (signed) => ({ ...signed, targets: {} }) })
    const attempt = core.publication.acceptRoot({ roots: [root], targets, metadata: { alpha: lesser } }, BY)
    await expect(attempt).rejects.toMatchObject({ code: 'unverified', facts: { reason: 'not-delegated' } })
    expect(await versionsOf(world)).toEqual(before)

    await core.publication.acceptRoot({ roots: [root], targets, metadata: { alpha } }, BY)
    expect(await versionsOf(world)).toMatchObject({ root: 2, targets: 2, alpha: 2 })
    const trusted = await world.follow()
    expect(trusted.root.value.version).toBe(2)
    expect((await trusted.loadChannel('alpha')).value.targets.size).toBe(1)
    const again = await core.publication.acceptRoot({ roots: [root], targets, metadata: { alpha } }, BY)
    expect(again).toMatchObject({ root_version: 2 })
  })

  test('may not carry roles that are none of ours', async () => {
    await using world = await coreWorld()
    await world.begin()
    const { core, publisher } = world
    const root = await publisher.root()
    const attempt = core.publication.acceptRoot({ roots: [root], targets: null, metadata: { snapshot: root } }, BY)
    await expect(attempt).rejects.toMatchObject({ code: 'refused', facts: { reason: 'wrong-role' } })
    expect(await core.publication.acceptRoot({ roots: [root], targets: null }, BY)).toMatchObject({ root_version: 2 })
  })
})

describe('the server’s own keys', () => {
  const statesOf = async (world: CoreWorld) =>
    (await loadOnlineKeys(world.db, world.signers)).flatMap(({ role, state }) => (role === 'timestamp' ? [state] : []))

  test('a second one waits until root names it; then both sign, at once and not only when the first grows old', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    const { publisher, core } = world
    const held = world.signers as { -readonly [role in keyof OnlineSigners]: OnlineSigners[role] }
    const [old, added] = [held.timestamp, newKey()]
    held.timestamp = [...old, added]
    expect(await statesOf(world)).toEqual(['named', 'waiting'])
    const before = (await world.follow()).timestampVersion

    publisher.online = { ...held, timestamp: [...old, added] }
    await core.publication.acceptRoot({ roots: [await publisher.root()], targets: null }, BY)
    expect(await statesOf(world)).toEqual(['named', 'named'])
    const both = await world.follow()
    expect(both.signersOf('timestamp').keyids).toHaveLength(2)
    expect(both.timestampVersion).toBe(before + 1)

    publisher.online = { ...held, timestamp: [added] }
    await core.publication.acceptRoot({ roots: [await publisher.root()], targets: null }, BY)
    expect(await statesOf(world)).toEqual(['retired', 'named'])
    expect((await world.follow()).signersOf('timestamp').keyids).toEqual([added.publicKey.keyid])
    held.timestamp = [added]
    await world.publish('0a2')
    expect((await world.follow()).timestampVersion).toBeGreaterThan(both.timestampVersion)
  })

  test('replaced at once: the new one goes on behind the numbers of the old', async () => {
    await using world = await coreWorld()
    await world.begin()
    await world.publish('0a1')
    const { publisher, core } = world
    const held = world.signers as { -readonly [role in keyof OnlineSigners]: OnlineSigners[role] }
    const before = await world.follow()
    const [key, lost] = [newKey(), newKey()]
    held.timestamp = [...held.timestamp, key]
    // A root that names a key which the server does not hold would leave it unable to sign.
    publisher.online = { ...held, timestamp: [lost] }
    const foreign = core.publication.acceptRoot({ roots: [await publisher.root()], targets: null }, BY)
    await expect(foreign).rejects.toMatchObject({ code: 'refused', facts: { reason: 'foreign-online-keys' } })
    publisher.versions.root = 1
    publisher.online = { ...held, timestamp: [key] }
    await core.publication.acceptRoot({ roots: [await publisher.root()], targets: null }, BY)
    const after = await world.follow()
    expect(after.signersOf('timestamp').keyids).toEqual([key.publicKey.keyid])
    expect(after.timestampVersion).toBeGreaterThan(before.timestampVersion)
  })
})

describe('the director’s keys', () => {
  const held = (world: CoreWorld) => world.signers as { -readonly [role in keyof OnlineSigners]: OnlineSigners[role] }
  const statesOf = async (world: CoreWorld) =>
    (await loadOnlineKeys(world.db, world.signers)).flatMap(({ role, state }) => (role === 'director' ? [state] : []))
  /** Root and targets that name this director. */
  const name = async ({ core, publisher, signers }: CoreWorld, director: readonly Signer[]) => {
    publisher.online = { ...signers, director }
    const targets = await publisher.targets()
    await core.publication.acceptRoot({ roots: [await publisher.root()], targets }, BY)
  }

  test('one that targets has named and does not any more is retired', async () => {
    await using world = await coreWorld()
    const [old, added] = [newKey(), newKey()]
    held(world).director = [old, added]
    world.publisher.online = { ...world.signers, director: [old] }
    await world.begin()
    expect(await statesOf(world)).toEqual(['named', 'waiting'])
    await name(world, [added])
    expect(await statesOf(world)).toEqual(['retired', 'named'])
    // Also where it is the newest: somebody may have gone back.
    await name(world, [old])
    expect(await statesOf(world)).toEqual(['named', 'retired'])
  })

  test('without the targets of old nobody can tell, and nothing that may have been replaced passes for new', async () => {
    await using world = await coreWorld()
    const [old, added] = [newKey(), newKey()]
    held(world).director = [old, added]
    world.publisher.online = { ...world.signers, director: [old] }
    await world.begin()
    await name(world, [added])
    const first = and(eq(roleDocuments.role, 'targets'), eq(roleDocuments.version, 1))
    await world.db.queries.delete(roleDocuments).where(first)
    expect(await statesOf(world)).toEqual(['retired', 'named'])
    // What targets names was made after this backup of the keys.
    held(world).director = [old]
    expect(await statesOf(world)).toEqual(['unknown'])
    held(world).director = [old, added, newKey()]
    expect(await statesOf(world)).toEqual(['retired', 'named', 'unknown'])
  })
})

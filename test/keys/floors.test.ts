// How far a host has ever come, and what can and what can't take it back: lost caches, restored roots, stolen keys, power cuts.
import { describe, expect, it } from 'vitest'
import { loadTrusted } from '../../keys/refresh.ts'
import { utf8 } from '../sim/repository.ts'
import { refusalOf } from './refusal.ts'
import { buildTrustWorld, type TrustWorld, useRelease } from './trust-world.ts'

describe('T34 rollback floors', () => {
  const cached = ['timestamp.json', 'snapshot.json', 'targets.json', 'alpha.json']
  const losses: [what: string, after: (file: Uint8Array | undefined) => Uint8Array | undefined][] = [
    ['was deleted', () => undefined],
    ['was damaged', () => utf8('{"sig')],
    ['was put back from a backup', (file) => file],
  ]

  it.each(losses)('hold although the cached metadata %s', async (_, after) => {
    // Given a host that has gone from one state of the repository to the next
    const world = await buildTrustWorld()
    const old = world.repo.copy()
    const oldFiles = new Map(world.store.files)
    await world.repo.publish('targets', 'alpha')
    await useRelease(world)
    // When its cache is lost and the old state, properly signed and not yet expired, is served again
    for (const name of cached) {
      const bytes = after(oldFiles.get(name))
      if (bytes) world.store.files.set(name, bytes)
      else world.store.files.delete(name)
    }
    const kept = new Map(world.store.files)
    const refusal = await refusalOf(() => useRelease({ ...world, repo: old }))
    // Then it is refused, nothing of it is stored, and the current state still works
    expect(refusal.code).toBe('rollback')
    expect(refusal.message).toBe('rollback: timestamp went from v3 to v2')
    expect(world.store.files).toEqual(kept)
    await useRelease(world)
    expect(world.store.versions()).toEqual({ root: 1, timestamp: 3, snapshot: 3, targets: 2, alpha: 3 })
  })

  it('hold against a mixture: a new timestamp over an old snapshot, with the cache gone', async () => {
    const world = await buildTrustWorld()
    await world.repo.publish('targets', 'alpha')
    await useRelease(world)
    world.store.files.delete('timestamp.json')
    world.store.files.delete('snapshot.json')
    const honest = world.repo.copy()
    world.repo.snapshotMeta['alpha.json'] = { version: 2 }
    await world.repo.seal()
    const refusal = await refusalOf(() => useRelease(world))
    expect(refusal.message).toBe('rollback: alpha went from v3 to v2')
    await honest.seal()
    await honest.seal()
    await useRelease({ ...world, repo: honest })
  })

  it('hold for a snapshot that was announced and never came', async () => {
    const world = await buildTrustWorld()
    const honest = world.repo.copy()
    await world.repo.publish('targets')
    world.repo.files.delete('3.snapshot.json')
    expect((await refusalOf(() => useRelease(world))).code).toBe('missing')
    expect(world.store.floorVersions()).toEqual({ root: 1, timestamp: 3, announced: 3, snapshot: 2 })

    world.repo.timestampMeta['snapshot.json'] = { version: 2 }
    world.repo.role('timestamp').version += 1
    await world.repo.publishAsIs('timestamp')
    expect((await refusalOf(() => useRelease(world))).message).toBe('rollback: snapshot went from v3 to v2')

    await honest.publish('targets')
    await honest.publish('targets')
    await useRelease({ ...world, repo: honest })
  })

  it('rise again from the cache where they were lost', async () => {
    const world = await buildTrustWorld()
    const old = world.repo.copy()
    await world.repo.publish('targets', 'alpha')
    await useRelease(world)
    world.store.floors = undefined
    expect((await refusalOf(() => useRelease({ ...world, repo: old }))).code).toBe('rollback')
    await useRelease(world)
    expect(world.store.floorVersions()).toEqual({ root: 1, timestamp: 3, announced: 3, snapshot: 3 })
  })

  it('rise again from a cached timestamp although the snapshot is the same', async () => {
    const world = await buildTrustWorld()
    const old = world.repo.copy()
    world.repo.role('timestamp').version += 1
    await world.repo.publishAsIs('timestamp')
    await useRelease(world)
    world.store.floors = undefined
    expect((await refusalOf(() => useRelease({ ...world, repo: old }))).message).toBe(
      'rollback: timestamp went from v3 to v2',
    )
    await useRelease(world)
  })

  it('rise again from a cached snapshot that is no longer the current one', async () => {
    const world = await buildTrustWorld()
    await world.repo.publish('targets', 'alpha')
    await useRelease(world)
    world.store.floors = undefined
    const honest = world.repo.copy()
    world.repo.snapshotMeta['alpha.json'] = { version: 2 }
    await world.repo.seal()
    expect((await refusalOf(() => useRelease(world))).message).toBe('rollback: alpha went from v3 to v2')
    await honest.publish('alpha')
    await honest.seal()
    await useRelease({ ...world, repo: honest })
  })

  it('refuse a root from before: a restored root must be followed by the roots that came after it', async () => {
    const world = await buildTrustWorld()
    const oldRoot = world.repo.file('1.root.json')
    const old = world.repo.copy()
    await world.repo.publish('root', 'targets')
    await useRelease(world)
    world.store.files.set('root.json', oldRoot)

    const refusal = await refusalOf(() => useRelease({ ...world, repo: old }))
    expect(refusal.message).toBe('rollback: root went from v2 to v1')
    expect((await refusalOf(() => loadTrusted({ store: world.store, startedAt: world.now }))).code).toBe('rollback')

    await useRelease(world)
    expect(world.store.versions().root).toBe(2)
  })

  it('are not reset by restoring a root from before the keys they rest on', async () => {
    // Given floors that rest on keys of root 2
    const world = await buildTrustWorld()
    const oldRoot = world.repo.file('1.root.json')
    world.repo.rotateKeys('timestamp')
    world.repo.rotateKeys('snapshot')
    await world.repo.publish('root', 'targets', 'alpha')
    const old = world.repo.copy()
    await world.repo.publish('targets', 'alpha')
    await useRelease(world)
    // When root 1 is back, the cache is gone, and the first state under root 2 is replayed
    for (const name of [...world.store.files.keys()]) world.store.files.delete(name)
    world.store.files.set('root.json', oldRoot)
    // Then the floors still stand
    expect((await refusalOf(() => useRelease({ ...world, repo: old }))).code).toBe('rollback')
    await useRelease(world)
  })
})

describe('T44 numbers driven up by a thief', () => {
  const GREATEST = 9_007_199_254_740_991

  async function driveUp(world: TrustWorld, role: 'timestamp' | 'snapshot'): Promise<TrustWorld['repo']> {
    const honest = world.repo.copy()
    world.repo.role(role).version = GREATEST
    if (role === 'snapshot') {
      await world.repo.publishAsIs('snapshot')
      world.repo.role('timestamp').version += 1
    }
    await world.repo.publishAsIs('timestamp')
    await useRelease(world)
    return honest
  }

  it('a timestamp: the honest one is refused until root takes the stolen key away', async () => {
    const world = await buildTrustWorld()
    const honest = await driveUp(world, 'timestamp')
    const after = { ...world, repo: honest }

    await honest.publish('targets', 'alpha')
    expect((await refusalOf(() => useRelease(after))).code).toBe('rollback')
    honest.addKey('timestamp')
    await honest.publish('root', 'targets')
    expect((await refusalOf(() => useRelease(after))).code).toBe('rollback')

    honest.rotateKeys('timestamp')
    await honest.publish('root', 'targets')
    await useRelease(after)
    expect(world.store.versions().timestamp).toBe(honest.role('timestamp').version)
  })

  it('a snapshot: rotating its keys alone is enough, and the timestamp keeps its own floor', async () => {
    const world = await buildTrustWorld()
    const honest = await driveUp(world, 'snapshot')
    const after = { ...world, repo: honest }

    honest.rotateKeys('snapshot')
    await honest.publish('root', 'targets', 'alpha')
    await honest.seal()
    await useRelease(after)
    expect(world.store.versions().snapshot).toBe(honest.role('snapshot').version)
    expect(world.store.floorVersions().timestamp).toBe(honest.role('timestamp').version)
  })

  it('rotating the timestamp key alone does not let an old snapshot back in', async () => {
    const world = await buildTrustWorld()
    const oldSnapshot = world.repo.role('snapshot').version
    await world.repo.publish('targets', 'alpha')
    await useRelease(world)
    const honest = world.repo.copy()
    world.repo.rotateKeys('timestamp')
    await world.repo.publish('root')
    world.repo.timestampMeta['snapshot.json'] = { version: oldSnapshot }
    await world.repo.publishAsIs('timestamp')

    const refusal = await refusalOf(() => useRelease(world))
    expect(refusal.message).toBe('rollback: snapshot went from v3 to v2')

    honest.files.set('2.root.json', world.repo.file('2.root.json'))
    honest.roles.set('root', structuredClone(world.repo.root))
    honest.signers.set('timestamp', world.repo.signersOf('timestamp'))
    await honest.publish('targets')
    await useRelease({ ...world, repo: honest })
  })

  it('is over even if the power went at any write of the recovery', async () => {
    const recover = async () => {
      const world = await buildTrustWorld()
      const honest = await driveUp(world, 'snapshot')
      honest.rotateKeys('snapshot')
      await honest.publish('root', 'targets', 'alpha')
      await honest.seal()
      world.store.writes.length = 0
      return { ...world, repo: honest }
    }
    const plan = await recover()
    await useRelease(plan)
    expect(plan.store.writes.slice(0, 3)).toEqual(['remove timestamp.json', 'remove snapshot.json', 'save root.json'])

    for (let writes = 0; writes < plan.store.writes.length; writes++) {
      const world = await recover()
      await cutPower(world, writes)
      await useRelease(world)
      expect([writes, world.store.versions()]).toEqual([writes, plan.store.versions()])
    }
  })
})

describe('a planned rotation of online keys', () => {
  const roles = ['timestamp', 'snapshot'] as const

  /** A host that has seen what the old key and, if `overlap`, the new one too have signed; then root takes the old key away. */
  async function rotate(
    role: (typeof roles)[number],
    overlap: boolean,
  ): Promise<{ world: TrustWorld; old: TrustWorld['repo'] }> {
    const world = await buildTrustWorld()
    const [before] = world.repo.signersOf(role)
    const added = world.repo.addKey(role)
    if (!overlap) world.repo.signers.set(role, before ? [before] : [])
    await world.repo.publish('root', 'targets', 'alpha')
    await useRelease(world)
    const old = world.repo.copy()
    await world.repo.publish('targets', 'alpha')
    await useRelease(world)
    for (const repo of [world.repo, old]) {
      repo.root.roles[role] = { keyids: [added.publicKey.keyid], threshold: 1 }
      repo.signers.set(role, [added])
    }
    await world.repo.publish('root', 'targets')
    return { world, old }
  }

  it.each(roles)('keeps the floors of %s: both keys signed what set them', async (role) => {
    const { world, old } = await rotate(role, true)
    const before = world.store.floorVersions()
    // When the state from before is signed anew by nobody but the new key, and served with the root that names it alone
    await old.publish('root')
    old.role('timestamp').version = 3
    old.role('snapshot').version = 3
    old.snapshotMeta['alpha.json'] = { version: 3 }
    old.timestampMeta['snapshot.json'] = { version: 3 }
    await old.publishAsIs('snapshot')
    await old.publishAsIs('timestamp')
    expect((await refusalOf(() => useRelease({ ...world, repo: old }))).code).toBe('rollback')
    expect(world.store.floorVersions()).toMatchObject({ timestamp: before.timestamp, snapshot: before.snapshot })
    // Then the honest repository goes on from where it was
    await useRelease(world)
    expect(world.store.floorVersions().timestamp).toBeGreaterThan(before.timestamp ?? 0)
  })

  it.each(roles)('loses those of %s where the new key never signed: as in an emergency', async (role) => {
    const { world } = await rotate(role, false)
    // The numbers of this role begin again; the other's floor stands.
    const { repo, store } = world
    repo.role(role).version = 1
    await repo.publishAsIs('snapshot')
    if (role === 'snapshot') repo.role('timestamp').version += 1
    await repo.publishAsIs('timestamp')
    await useRelease(world)
    expect(store.floorVersions()[role]).toBe(1)
  })
})

describe('T47 a power cut at any write', () => {
  it('leaves a store from which the next refresh works, never older than before', async () => {
    const advance = async () => {
      const world = await buildTrustWorld()
      const old = world.repo.copy()
      world.repo.rotateKeys('timestamp')
      await world.repo.publish('root', 'targets', 'alpha')
      world.store.writes.length = 0
      return { world, old }
    }
    const plan = (await advance()).world
    await useRelease(plan)
    expect(plan.store.writes.length).toBeGreaterThan(6)

    for (let writes = 0; writes < plan.store.writes.length; writes++) {
      const { world, old } = await advance()
      await cutPower(world, writes)
      if ((world.store.versions().timestamp ?? 0) > 2) {
        expect((await refusalOf(() => useRelease({ ...world, repo: old }))).code).toMatch(/rollback|unsigned/)
      }
      await useRelease(world)
      expect([writes, world.store.versions()]).toEqual([writes, plan.store.versions()])
      expect(world.store.floorVersions()).toEqual(plan.store.floorVersions())
    }
  })
})

async function cutPower(world: TrustWorld, writes: number): Promise<void> {
  world.store.writesLeft = writes
  await expect(useRelease(world)).rejects.toThrow('power cut before')
  world.store.writesLeft = undefined
}

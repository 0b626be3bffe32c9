// Stories of more than one refresh: floors, recovery, freezing, power cuts, reading without a network.
import { describe, expect, it } from 'vitest'
import { DEFAULT_LIMITS } from '../../keys/limits.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { loadTrusted, refresh } from '../../keys/refresh.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { daysFrom, SimRepository, utf8 } from '../sim/repository.ts'
import { SimTrustStore } from '../sim/trust-store.ts'
import { refusalOf } from './refusal.ts'
import { buildTrustWorld, refreshOnly, SEEN, type TrustWorld, useRelease } from './trust-world.ts'

describe('a refresh', () => {
  it('asks for exactly what it needs, and for nothing twice', async () => {
    const { repo, store, now } = await buildTrustWorld()
    expect(repo.requests).toEqual([
      '2.root.json',
      'timestamp.json',
      '2.snapshot.json',
      '1.targets.json',
      '2.alpha.json',
      expect.stringMatching(/^alpha\/0a1\/[0-9a-f]{64}\.manifest\.json$/),
    ])
    repo.requests.length = 0
    const trusted = await refresh({ source: repo, store, startedAt: now })
    await trusted.loadChannel('alpha')
    expect(repo.requests).toEqual(['2.root.json', 'timestamp.json'])
  })

  it('stores every file byte for byte as it came', async () => {
    const { repo, store } = await buildTrustWorld()
    for (const [stored, served] of [
      ['root.json', '1.root.json'],
      ['timestamp.json', 'timestamp.json'],
      ['snapshot.json', '2.snapshot.json'],
      ['targets.json', '1.targets.json'],
      ['alpha.json', '2.alpha.json'],
    ] as const) {
      expect(store.files.get(stored)).toEqual(repo.file(served))
    }
  })

  it('tells who signed, what is trusted, and until when', async () => {
    const world = await buildTrustWorld()
    const signers = [...world.repo.signersOf('alpha'), world.repo.addKey('alpha')]
    world.repo.setThreshold('alpha', 2)
    await world.repo.publish('targets', 'alpha')

    const trusted = await useRelease(world)

    expect(trusted.product).toBe('demo')
    expect([trusted.root.value.version, trusted.timestampVersion, trusted.snapshotVersion]).toEqual([1, 3, 3])
    expect(trusted.signersOf('alpha')).toEqual({
      keyids: signers.map((signer) => signer.publicKey.keyid),
      threshold: 2,
    })
    expect([...trusted.expiresAt.keys()].sort()).toEqual(['alpha', 'root', 'snapshot', 'targets', 'timestamp'])
    expect(trusted.expiresAt.get('alpha')?.toISOString()).toBe('2026-12-23T10:00:00.000Z')
    expect((await refusalOf(() => trusted.signersOf('beta'))).code).toBe('missing')
  })

  it('keeps the timestamp it has when the same version comes with other content', async () => {
    const world = await buildTrustWorld()
    const before = world.store.files.get('timestamp.json')
    world.repo.timestampMeta['snapshot.json'] = { version: 100 }
    await world.repo.publishAsIs('timestamp')
    expect((await useRelease(world)).snapshotVersion).toBe(2)
    expect(world.store.files.get('timestamp.json')).toBe(before)
  })

  it('reads a repository without consistent snapshots', async () => {
    const repo = await SimRepository.create()
    repo.root.consistent_snapshot = false
    await repo.publish('root')
    for (const role of ['snapshot', 'targets']) repo.files.set(`${role}.json`, repo.file(`1.${role}.json`))
    const store = new SimTrustStore(repo.file('1.root.json'))
    await refresh({ source: repo, store, startedAt: repo.now })
    expect(repo.requests).toEqual(['2.root.json', '3.root.json', 'timestamp.json', 'snapshot.json', 'targets.json'])
  })

  it('reads a repository that names no product', async () => {
    const repo = await SimRepository.create({ product: null })
    const store = new SimTrustStore(repo.file('1.root.json'))
    expect((await refresh({ source: repo, store, startedAt: repo.now })).product).toBe(undefined)
  })

  it('does not take a transport failure for an answer, and stores nothing', async () => {
    const world = await buildTrustWorld()
    await world.repo.publish('root', 'targets')
    const down = new PlatformError('unreachable', 'no route')
    const source = { load: async () => Promise.reject(down) }
    await expect(refresh({ source, store: world.store, startedAt: world.now })).rejects.toBe(down)
    expect(world.store.versions()).toEqual(SEEN)
    await useRelease(world)
  })

  it('T31 checks sizes itself where a source hands over more than it was asked for', async () => {
    const world = await buildTrustWorld()
    await world.repo.publish('root', 'targets')
    const padded = async (file: string, limit: number) => {
      const bytes = world.repo.files.get(file)
      return bytes ? utf8(new TextDecoder().decode(bytes).padEnd(limit + 1)) : 'missing'
    }
    const refusal = await refusalOf(() =>
      refresh({ source: { load: padded }, store: world.store, startedAt: world.now }),
    )
    expect(refusal.code).toBe('too-large')
    expect(world.store.versions()).toEqual(SEEN)
    await useRelease(world)
  })
})

describe('T12 new roots', () => {
  it('are followed up to the limit of one refresh, and on from there in the next', async () => {
    const world = await buildTrustWorld()
    for (let i = 0; i < 7; i++) await world.repo.publish('root')
    const limits = { ...DEFAULT_LIMITS, roots: 5 }
    const once = () => refresh({ source: world.repo, store: world.store, startedAt: world.now, limits })

    expect((await refusalOf(once)).code).toBe('too-many-roots')
    expect(world.store.versions().root).toBe(6)

    expect((await once()).root.value.version).toBe(8)
  })

  it('are followed exactly as many as the limit says', async () => {
    const world = await buildTrustWorld()
    for (let i = 0; i < 5; i++) await world.repo.publish('root')
    const limits = { ...DEFAULT_LIMITS, roots: 5 }
    const trusted = await refresh({ source: world.repo, store: world.store, startedAt: world.now, limits })
    expect(trusted.root.value.version).toBe(6)
  })

  it('stop at 256 unless said otherwise', () => {
    expect(DEFAULT_LIMITS).toEqual({
      rootBytes: 512_000,
      timestampBytes: 16_384,
      snapshotBytes: 2_000_000,
      targetsBytes: 5_000_000,
      roots: 256,
      roles: 32,
    })
  })
})

describe('T33 a repository that stands still', () => {
  it('is called frozen once its timestamp has expired, and serves again when it moves on', async () => {
    const world = await buildTrustWorld()
    world.now = new Date('2027-01-01T00:00:00Z')
    for (const role of world.repo.roles.values()) role.expires = daysFrom(world.now, 30)

    const refusal = await refusalOf(() => refreshOnly(world))
    expect(refusal.code).toBe('expired')
    expect(refusal.facts.role).toBe('root')

    await world.repo.publish('root')
    const frozen = await refusalOf(() => refreshOnly(world))
    expect(frozen.code).toBe('freeze')
    expect(frozen.message).toContain('timestamp v2, which expired at 2026-12-23T10:00:00Z')
    expect(world.store.versions()).toEqual({ ...SEEN, root: 2 })

    await world.repo.publish('targets', 'alpha')
    await useRelease(world)
  })

  it('is believed up to the last second', async () => {
    const world = await buildTrustWorld()
    world.now = new Date('2026-12-23T09:59:59Z')
    await useRelease(world)
    world.now = new Date('2026-12-23T10:00:00Z')
    expect((await refusalOf(() => refreshOnly(world))).code).toBe('expired')
  })

  it('recovers by itself when a clock that was ahead comes back', async () => {
    const world = await buildTrustWorld()
    const right = world.now
    world.now = new Date('2040-01-01T00:00:00Z')
    expect((await refusalOf(() => refreshOnly(world))).code).toBe('expired')
    world.now = right
    await useRelease(world)
  })
})

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

describe('T48 without a usable root', () => {
  const rows: [what: string, root: Uint8Array | undefined][] = [
    ['there is none', undefined],
    ['it is empty', new Uint8Array()],
    ['it is not JSON', utf8('root')],
    ['it is an object without anything', utf8('{}')],
  ]
  it.each(rows)('nothing is believed and nothing is asked for: %s', async (_, root) => {
    const repo = await SimRepository.create()
    const store = new SimTrustStore(root)
    expect((await refusalOf(() => refresh({ source: repo, store, startedAt: repo.now }))).code).toBe('no-root')
    expect((await refusalOf(() => loadTrusted({ store, startedAt: repo.now }))).code).toBe('no-root')
    expect(repo.requests).toEqual([])
    expect(store.writes).toEqual([])
  })

  it('a root that its own keys did not sign is no root', async () => {
    const repo = await SimRepository.create()
    const forged = await repo.sign(repo.root, [repo.newSigner()])
    const refusal = await refusalOf(() =>
      refresh({ source: repo, store: new SimTrustStore(forged), startedAt: repo.now }),
    )
    expect(refusal.code).toBe('no-root')
    expect(refusal.cause).toBeInstanceOf(TrustError)
    await refresh({ source: repo, store: new SimTrustStore(repo.file('1.root.json')), startedAt: repo.now })
  })

  it('an expired root may still lead to a newer one', async () => {
    const repo = await SimRepository.create()
    const store = new SimTrustStore(repo.file('1.root.json'))
    const later = new Date('2027-06-01T00:00:00Z')
    for (const role of repo.roles.values()) role.expires = daysFrom(later, 30)
    await repo.publish('root', 'targets')
    expect((await refresh({ source: repo, store, startedAt: later })).root.value.version).toBe(2)
  })
})

describe('reading without a network', () => {
  it('gives the same view as the refresh before it', async () => {
    const world = await buildTrustWorld()
    const online = await useRelease(world)
    world.repo.requests.length = 0
    const offline = await loadTrusted({ store: world.store, startedAt: world.now })
    expect([offline.timestampVersion, offline.snapshotVersion, offline.product]).toEqual([
      online.timestampVersion,
      online.snapshotVersion,
      online.product,
    ])
    expect((await offline.loadChannel('alpha')).value.channel.name).toBe('alpha')
    expect((await offline.findTarget('alpha/0a1/manifest.json')).role).toBe('alpha')
    expect(world.repo.requests).toEqual([])
  })

  it('refuses what has expired, unless expiry is only to be reported', async () => {
    const { store } = await buildTrustWorld()
    const later = new Date('2027-01-01T00:00:00Z')
    expect((await refusalOf(() => loadTrusted({ store, startedAt: later }))).code).toBe('expired')
    const trusted = await loadTrusted({ store, startedAt: later, expiry: 'report' })
    expect((await trusted.loadChannel('alpha')).value.version).toBe(2)
    expect(trusted.expiresAt.get('alpha')?.toISOString()).toBe('2026-12-23T10:00:00.000Z')
  })

  it('says what is missing, never guesses', async () => {
    const world = await buildTrustWorld()
    const offline = await loadTrusted({ store: world.store, startedAt: world.now })
    const beta = await refusalOf(() => offline.loadChannel('beta'))
    expect([beta.code, beta.facts.role]).toEqual(['missing', 'beta'])
    world.store.files.set('snapshot.json', utf8('{}'))
    expect((await refusalOf(() => loadTrusted({ store: world.store, startedAt: world.now }))).code).toBe('missing')
    world.store.files.delete('timestamp.json')
    expect((await refusalOf(() => loadTrusted({ store: world.store, startedAt: world.now }))).code).toBe('missing')
  })

  it('does not believe a cached file that was changed on disk', async () => {
    const world = await buildTrustWorld()
    const text = new TextDecoder().decode(world.store.files.get('alpha.json'))
    world.store.files.set('alpha.json', utf8(text.replace('0a1', '0a9')))
    const offline = await loadTrusted({ store: world.store, startedAt: world.now, expiry: 'report' })
    expect((await refusalOf(() => offline.loadChannel('alpha'))).code).toBe('missing')
    await useRelease(world)
    await (await loadTrusted({ store: world.store, startedAt: world.now })).loadChannel('alpha')
  })
})

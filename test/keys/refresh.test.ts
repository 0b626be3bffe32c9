// Stories of more than one refresh: floors, recovery, freezing, power cuts, reading without a network.
import { describe, expect, it } from 'vitest'
import { DEFAULT_LIMITS } from '../../keys/limits.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { loadTrusted, refresh } from '../../keys/refresh.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { daysFrom, SimRepository, utf8 } from '../sim/repository.ts'
import { SimTrustStore } from '../sim/trust-store.ts'
import { refusalOf } from './refusal.ts'
import { buildTrustWorld, refreshOnly, SEEN, useRelease } from './trust-world.ts'

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

  it('writes nothing where nothing is new', async () => {
    const world = await buildTrustWorld()
    world.store.writes.length = 0
    await useRelease(world)
    expect(world.store.writes).toEqual([])
    await world.repo.publish('alpha')
    await useRelease(world)
    expect(world.store.writes).toEqual(['save floors', 'save timestamp.json', 'save snapshot.json', 'save alpha.json'])
  })

  it('gives a view that stays as it is, whatever becomes of repository and store', async () => {
    const world = await buildTrustWorld()
    const trusted = await useRelease(world)
    const [before, again] = [await trusted.loadChannel('alpha'), await refreshOnly(world)]
    world.store.files.clear()
    world.repo.files.clear()
    expect((await trusted.loadChannel('alpha')).bytes).toBe(before.bytes)
    expect((await trusted.findTarget('alpha/0a1/manifest.json')).role).toBe('alpha')
    // Another view, which had not looked at alpha before, has nowhere to take it from.
    expect((await refusalOf(() => again.loadChannel('alpha'))).code).toBe('missing')
  })

  it.each(['root.json', 'snapshot.json'])(
    'does not take a fault of its store for a file that is not there: %s',
    async (faulty) => {
      const world = await buildTrustWorld()
      class Faulty extends SimTrustStore {
        override async load(name: string): Promise<Uint8Array | undefined> {
          const bytes = world.store.files.get(name)
          return name === faulty ? (new TextDecoder().decode(bytes) as never) : bytes
        }
      }
      await expect(refresh({ source: world.repo, store: new Faulty(), startedAt: world.now })).rejects.toThrow(
        TypeError,
      )
      await useRelease(world)
    },
  )

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

  it('refuses a timestamp that has expired although everything else is good', async () => {
    const world = await buildTrustWorld()
    world.repo.role('timestamp').expires = daysFrom(world.now, 1)
    await world.repo.publish('targets')
    await useRelease(world)
    const later = new Date(world.now.getTime() + 2 * 86_400_000)
    const refusal = await refusalOf(() => loadTrusted({ store: world.store, startedAt: later }))
    expect([refusal.code, refusal.facts.role]).toEqual(['expired', 'timestamp'])
    await loadTrusted({ store: world.store, startedAt: world.now })
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

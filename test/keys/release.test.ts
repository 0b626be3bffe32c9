import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { fingerprintOf, verifyManifest, verifyRootBytes } from '../../keys/release.ts'
import { parseVersion } from '../../schema/version.ts'
import { SimRepository } from '../sim/repository.ts'
import { SimTrustStore } from '../sim/trust-store.ts'
import { refusalOf } from './refusal.ts'
import { buildTrustWorld, refreshOnly } from './trust-world.ts'

describe('a manifest', () => {
  it('comes with its own bytes, from the path with its hash, never more of it than was signed', async () => {
    const world = await buildTrustWorld()
    const content = await world.repo.release('0a2+fix.1')
    const trusted = await refreshOnly(world)
    const asked: [string, number][] = []
    const source = {
      load: (path: string, maxBytes: number) => {
        asked.push([path, maxBytes])
        return world.repo.targets.load(path, maxBytes)
      },
    }
    const manifest = await verifyManifest(trusted, source, parseVersion('0a2+fix.1'))
    const digest = createHash('sha256').update(content).digest('hex')
    expect(asked).toEqual([[`alpha/0a2%2Bfix.1/${digest}.manifest.json`, content.length]])
    expect(manifest.value.version).toBe('0a2+fix.1')
    expect(manifest.bytes).toEqual(content)
  })

  it('lies at its own name where snapshots are not consistent', async () => {
    const repo = await SimRepository.create()
    const content = await repo.release('0a2+fix.1')
    repo.root.consistent_snapshot = false
    await repo.publish('root')
    const root = new SimTrustStore(repo.file('2.root.json'))
    for (const [file, from] of [
      ['snapshot.json', '2.snapshot.json'],
      ['targets.json', '1.targets.json'],
      ['alpha.json', '2.alpha.json'],
    ] as const)
      repo.files.set(file, repo.file(from))
    repo.targetFiles.clear()
    repo.targetFiles.set('alpha/0a2%2Bfix.1/manifest.json', content)
    const trusted = await refreshOnly({ repo, store: root, now: repo.now })
    expect((await verifyManifest(trusted, repo.targets, parseVersion('0a2+fix.1'))).bytes).toEqual(content)
  })

  it('that nobody lists, or that is listed and not there, is refused', async () => {
    const world = await buildTrustWorld()
    const trusted = await refreshOnly(world)
    const load = (version: string) => verifyManifest(trusted, world.repo.targets, parseVersion(version))
    expect((await refusalOf(() => load('0a9'))).code).toBe('not-delegated')
    const files = new Map(world.repo.targetFiles)
    world.repo.targetFiles.clear()
    expect((await refusalOf(() => load('0a1'))).code).toBe('missing')
    for (const [path, bytes] of files) world.repo.targetFiles.set(path, bytes)
    await load('0a1')
  })

  it('of a channel that may not speak for it is not found there', async () => {
    const world = await buildTrustWorld()
    const entry = world.repo.targetsRole('alpha').targets['alpha/0a1/manifest.json']
    if (!entry) throw new Error('expected 0a1')
    const { custom: _, ...file } = entry
    world.repo.targetsRole('beta').targets['alpha/0a5/manifest.json'] = file
    await world.repo.publish('beta')
    const trusted = await refreshOnly(world)
    const load = (version: string) => verifyManifest(trusted, world.repo.targets, parseVersion(version))
    expect((await refusalOf(() => load('0a5'))).code).toBe('not-delegated')
    await load('0a1')
  })

  it('is refused from a repository that names no product', async () => {
    const repo = await SimRepository.create({ product: null })
    await repo.release('0a1')
    const trusted = await refreshOnly({ repo, store: new SimTrustStore(repo.file('1.root.json')), now: repo.now })
    expect((await refusalOf(() => verifyManifest(trusted, repo.targets, parseVersion('0a1')))).code).toBe('foreign')
  })

  it('does not take a transport failure for a refusal', async () => {
    const world = await buildTrustWorld()
    const down = new PlatformError('unreachable', 'no route')
    const trusted = await refreshOnly(world)
    await expect(verifyManifest(trusted, { load: () => Promise.reject(down) }, parseVersion('0a1'))).rejects.toBe(down)
  })
})

describe('a root to begin with', () => {
  it('is the one whose fingerprint people read to each other', async () => {
    const repo = await SimRepository.create()
    const bytes = repo.file('1.root.json')
    expect(verifyRootBytes(bytes).value.product).toBe('demo')
    expect(fingerprintOf(bytes)).toBe(createHash('sha256').update(bytes).digest('hex'))
  })

  it('must be signed by its own keys', async () => {
    const repo = await SimRepository.create()
    const forged = await repo.sign(repo.root, [repo.newSigner()])
    expect((await refusalOf(() => verifyRootBytes(forged))).code).toBe('unsigned')
    expect((await refusalOf(() => verifyRootBytes(repo.file('1.targets.json')))).code).toBe('wrong-role')
  })
})

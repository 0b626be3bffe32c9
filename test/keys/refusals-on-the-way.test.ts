// What a refresh, a search and a manifest say when they refuse: code, sentence, facts. The repository is real, and so is the reason.
import { describe, expect, it } from 'vitest'
import { DEFAULT_LIMITS, type Limits } from '../../keys/limits.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { loadTrusted, refresh, type Trusted } from '../../keys/refresh.ts'
import { verifyManifest } from '../../keys/release.ts'
import { parseVersion } from '../../schema/version.ts'
import { SimRepository, utf8 } from '../sim/repository.ts'
import { SimTrustStore } from '../sim/trust-store.ts'
import { refusalOf, said } from './refusal.ts'
import { buildTrustWorld, refreshOnly, type TrustWorld } from './trust-world.ts'

const v = parseVersion
const open = (repo: SimRepository, limits?: Limits): Promise<Trusted> => {
  const store = new SimTrustStore(repo.file('1.root.json'))
  return refresh({ source: repo, store, startedAt: repo.now, ...(limits ? { limits } : {}) })
}

/** Root 2, timestamp 3, snapshot 3, targets 2, alpha 3 on the server; the host has seen those before. */
async function buildMoved(): Promise<TrustWorld> {
  const world = await buildTrustWorld()
  await world.repo.publish('root', 'targets', 'alpha')
  return world
}

describe('a refresh says', () => {
  const files: [role: string, file: string, limit: keyof Limits][] = [
    ['root', '2.root.json', 'rootBytes'],
    ['timestamp', 'timestamp.json', 'timestampBytes'],
    ['snapshot', '3.snapshot.json', 'snapshotBytes'],
    ['targets', '2.targets.json', 'targetsBytes'],
  ]

  it.each(files)('which file is longer than allowed: %s', async (role, file, limit) => {
    const { repo, store, now } = await buildMoved()
    const limited = (most: number) => {
      const limits = { ...DEFAULT_LIMITS, [limit]: most }
      return () => refresh({ source: repo, store, startedAt: now, limits })
    }
    const { length } = repo.file(file)
    expect(await said(limited(length - 1))).toEqual({
      code: 'too-large',
      message: `${file}: expected at most ${length - 1} bytes, found more`,
      facts: { role, expected: `at most ${length - 1} bytes` },
    })
    const { cause } = await refusalOf(limited(length - 1))
    expect(cause).toBeInstanceOf(PlatformError)
    expect(cause).toMatchObject({ code: 'too-large', facts: { limit: length - 1 } })
    await limited(DEFAULT_LIMITS[limit])()
  })

  it.each(files.slice(1))('which file the repository lacks: %s', async (role, file) => {
    const world = await buildMoved()
    const bytes = world.repo.file(file)
    world.repo.files.delete(file)
    expect(await said(() => refreshOnly(world))).toEqual({
      code: 'missing',
      message: `the repository has no ${file}`,
      facts: { role, path: file },
    })
    world.repo.files.set(file, bytes)
    await refreshOnly(world)
  })

  it('that there is no root to begin with', async () => {
    const { repo, store, now } = await buildTrustWorld()
    const nothing = new SimTrustStore()
    expect(await said(() => refresh({ source: repo, store: nothing, startedAt: now }))).toEqual({
      code: 'no-root',
      message: 'there is no trusted root: nothing can be verified',
      facts: { role: 'root' },
    })
    await refresh({ source: repo, store, startedAt: now })
  })

  it('how many roots it would follow', async () => {
    const { repo, store, now } = await buildTrustWorld()
    for (let i = 0; i < 3; i++) await repo.publish('root')
    const limited = (roots: number) => () =>
      refresh({ source: repo, store, startedAt: now, limits: { ...DEFAULT_LIMITS, roots } })
    expect(await said(limited(2))).toEqual({
      code: 'too-many-roots',
      message: 'more than 2 new roots in one refresh',
      facts: { role: 'root', expected: '2' },
    })
    await limited(2)()
  })

  it('which role this host never loaded, and whose signers nobody asked for', async () => {
    const { repo, store, now } = await buildTrustWorld()
    const offline = await loadTrusted({ store, startedAt: now })
    expect(await said(() => offline.loadChannel('beta'))).toEqual({
      code: 'missing',
      message: 'beta v1 is not on this host',
      facts: { role: 'beta' },
    })
    expect(await said(() => offline.signersOf('alpha'))).toEqual({
      code: 'missing',
      message: 'the role alpha was not loaded',
      facts: { role: 'alpha' },
    })
    await offline.loadChannel('alpha')
    expect(offline.signersOf('alpha').keyids).toEqual(repo.signersOf('alpha').map(({ publicKey }) => publicKey.keyid))
  })
})

describe('a search says', () => {
  const notListed = (path: string, where: string) => ({
    code: 'not-delegated',
    message: `${path} is not listed ${where}`,
    facts: { path },
  })
  const delegationTo = (repo: SimRepository, name: string) => {
    const named = repo.targetsRole('targets').delegations?.roles.find((delegation) => delegation.name === name)
    if (!named) throw new Error(`expected a delegation to ${name}`)
    return named
  }

  it('who might have listed a release and does not', async () => {
    const repo = await SimRepository.create()
    await repo.release('0a1')
    const find = (version: string) => async () => (await open(repo)).findRelease(v(version))
    const missing = 'alpha/0a9/manifest.json'
    expect(await said(find('0a9'))).toEqual(notListed(missing, 'by alpha, nor delegated to alpha-0-0'))
    repo.delegateLine('alpha', 'alpha-0-0')
    await repo.publish('alpha', 'alpha-0-0')
    expect(await said(find('0a9'))).toEqual(notListed(missing, 'by alpha or alpha-0-0'))
    expect((await find('0a1')()).role).toBe('alpha')
  })

  it('that a channel may not speak for a release, whoever else may', async () => {
    const repo = await SimRepository.create()
    await repo.release('0a1')
    const find = async () => (await open(repo)).findRelease(v('0a1'))
    // Before alpha stands one that may speak for its releases; alpha, which lists one, may not.
    repo.delegate('targets', { name: 'gamma', paths: ['alpha/*/manifest.json'] })
    const roles = repo.targetsRole('targets').delegations?.roles ?? []
    roles.unshift(...roles.splice(-1))
    const { paths } = delegationTo(repo, 'alpha')
    delegationTo(repo, 'alpha').paths = ['other/*/manifest.json']
    await repo.publish('targets', 'gamma')
    expect(await said(find)).toEqual(notListed('alpha/0a1/manifest.json', 'by targets, nor delegated to alpha'))
    Object.assign(delegationTo(repo, 'alpha'), { paths })
    await repo.publish('targets')
    expect((await find()).role).toBe('alpha')
  })

  it('that a channel is another one, whether it is looked at or a release in it', async () => {
    const repo = await SimRepository.create()
    await repo.release('0a1')
    const role = repo.role('alpha')
    const { targets, channel } = role
    Object.assign(role, { targets: {}, channel: { ...(channel as object), name: 'beta' } })
    await repo.publish('alpha')
    const trusted = await open(repo)
    for (const act of [() => trusted.loadChannel('alpha'), () => trusted.findRelease(v('0a1'))])
      expect(await said(act)).toEqual({
        code: 'wrong-role',
        message: 'alpha: expected the channel alpha, found beta',
        facts: { role: 'alpha', expected: 'alpha', actual: 'beta' },
      })
    Object.assign(role, { targets, channel })
    await repo.publish('alpha')
    expect((await (await open(repo)).findRelease(v('0a1'))).role).toBe('alpha')
  })

  it('that it came to an end, or to its limit', async () => {
    const repo = await SimRepository.create({ withChannels: false })
    for (const name of ['a', 'b']) repo.delegate('targets', { name })
    repo.addTarget('b', 'file', utf8('1'))
    await repo.publish('targets', 'a', 'b')
    const find = (path: string, roles: number) => async () =>
      (await open(repo, { ...DEFAULT_LIMITS, roles })).findTarget(path)
    expect(await said(find('nowhere', 3))).toEqual(notListed('nowhere', 'by any role that may speak for it'))
    expect(await said(find('file', 2))).toEqual(notListed('file', 'in the first 2 roles'))
    expect((await find('file', 3)()).role).toBe('b')
  })
})

describe('a manifest says', () => {
  const PATH = 'alpha/0a1/manifest.json'
  const load = async (repo: SimRepository) => verifyManifest(await open(repo), repo.targets, v('0a1'))

  it.each([
    ['product', 'demo', 'other'],
    ['version', '0a1', '0a2'],
    ['channel', 'alpha', 'beta'],
  ])('that it is of another %s', async (what, expected, actual) => {
    const repo = await SimRepository.create()
    await repo.release('0a1', { [what]: actual })
    expect(await said(() => load(repo))).toEqual({
      code: 'foreign',
      message: `${PATH}: expected the ${what} ${expected}, found ${actual}`,
      facts: { path: PATH, expected, actual },
    })
    await repo.release('0a1', { [what]: expected })
    expect((await load(repo)).value).toMatchObject({ [what]: expected })
  })

  it('that a repository without a product has none', async () => {
    const repo = await SimRepository.create({ product: null })
    await repo.release('0a1')
    const expected = 'none, as root names none'
    expect(await said(() => load(repo))).toEqual({
      code: 'foreign',
      message: `${PATH}: expected the product ${expected}, found demo`,
      facts: { path: PATH, expected, actual: 'demo' },
    })
  })

  it('where it should be, and how long', async () => {
    const repo = await SimRepository.create()
    const { length } = await repo.release('0a1')
    const file = [...repo.targetFiles.keys()].find((name) => /\/[0-9a-f]{64}\./.test(name)) ?? ''
    const bytes = repo.targetFiles.get(file) ?? new Uint8Array()
    repo.targetFiles.delete(file)
    expect(await said(() => load(repo))).toEqual({
      code: 'missing',
      message: `the repository has no ${file}`,
      facts: { path: PATH },
    })
    repo.targetFiles.set(file, Buffer.concat([bytes, utf8(' ')]))
    expect(await said(() => load(repo))).toEqual({
      code: 'hash',
      message: `${PATH}: expected ${length} bytes, found more`,
      facts: { path: PATH, expected: `${length} bytes`, actual: 'more' },
    })
    const { cause } = await refusalOf(() => load(repo))
    expect(cause).toBeInstanceOf(PlatformError)
    expect(cause).toMatchObject({ code: 'too-large', facts: { limit: length } })
    repo.targetFiles.set(file, bytes)
    expect((await load(repo)).bytes).toEqual(bytes)
  })

  it('that no hash of it is one that is known here', async () => {
    const repo = await SimRepository.create()
    await repo.release('0a1')
    const entry = repo.targetsRole('alpha').targets[PATH]
    if (!entry) throw new Error('expected 0a1')
    const { hashes } = entry
    entry.hashes = { blake3: '00' }
    await repo.publish('alpha')
    expect(await said(() => load(repo))).toEqual({
      code: 'hash',
      message: `${PATH}: expected a sha256 or sha512 hash`,
      facts: { path: PATH },
    })
    entry.hashes = { sha512: hashes.sha512 ?? '' }
    await repo.publish('alpha')
    expect((await load(repo)).value.version).toBe('0a1')
  })
})

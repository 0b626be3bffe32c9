// The walk through delegations (TUF 5.6.7): whom it asks, in which order, and where it ends.
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { describe, expect, it } from 'vitest'
import { DEFAULT_LIMITS } from '../../keys/limits.ts'
import { refresh } from '../../keys/refresh.ts'
import { daysFrom, SimRepository, utf8 } from '../sim/repository.ts'
import { SimTrustStore } from '../sim/trust-store.ts'
import { refusalOf } from './refusal.ts'

interface Edge {
  readonly from?: string
  readonly name: string
  readonly paths?: string[]
  readonly path_hash_prefixes?: string[]
  readonly terminating?: boolean
}

/** A repository with these delegations, all published. */
async function repositoryWith(
  edges: readonly Edge[],
  edit: (repo: SimRepository) => void = () => {},
): Promise<SimRepository> {
  const repo = await SimRepository.create({ withChannels: false })
  for (const { from = 'targets', ...delegation } of edges) repo.delegate(from, delegation)
  edit(repo)
  await repo.publish(...[...repo.roles.keys()].filter((role) => repo.role(role)._type === 'targets'))
  return repo
}

async function open(repo: SimRepository, store = new SimTrustStore(repo.file('1.root.json'))) {
  const trusted = await refresh({ source: repo, store, startedAt: repo.now })
  repo.requests.length = 0
  return trusted
}

/** The roles that were asked for while looking for a path that nobody lists. */
async function rolesAsked(repo: SimRepository, path = 'nowhere'): Promise<string[]> {
  const trusted = await open(repo)
  expect((await refusalOf(() => trusted.findTarget(path))).code).toBe('not-delegated')
  return repo.requests.map((file) => decodeURIComponent(file.split('.')[1] ?? ''))
}

describe('the walk', () => {
  const walks: [what: string, edges: Edge[], order: string[]][] = [
    [
      'T18 depth first, in order of appearance',
      [{ name: 'A' }, { name: 'B' }, { from: 'B', name: 'C' }],
      ['A', 'B', 'C'],
    ],
    ['T18 children before later siblings', [{ name: 'A' }, { name: 'B' }, { from: 'A', name: 'C' }], ['A', 'C', 'B']],
    [
      'T19 names that look like numbers keep their place',
      [{ name: 'beta' }, { name: '2' }, { name: '1' }],
      ['beta', '2', '1'],
    ],
    ['T17 a terminating role ends it', [{ name: 'A', terminating: true }, { name: 'B' }], ['A']],
    [
      'T17 a terminating role ends it for siblings of its ancestors too',
      [{ name: 'A' }, { name: 'B' }, { from: 'A', name: 'C', terminating: true }, { from: 'A', name: 'D' }],
      ['A', 'C'],
    ],
    [
      'a terminating role that does not match ends nothing',
      [{ name: 'A', terminating: true, paths: ['x*'] }, { name: 'B' }],
      ['B'],
    ],
    ['T22 a star does not reach below a folder', [{ name: 'A', paths: ['releases/**'] }], []],
    ['a role that no path leads to is not asked', [{ name: 'A', paths: [] }], []],
  ]
  it.each(walks)('%s', async (what, edges, order) => {
    expect(
      await rolesAsked(await repositoryWith(edges), what.startsWith('T22') ? 'releases/stable/x' : 'nowhere'),
    ).toEqual(order)
  })

  it('asks each role once where delegations run in a circle', async () => {
    const repo = await repositoryWith([{ name: 'A' }, { from: 'A', name: 'B' }], (it) => {
      const [signer] = it.signersOf('A')
      it.delegate('B', { name: 'A', keyids: [signer!.publicKey.keyid] })
      it.targetsRole('B').delegations!.keys[signer!.publicKey.keyid] = signer!.publicKey.object
    })
    expect(await rolesAsked(repo)).toEqual(['A', 'B'])
  })

  it('takes the first role that lists the file', async () => {
    const repo = await repositoryWith([{ name: 'A' }, { name: 'B' }], (it) => {
      it.addTarget('A', 'file', utf8('from A'))
      it.addTarget('B', 'file', utf8('from B'))
    })
    const target = await (await open(repo)).findTarget('file')
    expect([target.role, target.length]).toEqual(['A', 6])
    expect(repo.requests).toEqual(['2.A.json'])
  })

  it('finds what a role lists only through roles that may all speak for it', async () => {
    const edges: Edge[] = [
      { name: 'A', paths: ['a/*'] },
      { from: 'A', name: 'B', paths: ['*/*'] },
    ]
    const repo = await repositoryWith(edges, (it) => {
      it.addTarget('B', 'a/file', utf8('1'))
      it.addTarget('B', 'b/file', utf8('2'))
    })
    const trusted = await open(repo)
    expect((await trusted.findTarget('a/file')).role).toBe('B')
    expect((await refusalOf(() => trusted.findTarget('b/file'))).code).toBe('not-delegated')
  })

  it('goes by the hash of the path where a delegation says so', async () => {
    const digest = bytesToHex(sha256(utf8('file')))
    const other = digest.startsWith('0') ? '1' : '0'
    const add = (repo: SimRepository) => repo.addTarget('A', 'file', utf8('1'))
    const right = await open(await repositoryWith([{ name: 'A', path_hash_prefixes: [digest.slice(0, 3)] }], add))
    expect((await right.findTarget('file')).role).toBe('A')
    const wrong = await open(await repositoryWith([{ name: 'A', path_hash_prefixes: [other] }], add))
    expect((await refusalOf(() => wrong.findTarget('file'))).code).toBe('not-delegated')
  })

  it('visits 32 roles and no more', async () => {
    const edges = Array.from({ length: 32 }, (_, i) => ({ name: `r${i}` }))
    const repo = await repositoryWith(edges, (it) => {
      it.addTarget('r30', 'near', utf8('1'))
      it.addTarget('r31', 'far', utf8('2'))
    })
    const trusted = await open(repo)
    expect((await trusted.findTarget('near')).role).toBe('r30')
    expect((await refusalOf(() => trusted.findTarget('far'))).code).toBe('not-delegated')
    expect(DEFAULT_LIMITS.roles).toBe(32)
  })

  it("ends at a role that can't be verified, instead of passing it over", async () => {
    const repo = await repositoryWith([{ name: 'A' }, { name: 'B' }], (it) => it.addTarget('B', 'file', utf8('1')))
    const good = repo.file('2.A.json')
    repo.files.set('2.A.json', await repo.sign(repo.role('A'), [repo.newSigner()]))
    const store = new SimTrustStore(repo.file('1.root.json'))
    const trusted = await open(repo, store)
    const refusal = await refusalOf(() => trusted.findTarget('file'))
    expect([refusal.code, refusal.facts.role]).toEqual(['unsigned', 'A'])
    expect(store.versions()).not.toHaveProperty('A')
    repo.files.set('2.A.json', good)
    expect((await trusted.findTarget('file')).role).toBe('B')
  })

  it('does not ask for a role that the snapshot does not list', async () => {
    const repo = await repositoryWith([{ name: 'A' }])
    delete repo.snapshotMeta['A.json']
    await repo.seal()
    const trusted = await open(repo)
    const refusal = await refusalOf(() => trusted.findTarget('file'))
    expect([refusal.code, refusal.facts.role]).toEqual(['missing', 'A'])
    expect(repo.requests).toEqual([])
  })

  it('checks expiry and version of delegated roles too', async () => {
    const expired = await repositoryWith([{ name: 'A' }], (it) => {
      it.role('A').expires = daysFrom(it.now, -1)
    })
    expect((await refusalOf(async () => (await open(expired)).findTarget('file'))).code).toBe('expired')
    const other = await repositoryWith([{ name: 'A' }])
    other.files.set('2.A.json', other.file('2.A.json'))
    other.role('A').version = 7
    other.files.set('2.A.json', await other.sign(other.role('A'), other.signersOf('A')))
    expect((await refusalOf(async () => (await open(other)).findTarget('file'))).code).toBe('wrong-version')
  })
})

describe('T21 one role below two delegators with different keys', () => {
  async function diamond(): Promise<SimRepository> {
    const edges: Edge[] = [
      { name: 'A', paths: ['a/*'] },
      { name: 'B', paths: ['b/*'] },
      { from: 'A', name: 'C', paths: ['a/*'] },
    ]
    return repositoryWith(edges, (it) => {
      const stranger = it.newSigner().publicKey
      it.delegate('B', { name: 'C', paths: ['b/*'], keyids: [stranger.keyid] })
      it.targetsRole('B').delegations!.keys[stranger.keyid] = stranger.object
      it.addTarget('C', 'a/file', utf8('1'))
      it.addTarget('C', 'b/file', utf8('2'))
    })
  }

  it('what one delegator may verify, the other may not: not from memory, not from the cache', async () => {
    const repo = await diamond()
    const store = new SimTrustStore(repo.file('1.root.json'))
    const trusted = await open(repo, store)
    expect((await trusted.findTarget('a/file')).role).toBe('C')
    expect((await refusalOf(() => trusted.findTarget('b/file'))).code).toBe('unsigned')
    const again = await open(repo, store)
    expect((await refusalOf(() => again.findTarget('b/file'))).code).toBe('unsigned')
    expect((await again.findTarget('a/file')).role).toBe('C')
  })
})

describe('names', () => {
  it.each(['__proto__', 'constructor', 'toString', '../../x', 'a/../../b', '?', '#', "!'()*", '😀'])(
    'T39 and T26: a role and a file called %s are like any other',
    async (name) => {
      const repo = await repositoryWith([{ name, paths: ['file-*'] }], (it) => it.addTarget(name, 'file-1', utf8('1')))
      const trusted = await open(repo)
      expect((await trusted.findTarget('file-1')).role).toBe(name)
      expect(repo.requests).toHaveLength(1)
      expect(repo.requests[0]).toMatch(/^2\.[A-Za-z0-9._~%-]+\.json$/)
    },
  )

  it.each(['__proto__', 'constructor', 'hasOwnProperty'])(
    'T39 a file called %s is found where it is listed and nowhere else',
    async (name) => {
      const repo = await repositoryWith([])
      expect((await refusalOf(async () => (await open(repo)).findTarget(name))).code).toBe('not-delegated')
      repo.addTarget('targets', name, utf8('content'))
      await repo.publish('targets')
      expect((await (await open(repo)).findTarget(name)).length).toBe(7)
    },
  )

  it.each([
    '../../etc/cron.d/x',
    '/abs',
    'a/../b',
    'a/./b',
    'a//b',
    'a/',
    '',
    'a\\..\\b',
    '%2e%2e/x',
    'a/%2E/b',
    'a\0b',
    'a\nb',
    '.',
    '..',
  ])('T27 the target path %j is refused although it is listed', async (path) => {
    const repo = await repositoryWith([], (it) => it.addTarget('targets', path, utf8('1')))
    const trusted = await open(repo)
    expect((await refusalOf(() => trusted.findTarget(path))).code).toBe('malformed')
  })

  it.each(['a/b', '.hidden', 'a/..b', 'a b', 'ä', '%2e%2e%2e'])(
    'the target path %j is as good as any',
    async (path) => {
      const repo = await repositoryWith([], (it) => it.addTarget('targets', path, utf8('1')))
      expect((await (await open(repo)).findTarget(path)).path).toBe(path)
    },
  )
})

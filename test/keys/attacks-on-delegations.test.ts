// Repositories that delegate strangely, read by a host with a real folder: what it finds, what it asks for, and what lies in the folder afterwards.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { signDocument } from '../../keys/document.ts'
import { buildFileTrustStore, fileNameOf } from '../../keys/file-trust-store.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { refresh, type Trusted } from '../../keys/refresh.ts'
import type { TrustErrorCode } from '../../keys/trust-error.ts'
import { daysFrom, type SimDelegation, SimRepository, utf8 } from '../sim/repository.ts'
import { refusalOf } from './refusal.ts'

const NAMED = ['floors.state', 'root.json', 'snapshot.json', 'targets.json', 'timestamp.json']
let folder: string

let home: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'netlink-delegations-'))
  await newHost()
})
afterEach(() => rm(home, { recursive: true }))

/** A host that has seen nothing yet. */
async function newHost(): Promise<void> {
  folder = await mkdtemp(join(home, 'host-'))
}

type Edit = (repo: SimRepository) => void

/** A repository whose targets delegate to A, which lists `file`. */
async function repositoryWith(delegation: Partial<SimDelegation>, edit: Edit = () => {}): Promise<SimRepository> {
  const repo = await SimRepository.create({ withChannels: false })
  repo.withHashes = true
  repo.delegate('targets', { name: 'A', ...delegation })
  repo.addTarget(delegation.name ?? 'A', 'file', utf8('content'))
  edit(repo)
  await repo.publish(...[...repo.roles.keys()].filter((role) => repo.role(role)._type === 'targets'))
  return repo
}

async function open(repo: SimRepository): Promise<Trusted> {
  const store = buildFileTrustStore(nodeDisk, folder)
  await store.save('root.json', repo.file('1.root.json'))
  return refresh({ source: repo, store, startedAt: repo.now })
}

const stored = async () => (await readdir(folder)).sort()

/** Looking for `path` is refused with this code, and nothing of A is kept; what `mend` makes of the repository is read. */
async function refused(repo: SimRepository, code: TrustErrorCode, mend: () => Promise<SimRepository>): Promise<void> {
  const refusal = await refusalOf(async () => (await open(repo)).findTarget('file'))
  expect(refusal.code).toBe(code)
  expect(await stored()).toEqual(NAMED)
  const mended = await open(await mend())
  expect((await mended.findTarget('file')).role).toBe('A')
  expect(await stored()).toEqual([fileNameOf('A.json'), ...NAMED].sort())
}

describe('what the snapshot says of a delegated role is held to:', () => {
  it('T43 the right version with the wrong hash', async () => {
    const repo = await repositoryWith({})
    const good = repo.file('2.A.json')
    repo.role('A').spec_version = '1.0.35'
    repo.files.set('2.A.json', await repo.sign(repo.role('A'), repo.signersOf('A')))
    await refused(repo, 'hash', async () => {
      repo.files.set('2.A.json', good)
      return repo
    })
  })

  it('T43 the right hash with the wrong version', async () => {
    const repo = await repositoryWith({})
    repo.snapshotMeta['A.json']!.version = 3
    await repo.seal()
    repo.files.set('3.A.json', repo.file('2.A.json'))
    await refused(repo, 'wrong-version', async () => {
      // The number that went too far is passed.
      repo.role('A').version = 3
      await repo.publish('A')
      return repo
    })
  })

  it('an expired role is refused although everything above it is fresh', async () => {
    const repo = await repositoryWith({}, (it) => {
      it.role('A').expires = daysFrom(it.now, 0)
    })
    await refused(repo, 'expired', async () => {
      repo.role('A').expires = daysFrom(repo.now, 1)
      await repo.publish('A')
      return repo
    })
  })

  it('more bytes than the snapshot says are not taken', async () => {
    const repo = await repositoryWith({})
    const good = repo.file('2.A.json')
    repo.files.set('2.A.json', utf8(`${new TextDecoder().decode(good)} `))
    await refused(repo, 'too-large', async () => {
      repo.files.set('2.A.json', good)
      return repo
    })
  })
})

describe('delegations that say what no reader may guess at', () => {
  const shapes: [what: string, harm: (role: Record<string, unknown>) => void][] = [
    ['T20 one role name twice', () => {}],
    ['succinct roles, which are not read here', () => {}],
    ['neither paths nor hash prefixes', (role) => delete role.paths],
    [
      'a hash prefix that is no hexadecimal',
      (role) => {
        delete role.paths
        role.path_hash_prefixes = ['']
      },
    ],
    [
      'a hash prefix in upper case',
      (role) => {
        delete role.paths
        role.path_hash_prefixes = ['AB']
      },
    ],
    [
      'a list of roles as its paths',
      (role) => {
        role.paths = [['*']]
      },
    ],
    [
      'a role without a name',
      (role) => {
        role.name = ''
      },
    ],
  ]

  it.each(shapes)('%s', async (what, harm) => {
    const repo = await repositoryWith({}, (it) => {
      const { roles } = it.targetsRole('targets').delegations!
      if (what.startsWith('T20')) roles.push({ ...roles[0]!, threshold: 3 })
      if (what.startsWith('succinct')) {
        const { keyids } = roles[0]!
        const succinct = { keyids, threshold: 1, bit_length: 8, name_prefix: 'bin' }
        const { keys } = it.targetsRole('targets').delegations!
        it.role('targets').delegations = { keys, succinct_roles: succinct }
      } else harm(roles[0] as unknown as Record<string, unknown>)
    })
    const refusal = await refusalOf(() => open(repo))
    expect([refusal.code, refusal.facts.role]).toEqual(['malformed', 'targets'])
    expect(await stored()).toEqual(NAMED.filter((name) => name !== 'targets.json'))
    await newHost()
    const good = await open(await repositoryWith({}))
    expect((await good.findTarget('file')).role).toBe('A')
    expect(await stored()).toContain('targets.json')
  })

  it('T39 a key id called __proto__ is a key id like any other, and the wrong one', async () => {
    const repo = await repositoryWith({}, (it) => {
      const { keys, roles } = it.targetsRole('targets').delegations!
      const [keyid = ''] = Object.keys(keys)
      Object.defineProperty(keys, '__proto__', { value: keys[keyid], enumerable: true })
      roles[0]!.keyids = ['__proto__']
    })
    repo.files.set('2.targets.json', await signedRaw(repo))
    delete repo.snapshotMeta['targets.json']!.hashes
    delete repo.snapshotMeta['targets.json']!.length
    await repo.seal()
    expect((await refusalOf(() => open(repo))).code).toBe('bad-key')
    expect(await stored()).toEqual(NAMED.filter((name) => name !== 'targets.json'))
    await newHost()
    expect((await (await open(await repositoryWith({}))).findTarget('file')).role).toBe('A')
  })
})

/** `sign` copies through JSON, which loses `__proto__`: here the key id goes in as text. */
function signedRaw(repo: SimRepository): Promise<Uint8Array> {
  return signDocument(repo.targetsRole('targets') as never, repo.signersOf('targets'))
}

describe('who may speak for a path', () => {
  const digest = bytesToHex(sha256(utf8('file')))
  const cases: [what: string, delegation: Partial<SimDelegation>, control: Partial<SimDelegation>][] = [
    ['T23 upper and lower case are different names on every system', { paths: ['File', 'FILE'] }, { paths: ['fil?'] }],
    ['T24 !foo is a name and not everything else', { paths: ['!foo'] }, { paths: ['!foo', 'f*e'] }],
    ['T24 braces are no choice', { paths: ['{file,other}'] }, { paths: ['{file,other}', 'file'] }],
    ['T24 brackets are no class', { paths: ['[f]ile'] }, { paths: ['[f]ile', 'f??e'] }],
    ['T24 +(…) repeats nothing', { paths: ['+(f|i|l|e)'] }, { paths: ['+(f|i|l|e)', '*'] }],
    ['T24 a backslash escapes nothing', { paths: ['\\file'] }, { paths: ['file'] }],
    ['T24 64 kB of stars end at once', { paths: [`${'*'.repeat(65_536)}/x`] }, { paths: ['*'.repeat(65_536)] }],
    [
      'path_hash_prefixes of another path do not match',
      { path_hash_prefixes: [digest.startsWith('0') ? '1' : '0'] },
      { path_hash_prefixes: [digest.slice(0, 5)] },
    ],
  ]

  it.each(cases)('%s', async (_, delegation, control) => {
    const repo = await repositoryWith(delegation)
    const started = performance.now()
    expect((await refusalOf(async () => (await open(repo)).findTarget('file'))).code).toBe('not-delegated')
    expect(performance.now() - started).toBeLessThan(2_000)
    expect(repo.requests).not.toContain('2.A.json')
    expect(await stored()).toEqual(NAMED)
    await newHost()
    expect((await (await open(await repositoryWith(control))).findTarget('file')).role).toBe('A')
  })
})

describe('names of roles', () => {
  it.each([
    '../../x',
    'a/../../b',
    '/etc/x',
    'NUL',
    'a\0b',
    'x'.repeat(300),
    'targets.json',
    'floors.state',
    '..',
    '__proto__',
  ])('T26 a role called %j stays inside the folder and takes nobody else’s file', async (name) => {
    const repo = await repositoryWith({ name, paths: ['file'] })
    const target = await (await open(repo)).findTarget('file')
    expect(target.role).toBe(name)
    const files = await stored()
    expect(files).toHaveLength(NAMED.length + 1)
    for (const file of NAMED) expect(files).toContain(file)
  })

  it('T26 roles called A and a have a file each, on a disk that takes them for one too', async () => {
    const repo = await repositoryWith({}, (it) => {
      it.delegate('targets', { name: 'a' })
      it.addTarget('a', 'other', utf8('1'))
    })
    const trusted = await open(repo)
    expect([(await trusted.findTarget('file')).role, (await trusted.findTarget('other')).role]).toEqual(['A', 'a'])
    const files = await stored()
    expect(new Set(files.map((file) => file.toLowerCase())).size).toBe(files.length)
    expect(files).toHaveLength(NAMED.length + 2)
  })
})

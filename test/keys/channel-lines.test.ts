// What a channel role may delegate and what it may speak of. Every delegation that would be a way round the channel's threshold is one that TUF allows: a search
// for the path finds it.
import { describe, expect, test } from 'vitest'
import { refresh, type Trusted } from '../../keys/refresh.ts'
import { verifyManifest } from '../../keys/release.ts'
import { lineRolePatterns, manifestPath } from '../../schema/release-path.ts'
import { parseVersion } from '../../schema/version.ts'
import { type SimDelegation, SimRepository, utf8 } from '../sim/repository.ts'
import { SimTrustStore } from '../sim/trust-store.ts'
import { refusalOf } from './refusal.ts'

const OLD = parseVersion('0a1')
const LINE = 'alpha-0-0'

/** alpha, of two of two, lists 0a2 itself and 0a1 in its line. */
async function buildWorld(edit: (repo: SimRepository) => void = () => undefined): Promise<SimRepository> {
  const repo = await SimRepository.create()
  repo.addKey('alpha')
  repo.setThreshold('alpha', 2)
  await repo.publish('targets')
  await repo.release('0a1')
  const line = repo.delegateLine('alpha', LINE)
  line.targets = repo.targetsRole('alpha').targets
  repo.targetsRole('alpha').targets = {}
  edit(repo)
  await repo.publish('targets', 'alpha', LINE)
  await repo.release('0a2')
  return repo
}

const open = (repo: SimRepository): Promise<Trusted> =>
  refresh({ source: repo, store: new SimTrustStore(repo.file('1.root.json')), startedAt: repo.now })

const lineOf = (repo: SimRepository): SimDelegation => {
  const named = repo.targetsRole('alpha').delegations?.roles.find(({ name }) => name === LINE)
  if (!named) throw new Error(`expected a delegation to ${LINE}`)
  return named
}

/** One holder's key for one delegation more. */
const smuggled = (changes: Partial<SimDelegation> & { name: string }) => (repo: SimRepository) => {
  const [alice] = repo.signersOf('alpha')
  repo.delegate('alpha', { paths: ['alpha/*/manifest.json'], terminating: true, keyids: [], ...changes })
  if (alice) repo.addKey(changes.name, alice)
}

describe('a line of the channel', () => {
  test('holds an old release, found by way of its channel', async () => {
    const repo = await buildWorld()
    const trusted = await open(repo)
    expect((await trusted.findRelease(OLD)).role).toBe(LINE)
    expect((await trusted.findRelease(parseVersion('0a2'))).role).toBe('alpha')
    expect((await verifyManifest(trusted, repo.targets, OLD)).value.version).toBe('0a1')
    expect((await refusalOf(() => trusted.findRelease(parseVersion('0a3')))).code).toBe('not-delegated')
    expect((await refusalOf(() => trusted.findRelease(parseVersion('0a60')))).code).toBe('not-delegated')
  })

  test('may lack a key that the channel was given since, and ask for more signatures than it does now', async () => {
    const joined = await open(await buildWorld((repo) => void repo.addKey('alpha')))
    expect((await joined.findRelease(OLD)).role).toBe(LINE)
    const lowered = await open(await buildWorld((repo) => repo.setThreshold('alpha', 1)))
    expect((await lowered.findRelease(OLD)).role).toBe(LINE)
  })
})

const attacks: readonly [what: string, edit: (repo: SimRepository) => void, words: RegExp][] = [
  ['a role that is no line, for all releases', smuggled({ name: 'alpha-9' }), /alpha-9.*expected a line of alpha/],
  ['a name with anything in it', smuggled({ name: 'x\u001b[2J\n' }), /"x\\u001b\[2J\\n"/],
  ['a line of another channel', smuggled({ name: 'beta-0-0' }), /expected a line of alpha/],
  ['a channel', smuggled({ name: 'release' }), /expected a line of alpha/],
  ['a line for all releases', smuggled({ name: 'alpha-0-50' }), /other paths than those of its block/],
  [
    'a line by path hashes',
    (repo) => {
      const { paths: _, ...named } = lineOf(repo)
      Object.assign(repo.targetsRole('alpha').delegations ?? {}, { roles: [{ ...named, path_hash_prefixes: ['0'] }] })
    },
    /other paths than those of its block/,
  ],
  [
    'a line of one holder',
    smuggled({ name: 'alpha-0-50', paths: lineRolePatterns('alpha-0-50') }),
    /1 of its keys are enough, and alpha needs 2/,
  ],
  ['a line of fewer signatures', (repo) => repo.setThreshold(LINE, 1), /1 of its keys are enough, and alpha needs 2/],
  ['a line with a key of nobody', (repo) => void repo.addKey(LINE), /keys may sign for it that are not keys of alpha/],
  ['a line that does not end the search', (repo) => Object.assign(lineOf(repo), { terminating: false }), /terminating/],
]

describe('a channel role that delegates to', () => {
  test.each(attacks)('%s is refused, wherever it is read', async (_what, edit, words) => {
    const repo = await buildWorld(edit)
    const trusted = await open(repo)
    for (const use of [
      () => trusted.loadChannel('alpha'),
      () => trusted.findRelease(OLD),
      () => trusted.findRelease(parseVersion('0a2')),
      () => verifyManifest(trusted, repo.targets, parseVersion('0a2')),
    ]) {
      const refusal = await refusalOf(use)
      expect([refusal.code, refusal.facts.role]).toEqual(['bad-delegation', 'alpha'])
      expect(refusal.message).toMatch(words)
    }
    // The channels beside it are as they were.
    expect((await trusted.loadChannel('beta')).value.channel.name).toBe('beta')
  })

  test('one holder does not speak for the channel, although a search for the path leads there', async () => {
    const repo = await buildWorld(smuggled({ name: 'alpha-9' }))
    const version = parseVersion('0a60')
    repo.addTarget('alpha-9', manifestPath(version), utf8(JSON.stringify(repo.manifest(version))))
    await repo.publish('alpha-9')
    const trusted = await open(repo)
    expect((await trusted.findTarget(manifestPath(version))).role).toBe('alpha-9')
    expect((await refusalOf(() => verifyManifest(trusted, repo.targets, version))).code).toBe('bad-delegation')
  })
})

test('a line that delegates on is refused; its channel is not', async () => {
  const repo = await buildWorld((world) => {
    world.delegate(LINE, { name: 'deeper', paths: ['alpha/*/manifest.json'] })
  })
  await repo.publish('deeper')
  const trusted = await open(repo)
  expect((await refusalOf(() => trusted.findRelease(OLD))).code).toBe('bad-delegation')
  expect((await trusted.findRelease(parseVersion('0a2'))).role).toBe('alpha')
})

test('targets may list or delegate the path elsewhere: a release is what its channel says', async () => {
  const repo = await buildWorld((world) => {
    world.delegate('targets', { name: 'gamma', paths: ['alpha/*/manifest.json'] })
    const roles = world.targetsRole('targets').delegations?.roles ?? []
    roles.unshift(...roles.splice(-1))
  })
  repo.addTarget('gamma', manifestPath(OLD), utf8('another'))
  await repo.publish('gamma')
  const trusted = await open(repo)
  expect((await trusted.findTarget(manifestPath(OLD))).role).toBe('gamma')
  expect((await trusted.findRelease(OLD)).role).toBe(LINE)
})

test('a channel that targets lets speak for other paths only lists nothing', async () => {
  const narrow = (paths: string[]) => (repo: SimRepository) => {
    const named = repo.targetsRole('targets').delegations?.roles.find(({ name }) => name === 'alpha')
    Object.assign(named ?? {}, { paths })
  }
  const elsewhere = await open(await buildWorld(narrow(['other/*/manifest.json'])))
  expect((await refusalOf(() => elsewhere.findRelease(OLD))).code).toBe('not-delegated')
  const here = await open(await buildWorld(narrow(['alpha/0a?/manifest.json'])))
  expect((await here.findRelease(OLD)).role).toBe(LINE)
})

test.each([
  ['withdrawn', { severity: 'high', replace_with: null, at: '2026-11-23T10:00:00Z' }],
  ['barriers', {}],
  ['dead_ends', {}],
])('%s: a channel speaks of its own versions only', async (list, facts) => {
  const speaking = async (version: string) => {
    const repo = await SimRepository.create()
    const remark = { ...facts, version, reason: 'so' }
    repo.role('alpha').channel = { ...(repo.role('alpha').channel as object), [list]: [remark] }
    await repo.publish('alpha')
    return (await open(repo)).loadChannel('alpha')
  }
  const refusal = await refusalOf(() => speaking('0r1'))
  expect([refusal.code, refusal.message]).toEqual(['malformed', expect.stringContaining('found 0r1')])
  expect((await speaking('0a1')).value.channel).toMatchObject({ [list]: [{ version: '0a1' }] })
})

// What a trusted set, an assignment and an authorisation say when they refuse: code, sentence, facts.
import { beforeAll, describe, expect, it } from 'vitest'
import {
  verifyAddressed,
  verifyAssignment,
  verifyAuthorized,
  verifyDowngradeAuthorization,
} from '../../keys/assignment.ts'
import { fileNameOf } from '../../keys/file-trust-store.ts'
import { equalFloors, noFloors, plainFloors } from '../../keys/floors.ts'
import { DEFAULT_LIMITS } from '../../keys/limits.ts'
import {
  announcedSnapshot,
  announcedTargets,
  applyRoot,
  applySnapshot,
  applyTargets,
  applyTimestamp,
  cachedFilesVoidedBy,
  openTrustedSet,
  type TrustedSet,
  verifyFresh,
  verifyTimestamp,
} from '../../keys/trusted-set.ts'
import { roleTypes, trustRoot, verifyRole } from '../../keys/verified.ts'
import { MAX_ASSIGNMENT_BYTES } from '../../schema/assignment.ts'
import { MAX_AUTHORIZATION_BYTES } from '../../schema/downgrade-authorization.ts'
import { parseVersion } from '../../schema/version.ts'
import { daysFrom, SimRepository, utf8 } from '../sim/repository.ts'
import { refusalOf, said } from './refusal.ts'

let repo: SimRepository
let empty: TrustedSet
let full: TrustedSet
beforeAll(async () => {
  repo = await SimRepository.create()
  repo.delegate('targets', { name: 'director', paths: ['assignments/*'], terminating: true })
  await repo.publish('root', 'targets')
  const options = { startedAt: repo.now, expiry: 'enforce', limits: DEFAULT_LIMITS, floors: noFloors } as const
  empty = openTrustedSet(repo.file('1.root.json'), options)
  const timed = applyTimestamp(empty, verifyTimestamp(empty, repo.file('timestamp.json')))
  full = applySnapshot(timed, repo.file('2.snapshot.json'))
})

describe('a trusted set', () => {
  it('says what is not there', async () => {
    const missing = (role: string, message: string) => ({ code: 'missing', message, facts: { role } })
    expect(await said(() => announcedSnapshot(empty))).toEqual(missing('timestamp', 'there is no trusted timestamp'))
    expect(await said(() => announcedTargets(empty, 'beta'))).toEqual(
      missing('snapshot', 'there is no trusted snapshot'),
    )
    expect(await said(() => announcedTargets(full, 'gamma'))).toEqual(
      missing('gamma', 'the snapshot does not list the role gamma'),
    )
    expect(announcedTargets(full, 'beta').version).toBe(1)
  })

  it.each<[string, keyof typeof DEFAULT_LIMITS, string, (set: TrustedSet, bytes: Uint8Array) => unknown]>([
    ['root', 'rootBytes', '2.root.json', applyRoot],
    ['timestamp', 'timestampBytes', 'timestamp.json', verifyTimestamp],
    ['snapshot', 'snapshotBytes', '2.snapshot.json', applySnapshot],
    ['beta', 'targetsBytes', '1.beta.json', (set, bytes) => applyTargets(set, 'beta', targets(), bytes)],
  ])('has a limit for %s', async (role, limit, file, apply) => {
    const bytes = repo.file(file)
    const limited = (most: number) => ({ ...full, limits: { ...DEFAULT_LIMITS, [limit]: most } })
    const [expected, actual] = [`at most ${bytes.length - 1} bytes`, `${bytes.length} bytes`]
    expect(await said(() => apply(limited(bytes.length - 1), bytes))).toEqual({
      code: 'too-large',
      message: `${role}: expected ${expected}, found ${actual}`,
      facts: { role, expected, actual },
    })
    expect(apply(limited(bytes.length), bytes)).toBeDefined()
  })

  it('refuses another version than the announced one, and one below its floor', async () => {
    expect(await said(() => applySnapshot(full, repo.file('1.snapshot.json')))).toEqual({
      code: 'wrong-version',
      message: 'snapshot: expected v2, found v1',
      facts: { role: 'snapshot', expected: 'v2', actual: 'v1' },
    })
    const floored = (file: string) => ({
      ...full,
      floors: { ...noFloors, snapshot: { version: 1, keyids: [], roles: new Map([[file, 5]]) } },
    })
    for (const [file, role, actual] of [
      ['beta.json', 'beta', 'v1'],
      ['a.jsonb.json', 'a.jsonb', 'nothing'],
    ] as const)
      expect(await said(() => applySnapshot(floored(file), repo.file('2.snapshot.json')))).toEqual({
        code: 'rollback',
        message: `rollback: ${role} went from v5 to ${actual}`,
        facts: { role, expected: 'v5 or later', actual },
      })
  })

  it('refuses other content than the announced one', async () => {
    const hashed = await SimRepository.create()
    hashed.withHashes = true
    await hashed.publish('beta', 'targets')
    const options = { startedAt: hashed.now, expiry: 'enforce', limits: DEFAULT_LIMITS, floors: noFloors } as const
    const opened = openTrustedSet(hashed.file('1.root.json'), options)
    const timed = applyTimestamp(opened, verifyTimestamp(opened, hashed.file('timestamp.json')))
    const sealed = applySnapshot(timed, hashed.file('2.snapshot.json'))
    const top = applyTargets(sealed, 'targets', sealed.root, hashed.file('2.targets.json'))
    const cases: [path: string, file: string, apply: (bytes: Uint8Array) => unknown][] = [
      ['snapshot.json', '2.snapshot.json', (bytes) => applySnapshot(timed, bytes)],
      ['beta.json', '2.beta.json', (bytes) => applyTargets(sealed, 'beta', top, bytes)],
    ]
    for (const [path, file, apply] of cases) {
      const bytes = hashed.file(file)
      const [expected, actual] = [`${bytes.length} bytes`, `${bytes.length + 1} bytes`]
      expect(await said(() => apply(Buffer.concat([bytes, utf8(' ')])))).toEqual({
        code: 'hash',
        message: `${path}: expected ${expected}, found ${actual}`,
        facts: { path, expected, actual },
      })
      expect(apply(bytes)).toBeDefined()
    }
  })

  it('refuses the root of another product', async () => {
    const rootOf = (version: number, product: string | undefined) => {
      const { product: _, ...root } = repo.root
      return repo.sign({ ...root, version, ...(product ? { product } : {}) }, repo.signersOf('root'))
    }
    const setOf = async (product: string | undefined) => openTrustedSet(await rootOf(1, product), empty)
    for (const [before, after] of [
      ['demo', 'other'],
      ['demo', undefined],
      [undefined, 'demo'],
    ] as const) {
      const set = await setOf(before)
      const next = await rootOf(2, after)
      const [expected, actual] = [before ?? 'no product', after ?? 'no product']
      expect(await said(() => applyRoot(set, next))).toEqual({
        code: 'foreign',
        message: `root: expected the product ${expected}, found ${actual}`,
        facts: { role: 'root', expected, actual },
      })
      expect(applyRoot(set, await rootOf(2, before)).root.value.version).toBe(2)
    }
  })

  it.each([
    ['none', [], []],
    ['another one', ['targets'], []],
    ['the one of the timestamp', ['timestamp'], ['timestamp.json']],
    ['the one of the snapshot', ['snapshot'], ['timestamp.json', 'snapshot.json']],
  ] as const)(
    'forgets what rests on a key that a root takes away, also where another stays: %s',
    async (_, roles, files) => {
      const other = await SimRepository.create()
      for (const role of ['targets', 'timestamp', 'snapshot']) other.addKey(role)
      await other.publish('root')
      for (const role of roles) other.root.roles[role]?.keyids.pop()
      await other.publish('root')
      const [before, after] = [2, 3].map((version) => trustRoot(other.file(`${version}.root.json`)))
      if (!before || !after) throw new Error('expected two roots')
      expect(cachedFilesVoidedBy(before, after)).toEqual(files)
    },
  )

  it('refuses what has expired, and shows it to whoever only looks', async () => {
    const later = { ...full, startedAt: new Date(daysFrom(repo.now, 40)) }
    const { timestamp } = full
    if (!timestamp) throw new Error('expected a timestamp')
    const actual = `${timestamp.value.expires.toISOString().slice(0, 19)}Z`
    const facts = { role: 'timestamp', actual }
    expect(await said(() => verifyFresh(later, timestamp))).toEqual({
      code: 'expired',
      message: `timestamp expired at ${actual}`,
      facts,
    })
    expect(await said(() => applyTimestamp(later, timestamp))).toEqual({
      code: 'freeze',
      message: `the repository still serves timestamp v2, which expired at ${actual}`,
      facts,
    })
    const reporting = { ...later, expiry: 'report' } as const
    expect(applyTimestamp(reporting, timestamp)).toBe(reporting)
    expect(verifyFresh(reporting, timestamp)).toBeUndefined()
  })

  it('begins with a root that can be used', async () => {
    const refusal = await refusalOf(() => openTrustedSet(utf8('{'), empty))
    expect(refusal).toMatchObject({ code: 'no-root', facts: { role: 'root' }, cause: { code: 'malformed' } })
    expect(refusal.message).toMatch(/^the trusted root can't be used: root\b/)
  })
})

describe('a statement', () => {
  const HOST = `h_${'1'.repeat(32)}`
  const OTHER = `h_${'2'.repeat(32)}`
  const common = () => ({ product: 'demo', not_before: daysFrom(repo.now, -1), expires: daysFrom(repo.now, 1) })
  const manifest = (version: string) => ({ version, manifest_sha256: 'a'.repeat(64) })
  const assignment = async () => {
    const host = { host_id: HOST, action: 'update', rollout: null, sequence: 7, ...manifest('0r1') }
    const value = { _type: 'assignment', schema: 'netlink.assignment/v1', ...host, ...common() }
    return verifyAssignment(targets(), await repo.sign(value, repo.signersOf('director')))
  }
  const authorizationBytes = () =>
    repo.sign(
      {
        _type: 'downgrade-authorization',
        schema: 'netlink.downgrade-authorization/v1',
        hosts: [OTHER, HOST],
        from: manifest('0r2'),
        to: manifest('0r1'),
        reason: 'it eats mail',
        nonce: '0'.repeat(32),
        ...common(),
      },
      repo.signersOf('release'),
    )
  const at = (days: number) => new Date(daysFrom(repo.now, days))
  const here = () => ({ product: 'demo', hostId: HOST, at: repo.now })
  const third = `h_${'3'.repeat(32)}`
  const plain = (days: number) => `${at(days).toISOString().slice(0, 10)}T10:00:00Z`

  it.each(['assignment', 'downgrade authorisation'] as const)(
    '%s: is for one product, host and time',
    async (subject) => {
      const value =
        subject === 'assignment'
          ? await assignment()
          : verifyDowngradeAuthorization(targets(), parseVersion('0r1'), await authorizationBytes())
      const verify = (change: Partial<ReturnType<typeof here>>) => () =>
        'hosts' in value.value
          ? verifyAuthorized(value as Parameters<typeof verifyAuthorized>[0], { ...here(), ...change })
          : verifyAddressed(value as Parameters<typeof verifyAddressed>[0], { ...here(), ...change })
      const actual = subject === 'assignment' ? HOST : `${OTHER}, ${HOST}`
      expect(await said(verify({ product: 'other' }))).toEqual({
        code: 'foreign',
        message: `${subject}: expected the product other, found demo`,
        facts: { expected: 'other', actual: 'demo' },
      })
      expect(await said(verify({ hostId: third }))).toEqual({
        code: 'foreign',
        message: `${subject}: expected one for ${third}, found one for ${actual}`,
        facts: { expected: third, actual },
      })
      expect(await said(verify({ at: at(-2) }))).toEqual({
        code: 'not-yet-valid',
        message: `${subject}: it is valid from ${plain(-1)} on, and now it is ${plain(-2)}`,
        facts: { expected: plain(-1), actual: plain(-2) },
      })
      expect(await said(verify({ at: at(1) }))).toEqual({
        code: 'expired',
        message: `${subject}: it expired at ${plain(1)}, and now it is ${plain(1)}`,
        facts: { actual: plain(1) },
      })
      expect(verify({})()).toBeUndefined()
    },
  )

  it('has a size, and an authorisation a version', async () => {
    const to = parseVersion('0r1')
    const cases = [
      ['assignment', MAX_ASSIGNMENT_BYTES, (bytes: Uint8Array) => verifyAssignment(targets(), bytes)],
      [
        'downgrade authorisation',
        MAX_AUTHORIZATION_BYTES,
        (bytes: Uint8Array) => verifyDowngradeAuthorization(targets(), to, bytes),
      ],
    ] as const
    for (const [subject, most, verify] of cases) {
      expect(await said(() => verify(Buffer.alloc(most + 1, ' ')))).toEqual({
        code: 'too-large',
        message: `${subject}: expected at most ${most} bytes, found ${most + 1}`,
        facts: { expected: `at most ${most} bytes`, actual: `${most + 1} bytes` },
      })
      expect((await refusalOf(() => verify(Buffer.alloc(most, ' ')))).code).toBe('malformed')
    }
    const bytes = await authorizationBytes()
    expect(await said(() => verifyDowngradeAuthorization(targets(), parseVersion('0r3'), bytes))).toEqual({
      code: 'wrong-version',
      message: 'downgrade authorisation: expected one for 0r3, found one for 0r1',
      facts: { expected: '0r3', actual: '0r1' },
    })
  })
})

it('floors are the same whatever the order of their roles', () => {
  const floors = (...roles: [string, number][]) => ({
    ...noFloors,
    snapshot: { version: 1, keyids: [], roles: new Map(roles) },
  })
  const [one, other] = [floors(['a.json', 1], ['b.json', 2]), floors(['b.json', 2], ['a.json', 1])]
  expect(equalFloors(one, other)).toBe(true)
  expect(equalFloors(one, floors(['a.json', 1]))).toBe(false)
  expect(plainFloors(other)).toMatchObject({ snapshot: { roles: [{ file: 'a.json' }, { file: 'b.json' }] } })
  expect(plainFloors(noFloors)).toEqual({ root: 0, timestamp: null, snapshot: null })
})

it('a file name is kept up to 200 characters', () => {
  expect(fileNameOf('a'.repeat(200))).toBe('a'.repeat(200))
  expect(fileNameOf('a'.repeat(201))).toMatch(/^%sha256-[0-9a-f]{64}\.json$/)
  expect(fileNameOf('aB')).toBe('a%42')
})

const targets = () =>
  verifyRole(trustRoot(repo.file('1.root.json')), 'targets', roleTypes.targets, repo.file('2.targets.json'))

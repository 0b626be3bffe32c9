// Statements outside the metadata: who may sign them, whom they are for, when. Every refusal has its control: the same statement, unchanged, is accepted.
import { beforeAll, describe, expect, test } from 'vitest'
import {
  verifyAddressed,
  verifyAssignment,
  verifyAuthorized,
  verifyDowngradeAuthorization,
} from '../../keys/assignment.ts'
import { refresh, type Trusted } from '../../keys/refresh.ts'
import type { Signer } from '../../keys/signer.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { manifestPath } from '../../schema/release-path.ts'
import { parseVersion } from '../../schema/version.ts'
import { daysFrom, SimRepository } from '../sim/repository.ts'
import { SimTrustStore } from '../sim/trust-store.ts'

const HOST = `h_${'1'.repeat(32)}`
const OTHER = `h_${'2'.repeat(32)}`
const HASH = 'a'.repeat(64)
const to = parseVersion('0r1')

let repo: SimRepository
let trusted: Trusted
let addressee: { product: string; hostId: string; at: Date }

beforeAll(async () => {
  repo = await SimRepository.create()
  repo.delegate('targets', { name: 'director', paths: ['assignments/*'], terminating: true })
  repo.addKey('release')
  repo.setThreshold('release', 2)
  await repo.release('0r1')
  await repo.publish('targets')
  trusted = await look(repo)
  addressee = { product: 'demo', hostId: HOST, at: repo.now }
})

function look(from: SimRepository): Promise<Trusted> {
  return refresh({ source: from, store: new SimTrustStore(from.file('1.root.json')), startedAt: from.now })
}

type Fields = Readonly<Record<string, unknown>>

function assignment(changes: Fields = {}): Fields {
  return {
    _type: 'assignment',
    schema: 'netlink.assignment/v1',
    product: 'demo',
    host_id: HOST,
    action: 'update',
    version: '0r1',
    manifest_sha256: HASH,
    rollout: null,
    not_before: daysFrom(repo.now, -1),
    expires: daysFrom(repo.now, 1),
    sequence: 7,
    ...changes,
  }
}

function authorization(changes: Fields = {}): Fields {
  return {
    _type: 'downgrade-authorization',
    schema: 'netlink.downgrade-authorization/v1',
    product: 'demo',
    hosts: [OTHER, HOST],
    from: { version: '0r2', manifest_sha256: HASH },
    to: { version: '0r1', manifest_sha256: HASH },
    reason: 'it eats mail',
    not_before: daysFrom(repo.now, -1),
    expires: daysFrom(repo.now, 1),
    nonce: '0'.repeat(32),
    ...changes,
  }
}

function refusalOf(use: () => unknown): string {
  try {
    use()
  } catch (error) {
    if (error instanceof TrustError) return error.code
    throw error
  }
  return 'accepted'
}

async function assigned(fields: Fields, signers: readonly Signer[] = repo.signersOf('director')): Promise<string> {
  const bytes = await repo.sign(fields, signers)
  return refusalOf(() => verifyAddressed(verifyAssignment(trusted.targets, bytes), addressee))
}

async function authorized(fields: Fields, signers: readonly Signer[] = repo.signersOf('release')): Promise<string> {
  const bytes = await repo.sign(fields, signers)
  return refusalOf(() => verifyAuthorized(verifyDowngradeAuthorization(trusted.targets, to, bytes), addressee))
}

describe('an assignment', () => {
  test.each([
    ['as the director signs it', {}, 'accepted'],
    ['that directs nothing', { action: 'none', version: null, manifest_sha256: null }, 'accepted'],
    ['with a field of a later version', { wave: 3 }, 'accepted'],
    ['of another product', { product: 'other' }, 'foreign'],
    ['for another host', { host_id: OTHER }, 'foreign'],
    ['that has expired', { expires: '2026-11-23T10:00:00Z' }, 'expired'],
    ['that begins in a second', { not_before: '2026-11-23T10:00:01Z' }, 'not-yet-valid'],
    ['that begins now', { not_before: '2026-11-23T10:00:00Z' }, 'accepted'],
    ['that ends before it begins', { not_before: daysFrom(new Date('2026-11-23T10:00:00Z'), 2) }, 'malformed'],
    ['without a sequence number', { sequence: undefined }, 'malformed'],
    ['numbered 0', { sequence: 0 }, 'malformed'],
    ['that directs nothing and names a version', { action: 'none' }, 'malformed'],
    ['to go down, without an authorisation', { action: 'downgrade' }, 'malformed'],
    ['to do what nobody knows', { action: 'erase' }, 'malformed'],
    ['of another kind', { _type: 'targets' }, 'wrong-role'],
  ])('%s: %s is %s', async (_words, changes, expected) => {
    expect(await assigned(assignment(changes))).toBe(expected)
  })

  test('counts only by the keys that targets delegates to the director', async () => {
    for (const role of ['snapshot', 'timestamp', 'release', 'targets', 'root'])
      expect(await assigned(assignment(), repo.signersOf(role)), role).toBe('unsigned')
    expect(await assigned(assignment(), [])).toBe('unsigned')
    expect(await assigned(assignment())).toBe('accepted')
  })

  test('a changed byte takes its signature away', async () => {
    const bytes = await repo.sign(assignment(), repo.signersOf('director'))
    const changed = Buffer.from(Buffer.from(bytes).toString('utf8').replace('"sequence": 7', '"sequence": 8'))
    expect(changed.equals(bytes)).toBe(false)
    expect(refusalOf(() => verifyAssignment(trusted.targets, changed))).toBe('unsigned')
    expect(refusalOf(() => verifyAssignment(trusted.targets, bytes))).toBe('accepted')
  })

  test('longer than 64 KiB is not read', async () => {
    expect(await assigned(assignment({ padding: 'x'.repeat(66_000) }))).toBe('too-large')
    expect(await assigned(assignment({ padding: 'x'.repeat(60_000) }))).toBe('accepted')
  })

  test('in a repository without a director is refused', async () => {
    const plain = await SimRepository.create()
    const { targets } = await look(plain)
    const bytes = await repo.sign(assignment(), repo.signersOf('director'))
    expect(refusalOf(() => verifyAssignment(targets, bytes))).toBe('not-delegated')
  })

  test('counts no more once targets names another director', async () => {
    const bytes = await repo.sign(assignment(), repo.signersOf('director'))
    const later = repo.copy()
    later.rotateKeys('director')
    await later.publish('targets')
    const { targets } = await look(later)
    expect(refusalOf(() => verifyAssignment(targets, bytes))).toBe('unsigned')
  })
})

describe('a downgrade authorisation', () => {
  test.each([
    ['as the channel signs it', {}, 'accepted'],
    ['of another product', { product: 'other' }, 'foreign'],
    ['for other hosts', { hosts: [OTHER] }, 'foreign'],
    ['for nobody', { hosts: [] }, 'malformed'],
    ['to another version', { to: { version: '0b1', manifest_sha256: HASH } }, 'wrong-version'],
    ['that leads up', { from: { version: '0a1', manifest_sha256: HASH } }, 'malformed'],
    ['that has expired', { expires: '2026-11-23T10:00:00Z' }, 'expired'],
    ['that begins in a second', { not_before: '2026-11-23T10:00:01Z' }, 'not-yet-valid'],
    ['of seven days', { not_before: '2026-11-20T00:00:00Z', expires: '2026-11-27T00:00:00Z' }, 'accepted'],
    [
      'of seven days and a second',
      { not_before: '2026-11-20T00:00:00Z', expires: '2026-11-27T00:00:01Z' },
      'malformed',
    ],
    ['without a nonce', { nonce: undefined }, 'malformed'],
    ['of another kind', { _type: 'assignment' }, 'wrong-role'],
  ])('%s: %s is %s', async (_words, changes, expected) => {
    expect(await authorized(authorization(changes))).toBe(expected)
  })

  test('needs the threshold of the channel that lists the version', async () => {
    const [first] = repo.signersOf('release')
    expect(await authorized(authorization(), first ? [first] : [])).toBe('unsigned')
    expect(await authorized(authorization(), repo.signersOf('alpha'))).toBe('unsigned')
    expect(await authorized(authorization(), repo.signersOf('director'))).toBe('unsigned')
    expect(await authorized(authorization())).toBe('accepted')
  })
})

test('a director who lists a release is not asked about it', async () => {
  const evil = repo.copy()
  const path = manifestPath(to)
  const before = await (await look(evil)).findTarget(path)
  evil.addTarget('director', path, new TextEncoder().encode('{}'), { version: '0r1' })
  evil.addTarget('director', 'assignments/one', new TextEncoder().encode('{}'))
  await evil.publish('director')
  const seen = await look(evil)
  expect(await seen.findTarget(path)).toMatchObject({ role: 'release', hashes: before.hashes })
  expect(evil.requests.filter((file) => file.includes('director'))).toEqual([])
  // What it may speak for, it does.
  expect((await seen.findTarget('assignments/one')).role).toBe('director')
  const foreign = manifestPath(parseVersion('0r9'))
  evil.addTarget('director', foreign, new TextEncoder().encode('{}'), { version: '0r9' })
  await evil.publish('director')
  await expect((await look(evil)).findTarget(foreign)).rejects.toMatchObject({ code: 'not-delegated' })
})

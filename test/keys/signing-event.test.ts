// What publisher and server agree on about signing events, each function by itself.
import { beforeAll, describe, expect, it } from 'vitest'
import { parseDocument, signDocument } from '../../keys/document.ts'
import { buildEd25519Signer } from '../../keys/signer.ts'
import {
  earlierEventIdOf,
  eventDocuments,
  eventIdOf,
  eventManifests,
  type Proposal,
  proposedKeys,
  signatureNeeds,
  signerOf,
  withSignature,
} from '../../keys/signing-event.ts'
import { roleTypes, trustRoot, verifyRole } from '../../keys/verified.ts'
import { SimRepository, utf8 } from '../sim/repository.ts'
import { refusalOf } from './refusal.ts'

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
const eve = buildEd25519Signer(new Uint8Array(32).fill(9))

let repo: SimRepository
let proposal: Proposal
beforeAll(async () => {
  repo = await SimRepository.create()
  repo.delegateLine('alpha', 'alpha-0-0')
  await repo.publish('targets', 'alpha')
  proposal = {
    kind: 'release',
    subject: 'root-2',
    proposed_by: 'ann',
    proposed_at: '2026-11-23T10:00:00Z',
    until: '2026-11-24T10:00:00Z',
    base: { root: { version: 1, sha256: 'a'.repeat(64) }, roles: { targets: 1 } },
    documents: { alpha: base64(repo.file('2.alpha.json')) },
    manifests: { 'alpha/0a1/manifest.json': base64(utf8('{}')) },
    artifacts: [],
    trees: {},
  }
})
const baseOf = () => {
  const root = trustRoot(repo.file('1.root.json'))
  return { root, targets: verifyRole(root, 'targets', roleTypes.targets, repo.file('2.targets.json')) }
}
const keyidsOf = (role: string) => repo.signersOf(role).map(({ publicKey }) => publicKey.keyid)
const idsOf = (needs: ReturnType<typeof signatureNeeds>, role: string) =>
  needs.get(role)?.map(({ keys }) => keys.map(({ keyid }) => keyid))

describe('the id of an event', () => {
  it('stands for everything that is proposed, signatures apart', async () => {
    const id = eventIdOf(proposal)
    expect(id).toMatch(/^e_[0-9a-f]{32}$/)
    const signedAgain = await signDocument(parseDocument(repo.file('2.alpha.json')).signed, [eve])
    expect(eventIdOf({ ...proposal, documents: { alpha: base64(signedAgain) } })).toBe(id)
    const others: Partial<Proposal>[] = [
      { kind: 'yank' },
      { subject: 'root-3' },
      { proposed_by: null },
      { proposed_at: '2026-11-23T10:00:01Z' },
      { until: '2026-11-25T10:00:00Z' },
      { base: { ...proposal.base, roles: { targets: 2 } } },
      { manifests: {} },
      { artifacts: [{ sha256: 'b'.repeat(64), length: 1 }] },
      { documents: { beta: base64(repo.file('2.alpha.json')) } },
      { documents: {} },
      { trees: { ['c'.repeat(64)]: 'files' } },
      { trees: { ['c'.repeat(64)]: 'other files' } },
      { trees: { ['d'.repeat(64)]: 'files' } },
      { trees: { ['c'.repeat(64)]: 'files \ufffd' } },
    ]
    const ids = others.map((other) => eventIdOf({ ...proposal, ...other }))
    expect(new Set([id, ...ids]).size).toBe(others.length + 1)
  })

  it('tells what an earlier version named, whose id said nothing of lists of files', () => {
    const signed = { _type: 'targets', version: 2 }
    const plain: Proposal = {
      ...{ kind: 'yank', subject: 'root-2', proposed_by: 'ann' },
      ...{ proposed_at: '2026-11-23T10:00:00Z', until: '2026-11-24T10:00:00Z' },
      base: { root: { version: 1, sha256: 'a'.repeat(64) }, roles: { targets: 1 } },
      documents: { alpha: base64(utf8(JSON.stringify({ signatures: [], signed }))) },
      ...{ manifests: {}, artifacts: [], trees: { ['c'.repeat(64)]: 'files' } },
    }
    // As that version spelled it.
    const before = 'e_5dd7e0c66819ce2d7c68929a49088595'
    expect(earlierEventIdOf(plain)).toBe(before)
    expect(earlierEventIdOf({ ...plain, trees: {} })).toBe(before)
    expect(earlierEventIdOf({ ...plain, proposed_by: null })).not.toBe(before)
    for (const trees of [plain.trees, {}]) expect(eventIdOf({ ...plain, trees })).not.toBe(before)
  })

  it('has no words for a list of files that is no text, which could pass for another', async () => {
    const refusal = await refusalOf(() => eventIdOf({ ...proposal, trees: { ['c'.repeat(64)]: 'files \ud800' } }))
    expect(refusal).toMatchObject({ code: 'malformed', message: expect.stringContaining('lone surrogate') })
  })

  it('names the document that is none', async () => {
    const refusal = await refusalOf(() => eventIdOf({ ...proposal, documents: { beta: base64(utf8('{')) } }))
    expect([refusal.code, refusal.message]).toEqual(['malformed', expect.stringMatching(/^beta\b/)])
  })
})

it('documents come as root, targets, then channels with their lines; manifests by path', () => {
  const order = ['root', 'targets', 'alpha', 'alpha-0-0', 'beta', 'release']
  for (const given of [order, [...order].reverse(), ['beta', 'targets', 'alpha-0-0', 'release', 'root', 'alpha']]) {
    const documents = Object.fromEntries(given.map((role) => [role, base64(utf8(role))]))
    const decoded = eventDocuments({ documents })
    expect([...decoded.keys()]).toEqual(order)
    expect(decoded.get('beta')).toEqual(utf8('beta'))
  }
  expect(eventManifests(proposal)).toEqual(new Map([['alpha/0a1/manifest.json', utf8('{}')]]))
})

describe('who must sign', () => {
  const needsOf = (files: Record<string, Uint8Array>) => signatureNeeds(baseOf(), new Map(Object.entries(files)))
  const rotated = async (role: 'root' | 'targets', change: string) => {
    const other = repo.copy()
    other.rotateKeys(change)
    return {
      bytes: await other.sign(other.role(role), [eve]),
      keyids: other.signersOf(change).map((s) => s.publicKey.keyid),
    }
  }

  it('what is trusted now, where nothing above is proposed', () => {
    const needs = needsOf({ targets: repo.file('2.targets.json'), beta: repo.file('1.beta.json') })
    expect([...needs.keys()]).toEqual(['targets', 'beta'])
    expect(idsOf(needs, 'targets')).toEqual([keyidsOf('targets')])
    expect(idsOf(needsOf({ beta: repo.file('1.beta.json') }), 'beta')).toEqual([keyidsOf('beta')])
  })

  it('a root: by the keys of the one before it and by its own', async () => {
    const { bytes, keyids } = await rotated('root', 'root')
    expect(idsOf(needsOf({ root: bytes }), 'root')).toEqual([keyidsOf('root'), keyids])
  })

  it('targets under a proposed root, and a channel under proposed targets: by the keys that these name', async () => {
    const root = await rotated('root', 'targets')
    expect(root.keyids).not.toEqual(keyidsOf('targets'))
    expect(idsOf(needsOf({ root: root.bytes, targets: repo.file('2.targets.json') }), 'targets')).toEqual([root.keyids])
    const targets = await rotated('targets', 'alpha')
    expect(targets.keyids).not.toEqual(keyidsOf('alpha'))
    const needs = needsOf({ targets: targets.bytes, alpha: repo.file('2.alpha.json') })
    expect(idsOf(needs, 'alpha')).toEqual([targets.keyids])
  })

  it('a line: by the keys that its channel names', async () => {
    const files = { alpha: repo.file('2.alpha.json'), 'alpha-0-0': repo.file('2.alpha.json') }
    const line = repo.targetsRole('alpha').delegations?.roles[0]
    expect(idsOf(needsOf(files), 'alpha-0-0')).toEqual([line?.keyids])
    const alone = await refusalOf(() => needsOf({ 'alpha-0-0': repo.file('2.alpha.json') }))
    expect(alone).toMatchObject({ code: 'not-delegated', message: 'nobody is named to sign for alpha-0-0' })
  })
})

describe('proposed keys', () => {
  const targets = () => parseDocument(repo.file('2.targets.json')).signed
  it('are those that the document holds, with its threshold', () => {
    const { role, keys, threshold } = proposedKeys(targets(), 'alpha')
    expect([role, keys.map(({ keyid }) => keyid), threshold]).toEqual(['alpha', keyidsOf('alpha'), 1])
    const root = parseDocument(repo.file('1.root.json')).signed
    expect(proposedKeys(root, 'targets').keys.map(({ keyid }) => keyid)).toEqual(keyidsOf('targets'))
    const bare = proposedKeys({ ...root, keys: {} }, 'targets')
    expect(bare).toEqual({ role: 'targets', keys: [], threshold: 1 })
  })

  it('of a role that it does not name are a refusal', async () => {
    const bare = parseDocument(repo.file('1.beta.json')).signed
    for (const signed of [targets(), parseDocument(repo.file('1.root.json')).signed, bare])
      expect(await refusalOf(() => proposedKeys(signed, 'gamma'))).toMatchObject({
        code: 'not-delegated',
        message: 'nobody is named to sign for gamma',
        facts: { role: 'gamma' },
      })
  })
})

it('a signature counts for whoever must sign, and is written into the document', async () => {
  const bytes = repo.file('2.alpha.json')
  const document = parseDocument(bytes)
  const [alpha] = repo.signersOf('alpha')
  if (!alpha) throw new Error('expected a signer of alpha')
  const needs = signatureNeeds(baseOf(), new Map([['alpha', bytes]])).get('alpha') ?? []
  const nobody = { role: 'beta', keys: [eve.publicKey], threshold: 1 }
  const { keyid } = alpha.publicKey
  const sig = Buffer.from(await alpha.sign(document.message)).toString('hex')
  expect(signerOf(document, [nobody, ...needs], { keyid, sig })?.keyid).toBe(keyid)
  expect(signerOf(document, [nobody], { keyid, sig })).toBeUndefined()
  expect(signerOf(document, needs, { keyid, sig: '00'.repeat(64) })).toBeUndefined()
  expect(signerOf(document, needs, { keyid: eve.publicKey.keyid, sig })).toBeUndefined()
  const empty = utf8(JSON.stringify({ signed: document.signed, signatures: [] }))
  const signed = parseDocument(await withSignature(empty, alpha.publicKey, sig))
  expect(signed).toEqual({ ...document, signatures: [{ keyid, sig }] })
})

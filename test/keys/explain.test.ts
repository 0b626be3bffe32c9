import { describe, expect, it } from 'vitest'
import { parseDocument, signDocument } from '../../keys/document.ts'
import { explainTrustError } from '../../keys/explain.ts'
import { buildEd25519Signer } from '../../keys/signer.ts'
import { verifyThreshold } from '../../keys/threshold.ts'
import { TrustError, type TrustErrorCode } from '../../keys/trust-error.ts'
import { refusalOf } from './refusal.ts'

const state = 'Nothing was changed; this host stays on 0r1.'

describe('a refusal in four parts', () => {
  it('names who signed and who else could, by the names people know', async () => {
    const [jana, petr, ann] = [1, 2, 3].map((seed) => buildEd25519Signer(new Uint8Array(32).fill(seed)))
    if (!jana || !petr || !ann) throw new Error('expected three signers')
    const document = parseDocument(await signDocument({ version: 1 }, [jana]))
    const role = { role: 'release', threshold: 2, keys: [jana.publicKey, petr.publicKey, ann.publicKey] }
    const error = await refusalOf(() => verifyThreshold(document, role))
    const keyNames = new Map([
      [jana.publicKey.keyid, 'release-1'],
      [petr.publicKey.keyid, 'release-2'],
    ])
    const short = (signer: typeof jana) => `key ${signer.publicKey.keyid.slice(0, 4)}…`

    const facts = explainTrustError(error, {
      subject: 'release 0r2',
      state,
      keyNames,
      next: ['netlink-publish publish 0r2 --signer release-2 --passphrase-file release-2=FILE'],
    })

    expect(facts).toEqual({
      code: 'E-SIG-THRESHOLD',
      exit: 7,
      title: 'release 0r2 has 1 valid signature, 2 are needed',
      detail: `role release: have: release-1 (${short(jana)}); missing one of: release-2 (${short(petr)}), ${short(ann)}`,
      state,
      next: ['netlink-publish publish 0r2 --signer release-2 --passphrase-file release-2=FILE'],
    })
  })

  it('keeps the words of the check that refused', () => {
    const error = new TrustError('rollback', 'rollback: timestamp went from v7 to v6', { role: 'timestamp' })
    const facts = explainTrustError(error, { subject: 'the repository', state })
    expect([facts.code, facts.exit, facts.detail]).toEqual(['E-ROLLBACK', 7, 'rollback: timestamp went from v7 to v6'])
  })

  it('asks nobody to sign what the server signs', () => {
    const nextOf = (role: string) =>
      explainTrustError(new TrustError('unsigned', 'why', { role }), { subject: 'the repository', state }).next
    for (const role of ['timestamp', 'snapshot']) expect(nextOf(role)[0]).toBe('netlink-server doctor')
    for (const role of ['root', 'targets', 'alpha']) expect(nextOf(role)[0]).toBe('netlink-publish status')
  })

  const codes: [TrustErrorCode, string][] = [
    ['malformed', 'E-MALFORMED'],
    ['too-large', 'E-TOO-LARGE'],
    ['unsigned', 'E-SIG-THRESHOLD'],
    ['duplicate-signature', 'E-SIG-DUPLICATE'],
    ['bad-key', 'E-KEY'],
    ['wrong-role', 'E-ROLE'],
    ['wrong-version', 'E-VERSION'],
    ['rollback', 'E-ROLLBACK'],
    ['expired', 'E-EXPIRED'],
    ['freeze', 'E-FREEZE'],
    ['hash', 'E-HASH'],
    ['missing', 'E-MISSING'],
    ['not-delegated', 'E-NOT-DELEGATED'],
    ['bad-delegation', 'E-DELEGATION'],
    ['too-many-roots', 'E-ROOTS'],
    ['no-root', 'E-NO-ROOT'],
    ['foreign', 'E-FOREIGN'],
  ]
  it.each(codes)('%s is %s, exit 7, with something to do next', (code, expected) => {
    const facts = explainTrustError(new TrustError(code, 'why'), { subject: 'the repository', state })
    expect([facts.code, facts.exit, facts.state]).toEqual([expected, 7, state])
    expect(facts.title).toMatch(/^the repository [^.]+$/)
    expect(facts.next.length).toBeGreaterThan(0)
  })
})

import { describe, expect, it } from 'vitest'
import { addSignatures, parseDocument, signDocument } from '../../keys/document.ts'
import { buildEd25519Signer, generateEd25519, type Signer } from '../../keys/signer.ts'
import { countSignatures, type RoleKeys, verifyThreshold } from '../../keys/threshold.ts'
import { utf8 } from '../sim/repository.ts'
import { refusalOf } from './refusal.ts'

const [ann, bob, eve] = [1, 2, 3].map((seed) => buildEd25519Signer(new Uint8Array(32).fill(seed))) as [
  Signer,
  Signer,
  Signer,
]
const idOf = (signer: Signer) => signer.publicKey.keyid
const roleOf = (threshold: number, ...signers: Signer[]): RoleKeys => ({
  role: 'targets',
  threshold,
  keys: signers.map((signer) => signer.publicKey),
})

describe('a signed document', () => {
  it('counts those who signed, and only them', async () => {
    const document = parseDocument(await signDocument({ version: 1 }, [ann, eve]))
    expect(countSignatures(document, roleOf(2, ann, bob))).toEqual({ valid: [idOf(ann)], threshold: 2, missing: 1 })
    expect(countSignatures(document, roleOf(1, ann, bob))).toEqual({ valid: [idOf(ann)], threshold: 1, missing: 0 })
    expect(countSignatures(document, roleOf(1, bob))).toEqual({ valid: [], threshold: 1, missing: 1 })
    expect(countSignatures(document, roleOf(1))).toEqual({ valid: [], threshold: 1, missing: 1 })
  })

  it('says who signed and who else could', async () => {
    const document = parseDocument(await signDocument({ version: 1 }, [ann]))
    const refusal = await refusalOf(() => verifyThreshold(document, roleOf(2, ann, bob, eve)))
    expect(refusal.message).toBe('targets has 1 of 2 valid signatures')
    expect(refusal.facts).toMatchObject({
      role: 'targets',
      have: [idOf(ann)],
      candidates: [idOf(bob), idOf(eve)],
      threshold: 2,
    })
    expect(verifyThreshold(document, roleOf(1, ann, bob)).valid).toEqual([idOf(ann)])
  })

  it.each([0, -1])('is never signed by nobody, even if a threshold of %i came this far', async (threshold) => {
    const document = parseDocument(await signDocument({ version: 1 }, []))
    expect((await refusalOf(() => verifyThreshold(document, roleOf(threshold, ann)))).code).toBe('unsigned')
  })

  it('is signed whatever its spelling', async () => {
    const bytes = await signDocument({ b: 1, a: ['x'] }, [ann])
    const { signed, signatures } = JSON.parse(new TextDecoder().decode(bytes))
    const respelled = utf8(JSON.stringify({ signatures, signed: { a: signed.a, b: signed.b } }))
    expect(countSignatures(parseDocument(respelled), roleOf(1, ann)).missing).toBe(0)
    const changed = utf8(JSON.stringify({ signatures, signed: { a: signed.a, b: 2 } }))
    expect(countSignatures(parseDocument(changed), roleOf(1, ann)).missing).toBe(1)
  })

  it('keeps fields that nobody here knows, and they are signed too', async () => {
    const bytes = await signDocument({ version: 1, 'x-new': { deep: [1] } }, [ann])
    const text = new TextDecoder().decode(bytes)
    expect(parseDocument(bytes).signed['x-new']).toMatchObject({ deep: [1] })
    const changed = parseDocument(utf8(text.replace('1\n', '2\n')))
    expect(countSignatures(changed, roleOf(1, ann)).missing).toBe(1)
  })

  it('takes more signatures later, and keeps the ones it has', async () => {
    const one = await signDocument({ version: 1 }, [ann])
    const both = await addSignatures(one, [bob])
    expect(countSignatures(parseDocument(both), roleOf(2, ann, bob))).toMatchObject({
      valid: [idOf(ann), idOf(bob)],
      missing: 0,
    })
    expect(parseDocument(both).signed).toEqual(parseDocument(one).signed)
  })

  it('replaces a signature that its signer has left before, and keeps unknown fields beside them', async () => {
    const text = JSON.stringify({
      signatures: [
        { keyid: idOf(ann), sig: '' },
        { keyid: 'other', sig: 'zz', note: 'kept' },
      ],
      signed: {},
      note: 1,
    })
    const file = JSON.parse(new TextDecoder().decode(await addSignatures(utf8(text), [ann])))
    expect(file.signatures.map((signature: { keyid: string }) => signature.keyid)).toEqual(['other', idOf(ann)])
    expect([file.note, file.signatures[0].note]).toEqual([1, 'kept'])
    expect(countSignatures(parseDocument(utf8(JSON.stringify(file))), roleOf(1, ann)).missing).toBe(0)
  })

  it('is not signed twice by one key', async () => {
    expect((await refusalOf(() => signDocument({}, [ann, ann]))).code).toBe('duplicate-signature')
    const again = buildEd25519Signer(new Uint8Array(32).fill(1))
    expect((await refusalOf(() => signDocument({}, [ann, bob, again]))).code).toBe('duplicate-signature')
  })

  it('tolerates signatures that are worth nothing', async () => {
    const { signed, signatures } = JSON.parse(new TextDecoder().decode(await signDocument({ version: 1 }, [ann])))
    const worthless = ['', 'zz', 'abc', '00', 'é', signatures[0].sig].map((sig, i) => ({
      keyid: i === 5 ? idOf(bob) : `k${i}`,
      sig,
    }))
    const document = parseDocument(utf8(JSON.stringify({ signed, signatures: [...worthless, ...signatures] })))
    expect(countSignatures(document, roleOf(2, ann, bob))).toMatchObject({ valid: [idOf(ann)], missing: 1 })
  })

  it('is written so that it reads the same again', async () => {
    const { signer } = generateEd25519()
    const signed = JSON.parse('{"__proto__":{"a":1},"10":1,"2":2,"text":"\\u0000\\n\\ud83d\\ude00"}')
    const document = parseDocument(await signDocument(signed, [signer]))
    expect(Object.keys(document.signed).sort()).toEqual(['10', '2', '__proto__', 'text'])
    expect(countSignatures(document, { role: 'x', keys: [signer.publicKey], threshold: 1 }).missing).toBe(0)
  })
})

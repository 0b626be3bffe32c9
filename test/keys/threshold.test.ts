import { describe, expect, it } from 'vitest'
import { parseDocument, signDocument } from '../../keys/document.ts'
import { generateSecret, publicOf, signEd25519 } from '../../keys/ed25519.ts'
import { ed25519KeyObject, keyIdOf, parsePublicKey } from '../../keys/key.ts'
import type { Signer } from '../../keys/signer.ts'
import { countSignatures, verifyThreshold } from '../../keys/threshold.ts'
import { TrustError } from '../../keys/trust-error.ts'

function newSigner(): Signer {
  const secret = generateSecret()
  const object = ed25519KeyObject(publicOf(secret))
  return {
    publicKey: parsePublicKey(keyIdOf(object), object),
    sign: async (message) => signEd25519(message, secret),
  }
}

async function signedBy(signers: readonly Signer[], edit: (sig: string) => string = (sig) => sig) {
  const written = JSON.parse(new TextDecoder().decode(await signDocument({ a: 1 }, signers)))
  for (const signature of written.signatures) signature.sig = edit(signature.sig)
  return parseDocument(new TextEncoder().encode(JSON.stringify(written)))
}

describe('signatures of a role', () => {
  it('are counted whatever the case of their digits', async () => {
    const one = newSigner()
    const role = { role: 'alpha', keys: [one.publicKey], threshold: 1 }
    expect(countSignatures(await signedBy([one], (sig) => sig.toUpperCase()), role).missing).toBe(0)
  })

  it.each<[string, (sig: string) => string]>([
    ['nothing', () => ''],
    ['an odd number of digits', (sig) => sig.slice(1)],
    ['no digits', () => 'zz'.repeat(64)],
    ['digits and something before', (sig) => `0x${sig}`],
    ['digits and something after', (sig) => `${sig} \n`],
    ['base64', (sig) => Buffer.from(sig, 'hex').toString('base64')],
    ['one byte too few', (sig) => sig.slice(2)],
    ['one byte too many', (sig) => `${sig}00`],
  ])('count nothing and do no harm if they are %s', async (_, edit) => {
    const [one, two] = [newSigner(), newSigner()]
    const role = { role: 'alpha', keys: [one.publicKey, two.publicKey], threshold: 1 }
    const bad = await signedBy([one], edit)
    expect(countSignatures(bad, role)).toEqual({ valid: [], threshold: 1, missing: 1 })
    expect(() => verifyThreshold(bad, role)).toThrow(TrustError)
    const beside = await signedBy([one, two], (sig) => sig)
    const mixed = { ...beside, signatures: [...bad.signatures, ...beside.signatures.slice(1)] }
    expect(verifyThreshold(mixed, role).valid).toEqual([two.publicKey.keyid])
  })

  it('are missing as many as the threshold lacks, and a threshold of none is never met', async () => {
    const [one, two, three] = [newSigner(), newSigner(), newSigner()]
    const keys = [one.publicKey, two.publicKey, three.publicKey]
    const document = await signedBy([one, three])
    expect(countSignatures(document, { role: 'alpha', keys, threshold: 3 })).toEqual({
      valid: [one.publicKey.keyid, three.publicKey.keyid],
      threshold: 3,
      missing: 1,
    })
    expect(countSignatures(document, { role: 'alpha', keys, threshold: 1 }).missing).toBe(0)
    const nobody = await signedBy([newSigner()])
    expect(() => verifyThreshold(nobody, { role: 'alpha', keys, threshold: 0 })).toThrow(/0 of 0 valid/)
  })

  it('are told apart for whoever has to find the missing signer', async () => {
    const [one, two] = [newSigner(), newSigner()]
    const role = { role: 'alpha', keys: [one.publicKey, two.publicKey], threshold: 2 }
    const refusal = (() => {
      try {
        return verifyThreshold({ ...empty, signatures: [] }, role)
      } catch (error) {
        return error
      }
    })()
    expect(refusal).toMatchObject({
      code: 'unsigned',
      message: 'alpha has 0 of 2 valid signatures',
      facts: {
        role: 'alpha',
        expected: '2',
        actual: '0',
        have: [],
        candidates: [one.publicKey.keyid, two.publicKey.keyid],
        threshold: 2,
      },
    })
  })
})

const empty = parseDocument(new TextEncoder().encode('{"signatures":[],"signed":{"a":1}}'))

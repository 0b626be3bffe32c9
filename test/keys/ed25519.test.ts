// OpenSSL answers first and noble has the last word. Both must be one rule: here noble alone is the oracle, over signatures that are meant to part them.
import * as ed from '@noble/ed25519'
import { sha512 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { generateSecret, publicOf, signEd25519, verifyEd25519, weaknessOf } from '../../keys/ed25519.ts'

const L = 2n ** 252n + 27742317777372353535851937790883648493n
const P = 2n ** 255n - 19n
const text = (words: string) => new TextEncoder().encode(words)
const noble = (message: Uint8Array, signature: Uint8Array, key: Uint8Array) =>
  ed.verify(signature, message, key, { zip215: false })

/** A point of order 8: every point that is torsion is a multiple of it. */
const TORSION = ed.Point.fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a')
const torsion = (times: number) => (times % 8 === 0 ? ed.Point.ZERO : TORSION.multiply(BigInt(times % 8), false))

function bytesOf(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn))
}

function numberOf(bytes: Uint8Array): bigint {
  return [...bytes].reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
}

/** A signature whose key and R have these parts of small order: whoever holds the secret can make one, nobody else. */
function mixed(scalar: bigint, nonce: bigint, inKey: number, inR: number, message: Uint8Array) {
  const key = ed.Point.BASE.multiply(scalar).add(torsion(inKey)).toBytes()
  const R = ed.Point.BASE.multiply(nonce).add(torsion(inR)).toBytes()
  const challenge = numberOf(sha512(Buffer.concat([R, key, message]))) % L
  return { key, signature: Buffer.concat([R, bytesOf((nonce + challenge * scalar) % L)]) }
}

const scalar = fc.bigInt({ min: 1n, max: L - 1n })
const eighth = fc.integer({ min: 0, max: 7 })

describe('an Ed25519 signature', () => {
  it('counts exactly where noble, strict, says so: also with parts of small order in the key and in R', () => {
    let onlyCofactored = 0
    fc.assert(
      fc.property(scalar, scalar, eighth, eighth, fc.uint8Array({ maxLength: 40 }), (s, n, inKey, inR, message) => {
        const { key, signature } = mixed(s, n, inKey, inR, message)
        const expected = noble(message, signature, key)
        expect(verifyEd25519(message, signature, key)).toBe(expected)
        if (expected && (inKey || inR)) onlyCofactored += 1
      }),
      { numRuns: 60 },
    )
    // These are what OpenSSL refuses and noble takes: without them the property would say nothing.
    expect(onlyCofactored).toBeGreaterThan(10)
  })

  it('counts exactly where noble says so after any one bit was flipped, in the signature, the key or the message', () => {
    const secret = generateSecret()
    const key = publicOf(secret)
    const message = text('root v1')
    const signature = signEd25519(message, secret)
    const all = Buffer.concat([signature, key, message])
    fc.assert(
      fc.property(fc.integer({ min: 0, max: all.length * 8 - 1 }), (bit) => {
        const bytes = Buffer.from(all)
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        const [s, k, m] = [bytes.subarray(0, 64), bytes.subarray(64, 96), bytes.subarray(96)]
        expect(noble(m, s, k)).toBe(false)
        expect(verifyEd25519(m, s, k)).toBe(false)
      }),
      { numRuns: 100 },
    )
    expect(verifyEd25519(message, signature, key)).toBe(true)
  })

  it('is refused with S raised by the group order, which is the same number to a careless reader', () => {
    const secret = generateSecret()
    const message = text('root v1')
    const signature = signEd25519(message, secret)
    const raised = Buffer.concat([signature.subarray(0, 32), bytesOf(numberOf(signature.subarray(32)) + L)])
    expect(verifyEd25519(message, raised, publicOf(secret))).toBe(false)
    expect(verifyEd25519(message, signature, publicOf(secret))).toBe(true)
  })

  it.each([0, 1, 2, 3, 4, 5, 6, 7])(
    'is refused under the small-order key %i, for which anybody can make one',
    (times) => {
      const key = torsion(times).toBytes()
      const message = text('anything')
      // R = the identity, S = 0: for a key of order 1, 2, 4 or 8 it fits at least every eighth message, and every one under the cofactored equation.
      const signature = Buffer.concat([ed.Point.ZERO.toBytes(), new Uint8Array(32)])
      expect(ed.verify(signature, message, key)).toBe(true)
      expect(verifyEd25519(message, signature, key)).toBe(false)
      expect(weaknessOf(key)).toMatch(/small order/)
    },
  )

  it('is refused under a second spelling of a key, and a key of another length is no key', () => {
    // y = 1 + p: the identity again, written beyond the field.
    const spelled = bytesOf(1n + P)
    expect(weaknessOf(spelled)).toMatch(/canonical/)
    expect(weaknessOf(new Uint8Array(31))).toMatch(/canonical/)
    expect(verifyEd25519(text('x'), new Uint8Array(64), spelled)).toBe(false)
    expect(verifyEd25519(text('x'), new Uint8Array(64), new Uint8Array(31))).toBe(false)
  })

  it.each([
    ['y beyond the field', bytesOf(1n + P)],
    ['a sign where x is zero', bytesOf(1n + 2n ** 255n)],
  ])('is refused with a second spelling of its R: %s', (_, spelled) => {
    // R is the identity, so whoever holds the secret gets by with S = k * a. Under ZIP 215 each spelling is as good as the first.
    const secret = 7n
    const message = text('root v1')
    const key = ed.Point.BASE.multiply(secret).toBytes()
    const signed = (R: Uint8Array) =>
      Buffer.concat([R, bytesOf(((numberOf(sha512(Buffer.concat([R, key, message]))) % L) * secret) % L)])
    expect(ed.verify(signed(spelled), message, key)).toBe(true)
    expect(verifyEd25519(message, signed(spelled), key)).toBe(false)
    expect(verifyEd25519(message, signed(ed.Point.ZERO.toBytes()), key)).toBe(true)
  })

  it('is judged afresh each time: a key that was admitted once takes no other message', () => {
    const secret = generateSecret()
    const signature = signEd25519(text('one'), secret)
    expect(verifyEd25519(text('one'), signature, publicOf(secret))).toBe(true)
    expect(verifyEd25519(text('two'), signature, publicOf(secret))).toBe(false)
    expect(verifyEd25519(text('one'), signature, publicOf(generateSecret()))).toBe(false)
  })
})

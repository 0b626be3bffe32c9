import { generateKeyPairSync } from 'node:crypto'
import * as ed from '@noble/ed25519'
import { hexToBytes } from '@noble/hashes/utils.js'
import { describe, expect, it } from 'vitest'
import { verifyEd25519 } from '../../keys/ed25519.ts'
import type { JsonObject } from '../../keys/json.ts'
import { keyIdOf, parsePublicKey } from '../../keys/key.ts'
import { verifySignature } from '../../keys/signature.ts'
import { buildEd25519Signer, generateEd25519, type Signer } from '../../keys/signer.ts'
import { utf8 } from '../sim/repository.ts'
import { ecdsaPair, ecdsaSigner, keyObject, pemOf, rsaSigner } from '../sim/signers.ts'
import { refusalOf } from './refusal.ts'

const parse = (object: JsonObject) => parsePublicKey(keyIdOf(object), object)
const ed25519 = (hex: string) => keyObject('ed25519', 'ed25519', hex)

describe('a signer', () => {
  it('signs as RFC 8032 7.1 says (test 2)', async () => {
    const signer = buildEd25519Signer(hexToBytes('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb'))
    expect(signer.publicKey.object).toEqual(ed25519('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'))
    expect(Buffer.from(await signer.sign(Uint8Array.of(0x72))).toString('hex')).toBe(
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    )
  })

  it('keeps its own copy of the secret', async () => {
    const { secret, signer } = generateEd25519()
    secret.fill(0)
    expect(verifySignature(signer.publicKey, utf8('x'), await signer.sign(utf8('x')))).toBe(true)
  })

  it('never makes the same key twice', () => {
    expect(generateEd25519().signer.publicKey.keyid).not.toBe(generateEd25519().signer.publicKey.keyid)
  })

  const kinds: [name: string, build: () => Signer][] = [
    ['ed25519', () => generateEd25519().signer],
    ['ecdsa', () => ecdsaSigner()],
    ['rsa', () => rsaSigner()],
  ]
  it.each(kinds)('%s: its signature is good for its message and its key, and for nothing else', async (_, build) => {
    const signer = build()
    const message = utf8('signed')
    const signature = await signer.sign(message)
    expect(verifySignature(signer.publicKey, message, signature)).toBe(true)
    expect(verifySignature(signer.publicKey, utf8('other'), signature)).toBe(false)
    expect(verifySignature(build().publicKey, message, signature)).toBe(false)
    for (const at of [0, 10, signature.length - 1]) {
      expect(
        verifySignature(
          signer.publicKey,
          message,
          signature.map((byte, i) => (i === at ? byte ^ 1 : byte)),
        ),
      ).toBe(false)
    }
    for (const wrong of [
      new Uint8Array(),
      signature.subarray(1),
      Uint8Array.of(...signature, 0),
      new Uint8Array(1_000),
    ]) {
      expect(verifySignature(signer.publicKey, message, wrong)).toBe(false)
    }
  })

  it('refuses an RSA signature without its leading zero byte', async () => {
    const signer = rsaSigner()
    const message = utf8('signed')
    let signature = await signer.sign(message)
    while (signature[0] !== 0) signature = await signer.sign(message) // the salt is random: one in about 200 begins so
    expect(verifySignature(signer.publicKey, message, signature)).toBe(true)
    expect(verifySignature(signer.publicKey, message, signature.subarray(1))).toBe(false)
  }, 60_000)

  it('refuses a signature whose S lies past the group order (malleation)', async () => {
    const { signer } = generateEd25519()
    const signature = await signer.sign(utf8('signed'))
    const order = 2n ** 252n + 27742317777372353535851937790883648493n
    const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`) + order
    const malleated = Buffer.concat([
      signature.subarray(0, 32),
      Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse(),
    ])
    expect(verifySignature(signer.publicKey, utf8('signed'), malleated)).toBe(false)
  })
})

describe('a public key', () => {
  it('goes by the hash of its canonical form, unknown fields included', () => {
    const object = { ...generateEd25519().signer.publicKey.object, 'x-owner': 'Jana' }
    expect(parse(object).object).toEqual(object)
    expect(keyIdOf(object)).not.toBe(keyIdOf({ ...object, 'x-owner': 'Petr' }))
  })

  it('T45 is refused under any other key id', async () => {
    const object = generateEd25519().signer.publicKey.object
    const refusal = await refusalOf(() => parsePublicKey('00'.repeat(32), object))
    expect([refusal.code, refusal.facts.expected]).toEqual(['bad-key', keyIdOf(object)])
    expect((await refusalOf(() => parsePublicKey(keyIdOf(object).toUpperCase(), object))).code).toBe('bad-key')
    expect(parse(object).keyid).toBe(keyIdOf(object))
  })

  it('is taken under the legacy key type of older repositories', () => {
    const pem = pemOf(ecdsaPair().publicKey)
    expect(parse(keyObject('ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp256', pem)).material).toBe(
      parse(keyObject('ecdsa', 'ecdsa-sha2-nistp256', pem)).material,
    )
  })

  it('T3 is the same key however its PEM is written', () => {
    const { publicKey } = ecdsaPair()
    const pem = pemOf(publicKey)
    const spellings = [pem, pem.trim(), pem.replaceAll('\n', '\r\n'), `\n${pem}`, compressed(pem)]
    const keys = spellings.map((spelling) => parse(keyObject('ecdsa', 'ecdsa-sha2-nistp256', spelling)))
    expect(new Set(keys.map((key) => key.keyid)).size).toBe(5)
    expect(new Set(keys.map((key) => key.material)).size).toBe(1)
  })

  it('of small order verifies nothing even if it were let in, while ZIP 215 rules take one signature for every message', () => {
    const identity = hexToBytes(`01${'00'.repeat(31)}`)
    const signature = hexToBytes(`01${'00'.repeat(63)}`)
    for (const message of [utf8('one'), utf8('another')]) {
      expect(ed.verify(signature, message, identity)).toBe(true)
      expect(verifyEd25519(message, signature, identity)).toBe(false)
    }
  })

  const refused: [what: string, object: () => JsonObject][] = [
    ['ed25519: the identity point', () => ed25519(`01${'00'.repeat(31)}`)],
    ['ed25519: the point of order two', () => ed25519(`ec${'ff'.repeat(30)}7f`)],
    ['ed25519: a point of order four', () => ed25519('00'.repeat(32))],
    [
      'ed25519: a point of order eight',
      () => ed25519('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'),
    ],
    [
      'ed25519: another point of order eight',
      () => ed25519('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'),
    ],
    ['ed25519: y above the field prime', () => ed25519(`ee${'ff'.repeat(30)}7f`)],
    ['ed25519: y is the prime itself', () => ed25519(`ed${'ff'.repeat(30)}7f`)],
    ['ed25519: a sound point, its y written above the field prime', () => ed25519(`f0${'ff'.repeat(30)}7f`)],
    ['ed25519: not a point', () => ed25519(`02${'00'.repeat(31)}`)],
    [
      'ed25519: upper-case hexadecimal',
      () => ed25519('3D4017C3E843895A92B70AA74D1B7EBC9C982CCF2EC4968CC0CD55F12AF4660C'),
    ],
    ['ed25519: 31 bytes', () => ed25519('ab'.repeat(31))],
    ['ed25519: 33 bytes', () => ed25519('ab'.repeat(33))],
    ['ed25519: a PEM', () => ed25519(pemOf(generateKeyPairSync('ed25519').publicKey))],
    [
      'ed25519 with an rsa scheme',
      () =>
        keyObject('ed25519', 'rsassa-pss-sha256', '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'),
    ],
    ['ecdsa with an rsa key', () => keyObject('ecdsa', 'ecdsa-sha2-nistp256', rsaPem(2048))],
    [
      'ecdsa with an ed25519 key',
      () => keyObject('ecdsa', 'ecdsa-sha2-nistp256', pemOf(generateKeyPairSync('ed25519').publicKey)),
    ],
    [
      'ecdsa on P-384',
      () =>
        keyObject('ecdsa', 'ecdsa-sha2-nistp256', pemOf(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey)),
    ],
    [
      'ecdsa on secp256k1',
      () =>
        keyObject(
          'ecdsa',
          'ecdsa-sha2-nistp256',
          pemOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey),
        ),
    ],
    [
      'ecdsa: a point that is not on the curve',
      () => keyObject('ecdsa', 'ecdsa-sha2-nistp256', offCurve(pemOf(ecdsaPair().publicKey))),
    ],
    [
      'ecdsa: a private key',
      () =>
        keyObject(
          'ecdsa',
          'ecdsa-sha2-nistp256',
          String(ecdsaPair().privateKey.export({ type: 'pkcs8', format: 'pem' })),
        ),
    ],
    [
      'ecdsa: two keys in one PEM',
      () => keyObject('ecdsa', 'ecdsa-sha2-nistp256', pemOf(ecdsaPair().publicKey) + pemOf(ecdsaPair().publicKey)),
    ],
    ['ecdsa: no PEM', () => keyObject('ecdsa', 'ecdsa-sha2-nistp256', 'ab'.repeat(65))],
    ['rsa of 1024 bits', () => keyObject('rsa', 'rsassa-pss-sha256', rsaPem(1024))],
    ['rsa with exponent 3', () => keyObject('rsa', 'rsassa-pss-sha256', rsaPem(2048, 3))],
    ['rsa with an ecdsa key', () => keyObject('rsa', 'rsassa-pss-sha256', pemOf(ecdsaPair().publicKey))],
    ['rsa with PKCS#1 v1.5', () => keyObject('rsa', 'rsa-pkcs1v15-sha256', rsaPem(2048))],
    ['a key type that nobody knows', () => keyObject('hmac', 'hmac-sha256', 'ab'.repeat(32))],
    ['a key type of Object.prototype', () => keyObject('constructor', 'constructor', 'ab'.repeat(32))],
    ['no key type', () => ({ scheme: 'ed25519', keyval: { public: 'ab'.repeat(32) } })],
    ['no keyval', () => ({ keytype: 'ed25519', scheme: 'ed25519' })],
    ['a keyval that is a list', () => ({ keytype: 'ed25519', scheme: 'ed25519', keyval: ['ab'.repeat(32)] })],
    ['a public key that is a number', () => ({ keytype: 'ed25519', scheme: 'ed25519', keyval: { public: 1 } })],
    ['nothing', () => ({})],
  ]
  it.each(refused)('is refused when it is loaded: %s', async (_, object) => {
    expect((await refusalOf(() => parse(object()))).code).toBe('bad-key')
  })

  it('RSA of 2048 bits and more is taken', () => {
    expect(parse(keyObject('rsa', 'rsassa-pss-sha256', rsaPem(2048))).scheme).toBe('rsassa-pss-sha256')
    expect(parse(keyObject('rsa', 'rsassa-pss-sha256', rsaPem(3072))).scheme).toBe('rsassa-pss-sha256')
  })
})

function rsaPem(modulusLength: number, publicExponent = 65_537): string {
  return pemOf(generateKeyPairSync('rsa', { modulusLength, publicExponent }).publicKey)
}

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64')
}

function pemFrom(der: Buffer): string {
  return `-----BEGIN PUBLIC KEY-----\n${der.toString('base64')}\n-----END PUBLIC KEY-----\n`
}

/** The same P-256 point with only the sign of y. */
function compressed(pem: string): string {
  const point = derOf(pem).subarray(-65)
  const sign = (point[64]! & 1) === 0 ? 2 : 3
  const header = hexToBytes('3039301306072a8648ce3d020106082a8648ce3d030107032200')
  return pemFrom(Buffer.concat([header, Uint8Array.of(sign), point.subarray(1, 33)]))
}

function offCurve(pem: string): string {
  const der = derOf(pem)
  der[der.length - 1]! ^= 1
  return pemFrom(der)
}

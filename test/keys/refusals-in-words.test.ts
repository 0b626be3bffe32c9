// Every refusal names its check by a code, in a whole sentence, with its facts: an operator has nothing else to go by.
import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { canonicalBytes } from '../../keys/canonical.ts'
import { verifyTargetPath } from '../../keys/delegation.ts'
import { addSignatures, parseDocument, signDocument } from '../../keys/document.ts'
import { parseJson } from '../../keys/json.ts'
import { keyIdOf, parsePublicKey } from '../../keys/key.ts'
import { percentEncode } from '../../keys/percent-encode.ts'
import { buildEd25519Signer } from '../../keys/signer.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { checkContent, roleTypes, trustRoot, verifyRole } from '../../keys/verified.ts'
import { SimRepository, utf8 } from '../sim/repository.ts'
import { keyObject, pemOf } from '../sim/signers.ts'
import { refusalOf, said } from './refusal.ts'

const ann = buildEd25519Signer(new Uint8Array(32).fill(1))
const ID = ann.publicKey.keyid

describe('a document', () => {
  const signature = { keyid: ID, sig: '00' }
  const of = (signatures: unknown) => ({ signed: {}, signatures })
  it.each<[unknown, string, string]>([
    [[], 'malformed', 'an object with signed and signatures'],
    [{ signed: 1, signatures: [] }, 'malformed', 'an object in /signed'],
    [of({}), 'malformed', 'an array in /signatures'],
    ...[null, 'text', {}, { keyid: ID }, { sig: '00' }, { keyid: 1, sig: '00' }, { keyid: ID, sig: 1 }].map(
      (one): [unknown, string, string] => [of([one]), 'malformed', 'keyid and sig as text in /signatures'],
    ),
    [of([signature, signature]), 'duplicate-signature', `every key id once, found ${ID} twice`],
    [of(Array(65).fill(signature)), 'too-large', 'at most 64 signatures, found 65'],
  ])('%j: %s', async (document, code, expected) => {
    const facts = code === 'malformed' ? { expected } : {}
    for (const [subject, words] of [
      ['alpha', 'alpha'],
      [undefined, 'metadata'],
    ] as const) {
      const act = () => parseDocument(utf8(JSON.stringify(document)), subject)
      expect(await said(act)).toEqual({ code, message: `${words}: expected ${expected}`, facts })
    }
    expect(parseDocument(utf8(JSON.stringify(of([signature])))).signatures).toEqual([signature])
  })

  it('says whose grammar is wrong, and who would sign twice', async () => {
    expect((await refusalOf(() => parseDocument(utf8('{'), 'beta'))).message).toMatch(/^beta\b/)
    expect((await refusalOf(() => addSignatures(utf8('{'), [ann]))).message).toMatch(/^metadata\b/)
    expect(await said(() => signDocument({}, [ann, ann]))).toEqual({
      code: 'duplicate-signature',
      message: `expected different signers, found ${ID} twice`,
      facts: {},
    })
  })

  it('keeps the signatures of others when one more is added', async () => {
    const [bob, eve] = [2, 3].map((seed) => buildEd25519Signer(new Uint8Array(32).fill(seed)))
    if (!bob || !eve) throw new Error('expected two signers')
    const bytes = await addSignatures(await signDocument({ a: 1 }, [ann, bob]), [bob, eve])
    const ids = parseDocument(bytes).signatures.map(({ keyid }) => keyid)
    expect(ids).toEqual([ann, bob, eve].map(({ publicKey }) => publicKey.keyid))
  })
})

describe('a key', () => {
  const pem = (key: ReturnType<typeof generateKeyPairSync>['publicKey']) => pemOf(key)
  const rsa = (modulusLength: number, publicExponent = 65_537) =>
    pem(generateKeyPairSync('rsa', { modulusLength, publicExponent }).publicKey)
  const p384 = pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey)
  const p256 = pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)
  const ecdsa = (spelled: string) => keyObject('ecdsa', 'ecdsa-sha2-nistp256', spelled)
  const rsaKey = (spelled: string) => keyObject('rsa', 'rsassa-pss-sha256', spelled)
  const ed25519 = (spelled: string) => keyObject('ed25519', 'ed25519', spelled)
  const hex = String((ann.publicKey.object.keyval as { public: string }).public)
  it.each([
    [{}, 'expected the public key in keyval.public'],
    [{ keytype: 'ed25519', scheme: 'ed25519', keyval: { public: 1 } }, 'expected the public key in keyval.public'],
    [{ scheme: 'ed25519', keyval: { public: hex } }, 'expected text in keytype and scheme'],
    [{ keytype: 'ed25519', keyval: { public: hex } }, 'expected text in keytype and scheme'],
    [{ keytype: ['ed25519'], scheme: 'ed25519', keyval: { public: hex } }, 'expected text in keytype and scheme'],
    [keyObject('rsa', 'ed25519', hex), 'expected a known key type and its own scheme, found rsa/ed25519'],
    [ed25519(`0${hex}`), 'expected 64 lower-case hexadecimal digits'],
    [ed25519(`${hex}0`), 'expected 64 lower-case hexadecimal digits'],
    [ed25519('0'.repeat(64)), 'a point of small order, under which anything can be signed'],
    [ed25519('f'.repeat(64)), 'not the canonical encoding of a point on the curve'],
    [ecdsa('text'), 'expected one PUBLIC KEY in PEM'],
    [ecdsa('-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'), 'its PEM does not hold a valid public key'],
    [ecdsa(p384), 'expected a key on the curve P-256'],
    [rsaKey(p256), 'expected an RSA key'],
    [rsaKey(rsa(1024)), 'expected an RSA key of 2048 to 8192 bits, found 1024'],
    [rsaKey(rsa(2048, 3)), 'expected an odd exponent of 65537 or more, found 3'],
  ])('%j', async (object, reason) => {
    const keyid = keyIdOf(object)
    const refusal = await refusalOf(() => parsePublicKey(keyid, object))
    expect([refusal.code, refusal.message]).toEqual(['bad-key', `key ${keyid.slice(0, 16)} is refused: ${reason}`])
    expect(refusal.cause instanceof Error).toBe(reason.startsWith('its PEM'))
  })

  it('goes by the hash of its content', async () => {
    const object = ed25519(hex)
    expect(await said(() => parsePublicKey('ab'.repeat(32), object))).toEqual({
      code: 'bad-key',
      message: 'key abababababababab is refused: its key id is not the hash of its content',
      facts: { expected: ID, actual: 'ab'.repeat(32) },
    })
    expect(parsePublicKey(ID, object)).toMatchObject({ keytype: 'ed25519', scheme: 'ed25519' })
  })

  it('of each kind keeps its type', () => {
    for (const object of [ecdsa(p256), keyObject('ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp256', p256)])
      expect(parsePublicKey(keyIdOf(object), object)).toMatchObject({
        keytype: object.keytype,
        scheme: 'ecdsa-sha2-nistp256',
        material: expect.stringMatching(/^p256:.{43}:.{43}$/),
      })
    const object = rsaKey(rsa(2048))
    expect(parsePublicKey(keyIdOf(object), object)).toMatchObject({
      keytype: 'rsa',
      scheme: 'rsassa-pss-sha256',
      material: expect.stringMatching(/^rsa:.{342}:AQAB$/),
    })
  })
})

describe('JSON', () => {
  it.each([
    ['1 2', 'nothing after the value', '"2"'],
    ['{a', 'a name in double quotes', '"a"'],
    ['{"a":1,"a":2}', 'every name once', 'a second "a"'],
    ['"a\u0001"', 'a character, an escape or the closing quote', '"\\u0001"'],
    ['"a', 'a character, an escape or the closing quote', 'the end'],
    ['"\\ud800"', 'whole characters', 'a lone surrogate in a string'],
    ['x', 'a value', '"x"'],
    ['tru', 'a value', '"t"'],
    ['1.5', 'an integer', 'a fraction or an exponent'],
    ['9007199254740992', 'an integer within ±(2^53-1)', '9007199254740992'],
    ['1'.repeat(50), 'an integer within ±(2^53-1)', '1'.repeat(40)],
    ['-0', '0', '-0'],
    ['{"a"', '":"', 'the end'],
  ])('%j', async (text, expected, actual) => {
    const refusal = await refusalOf(() => parseJson(utf8(text), { subject: 'alpha' }))
    expect(refusal.code).toBe('malformed')
    expect(refusal.message).toContain(`expected ${expected}, found ${actual}`)
    expect(refusal.message).toMatch(/^alpha\b/)
    expect((await refusalOf(() => parseJson(utf8(text)))).message).toMatch(/^JSON\b/)
    expect(refusal.facts).toMatchObject({ expected, actual })
  })

  it('has no canonical form with fractions or half characters', async () => {
    const whole = { code: 'malformed', facts: {} }
    expect(await said(() => canonicalBytes({ a: 1.5 }))).toMatchObject({
      ...whole,
      message: 'canonical JSON has integers only, found 1.5',
    })
    expect(await said(() => canonicalBytes('\ud800'))).toMatchObject({
      ...whole,
      message: 'canonical JSON has whole characters only, found a lone surrogate',
    })
    expect(Buffer.from(canonicalBytes({ b: 'é', a: 1 })).toString()).toBe('{"a":1,"b":"é"}')
  })
})

it('a target path is plain', async () => {
  for (const path of ['/a', 'a//b', '../a', 'a/%2E%2e', 'a\\b', 'a\n']) {
    expect(await said(() => verifyTargetPath(path))).toEqual({
      code: 'malformed',
      message: `expected a plain relative target path, found ${JSON.stringify(path)}`,
      facts: { path },
    })
  }
  expect(verifyTargetPath('alpha/0a1/manifest.json')).toBeUndefined()
  expect(percentEncode("a(b)*'!")).toBe('a%28b%29%2A%27%21')
})

describe('content', () => {
  const bytes = utf8('hello')
  const hashes = (one: Record<string, string>) => ({ hashes: new Map(Object.entries(one)) })
  const SHA256 = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'
  it.each([
    [{ length: 6 }, '6 bytes', '5 bytes'],
    [hashes({ md5: '00', crc: '00' }), 'a sha256 or sha512 hash', 'md5, crc'],
    [hashes({ sha256: '00' }), 'sha256 00', `sha256 ${SHA256}`],
  ])('%j', async (content, expected, actual) => {
    expect(await said(() => checkContent('a.json', bytes, content))).toEqual({
      code: 'hash',
      message: `a.json: expected ${expected}, found ${actual}`,
      facts: { path: 'a.json', expected, actual },
    })
    expect(checkContent('a.json', bytes, { length: 5, ...hashes({ sha256: SHA256, md5: '00' }) })).toBeUndefined()
  })
})

describe('a role', () => {
  const rootWith = async (edit: (root: SimRepository['root']) => void) => {
    const repo = await SimRepository.create()
    edit(repo.root)
    return repo.sign(repo.root, repo.signersOf('root'))
  }
  const keys = (count: number) =>
    Object.fromEntries(
      Array.from({ length: count }, (_, index) => {
        const object = { ...ann.publicKey.object, index }
        return [keyIdOf(object), object] as const
      }),
    )

  it('names no more keys than are allowed', async () => {
    const counted = (count: number) =>
      rootWith((root) => Object.assign(root.keys, keys(count - Object.keys(root.keys).length)))
    const most = await counted(256)
    const more = await counted(257)
    expect(trustRoot(most).keys.size).toBe(256)
    expect(await said(() => trustRoot(more))).toEqual({
      code: 'too-large',
      message: 'root names 257 keys, at most 256 are allowed',
      facts: { role: 'root' },
    })
  })

  it('has no more keys than are allowed', async () => {
    const counted = (count: number) =>
      rootWith((root) => root.roles.root?.keyids.push(...Object.keys(keys(count - root.roles.root.keyids.length))))
    expect(trustRoot(await counted(16)).role).toBe('root')
    const more = await counted(17)
    expect(await said(() => trustRoot(more))).toEqual({
      code: 'too-large',
      message: 'root has 17 keys, at most 16 are allowed',
      facts: { role: 'root' },
    })
  })

  it('is signed by those who are named, and says what it is', async () => {
    const repo = await SimRepository.create()
    const root = trustRoot(repo.file('1.root.json'))
    const timestamp = repo.file('timestamp.json')
    expect(await said(() => verifyRole(root, 'nobody', roleTypes.timestamp, timestamp))).toEqual({
      code: 'not-delegated',
      message: 'nobody is named to sign for nobody',
      facts: { role: 'nobody' },
    })
    for (const [type, actual] of [
      ['snapshot', 'snapshot'],
      [undefined, 'no type'],
      [7, 'no type'],
    ] as const) {
      const bytes = await repo.sign({ ...repo.role('timestamp'), _type: type }, repo.signersOf('timestamp'))
      expect(await said(() => verifyRole(root, 'timestamp', roleTypes.timestamp, bytes))).toEqual({
        code: 'wrong-role',
        message: `timestamp: expected timestamp metadata, found ${actual}`,
        facts: { role: 'timestamp', expected: 'timestamp', actual },
      })
    }
    const bare = await repo.sign({ _type: 'timestamp' }, repo.signersOf('timestamp'))
    const refusal = await refusalOf(() => verifyRole(root, 'timestamp', roleTypes.timestamp, bare))
    expect([refusal.code, refusal.facts]).toEqual(['malformed', { role: 'timestamp' }])
    expect(refusal.cause).not.toBeInstanceOf(TrustError)
    expect(refusal.cause).toMatchObject({ name: 'ShapeError', message: refusal.message })
    expect(verifyRole(root, 'timestamp', roleTypes.timestamp, timestamp).value.version).toBe(1)
  })
})

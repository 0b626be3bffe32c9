import { createPublicKey, hash, type KeyObject } from 'node:crypto'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { canonicalBytes } from './canonical.ts'
import { ED25519_KEY_BYTES, weaknessOf } from './ed25519.ts'
import { isJsonObject, type JsonObject } from './json.ts'
import { TrustError } from './trust-error.ts'

/**
 * A public key that may count. `scheme` is a property of the key: a signature never chooses its own algorithm.
 * `material` is the same for two spellings of one key (line ends in a PEM, compressed points), so that nobody counts twice.
 */
export type PublicKey = Ed25519Key | EcdsaKey | RsaKey

export interface Ed25519Key extends KeyFacts {
  readonly keytype: 'ed25519'
  readonly scheme: 'ed25519'
  readonly raw: Uint8Array
}

export interface EcdsaKey extends KeyFacts {
  readonly keytype: 'ecdsa' | 'ecdsa-sha2-nistp256'
  readonly scheme: 'ecdsa-sha2-nistp256'
  readonly handle: KeyObject
}

export interface RsaKey extends KeyFacts {
  readonly keytype: 'rsa'
  readonly scheme: 'rsassa-pss-sha256'
  readonly handle: KeyObject
}

interface KeyFacts {
  /** SHA-256 over the canonical form of `object`, lower-case hexadecimal. */
  readonly keyid: string
  readonly material: string
  /** The key as it stands in signed metadata, unknown fields included. */
  readonly object: JsonObject
}

const RSA_BITS = { min: 2048, max: 8192 }

/** The key id of a TUF key object: SHA-256 over its canonical form, lower-case hexadecimal (TUF 4.2.2). */
export function keyIdOf(object: JsonObject): string {
  return hash('sha256', canonicalBytes(object), 'hex')
}

/**
 * The key that a TUF key object describes. Refuses what could never be safe to count: a key id that is not the hash of the object, an algorithm
 * that does not belong to the key type, weak or malformed key material. Throws TrustError `bad-key`.
 */
export function parsePublicKey(keyid: string, object: JsonObject): PublicKey {
  const expected = keyIdOf(object)
  if (keyid !== expected) throw badKey(keyid, `its key id is not the hash of its content`, { expected, actual: keyid })
  const { keytype, scheme, keyval } = object
  const spelled = isJsonObject(keyval) ? keyval.public : undefined
  if (typeof spelled !== 'string') throw badKey(keyid, 'expected the public key in keyval.public')
  if (typeof keytype !== 'string' || typeof scheme !== 'string')
    throw badKey(keyid, 'expected text in keytype and scheme')
  const kind = `${keytype}/${scheme}`
  switch (kind) {
    case 'ed25519/ed25519':
      return parseEd25519(keyid, object, spelled)
    case 'ecdsa/ecdsa-sha2-nistp256':
      return parseEcdsa(keyid, object, spelled, 'ecdsa')
    case 'ecdsa-sha2-nistp256/ecdsa-sha2-nistp256':
      return parseEcdsa(keyid, object, spelled, 'ecdsa-sha2-nistp256')
    case 'rsa/rsassa-pss-sha256':
      return parseRsa(keyid, object, spelled)
    default:
      throw badKey(keyid, `expected a known key type and its own scheme, found ${kind}`)
  }
}

/** The TUF key object of an Ed25519 public key of 32 bytes. */
export function ed25519KeyObject(raw: Uint8Array): JsonObject {
  return { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: bytesToHex(raw) } }
}

function parseEd25519(keyid: string, object: JsonObject, hex: string): Ed25519Key {
  if (!/^[0-9a-f]{64}$/.test(hex))
    throw badKey(keyid, `expected ${2 * ED25519_KEY_BYTES} lower-case hexadecimal digits`)
  const raw = hexToBytes(hex)
  const weakness = weaknessOf(raw)
  if (weakness) throw badKey(keyid, weakness)
  return { keyid, keytype: 'ed25519', scheme: 'ed25519', material: `ed25519:${hex}`, object, raw }
}

function parseEcdsa(keyid: string, object: JsonObject, pem: string, keytype: EcdsaKey['keytype']): EcdsaKey {
  const handle = readPem(keyid, pem)
  const curve = handle.asymmetricKeyDetails?.namedCurve
  if (handle.asymmetricKeyType !== 'ec' || curve !== 'prime256v1')
    throw badKey(keyid, 'expected a key on the curve P-256')
  const { x, y } = handle.export({ format: 'jwk' })
  return { keyid, keytype, scheme: 'ecdsa-sha2-nistp256', material: `p256:${x}:${y}`, object, handle }
}

function parseRsa(keyid: string, object: JsonObject, pem: string): RsaKey {
  const handle = readPem(keyid, pem)
  const { modulusLength = 0, publicExponent = 0n } = handle.asymmetricKeyDetails ?? {}
  if (handle.asymmetricKeyType !== 'rsa') throw badKey(keyid, 'expected an RSA key')
  if (modulusLength < RSA_BITS.min || modulusLength > RSA_BITS.max) {
    throw badKey(keyid, `expected an RSA key of ${RSA_BITS.min} to ${RSA_BITS.max} bits, found ${modulusLength}`)
  }
  if (publicExponent < 65_537n || publicExponent % 2n === 0n)
    throw badKey(keyid, `expected an odd exponent of 65537 or more, found ${publicExponent}`)
  const { n, e } = handle.export({ format: 'jwk' })
  return { keyid, keytype: 'rsa', scheme: 'rsassa-pss-sha256', material: `rsa:${n}:${e}`, object, handle }
}

/** Insists on a public key: node would also take a certificate, or a private key and derive its public half. */
function readPem(keyid: string, pem: string): KeyObject {
  if (!/^\s*-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----\s*$/.test(pem))
    throw badKey(keyid, 'expected one PUBLIC KEY in PEM')
  try {
    return createPublicKey({ key: pem, format: 'pem' })
  } catch (cause) {
    throw badKey(keyid, 'its PEM does not hold a valid public key', {}, cause)
  }
}

function badKey(
  keyid: string,
  reason: string,
  facts: { expected?: string; actual?: string } = {},
  cause?: unknown,
): TrustError {
  return new TrustError('bad-key', `key ${keyid.slice(0, 16)} is refused: ${reason}`, facts, { cause })
}

// The one door to @noble/ed25519. Version 3 has no SHA-512 of its own: it is put in here, once, before anything can be signed or verified.
//
// Noble decides. OpenSSL, ten times as fast, may only say yes where noble would: it checks R = [S]B - [k]A byte for byte, with S below the group order, and
// from that follow noble's canonical R and its equation times eight. What it lacks, a canonical A that is not of small order, noble has checked
// before. Whatever OpenSSL refuses is for noble to judge: there are signatures with a part of small order that only noble's equation takes.
import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import * as ed from '@noble/ed25519'
import { sha512 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'

ed.hashes.sha512 = sha512

/** Length of an Ed25519 secret (the seed of RFC 8032 5.1.5) and of a public key. */
export const ED25519_KEY_BYTES = 32

/** A fresh secret of 32 bytes from the system's generator. */
export function generateSecret(): Uint8Array {
  return ed.utils.randomSecretKey()
}

/** The 32 bytes of the public key that belongs to a secret. */
export function publicOf(secret: Uint8Array): Uint8Array {
  return ed.getPublicKey(secret)
}

export function signEd25519(message: Uint8Array, secret: Uint8Array): Uint8Array {
  return ed.sign(message, secret)
}

/**
 * Whether this is a signature over the message, by RFC 8032's rules and not ZIP 215's: `S` below the group order, canonical points, no key of small
 * order. Under ZIP 215 one fixed signature would be good for every message under a small-order key.
 */
export function verifyEd25519(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false
  const key = admit(publicKey)
  if (typeof key === 'string') return false
  return verify(null, message, key, signature) || ed.verify(signature, message, publicKey, { zip215: false })
}

/** Why these 32 bytes may not serve as a public key, or undefined if they may. */
export function weaknessOf(publicKey: Uint8Array): string | undefined {
  const key = admit(publicKey)
  return typeof key === 'string' ? key : undefined
}

const SIGNATURE_BYTES = 64
/** RFC 8410: what stands before the 32 bytes in DER. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/** Keys that noble has admitted, or why it did not: a repository names the same few again and again. */
const admitted = new Map<string, KeyObject | string>()
const MOST_ADMITTED = 512

function admit(publicKey: Uint8Array): KeyObject | string {
  const name = bytesToHex(publicKey)
  return admitted.get(name) ?? remember(name, weaknessIn(publicKey) ?? keyObjectOf(publicKey))
}

function keyObjectOf(publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' })
}

function remember(name: string, key: KeyObject | string): KeyObject | string {
  if (admitted.size >= MOST_ADMITTED) admitted.clear()
  admitted.set(name, key)
  return key
}

function weaknessIn(publicKey: Uint8Array): string | undefined {
  let point: ed.Point
  try {
    point = ed.Point.fromBytes(publicKey, false)
  } catch {
    return 'not the canonical encoding of a point on the curve'
  }
  if (point.isSmallOrder()) return 'a point of small order, under which anything can be signed'
  return undefined
}

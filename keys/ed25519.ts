// The one door to @noble/ed25519. Version 3 has no SHA-512 of its own: it is put in here, once, before anything can be signed or verified.
import * as ed from '@noble/ed25519'
import { sha512 } from '@noble/hashes/sha2.js'

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
 * Whether this is a signature over the message, by RFC 8032's rules and not ZIP 215's: `S` below the group order, canonical points.
 * Under ZIP 215 one fixed signature would be good for every message under a small-order key.
 */
export function verifyEd25519(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  return signature.length === 64 && ed.verify(signature, message, publicKey, { zip215: false })
}

/** Why these 32 bytes may not serve as a public key, or undefined if they may. */
export function weaknessOf(publicKey: Uint8Array): string | undefined {
  let point: ed.Point
  try {
    point = ed.Point.fromBytes(publicKey, false)
  } catch {
    return 'not the canonical encoding of a point on the curve'
  }
  if (point.isSmallOrder()) return 'a point of small order, under which anything can be signed'
  return undefined
}

// A host's key is checked once, strictly, when it is enrolled (canonical, not of small order); from then on node:crypto verifies, ten times as fast.
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { ed25519KeyObject, keyIdOf, parsePublicKey } from '../../keys/key.ts'
import { verifySignature } from '../../keys/signature.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { CoreError } from './core-error.ts'

/** RFC 8410: what stands before the 32 bytes in DER. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/** "h_" and the first 32 hexadecimal digits of the key's SHA-256. */
export function hostIdOf(publicKey: Uint8Array): string {
  return `h_${createHash('sha256').update(publicKey).digest('hex').slice(0, 32)}`
}

/** The key's 32 bytes, if the key is one that may count and its holder signed `statement`. Throws CoreError 'unauthenticated' or 'invalid'. */
export function verifyNewHostKey(publicKeyHex: string, statement: Uint8Array, proofHex: string): Uint8Array {
  const raw = Buffer.from(publicKeyHex, 'hex')
  const object = ed25519KeyObject(raw)
  try {
    const key = parsePublicKey(keyIdOf(object), object)
    if (verifySignature(key, statement, Buffer.from(proofHex, 'hex'))) return raw
  } catch (cause) {
    if (!(cause instanceof TrustError)) throw cause
    throw new CoreError(
      'invalid',
      `the host key is refused: ${cause.message}`,
      { reason: 'bad-key', issues: [{ pointer: '/public_key', message: cause.message }] },
      { cause },
    )
  }
  throw new CoreError('unauthenticated', 'the proof was not signed by the new host key over this token and name', {
    reason: 'bad-proof',
  })
}

/** For `verifyHostSignature`. The key was checked when it was enrolled. */
export function loadHostKey(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' })
}

/** Whether this host signed the statement. */
export function verifyHostSignature(key: KeyObject, statement: Uint8Array, signatureHex: string): boolean {
  return /^[0-9a-f]{128}$/.test(signatureHex) && verify(null, statement, key, Buffer.from(signatureHex, 'hex'))
}

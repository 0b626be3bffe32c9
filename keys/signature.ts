import { constants, verify } from 'node:crypto'
import { unreachable } from '../schema/unreachable.ts'
import { verifyEd25519 } from './ed25519.ts'
import type { PublicKey, RsaKey } from './key.ts'

/** Whether this key signed this message. Total: a signature of the wrong length or shape is simply not one. ECDSA signatures are DER. */
export function verifySignature(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length === 0) return false
  switch (key.scheme) {
    case 'ed25519':
      return verifyEd25519(message, signature, key.raw)
    case 'ecdsa-sha2-nistp256':
      return verify('sha256', message, { key: key.handle, dsaEncoding: 'der' }, signature)
    case 'rsassa-pss-sha256':
      // RFC 8017 §8.1.2 step 1: OpenSSL would also take one whose leading zero bytes were cut off.
      return signature.length === modulusBytes(key) && verify('sha256', message, { key: key.handle, ...PSS }, signature)
    default:
      return unreachable(key)
  }
}

/** Any salt length, as securesystemslib signs with the longest and others with the hash's; the padding itself is what proves. */
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO }

function modulusBytes(key: RsaKey): number {
  return Math.ceil((key.handle.asymmetricKeyDetails?.modulusLength ?? 0) / 8)
}

import { generateSecret, publicOf, signEd25519 } from './ed25519.ts'
import { ed25519KeyObject, keyIdOf, type PublicKey, parsePublicKey } from './key.ts'

/** Something that can sign: a key in memory, and one day a hardware token or a service. Never shows its secret. */
export interface Signer {
  readonly publicKey: PublicKey
  /** The signature over exactly these bytes. Rejects if the key can't be reached. */
  sign(message: Uint8Array): Promise<Uint8Array>
}

/** A signer over an Ed25519 secret (the 32-byte seed of RFC 8032). */
export function buildEd25519Signer(secret: Uint8Array): Signer {
  const seed = Uint8Array.from(secret)
  const object = ed25519KeyObject(publicOf(seed))
  return {
    publicKey: parsePublicKey(keyIdOf(object), object),
    sign: async (message) => signEd25519(message, seed),
  }
}

/** A fresh Ed25519 key. The secret is 32 bytes; whoever asks for it keeps it safe. */
export function generateEd25519(): { readonly secret: Uint8Array; readonly signer: Signer } {
  const secret = generateSecret()
  return { secret, signer: buildEd25519Signer(secret) }
}

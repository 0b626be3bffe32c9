// A public key as people have it in a file: PEM, DER, or the key object that stands in signed metadata.
import { createPublicKey, type KeyObject } from 'node:crypto'
import { isJsonObject, type JsonObject, parseJson } from '../../keys/json.ts'
import { ed25519KeyObject, keyIdOf, type PublicKey, parsePublicKey } from '../../keys/key.ts'
import { PublishError } from '../publish-error.ts'

/**
 * The key in these bytes: PEM or DER (SubjectPublicKeyInfo), or a TUF key object in JSON. Ed25519, ECDSA on P-256, or RSA for PSS. Throws PublishError
 * `config` if there is none, TrustError `bad-key` for one that may not count.
 */
export function readPublicKey(bytes: Uint8Array, file: string): PublicKey {
  const object = objectOf(bytes, file)
  return parsePublicKey(keyIdOf(object), object)
}

function objectOf(bytes: Uint8Array, file: string): JsonObject {
  if (bytes[0] === 0x7b) {
    const object = parseJson(bytes, { subject: file })
    if (isJsonObject(object)) return object
  }
  const handle = readHandle(bytes, file)
  const pem = handle.export({ type: 'spki', format: 'pem' }).toString()
  switch (handle.asymmetricKeyType) {
    case 'ed25519':
      return ed25519KeyObject(Buffer.from(handle.export({ format: 'jwk' }).x ?? '', 'base64url'))
    case 'ec':
      return { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: pem } }
    case 'rsa':
      return { keytype: 'rsa', scheme: 'rsassa-pss-sha256', keyval: { public: pem } }
    default:
      throw noKey(file, `it holds a key of type ${handle.asymmetricKeyType}`)
  }
}

function readHandle(bytes: Uint8Array, file: string): KeyObject {
  const text = Buffer.from(bytes).toString('latin1')
  // A private key must not be brought here at all, even though its public half could be had from it.
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) throw noKey(file, 'it holds a private key')
  try {
    if (text.trimStart().startsWith('-----BEGIN PUBLIC KEY-----')) return createPublicKey(text)
    return createPublicKey({ key: Buffer.from(bytes), format: 'der', type: 'spki' })
  } catch (cause) {
    throw noKey(file, 'it holds none', cause)
  }
}

function noKey(file: string, found: string, cause?: unknown): PublishError {
  return new PublishError(
    'config',
    `${file}: expected a public key (PEM, DER or a TUF key object) of Ed25519, P-256 or RSA; ${found}`,
    { next: ['openssl pkey -in KEY.pem -pubout -out PUBLIC.pem'] },
    { cause },
  )
}

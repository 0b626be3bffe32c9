import { constants, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { JsonObject } from '../../keys/json.ts'
import { keyIdOf, parsePublicKey } from '../../keys/key.ts'
import type { Signer } from '../../keys/signer.ts'

/** A P-256 key as hardware keys and other repositories have it. `spell` may write its PEM in another way: the key stays the same, its key id does not. */
export function ecdsaSigner(pair = ecdsaPair(), spell: (pem: string) => string = (pem) => pem): Signer {
  const object = keyObject('ecdsa', 'ecdsa-sha2-nistp256', spell(pemOf(pair.publicKey)))
  return signerOf(object, (message) => sign('sha256', message, { key: pair.privateKey, dsaEncoding: 'der' }))
}

export function ecdsaPair(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
}

export function rsaSigner(bits = 2048): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: bits })
  const object = keyObject('rsa', 'rsassa-pss-sha256', pemOf(publicKey))
  const key = {
    key: createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    padding: constants.RSA_PKCS1_PSS_PADDING,
  }
  return signerOf(object, (message) => sign('sha256', message, { ...key, saltLength: 32 }))
}

export function keyObject(keytype: string, scheme: string, spelled: string): JsonObject {
  return { keytype, scheme, keyval: { public: spelled } }
}

export function pemOf(key: KeyObject): string {
  return String(key.export({ type: 'spki', format: 'pem' }))
}

function signerOf(object: JsonObject, signBytes: (message: Uint8Array) => Uint8Array): Signer {
  return { publicKey: parsePublicKey(keyIdOf(object), object), sign: async (message) => signBytes(message) }
}

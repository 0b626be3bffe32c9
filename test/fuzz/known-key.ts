import { createPrivateKey, sign } from 'node:crypto'
import { canonicalBytes } from '../../keys/canonical.ts'
import type { JsonValue } from '../../keys/json.ts'
import { buildEd25519Signer } from '../../keys/signer.ts'

/** The key that signs everything here; its secret is no secret (RFC 8032 7.1, test 1). */
const SECRET = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex')
export const signer = buildEd25519Signer(SECRET)
const privateKey = createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), SECRET]),
  format: 'der',
  type: 'pkcs8',
})
export const { keyid, object: keyObject } = signer.publicKey
/** Its public half, bare. */
export const publicBytes = Buffer.from(String((keyObject.keyval as { public: string }).public), 'hex')

/** Its signature over these bytes. */
export function signBytes(bytes: Uint8Array): Buffer {
  return sign(null, bytes, privateKey)
}

const alone = { keyids: [keyid], threshold: 1 }
/** A root and targets that name this one key for everything. */
export const ROOT = {
  _type: 'root',
  spec_version: '1.0.31',
  version: 1,
  expires: '2027-01-01T00:00:00Z',
  consistent_snapshot: true,
  product: 'demo',
  keys: { [keyid]: keyObject },
  roles: { root: alone, targets: alone, snapshot: alone, timestamp: alone },
}
export const TARGETS = {
  _type: 'targets',
  spec_version: '1.0.31',
  version: 1,
  expires: '2027-01-01T00:00:00Z',
  targets: {},
  delegations: {
    keys: { [keyid]: keyObject },
    roles: [{ name: 'alpha', ...alone, terminating: true, paths: ['alpha/*/*'] }],
  },
}

/** The document that says this, signed. */
export function signed(tree: JsonValue): Uint8Array {
  const sig = signBytes(canonicalBytes(tree)).toString('hex')
  return new TextEncoder().encode(JSON.stringify({ signatures: [{ keyid, sig }], signed: tree }))
}

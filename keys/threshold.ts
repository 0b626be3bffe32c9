import { hexToBytes } from '@noble/hashes/utils.js'
import type { SignedDocument } from './document.ts'
import type { PublicKey } from './key.ts'
import { verifySignature } from './signature.ts'
import { TrustError } from './trust-error.ts'

/** Who may sign for a role, and how many of them must. */
export interface RoleKeys {
  readonly role: string
  readonly keys: readonly PublicKey[]
  readonly threshold: number
}

export interface SignatureCount {
  /** Key ids with a valid signature, one for each distinct key, in the order of the document. */
  readonly valid: readonly string[]
  readonly threshold: number
  /** How many more are needed; 0 if the threshold is met. */
  readonly missing: number
}

/**
 * The one place where signatures are counted, for publisher, server and agent alike. Counts distinct key material: neither two signatures of one
 * key nor one key under two key ids counts twice. Wrong, empty and foreign signatures count nothing and do no harm.
 */
export function countSignatures(document: SignedDocument, role: RoleKeys): SignatureCount {
  const counted = new Map<string, string>()
  for (const { keyid, sig } of document.signatures) {
    const key = role.keys.find((candidate) => candidate.keyid === keyid)
    if (key === undefined || counted.has(key.material)) continue
    if (isHex(sig) && verifySignature(key, document.message, hexToBytes(sig))) counted.set(key.material, keyid)
  }
  const valid = [...counted.values()]
  return { valid, threshold: role.threshold, missing: Math.max(0, role.threshold - valid.length) }
}

/** As `countSignatures`, and throws TrustError `unsigned`, naming who signed and who else could, if the threshold is not met. */
export function verifyThreshold(document: SignedDocument, role: RoleKeys): SignatureCount {
  const count = countSignatures(document, role)
  // A threshold below one is refused when a role is read; this line is what stands if that reader ever fails.
  if (count.missing === 0 && count.valid.length >= 1) return count
  const candidates = role.keys.map((key) => key.keyid).filter((keyid) => !count.valid.includes(keyid))
  const message = `${role.role} has ${count.valid.length} of ${role.threshold} valid signatures`
  throw new TrustError('unsigned', message, {
    role: role.role,
    expected: String(role.threshold),
    actual: String(count.valid.length),
    have: count.valid,
    candidates,
    threshold: role.threshold,
  })
}

function isHex(text: string): boolean {
  return text.length % 2 === 0 && /^[0-9a-fA-F]+$/.test(text)
}

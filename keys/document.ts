import { bytesToHex } from '@noble/hashes/utils.js'
import { canonicalBytes } from './canonical.ts'
import { isJsonArray, isJsonObject, type JsonObject, type JsonValue, parseJson } from './json.ts'
import type { Signer } from './signer.ts'
import { TrustError } from './trust-error.ts'

/** A signed file as it came: nothing in it has been checked but its grammar. */
export interface SignedDocument {
  /** The raw tree that the signatures speak for. */
  readonly signed: JsonObject
  /** The canonical bytes of `signed`. */
  readonly message: Uint8Array
  readonly signatures: readonly DocumentSignature[]
}

export interface DocumentSignature {
  readonly keyid: string
  /** Hexadecimal if it is worth anything; any text, even none, where somebody left a place for a signature. */
  readonly sig: string
}

const MAX_SIGNATURES = 64

/**
 * Splits a file into what is signed and its signatures (TUF 4.2.1). Throws TrustError `malformed`, `too-large` for more than 64 signatures (counted
 * before any is checked), or `duplicate-signature` for a key id that comes twice.
 */
export function parseDocument(bytes: Uint8Array, subject = 'metadata'): SignedDocument {
  const { signed, signatures } = parseEnvelope(bytes, subject)
  return { signed, message: canonicalBytes(signed), signatures }
}

/** The file that says `signed`, signed by each of these. Throws TrustError `duplicate-signature` if two of them are one key. */
export async function signDocument(signed: JsonObject, signers: readonly Signer[]): Promise<Uint8Array> {
  const message = canonicalBytes(signed)
  return writeDocument({ signatures: await signAll(message, signers), signed })
}

/** The same file with these signatures added; a signature that one of them had left there before is replaced. Everything else stays as it was. */
export async function addSignatures(bytes: Uint8Array, signers: readonly Signer[]): Promise<Uint8Array> {
  const { envelope, signed, signatures } = parseEnvelope(bytes, 'metadata')
  const added = await signAll(canonicalBytes(signed), signers)
  const kept = signatures.filter((signature) => !added.some(({ keyid }) => keyid === signature.keyid))
  return writeDocument({ ...envelope, signatures: [...kept, ...added] })
}

interface Envelope {
  readonly envelope: JsonObject
  readonly signed: JsonObject
  readonly signatures: readonly (JsonObject & DocumentSignature)[]
}

function parseEnvelope(bytes: Uint8Array, subject: string): Envelope {
  const envelope = parseJson(bytes, { subject })
  if (!isJsonObject(envelope)) throw malformed(subject, 'an object with signed and signatures')
  const { signed, signatures } = envelope
  if (!isJsonObject(signed)) throw malformed(subject, 'an object in /signed')
  if (!isJsonArray(signatures)) throw malformed(subject, 'an array in /signatures')
  if (signatures.length > MAX_SIGNATURES) {
    throw new TrustError(
      'too-large',
      `${subject}: expected at most ${MAX_SIGNATURES} signatures, found ${signatures.length}`,
    )
  }
  return { envelope, signed, signatures: uniqueSignatures(signatures, subject) }
}

function uniqueSignatures(
  signatures: readonly JsonValue[],
  subject: string,
): readonly (JsonObject & DocumentSignature)[] {
  const seen = new Set<string>()
  return signatures.map((signature) => {
    if (!isSignature(signature)) throw malformed(subject, 'keyid and sig as text in /signatures')
    if (seen.has(signature.keyid)) {
      throw new TrustError(
        'duplicate-signature',
        `${subject}: expected every key id once, found ${signature.keyid} twice`,
      )
    }
    seen.add(signature.keyid)
    return signature
  })
}

function isSignature(value: JsonValue): value is JsonObject & DocumentSignature {
  return isJsonObject(value) && typeof value.keyid === 'string' && typeof value.sig === 'string'
}

async function signAll(message: Uint8Array, signers: readonly Signer[]): Promise<readonly DocumentSignature[]> {
  const keyids = signers.map((signer) => signer.publicKey.keyid)
  const twice = keyids.find((keyid, index) => keyids.indexOf(keyid) !== index)
  if (twice !== undefined)
    throw new TrustError('duplicate-signature', `expected different signers, found ${twice} twice`)
  return Promise.all(
    signers.map(async (signer) => ({ keyid: signer.publicKey.keyid, sig: bytesToHex(await signer.sign(message)) })),
  )
}

/** One line a value: a person can read it, and a diff shows what changed. */
function writeDocument(document: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(document, null, 1)}\n`)
}

function malformed(subject: string, expected: string): TrustError {
  return new TrustError('malformed', `${subject}: expected ${expected}`, { expected })
}

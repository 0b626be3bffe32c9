// What publisher and server have to agree on about signing events: how an event is named, who must sign its documents, and which signature counts.
import { hash } from 'node:crypto'
import { hexToBytes } from '@noble/hashes/utils.js'
import { type Root, rootShape, type Targets, targetsShape } from '../schema/metadata.ts'
import { parseShape } from '../schema/parse-shape.ts'
import type { EventSignature, SigningEvent } from '../schema/signing-event.ts'
import { channels } from '../schema/version.ts'
import { canonicalBytes } from './canonical.ts'
import { addSignatures, parseDocument, type SignedDocument } from './document.ts'
import { isJsonObject, type JsonObject, parseJson } from './json.ts'
import { type PublicKey, parsePublicKey } from './key.ts'
import { countSignatures, type RoleKeys } from './threshold.ts'
import { TrustError } from './trust-error.ts'
import { roleKeysOf, type VerifiedRole } from './verified.ts'

/** What an event says besides its own name. */
export type Proposal = Omit<SigningEvent, 'schema' | 'id'>

/**
 * The name of a proposal: `e_` and 32 hexadecimal digits of the SHA-256 over everything that is proposed, signatures apart. Two people who read the same id
 * to each other look at the same proposal: nobody can make a second one of that name (128 bits). Throws TrustError `malformed`.
 */
export function eventIdOf(proposal: Proposal): string {
  const trees = Object.fromEntries(Object.entries(proposal.trees).map(([digest, text]) => [digest, hashOf(text)]))
  return idOver(proposal, { trees })
}

/**
 * How versions until 2026-11-23 named the same proposal, whatever lists of files it had: it tells what they left open from what somebody altered, and nothing is
 * signed or published under it. Throws as `eventIdOf`.
 */
export function earlierEventIdOf(proposal: Proposal): string {
  return idOver(proposal, {})
}

function idOver(proposal: Proposal, more: Partial<Pick<Proposal, 'trees'>>): string {
  const { kind, subject, proposed_by, proposed_at, until, base, manifests, artifacts } = proposal
  const documents = Object.fromEntries(
    [...eventDocuments(proposal)].map(([role, bytes]) => [role, parseDocument(bytes, role).signed]),
  )
  const facts = { kind, subject, proposed_by, proposed_at, until, base, manifests, artifacts, ...more }
  const plain = parseJson(new TextEncoder().encode(JSON.stringify(facts)))
  const digest = hash('sha256', canonicalBytes({ facts: plain, documents }), 'hex')
  return `e_${digest.slice(0, 32)}`
}

/** Of the canonical form, which no two texts share: as UTF-8, every lone surrogate would be the same character. */
function hashOf(text: string): string {
  return hash('sha256', canonicalBytes(text), 'hex')
}

/** The documents of an event by role: root, targets, then each channel with its lines. Databases forget the order in which they came. */
export function eventDocuments({ documents }: Pick<SigningEvent, 'documents'>): ReadonlyMap<string, Uint8Array> {
  const rank = (role: string) => ['root', 'targets'].indexOf(role) + 1 || 3
  const sorted = Object.entries(documents).sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1))
  return decoded(Object.fromEntries(sorted))
}

/** Its manifests by target path. */
export function eventManifests({ manifests }: Pick<SigningEvent, 'manifests'>): ReadonlyMap<string, Uint8Array> {
  return decoded(manifests)
}

function decoded(files: Readonly<Record<string, string>>): ReadonlyMap<string, Uint8Array> {
  return new Map(Object.entries(files).map(([name, text]) => [name, new Uint8Array(Buffer.from(text, 'base64'))]))
}

/** What an event's documents rest on: the root and targets that are trusted now. */
export interface EventBase {
  readonly root: VerifiedRole<Root>
  readonly targets: VerifiedRole<Targets>
}

/**
 * Who must sign each document: a root by the keys of the root before it and by its own, everything else by the keys that the document above it names, which
 * is the proposed one where there is one. Each of the sets has to reach its threshold. Throws TrustError `not-delegated`, `bad-key`, `malformed`.
 */
export function signatureNeeds(
  base: EventBase,
  documents: ReadonlyMap<string, Uint8Array>,
): ReadonlyMap<string, readonly RoleKeys[]> {
  const signedOf = (role: string) => {
    const bytes = documents.get(role)
    return bytes && parseDocument(bytes, role).signed
  }
  const root = signedOf('root')
  const targets = signedOf('targets')
  const needsOf = (role: string): readonly RoleKeys[] => {
    if (role === 'root') return [roleKeysOf(base.root, 'root'), ...(root ? [proposedKeys(root, 'root')] : [])]
    if (role === 'targets') return [root ? proposedKeys(root, role) : roleKeysOf(base.root, role)]
    const channel = channels.find((name) => role.startsWith(`${name}-`))
    const above = channel === undefined ? undefined : signedOf(channel)
    if (above !== undefined) return [proposedKeys(above, role)]
    return [targets ? proposedKeys(targets, role) : roleKeysOf(base.targets, role)]
  }
  return new Map([...documents.keys()].map((role) => [role, needsOf(role)]))
}

/** The keys that a document which nobody has signed yet names for a role: worth exactly as much as the signatures that it gets. */
export function proposedKeys(signed: JsonObject, role: string): RoleKeys {
  const isRoot = signed._type === 'root'
  const named = isRoot
    ? parseShape(rootShape, signed, 'root').roles.get(role)
    : parseShape(targetsShape, signed, 'targets').delegations?.roles.find(({ name }) => name === role)
  if (named === undefined) throw new TrustError('not-delegated', `nobody is named to sign for ${role}`, { role })
  const holder = isRoot ? signed : signed.delegations
  const keys = isJsonObject(holder) && isJsonObject(holder.keys) ? holder.keys : {}
  const present = named.keyids.flatMap((keyid) => {
    const object = keys[keyid]
    return isJsonObject(object) ? [parsePublicKey(keyid, object)] : []
  })
  return { role, keys: present, threshold: named.threshold }
}

/** The key that made this signature over the document, if one of those who must sign it did; counted by the one function that counts. */
export function signerOf(
  document: SignedDocument,
  needs: readonly RoleKeys[],
  { keyid, sig }: Omit<EventSignature, 'role'>,
): PublicKey | undefined {
  const alone = { ...document, signatures: [{ keyid, sig }] }
  for (const keys of needs) {
    if (countSignatures(alone, keys).valid.includes(keyid)) return keys.keys.find((key) => key.keyid === keyid)
  }
  return undefined
}

/** The same document with this signature, which `signerOf` has vouched for. */
export function withSignature(bytes: Uint8Array, publicKey: PublicKey, sig: string): Promise<Uint8Array> {
  return addSignatures(bytes, [{ publicKey, sign: async () => hexToBytes(sig) }])
}

// A signing event as this program handles it: made from edited documents, kept with whatever signatures are good, counted.
import { parseDocument, signDocument } from '../../keys/document.ts'
import type { Keyring } from '../../keys/key-file.ts'
import { fingerprintOf } from '../../keys/release.ts'
import {
  eventDocuments,
  eventIdOf,
  eventManifests,
  type Proposal,
  signatureNeeds,
  signerOf,
  withSignature,
} from '../../keys/signing-event.ts'
import type { JsonObject } from '../../schema/json-value.ts'
import type { EventKind, EventSignature, SigningEvent, Subject } from '../../schema/signing-event.ts'
import { eventSignatureShape } from '../../schema/signing-event.ts'
import type { Holder } from '../config.ts'
import type { ClosedRole } from '../edit.ts'
import { keyNamer, signersOf } from '../holder-names.ts'
import type { Repository } from '../repository.ts'
import { type RootStanding, signChange, standingsOf } from '../root/change.ts'
import { type Change, holderRoleOf } from '../signing.ts'
import type { Workshop } from '../workshop.ts'
import { baseVersions } from './check.ts'
import { altered } from './expected.ts'

/** What is proposed. */
export interface Draft {
  readonly kind: EventKind
  readonly subject: Subject
  readonly closed: readonly ClosedRole[]
  readonly manifests: ReadonlyMap<string, Uint8Array>
  readonly artifacts: readonly { readonly sha256: string; readonly length: number }[]
}

/** The event of a draft over this repository, signed by nobody and without lists of files. Times as `2026-11-23T10:00:00Z`. */
export async function buildEvent(
  repository: Repository,
  draft: Draft,
  when: { readonly proposedBy: string | null; readonly proposedAt: string; readonly until: string },
): Promise<SigningEvent> {
  const documents = new Map<string, Uint8Array>()
  for (const { role, signed } of draft.closed) documents.set(role, await signDocument(signed, []))
  const proposal: Proposal = {
    kind: draft.kind,
    subject: draft.subject,
    proposed_by: when.proposedBy,
    proposed_at: when.proposedAt,
    until: when.until,
    base: await baseOf(repository, [...documents.keys()]),
    documents: inBase64(documents),
    manifests: inBase64(draft.manifests),
    artifacts: draft.artifacts.map(({ sha256, length }) => ({ sha256, length })),
    trees: {},
  }
  return { schema: 'netlink.signing-event/v1', id: eventIdOf(proposal), ...proposal }
}

/** The event with these lists of files by their digest, under the name that it then has: whoever signs needs no archive. */
export function withListings(event: SigningEvent, listings: ReadonlyMap<string, string>): SigningEvent {
  const { schema, id: _id, ...before } = event
  const proposal: Proposal = { ...before, trees: Object.fromEntries(listings) }
  return { schema, id: eventIdOf(proposal), ...proposal }
}

async function baseOf(repository: Repository, roles: readonly string[]): Promise<SigningEvent['base']> {
  const { root } = repository.trusted
  return {
    root: { version: root.value.version, sha256: fingerprintOf(root.bytes) },
    roles: Object.fromEntries(await baseVersions(repository, roles)),
  }
}

export function inBase64(files: ReadonlyMap<string, Uint8Array>): Record<string, string> {
  return Object.fromEntries([...files].map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]))
}

/** The signatures that an event carries in its documents; those that can't be any are left out. */
export function signaturesIn(event: Pick<SigningEvent, 'documents'>): readonly EventSignature[] {
  return [...eventDocuments(event)].flatMap(([role, bytes]) =>
    parseDocument(bytes, role).signatures.flatMap((one) => {
      const parsed = eventSignatureShape.safeParse({ role, keyid: one.keyid, sig: one.sig.toLowerCase() })
      return parsed.success ? [parsed.data] : []
    }),
  )
}

export interface Gathered {
  readonly event: SigningEvent
  readonly added: readonly EventSignature[]
  readonly known: readonly EventSignature[]
  /** Made by nobody who must sign, or not over this event. */
  readonly dropped: readonly EventSignature[]
}

/**
 * The event with those of its own and of these signatures that are good, each verified by the keys that this repository leads to; nothing else is kept.
 * Throws TrustError for documents and keys that can't be.
 */
export async function gatherSignatures(
  repository: Repository,
  event: SigningEvent,
  signatures: readonly EventSignature[],
): Promise<Gathered> {
  const documents = eventDocuments(event)
  const needs = needsOf(repository, event)
  const own = signaturesIn(event)
  const kept = new Map<string, Uint8Array>()
  for (const [role, bytes] of documents) kept.set(role, await signDocument(parseDocument(bytes, role).signed, []))
  const gathered = { added: [] as EventSignature[], known: [] as EventSignature[], dropped: [] as EventSignature[] }
  const seen = new Set<string>()
  for (const [index, signature] of [...own, ...signatures].entries()) {
    const isOwn = index < own.length
    const bytes = kept.get(signature.role)
    const key = bytes && signerOf(parseDocument(bytes, signature.role), needs.get(signature.role) ?? [], signature)
    const name = `${signature.role} ${signature.keyid}`
    if (bytes === undefined || key === undefined) gathered.dropped.push(signature)
    else if (seen.has(name)) gathered.known.push(signature)
    else {
      seen.add(name)
      kept.set(signature.role, await withSignature(bytes, key, signature.sig))
      if (!isOwn) gathered.added.push(signature)
    }
  }
  return { event: { ...event, documents: inBase64(kept) }, ...gathered }
}

/** Who must sign which document, by the keys that this repository leads to. */
function needsOf({ trusted, targets }: Repository, event: SigningEvent) {
  return signatureNeeds({ root: trusted.root, targets }, eventDocuments(event))
}

/** The event signed by these holders, and what they added. Throws PublishError `altered` if none of them has a key that is asked for. */
export async function signEvent(
  repository: Repository,
  event: SigningEvent,
  keyrings: readonly Keyring[],
): Promise<{ readonly event: SigningEvent; readonly signatures: readonly EventSignature[] }> {
  const documents = await signChange(eventDocuments(event), needsOf(repository, event), keyrings)
  const signed = { ...event, documents: inBase64(documents) }
  const mine = new Set(
    keyrings.flatMap((keyring) =>
      [...documents.keys()].flatMap((role) =>
        keyring.signersFor(holderRoleOf(role)).map(({ publicKey }) => `${role} ${publicKey.keyid}`),
      ),
    ),
  )
  const { event: gathered } = await gatherSignatures(repository, signed, [])
  const signatures = signaturesIn(gathered).filter(({ role, keyid }) => mine.has(`${role} ${keyid}`))
  if (signatures.length === 0)
    throw altered(`${keyrings.map(({ holder }) => holder).join(', ')} holds no key that may sign ${event.subject}`)
  return { event: gathered, signatures }
}

/** Who may sign the event: the holders of this folder, and whoever joins with what it proposes. */
export function eventHolders(
  { machine, config }: Pick<Workshop, 'machine' | 'config'>,
  repository: Repository,
  event: SigningEvent,
): Promise<readonly Holder[]> {
  return signersOf(machine.disk, config, proposedIn(repository, event))
}

/** How the event stands: every document with every set of keys that must sign it; a root with the keys of before and with its own. Names are this folder's. */
export function eventStanding(
  { config: { holders } }: Pick<Workshop, 'config'>,
  repository: Repository,
  event: SigningEvent,
): readonly RootStanding[] {
  const published = { root: repository.trusted.root.signed, targets: repository.targets.signed }
  const nameOf = keyNamer(holders, [published], proposedIn(repository, event))
  return standingsOf(eventDocuments(event), needsOf(repository, event), nameOf)
}

/** Root and targets as they would be. */
function proposedIn({ trusted, targets }: Repository, event: SigningEvent): { root: JsonObject; targets: JsonObject } {
  const documents = eventDocuments(event)
  const signedOf = (role: string) => {
    const bytes = documents.get(role)
    return bytes && parseDocument(bytes, role).signed
  }
  return { root: signedOf('root') ?? trusted.root.signed, targets: signedOf('targets') ?? targets.signed }
}

/** What is handed to the server once enough have signed. */
export function changeOf(event: SigningEvent): Change {
  return { documents: eventDocuments(event), manifests: eventManifests(event) }
}

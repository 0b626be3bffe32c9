// A signing event: a change that several people sign, each on a machine of their own, and everything that they need to look at it first.
//
//   propose -> netlink.signing-event/v1 -> sign (each holder's own tool recomputes it) -> netlink.signature/v1 -> publish
//
// It travels over the server or by hand, and nobody believes what carries it: whoever signs verifies it against what that machine trusts. Its id is a
// short name for what was proposed (keys/signing-event.ts), so that two people can say to each other that they look at the same.
import { z } from 'zod'
import { sha256Shape, timeShape } from './manifest.ts'
import { keyNameShape } from './trust-state.ts'
import { isVersion, type Version } from './version.ts'

/** What a change is called: the version it is about, the root it makes, or the day on which documents are signed again. */
export type Subject = Version | `root-${string}` | `refresh-${string}`

/** Whether this may name a change, and so a folder. */
export function isSubject(name: unknown): name is Subject {
  return typeof name === 'string' && (isVersion(name) || /^(root|refresh)-[0-9a-z][0-9a-z-]{0,63}$/.test(name))
}

export const eventIdShape = z
  .string()
  .regex(/^e_[0-9a-f]{32}$/, 'expected the id of a signing event: e_ and 32 hexadecimal digits')

/** What kind of change: what may differ from what is signed now depends on it. */
export const eventKindShape = z.enum(['release', 'promote', 'yank', 'minimum', 'root', 'refresh'])
export type EventKind = z.infer<typeof eventKindShape>

const subjectShape = z.string().max(128).refine(isSubject, 'expected a version, root-N or refresh-NAME')
/** Names that go to a terminal before anything about them is known. */
const roleName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'expected the name of a role: letters, digits, ".", "_" and "-"')
/** RFC 4648 section 4, padded. */
const base64Shape = z
  .string()
  .regex(
    /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
    'expected bytes in base64 with their padding',
  )
const signatureText = z.string().regex(/^(?:[0-9a-f]{2}){1,2048}$/, 'expected a signature in lower-case hexadecimal')
/** A holder's name, for people: nothing is decided by it. */
const personShape = keyNameShape

const fewer = (most: number) => (map: object) => Object.keys(map).length <= most

const factsShape = {
  schema: z.literal('netlink.signing-event/v1'),
  id: eventIdShape,
  kind: eventKindShape,
  subject: subjectShape,
  proposed_by: personShape.nullable(),
  proposed_at: timeShape,
  /** Afterwards nobody signs or publishes it any more. */
  until: timeShape,
  /** What the documents were made from: the root by number and fingerprint, every other role by number. */
  base: z.object({
    root: z.object({ version: z.int().min(1), sha256: sha256Shape }),
    roles: z.record(roleName, z.int().min(1)).refine(fewer(1024), 'expected at most 1024 roles'),
  }),
}

export const signingEventShape = z.object({
  ...factsShape,
  /** Signed documents by role, with the signatures that they have so far. */
  documents: z.record(roleName, base64Shape).refine(fewer(128), 'expected at most 128 documents'),
  /** New manifests by target path. */
  manifests: z.record(z.string().max(512), base64Shape).refine(fewer(16), 'expected at most 16 manifests'),
  /** What has to be uploaded before it can be published. */
  artifacts: z.array(z.object({ sha256: sha256Shape, length: z.int().min(1) })).max(64),
  /** Listings of unpacked trees by their digest, as tree-digest.ts writes them: a manifest vouches for its own by that digest. */
  trees: z.record(sha256Shape, z.string().max(8_000_000)).refine(fewer(128), 'expected at most 128 trees').default({}),
})
/** A proposal as it stands in a file and goes over the wire. */
export type SigningEvent = z.infer<typeof signingEventShape>

/** What a machine without a network needs besides: published metadata and manifests as they were when it was proposed. Everything in it is verified again. */
export const carriedRepositoryShape = z.object({
  metadata: z.record(z.string().max(512), base64Shape),
  manifests: z.record(z.string().max(512), base64Shape),
})
export type CarriedRepository = z.infer<typeof carriedRepositoryShape>

/** The file that is carried by hand: "payload out". */
export const carriedEventShape = z.object({ ...signingEventShape.shape, repository: carriedRepositoryShape.optional() })
export type CarriedEvent = z.infer<typeof carriedEventShape>

export const eventSignatureShape = z.object({ role: roleName, keyid: sha256Shape, sig: signatureText })
/** One signature over one of an event's documents. */
export type EventSignature = z.infer<typeof eventSignatureShape>

/** What comes back from a signer: "signature back". */
export const signatureFileShape = z.object({
  schema: z.literal('netlink.signature/v1'),
  event: eventIdShape,
  signed_by: personShape.nullable().default(null),
  signatures: z.array(eventSignatureShape).min(1).max(256),
})
export type SignatureFile = z.infer<typeof signatureFileShape>

/** How an event stands on the server. `published`: its very documents are accepted; `overtaken`: others are. */
export const eventStateShape = z.enum(['open', 'aborted', 'expired', 'published', 'overtaken'])
export type EventState = z.infer<typeof eventStateShape>

/** What an event is about, without what it proposes. */
export type EventFacts = Omit<SigningEvent, 'documents' | 'manifests' | 'artifacts' | 'trees'>

/** An event without its documents. */
export const eventSummaryShape = z.object({
  ...factsShape,
  state: eventStateShape,
  aborted: z.object({ at: timeShape, reason: z.string() }).nullable(),
  signatures: z.array(eventSignatureShape),
})
export type EventSummary = z.infer<typeof eventSummaryShape>

/** GET /signing-events/{id}: the proposal, its documents without signatures, and these apart. */
export const eventRecordShape = z.object({ summary: eventSummaryShape, event: signingEventShape })
export type EventRecord = z.infer<typeof eventRecordShape>

/** POST /signing-events/{id}/signatures. Those that do not verify against the accepted roles are not kept. */
export const eventSignaturesShape = z.object({ signatures: z.array(eventSignatureShape).min(1).max(256) })
/** How many were new, known already, and dropped. */
export const eventSignaturesAnswerShape = z.object({
  added: z.int().min(0),
  known: z.int().min(0),
  dropped: z.int().min(0),
  summary: eventSummaryShape,
})
export type EventSignaturesAnswer = z.infer<typeof eventSignaturesAnswerShape>

/** POST /signing-events/{id}/abort. */
export const abortEventShape = z.object({ reason: z.string().min(1).max(2000) })

// What the server knows and does, without a word about HTTP or sockets: `http/` and `ws/` get one `Core` and translate.
//
//   publisher   state -> acceptRoot (once) -> appendUpload … -> acceptReleases -> seal -> bell 'release'
//   agent       enroll (a token) -> authenticateHello / authenticateRequest -> ingest … ; bytes from `repository`
//   admin       hosts, fleet, releases, tokens, audit; brake -> bell 'brake'
//
// Every mutation names who did it and why, and leaves one line in the audit log in the same transaction. Everything throws CoreError.

import type { z } from 'zod'
import type { Clock } from '../../keys/platform/clock.ts'
import type { HostAssignment, NewAssignment } from '../../schema/assignment.ts'
import type { Brake } from '../../schema/protocol.ts'
import type { SignedReport } from '../../schema/report.ts'
import type {
  EnrollAnswer,
  EnrollRequest,
  FleetSummary,
  Host,
  HostEvent,
  PublishAnswer,
  PublishReleases,
  PublishState,
  Release,
  releaseDetailShape,
  Token,
  TokenScope,
  UploadState,
} from '../../schema/rest.ts'
import type {
  EventRecord,
  EventSignature,
  EventSignaturesAnswer,
  EventSummary,
  SigningEvent,
} from '../../schema/signing-event.ts'
import type { Version } from '../../schema/version.ts'
import type { ByteRange, Bytes, Log, Stored } from './ports.ts'

// ---- who ---------------------------------------------------------------------------------------------------------------------------

/** Who does something. `local` is someone at the server's own command line, `server` the server by itself. */
export type Actor =
  | { readonly kind: 'token'; readonly id: string; readonly name: string }
  | { readonly kind: 'host'; readonly id: string }
  | { readonly kind: 'local'; readonly user: string }
  | { readonly kind: 'server' }

/** Goes with every mutation. With `dryRun` everything is checked and nothing changes. */
export interface Mutation {
  readonly actor: Actor
  readonly reason: string | null
  readonly requestId?: string
  readonly dryRun?: boolean
}

/** A token that was shown and is good. */
export interface Principal {
  readonly actor: Actor & { readonly kind: 'token' }
  readonly scope: TokenScope
  /** Only hosts of this group, null: of all. */
  readonly group: string | null
}

/** A host that proved who it is. */
export interface KnownHost {
  readonly hostId: string
  readonly name: string
  readonly group: string | null
  readonly channel: 'alpha' | 'beta' | 'release'
  /** Greatest report number stored, 0 if none. */
  readonly storedSeq: number
  /** The 32 bytes of its Ed25519 key. */
  readonly publicKey: Uint8Array
}

export interface Page<T> {
  readonly items: T[]
  readonly next_cursor: string | null
}

export interface PageRequest {
  /** 1 to 500; 100 unless said. */
  readonly limit?: number
  readonly cursor?: string | null
}

// ---- parts -------------------------------------------------------------------------------------------------------------------------

/** `nlk_<scope>_<id>_<secret>`; only a hash is kept. */
export interface Tokens {
  /** The token behind a secret. 'unauthenticated' if malformed, unknown, expired or revoked. Enrolment tokens are no use here ('forbidden'). */
  authenticate(secret: string): Promise<Principal>
  /** The secret is in this answer and nowhere else. `uses` only for scope host-enroll. */
  create(request: NewToken, mutation: Mutation): Promise<{ readonly token: Token; readonly secret: string }>
  list(page: PageRequest): Promise<Page<Token>>
  revoke(id: string, mutation: Mutation): Promise<Token>
  /** A new secret with the same name, scope, group and term; the old one ends at once. */
  rotate(id: string, mutation: Mutation): Promise<{ readonly token: Token; readonly secret: string }>
}

export interface NewToken {
  readonly name: string
  readonly scope: TokenScope
  readonly group: string | null
  readonly expiresAt: Date | null
  readonly uses: number | null
}

/** What is published, as hosts are told. */
export interface Published {
  readonly product: string | null
  readonly rootVersion: number
  readonly timestampVersion: number
}

/**
 * What lies in storage as timestamp.json, next to the number that the database says was published last.
 * `none`: nothing was sealed yet. `newer`: the database comes from a backup. `out-of-reach`: newer than any backup explains, a thief's.
 * `unverified`: a host would refuse it.
 */
export type PublishedTimestamp =
  | { readonly kind: 'none' }
  | { readonly kind: 'current'; readonly version: number }
  | { readonly kind: 'newer'; readonly version: number; readonly expected: number }
  | {
      readonly kind: 'out-of-reach'
      readonly timestamp: number
      readonly snapshot: number
      readonly expected: number
    }
  | { readonly kind: 'older'; readonly version: number; readonly expected: number }
  | { readonly kind: 'missing'; readonly expected: number }
  | { readonly kind: 'unverified'; readonly expected: number; readonly detail: string }
  | { readonly kind: 'unreadable'; readonly detail: string }

export interface Publication {
  /** From memory; follows the bell. */
  published(): Published
  state(): Promise<PublishState>
  /**
   * Consecutive root documents, oldest first, with the roles that they force to be signed again and the manifests that those list: all of them or none.
   * Idempotent. 'conflict' if another root is here, 'unverified', 'refused' if it names other online keys.
   */
  acceptRoot(
    request: {
      readonly roots: readonly string[]
      readonly targets: string | null
      readonly metadata?: Readonly<Record<string, string>>
      readonly manifests?: Readonly<Record<string, string>>
    },
    mutation: Mutation,
  ): Promise<PublishState>
  uploadState(sha256: string): Promise<UploadState>
  /**
   * Appends `body` at `offset` of an artifact of `length` bytes. 'offset' (facts.expected = where it stands) if it does not continue there,
   * 'too-large', 'unverified' if all bytes are here and hash to something else (the upload starts again from nothing).
   */
  appendUpload(
    sha256: string,
    chunk: { readonly offset: number; readonly length: number; readonly body: Bytes },
    mutation: Mutation,
  ): Promise<UploadState>
  /** When each signed document that is current expires, the earliest first. */
  expiries(): Promise<readonly { readonly role: string; readonly expires: string }[]>
  /** Reads timestamp.json and its snapshot from storage and compares them with the database. */
  comparePublished(): Promise<PublishedTimestamp>
  /** Storage keys of published files that are missing or not what the database says; artifacts are hashed if they have not been in this process. */
  findDamaged(): Promise<readonly string[]>
  /** The agent's own checks, then one transaction, then the seal. */
  acceptReleases(request: PublishReleases, mutation: Mutation): Promise<PublishAnswer>
}

/** The signed repository's files, as any TUF client reads them. Needs no database. */
export interface Repository {
  /** `path` below /repo/, not decoded further: `metadata/timestamp.json`, `targets/…`, `artifacts/<sha256>`. undefined: no such file, or a path that can't be one. */
  stat(path: string): Promise<RepositoryFile | undefined>
}

export interface RepositoryFile extends Stored {
  /** Never changes under this path: may be cached for ever. */
  readonly immutable: boolean
  readonly contentType: string
  /** The file or a part of it; undefined if it has gone since. A range that starts past the end throws CoreError 'invalid'. */
  open(range?: ByteRange): Promise<OpenedFile | undefined>
}

/** What was opened, which may be newer than what was found before. */
export interface OpenedFile extends Stored {
  /** First byte that the body carries, and how many it carries. */
  readonly start: number
  readonly length: number
  readonly body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>
}

export interface Enrolment {
  /** Redeems one use of an enrolment token. The same key again with a valid token is the same host. 'unauthenticated' for a bad token or proof. */
  enroll(request: EnrollRequest, requestId?: string): Promise<EnrollAnswer>
}

/** What hosts can be sorted by; a minus turns it round. Hosts that have none of it come first. */
export const hostSorts = [
  'host_id',
  'name',
  'version',
  'last_seen',
  '-host_id',
  '-name',
  '-version',
  '-last_seen',
] as const
export type HostSort = (typeof hostSorts)[number]

export interface Hosts {
  /** `where` as in `version=0r1 and group in (eu,us) and last_seen<1h`. 'invalid' with the place in it. By host id unless `sort` says otherwise. */
  list(
    request: PageRequest & {
      readonly where?: string | undefined
      readonly group?: string | null
      readonly sort?: HostSort | undefined
    },
  ): Promise<Page<Host>>
  /** `group` bounds what the caller may see. 'not-found'. */
  show(hostId: string, group?: string | null): Promise<Host>
  /** Newest first. */
  history(hostId: string, page: PageRequest): Promise<Page<HostEvent>>
  /** Forgets a host: its key is worth nothing any more, its open sockets are closed. */
  forget(hostId: string, mutation: Mutation): Promise<void>
  /** Rings the bell for one host: look for releases now. */
  checkNow(hostId: string, mutation: Mutation): Promise<void>
  /** Checks `signature` over helloStatement(). 'unauthenticated'. */
  authenticateHello(hello: {
    readonly hostId: string
    readonly nonce: string
    readonly signature: string
  }): Promise<KnownHost>
  /** Checks `signature` over requestStatement(); `time` within 5 minutes of here. Sent again within that time it does what it did before: nothing more. 'unauthenticated'. */
  authenticateRequest(request: HostRequest): Promise<KnownHost>
}

export interface HostRequest {
  readonly hostId: string
  readonly time: number
  readonly method: string
  readonly path: string
  readonly bodySha256: string
  readonly signature: string
}

export interface Assignments {
  /** What the host was assigned last. 'not-found' if nothing ever was. */
  show(hostId: string): Promise<HostAssignment>
  /** The same as it was signed, for the host itself; null if there is none. Batched with other hosts'. */
  document(hostId: string): Promise<string | null>
  /**
   * Signs and keeps an assignment, and tells the host. 'refused' with reason `not-delegated` where targets names no director, `rollback` for a version below
   * what the host runs without an authorisation; 'unverified' for an authorisation that its host would refuse.
   */
  assign(hostId: string, request: NewAssignment, mutation: Mutation): Promise<HostAssignment>
  /** Signs that nothing is assigned any more. The same again is no news. */
  withdraw(hostId: string, mutation: Mutation): Promise<HostAssignment>
}

export interface Reports {
  /**
   * Stores what is new of `items`; the answer is the greatest number stored. The same host and number twice is harmless. Batched with other hosts' reports.
   * 'unverified' if the host did not sign one of them, 'invalid' if one can't be read: then nothing of `items` is stored. Reports that do not continue
   * the host's chain are stored, and the host is marked: `identity`.
   */
  ingest(
    host: Pick<KnownHost, 'hostId' | 'publicKey'>,
    items: readonly SignedReport[],
  ): Promise<{ readonly storedSeq: number }>
}

export interface Fleet {
  /** From counts that are kept with every change: exact, and as fast for a million hosts as for one. */
  summary(): Promise<FleetSummary>
  /** From memory; follows the bell. */
  brake(): Brake
  setBrake(paused: boolean, mutation: Mutation & { readonly reason: string }): Promise<Brake>
}

export type ReleaseDetail = z.infer<typeof releaseDetailShape>

export interface Releases {
  /** Greatest version first. */
  list(request: PageRequest & { readonly channel?: 'alpha' | 'beta' | 'release' | undefined }): Promise<Page<Release>>
  show(version: string): Promise<ReleaseDetail>
  /** The newest that hosts of a channel are offered (`alpha` is offered all, `release` only r), null if none. Withdrawn ones are not. */
  newest(channel: 'alpha' | 'beta' | 'release'): Promise<Version | null>
}

/** Changes that people sign together. Nothing that this server says of them is believed by those who sign. */
export interface SigningEvents {
  /** Newest first, the closed ones too. */
  list(request: PageRequest): Promise<Page<EventSummary>>
  /** 'not-found'. */
  load(id: string): Promise<EventRecord>
  /**
   * Takes in a proposal; the same again is no news. 'invalid' if its id is not that of its content, 'unverified', 'refused' for times, 'conflict' if
   * something else is accepted by now or too many are open. Signatures in it that do not verify are left out.
   */
  propose(event: SigningEvent, mutation: Mutation): Promise<EventSummary>
  /** Keeps those that verify. 'unverified' if none does, 'conflict' if it is not open any more. */
  sign(id: string, signatures: readonly EventSignature[], mutation: Mutation): Promise<EventSignaturesAnswer>
  /** May be repeated. 'conflict' once it is published or expired. */
  abort(id: string, reason: string, mutation: Mutation): Promise<EventSummary>
}

export interface AuditEntry {
  readonly id: string
  readonly at: string
  readonly actor: Actor
  readonly action: string
  readonly subject: string | null
  readonly reason: string | null
  readonly before: unknown
  readonly after: unknown
  readonly request_id: string | null
}

export interface Audit {
  /** Newest first. */
  list(
    request: PageRequest & { readonly since?: Date | undefined; readonly action?: string | undefined },
  ): Promise<Page<AuditEntry>>
}

/** Something changed: re-read. Rung in every replica. */
export type Ring =
  | { readonly type: 'release'; readonly timestampVersion: number }
  | { readonly type: 'root'; readonly timestampVersion: number }
  | { readonly type: 'brake'; readonly brake: Brake }
  | { readonly type: 'check_now'; readonly hostId: string; readonly timestampVersion: number }
  | { readonly type: 'forgotten'; readonly hostId: string }
  /** The host was assigned something else. */
  | { readonly type: 'assignment'; readonly hostId: string }
  /** A host's state changed (for pages; coalesced, at most one a second). */
  | { readonly type: 'fleet' }

export interface Bell {
  /** Listeners are called synchronously and must not throw. Returns the way to stop. */
  subscribe(listener: (ring: Ring) => void): () => void
}

/** Which hosts have a socket here. Kept in memory, written in batches. */
export interface Presence {
  /** A socket is open. Call `close` when it is gone; a second connection of the same host takes over. */
  open(hostId: string): PresenceHandle
  /** How many here. */
  readonly online: number
  /** A sign of life without a socket. */
  touch(hostId: string): void
  /** Writes what is new. Done every few seconds. */
  flush(): Promise<void>
}

export interface PresenceHandle {
  touch(): void
  /** `seen` of the protocol: what the host has verified. */
  seen(timestampVersion: number): void
  close(): void
}

/** For /readyz and `doctor`. */
export interface Readiness {
  readonly ready: boolean
  readonly draining: boolean
  readonly checks: readonly {
    readonly name: 'database' | 'storage' | 'seal'
    readonly ok: boolean
    readonly detail: string | null
  }[]
}

export interface Core {
  readonly clock: Clock
  readonly log: Log
  readonly publicUrl: string | null
  readonly tokens: Tokens
  readonly publication: Publication
  readonly signingEvents: SigningEvents
  readonly repository: Repository
  readonly enrolment: Enrolment
  readonly hosts: Hosts
  readonly assignments: Assignments
  readonly reports: Reports
  readonly fleet: Fleet
  readonly releases: Releases
  readonly audit: Audit
  readonly bell: Bell
  readonly presence: Presence
  /** Reads what is there, takes in what only the published files have, seals, and begins what runs by the clock. */
  start(): Promise<void>
  readiness(): Promise<Readiness>
  /** From now on `readiness` says no; nothing else changes. */
  drain(): void
  /** Writes what is still in memory, stops timers. The database and storage are closed by whoever opened them. */
  close(): Promise<void>
}

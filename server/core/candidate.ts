// What would be published if a submission were accepted, in memory, looked at with the eyes of a host: keys/refresh.ts runs against it exactly as it
// does on a host that has what is published now. Nothing of this is ever served.
import { parseDocument } from '../../keys/document.ts'
import { isJsonObject } from '../../keys/json.ts'
import { percentEncode } from '../../keys/percent-encode.ts'
import { type MetadataSource, refresh, type Trusted, type TrustStore } from '../../keys/refresh.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { trustRoot } from '../../keys/verified.ts'
import { CoreError } from './core-error.ts'
import { isWithinReach } from './number-reach.ts'
import {
  DEFAULT_LIFETIMES_MS,
  decideSigners,
  type OnlineSigners,
  signSnapshot,
  signTimestamp,
  snapshotMeta,
} from './online-roles.ts'
import type { BlobStore } from './ports.ts'
import { repositoryKeys } from './repository.ts'
import type { RoleDocument } from './role-documents.ts'

export interface Candidate {
  readonly root: Uint8Array
  readonly roles: ReadonlyMap<string, RoleDocument>
  readonly snapshotVersion: number
  readonly timestampVersion: number
}

export interface CandidateDeps {
  readonly blobs: BlobStore
  readonly signers: OnlineSigners
}

const MAX_CACHED_BYTES = 5_000_000

/** The candidate as a host would trust it. Throws what keys/refresh.ts throws, and CoreError 'refused' if our keys are not the root's. */
export async function verifyCandidate(deps: CandidateDeps, candidate: Candidate, now: Date): Promise<Trusted> {
  const root = trustRoot(candidate.root).value
  const published = await readPublished(deps.blobs, candidate)
  // Above what the files say, even where the database has forgotten it: a host that saw them would refuse anything else.
  const snapshotVersion = Math.max(candidate.snapshotVersion, published.claims.snapshot + 1)
  const timestampVersion = Math.max(candidate.timestampVersion, published.claims.timestamp + 1)
  const snapshot = await signSnapshot(
    decideSigners(root, deps.signers, 'snapshot'),
    snapshotVersion,
    snapshotMeta(candidate.roles),
    new Date(now.getTime() + DEFAULT_LIFETIMES_MS.snapshot),
  )
  const timestamp = await signTimestamp(
    decideSigners(root, deps.signers, 'timestamp'),
    timestampVersion,
    { version: snapshotVersion, bytes: snapshot },
    new Date(now.getTime() + DEFAULT_LIFETIMES_MS.timestamp),
  )
  const files = new Map<string, Uint8Array>([
    ['timestamp.json', timestamp],
    [`${snapshotVersion}.snapshot.json`, snapshot],
  ])
  for (const { role, version, bytes } of candidate.roles.values()) {
    files.set(`${version}.${percentEncode(role)}.json`, bytes)
  }
  const store = memoryTrustStore(candidate.root)
  if (published.timestamp) await store.save('timestamp.json', published.timestamp)
  if (published.snapshot) await store.save('snapshot.json', published.snapshot)
  return refresh({ source: memorySource(files), store, startedAt: now })
}

interface PublishedFiles {
  readonly timestamp: Uint8Array | undefined
  readonly snapshot: Uint8Array | undefined
  /** What the files say of themselves: nobody has checked it. */
  readonly claims: { readonly timestamp: number; readonly snapshot: number }
}

/** What a host that is up to date has in its cache: none of it may be rolled back. What the seal will not follow, no candidate has to either. */
async function readPublished(blobs: BlobStore, next: Candidate): Promise<PublishedFiles> {
  const timestamp = await blobs.read(repositoryKeys.timestamp, MAX_CACHED_BYTES)
  const claims = timestamp ? claimsOf(timestamp) : NOTHING
  const known = { timestampVersion: next.timestampVersion - 1, snapshotVersion: next.snapshotVersion - 1 }
  if (!isWithinReach(claims, known)) return { timestamp: undefined, claims: NOTHING, snapshot: undefined }
  const file = repositoryKeys.metadata(`${claims.snapshot}.snapshot.json`)
  return { timestamp, claims, snapshot: claims.snapshot > 0 ? await blobs.read(file, MAX_CACHED_BYTES) : undefined }
}

const NOTHING: PublishedFiles['claims'] = { timestamp: 0, snapshot: 0 }

function claimsOf(timestamp: Uint8Array): PublishedFiles['claims'] {
  try {
    const { version, meta } = parseDocument(timestamp, 'timestamp').signed
    const snapshot = isJsonObject(meta) ? meta['snapshot.json'] : undefined
    return { timestamp: numberOf(version), snapshot: numberOf(isJsonObject(snapshot) ? snapshot.version : 0) }
  } catch (error) {
    // What is no document is nothing that a host could have believed.
    if (error instanceof TrustError) return NOTHING
    throw error
  }
}

function numberOf(version: unknown): number {
  return typeof version === 'number' && version > 0 ? version : 0
}

function memorySource(files: ReadonlyMap<string, Uint8Array>): MetadataSource {
  return { load: async (file) => files.get(file) ?? 'missing' }
}

/** What a host that was given this root remembers. */
export function memoryTrustStore(root: Uint8Array): TrustStore {
  const files = new Map([['root.json', root]])
  let floors: Awaited<ReturnType<TrustStore['loadFloors']>>
  return {
    load: async (name) => files.get(name),
    save: async (name, bytes) => void files.set(name, bytes),
    remove: async (name) => void files.delete(name),
    loadFloors: async () => floors,
    saveFloors: async (next) => {
      floors = next
    },
  }
}

/** A refusal of keys/ in the core's words; anything else as it is. */
export function unverified(error: unknown): unknown {
  if (!(error instanceof TrustError)) return error
  const { expected, actual } = error.facts
  return new CoreError(
    'unverified',
    error.message,
    {
      reason: error.code,
      ...(expected === undefined ? {} : { expected }),
      ...(actual === undefined ? {} : { actual }),
    },
    { cause: error },
  )
}

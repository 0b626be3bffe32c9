// What would be published if a submission were accepted, in memory, looked at with the eyes of a host: keys/refresh.ts runs against it exactly as it
// does on a host that has what is published now. Nothing of this is ever served.
import { percentEncode } from '../../keys/percent-encode.ts'
import { type MetadataSource, refresh, type Trusted, type TrustStore } from '../../keys/refresh.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { trustRoot } from '../../keys/verified.ts'
import { CoreError } from './core-error.ts'
import {
  decideSigners,
  LIFETIMES_MS,
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
  const snapshot = await signSnapshot(
    decideSigners(root, deps.signers, 'snapshot'),
    candidate.snapshotVersion,
    snapshotMeta(candidate.roles),
    new Date(now.getTime() + LIFETIMES_MS.snapshot),
  )
  const timestamp = await signTimestamp(
    decideSigners(root, deps.signers, 'timestamp'),
    candidate.timestampVersion,
    { version: candidate.snapshotVersion, bytes: snapshot },
    new Date(now.getTime() + LIFETIMES_MS.timestamp),
  )
  const files = new Map<string, Uint8Array>([
    ['timestamp.json', timestamp],
    [`${candidate.snapshotVersion}.snapshot.json`, snapshot],
  ])
  for (const { role, version, bytes } of candidate.roles.values())
    files.set(`${version}.${percentEncode(role)}.json`, bytes)
  const store = memoryTrustStore(candidate.root)
  await recallPublished(deps.blobs, store)
  return refresh({ source: memorySource(files), store, startedAt: now })
}

/** A host that is up to date has these: what is published must not be rolled back. */
async function recallPublished(blobs: BlobStore, store: TrustStore): Promise<void> {
  const timestamp = await blobs.read(repositoryKeys.timestamp, MAX_CACHED_BYTES)
  if (!timestamp) return
  await store.save('timestamp.json', timestamp)
  const version = announcedSnapshot(timestamp)
  const snapshot = version && (await blobs.read(repositoryKeys.metadata(`${version}.snapshot.json`), MAX_CACHED_BYTES))
  if (snapshot) await store.save('snapshot.json', snapshot)
}

/** Only says which file to look at: what is in it is verified. */
function announcedSnapshot(timestamp: Uint8Array): number | undefined {
  return (
    Number(/"snapshot\.json":\s*\{[^}]*"version":\s*(\d{1,15})\b/.exec(new TextDecoder().decode(timestamp))?.[1]) ||
    undefined
  )
}

export function memorySource(files: ReadonlyMap<string, Uint8Array>): MetadataSource {
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

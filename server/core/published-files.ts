// What lies in storage as the newest timestamp and snapshot: for the seal, which goes on from it, and for the doctor, who compares it.
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { roleTypes, trustRoot, type VerifiedRole, verifyRole } from '../../keys/verified.ts'
import type { Root, Snapshot, Timestamp } from '../../schema/metadata.ts'
import type { PublishedTimestamp } from './core.ts'
import { isWithinReach } from './number-reach.ts'
import { sha256 } from './online-roles.ts'
import type { BlobStore, Db } from './ports.ts'
import { repositoryKeys } from './repository.ts'
import { loadAccepted } from './role-documents.ts'

const MAX_TIMESTAMP_BYTES = 1_000_000
const MAX_SNAPSHOT_BYTES = 10_000_000

/** A published file and whether a host would believe it, expiry aside. */
export type Look<T> =
  | { readonly kind: 'missing' }
  | { readonly kind: 'unverified'; readonly error: TrustError }
  | { readonly kind: 'verified'; readonly role: VerifiedRole<T> }

/** timestamp.json against the keys that this root names. Throws PlatformError. */
export function lookAtTimestamp(blobs: BlobStore, root: VerifiedRole<Root>): Promise<Look<Timestamp>> {
  return look(blobs, repositoryKeys.timestamp, MAX_TIMESTAMP_BYTES, (bytes) =>
    verifyRole(root, 'timestamp', roleTypes.timestamp, bytes),
  )
}

/** The snapshot that this timestamp announces. Throws PlatformError. */
export function lookAtSnapshot(
  blobs: BlobStore,
  root: VerifiedRole<Root>,
  timestamp: VerifiedRole<Timestamp>,
): Promise<Look<Snapshot>> {
  const announced = timestamp.value.meta.get('snapshot.json')
  if (!announced) return Promise.resolve({ kind: 'missing' })
  const file = `${announced.version}.snapshot.json`
  return look(blobs, repositoryKeys.metadata(file), MAX_SNAPSHOT_BYTES, (bytes) => {
    const [expected, actual] = [announced.hashes?.get('sha256'), sha256(bytes)]
    if (expected !== undefined && expected !== actual) {
      throw new TrustError('hash', `${file} is not the one that the timestamp announces`, {
        path: file,
        expected,
        actual,
      })
    }
    return verifyRole(root, 'snapshot', roleTypes.snapshot, bytes)
  })
}

/** What is published compared with what the database says was published last. Never throws for what lies in storage. */
export async function comparePublished(db: Db, blobs: BlobStore): Promise<PublishedTimestamp> {
  // The database first: a seal that runs meanwhile writes the file before it tells the database.
  const { repository, root } = await loadAccepted(db)
  const expected = repository.publishedTimestamp
  if (!root) return { kind: 'none' }
  try {
    const trusted = trustRoot(root.bytes)
    const timestamp = await lookAtTimestamp(blobs, trusted)
    if (timestamp.kind === 'missing') return expected === 0 ? { kind: 'none' } : { kind: 'missing', expected }
    if (timestamp.kind === 'unverified') return { kind: 'unverified', expected, detail: timestamp.error.message }
    const { version } = timestamp.role.value
    if (version < expected) return { kind: 'older', version, expected }
    const claimed = { timestamp: version, snapshot: timestamp.role.value.meta.get('snapshot.json')?.version ?? 0 }
    if (!isWithinReach(claimed, repository)) return { kind: 'out-of-reach', ...claimed, expected }
    const snapshot = await lookAtSnapshot(blobs, trusted, timestamp.role)
    if (snapshot.kind === 'missing') {
      return { kind: 'unverified', expected, detail: 'the snapshot that it announces is missing' }
    }
    if (snapshot.kind === 'unverified') return { kind: 'unverified', expected, detail: snapshot.error.message }
    return decideNewer(version, expected, repository.timestampVersion)
  } catch (error) {
    if (error instanceof PlatformError) return { kind: 'unreadable', detail: error.message }
    throw error
  }
}

/** A seal that was cut off, or runs, has published a number that the database gave out and does not call published yet. */
function decideNewer(version: number, expected: number, givenOut: number): PublishedTimestamp {
  return version > givenOut ? { kind: 'newer', version, expected } : { kind: 'current', version }
}

async function look<T>(
  blobs: BlobStore,
  key: string,
  maxBytes: number,
  verify: (bytes: Uint8Array) => VerifiedRole<T>,
): Promise<Look<T>> {
  try {
    const bytes = await blobs.read(key, maxBytes)
    return bytes ? { kind: 'verified', role: verify(bytes) } : { kind: 'missing' }
  } catch (error) {
    if (error instanceof TrustError) return { kind: 'unverified', error }
    // What is too large to be ours is not ours; whoever put it there must not keep the seal from replacing it.
    if (error instanceof PlatformError && error.code === 'too-large') {
      const facts = { path: key, expected: `at most ${maxBytes} bytes` }
      return { kind: 'unverified', error: new TrustError('too-large', error.message, facts, { cause: error }) }
    }
    throw error
  }
}

// Makes the published files say what is accepted. It may be cut off anywhere and is simply done again:
//
//   under the lease: what is accepted -> what is published (verified) -> numbers given out in the database -> role files, manifests
//                    -> <n>.snapshot.json -> timestamp.json, last -> what is published noted in the database -> bell
//
// The next number is 1 + the greatest of database and published files, so that neither a restored database nor a restored storage ever goes back. A
// published number that no backup explains (number-reach.ts) is a thief's: it is replaced by our own, and forgotten by hosts when root replaces the key.
// Gap: a replica that sleeps between its last look at the lease and its write may put an older timestamp over a newer; hosts refuse it as a rollback
// until the next seal, at most a minute later.
import { eq, inArray, sql } from 'drizzle-orm'
import { percentEncode } from '../../keys/percent-encode.ts'
import type { Clock } from '../../keys/platform/clock.ts'
import { trustRoot, type VerifiedRole } from '../../keys/verified.ts'
import { releases, repository } from '../../schema/db/tables.ts'
import type { Root, Snapshot, Timestamp } from '../../schema/metadata.ts'
import type { RingingBell } from './bell.ts'
import { findDamaged } from './damaged-files.ts'
import { buildLease, type Lease } from './lease.ts'
import { isWithinReach } from './number-reach.ts'
import {
  decideSigners,
  type Lifetimes,
  type OnlineRole,
  type OnlineSigners,
  sha256,
  signSnapshot,
  signTimestamp,
  snapshotMeta,
} from './online-roles.ts'
import type { BlobStore, Db, Log } from './ports.ts'
import { type Look, lookAtSnapshot, lookAtTimestamp } from './published-files.ts'
import { manifestKey, repositoryKeys } from './repository.ts'
import { type Accepted, loadAccepted, loadVersions } from './role-documents.ts'

export interface SealDeps {
  readonly db: Db
  readonly blobs: BlobStore
  readonly clock: Clock
  readonly bell: RingingBell
  readonly log: Log
  readonly signers: OnlineSigners
  readonly replicaId: string
  readonly lifetimesMs: Lifetimes
}

export interface Sealed {
  readonly snapshotVersion: number
  readonly timestampVersion: number
}

export interface Seal {
  /** Publishes what is accepted and not yet published, and renews what has lived half its life. Does nothing if there is nothing to do. */
  run(): Promise<Sealed>
  /** As `run`, and puts back every published file that is missing or damaged. */
  repair(): Promise<Sealed>
  /** When the published timestamp expires; null if there is none. */
  expiresAt(): Promise<Date | null>
}

export function buildSeal(deps: SealDeps): Seal {
  const underLease = buildLease(deps, 'seal')
  return {
    run: () => underLease((lease) => seal(deps, lease, 'new')),
    repair: () => underLease((lease) => seal(deps, lease, 'all')),
    expiresAt: async () => {
      const [row] = await deps.db.queries.select({ expires: repository.timestampExpires }).from(repository)
      return row?.expires ?? null
    },
  }
}

interface Published {
  readonly timestamp: VerifiedRole<Timestamp>
  readonly snapshot: VerifiedRole<Snapshot> | undefined
}

async function seal(deps: SealDeps, lease: Lease, files: 'new' | 'all'): Promise<Sealed> {
  const accepted = await loadAccepted(deps.db)
  if (!accepted.root) return { snapshotVersion: 0, timestampVersion: 0 }
  const root = trustRoot(accepted.root.bytes)
  const damaged = files === 'all' ? await findDamaged(deps.db, deps.blobs) : undefined
  for (const key of damaged ?? []) deps.log('warn', 'repository.file_put_back', { key })
  await publishRoots(deps, accepted, damaged)
  if (!accepted.roles.has('targets')) {
    await noteRoot(deps, accepted)
    return { snapshotVersion: 0, timestampVersion: 0 }
  }

  const published = await readPublished(deps, root, accepted.repository)
  const wanted = snapshotMeta(accepted.roles)
  const changed = !published?.snapshot || !sameMeta(published.snapshot.value, accepted)
  const now = deps.clock.now()
  // One that somebody put back may have half its life left: hosts that saw a newer one would refuse it until then.
  const isNewest = published && published.timestamp.value.version >= accepted.repository.publishedTimestamp
  const keepSnapshot =
    !changed && isNewest && published.snapshot && isGood(deps, root, 'snapshot', published.snapshot, now)
      ? published.snapshot
      : undefined
  const keepTimestamp =
    keepSnapshot && published && isGood(deps, root, 'timestamp', published.timestamp, now)
      ? published.timestamp
      : undefined
  await publishDocuments(deps, accepted, published?.snapshot?.value, damaged)
  await publishManifests(deps, damaged)

  const numbers = await giveOutNumbers(deps, published, { snapshot: !keepSnapshot, timestamp: !keepTimestamp })
  const snapshotVersion = keepSnapshot?.value.version ?? numbers.snapshot
  const timestampVersion = keepTimestamp?.value.version ?? numbers.timestamp
  const snapshotExpires = keepSnapshot?.value.expires ?? later(deps, now, 'snapshot')
  const timestampExpires = keepTimestamp?.value.expires ?? later(deps, now, 'timestamp')
  if (!keepTimestamp) {
    const snapshot =
      keepSnapshot?.bytes ??
      (await signSnapshot(
        decideSigners(root.value, deps.signers, 'snapshot'),
        snapshotVersion,
        wanted,
        snapshotExpires,
      ))
    if (!keepSnapshot) await putFile(deps.blobs, repositoryKeys.metadata(`${snapshotVersion}.snapshot.json`), snapshot)
    const signers = decideSigners(root.value, deps.signers, 'timestamp')
    const timestamp = await signTimestamp(
      signers,
      timestampVersion,
      { version: snapshotVersion, bytes: snapshot },
      timestampExpires,
    )
    await lease.renew()
    await putFile(deps.blobs, repositoryKeys.timestamp, timestamp)
  }
  // A timestamp that is good and unknown to the database comes from a seal that was cut off before it told anybody.
  const tell = changed || (keepTimestamp !== undefined && accepted.repository.publishedTimestamp !== timestampVersion)
  await note(deps, accepted, { snapshotVersion, timestampVersion, snapshotExpires, timestampExpires, tell })
  if (!keepTimestamp)
    deps.log('info', 'repository.sealed', { snapshot: snapshotVersion, timestamp: timestampVersion, changed })
  return { snapshotVersion, timestampVersion }
}

function later(deps: SealDeps, now: Date, role: OnlineRole): Date {
  return new Date(now.getTime() + deps.lifetimesMs[role])
}

/** Young enough, and signed by every key that root names and this server holds: in a rotation old and new sign side by side. */
function isGood(
  deps: SealDeps,
  root: VerifiedRole<Root>,
  role: OnlineRole,
  { value, signedBy }: VerifiedRole<{ expires: Date }>,
  now: Date,
): boolean {
  const signers = decideSigners(root.value, deps.signers, role)
  const isComplete = signers.every(({ publicKey }) => signedBy.valid.includes(publicKey.keyid))
  return isComplete && hasHalfItsLife(value.expires, deps.lifetimesMs[role], now)
}

function hasHalfItsLife(expires: Date, lifetimeMs: number, now: Date): boolean {
  const left = expires.getTime() - now.getTime()
  // Longer than we give: our clock was wrong then or is now, or a shorter life was configured since.
  return left > lifetimeMs / 2 && left <= lifetimeMs
}

/** What is published, as far as the present root's keys signed it and its numbers are within reach. Undefined: nothing to go on from. */
async function readPublished(
  deps: SealDeps,
  root: VerifiedRole<Root>,
  known: Accepted['repository'],
): Promise<Published | undefined> {
  const timestamp = believe(deps, 'timestamp', await lookAtTimestamp(deps.blobs, root))
  const announced = timestamp?.value.meta.get('snapshot.json')
  if (!timestamp || !announced) return undefined
  const claimed = { timestamp: timestamp.value.version, snapshot: announced.version }
  if (!isWithinReach(claimed, known)) {
    const given = { known_timestamp: known.timestampVersion, known_snapshot: known.snapshotVersion }
    deps.log('error', 'repository.published_out_of_reach', { ...claimed, ...given })
    return undefined
  }
  return { timestamp, snapshot: believe(deps, 'snapshot', await lookAtSnapshot(deps.blobs, root, timestamp)) }
}

function believe<T>(deps: SealDeps, role: OnlineRole, look: Look<T>): VerifiedRole<T> | undefined {
  if (look.kind === 'verified') return look.role
  if (look.kind === 'unverified') {
    const { code, message } = look.error
    deps.log('warn', 'repository.published_unverified', { role, reason: code, message })
  }
  return undefined
}

function sameMeta(snapshot: Snapshot, accepted: Accepted): boolean {
  if (snapshot.meta.size !== accepted.roles.size) return false
  return [...accepted.roles.values()].every(({ role, version, sha256: hash }) => {
    const listed = snapshot.meta.get(`${role}.json`)
    return listed?.version === version && listed.hashes?.get('sha256') === hash
  })
}

async function publishRoots(
  deps: SealDeps,
  accepted: Accepted,
  damaged: ReadonlySet<string> | undefined,
): Promise<void> {
  const { publishedRoot } = accepted.repository
  if (!damaged && accepted.root?.version === publishedRoot) return
  for (const { version, bytes } of await loadVersions(deps.db, 'root')) {
    const key = repositoryKeys.metadata(`${version}.root.json`)
    if (damaged?.has(key) || version > publishedRoot) await putFile(deps.blobs, key, bytes)
  }
}

async function publishDocuments(
  deps: SealDeps,
  accepted: Accepted,
  listed: Snapshot | undefined,
  damaged: ReadonlySet<string> | undefined,
): Promise<void> {
  for (const { role, version, bytes } of accepted.roles.values()) {
    const key = repositoryKeys.metadata(`${version}.${percentEncode(role)}.json`)
    const published = damaged ? !damaged.has(key) : listed?.meta.get(`${role}.json`)?.version === version
    if (!published) await putFile(deps.blobs, key, bytes)
  }
}

async function publishManifests(deps: SealDeps, damaged: ReadonlySet<string> | undefined): Promise<void> {
  const rows = await deps.db.queries
    .select({ version: releases.version, path: releases.path, sha256: releases.manifestSha256 })
    .from(releases)
    .where(damaged ? sql`true` : eq(releases.published, false))
  const missing = rows.filter((row) => !damaged || damaged.has(manifestKey(row.path, row.sha256)))
  for (const { version, path, sha256: hash } of missing) {
    const [row] = await deps.db.queries
      .select({ manifest: releases.manifest })
      .from(releases)
      .where(eq(releases.version, version))
    if (row) await putFile(deps.blobs, manifestKey(path, hash), row.manifest)
  }
  const written = missing.map(({ version }) => version)
  if (written.length > 0)
    await deps.db.queries.update(releases).set({ published: true }).where(inArray(releases.version, written))
}

async function putFile(blobs: BlobStore, key: string, bytes: Uint8Array): Promise<void> {
  // Not as immutable: what a crash or an attacker left under this name must not stay for its length's sake.
  await blobs.put(key, bytes, { length: bytes.length, sha256: sha256(bytes), immutable: false })
}

async function giveOutNumbers(
  deps: SealDeps,
  published: Published | undefined,
  needed: { snapshot: boolean; timestamp: boolean },
): Promise<{ snapshot: number; timestamp: number }> {
  const seen = {
    timestamp: published?.timestamp.value.version ?? 0,
    snapshot: published?.timestamp.value.meta.get('snapshot.json')?.version ?? 0,
  }
  const [row] = await deps.db.queries
    .update(repository)
    .set({
      snapshotVersion: sql`greatest(${repository.snapshotVersion}, ${seen.snapshot}::bigint) + ${needed.snapshot ? 1 : 0}`,
      timestampVersion: sql`greatest(${repository.timestampVersion}, ${seen.timestamp}::bigint) + ${needed.timestamp ? 1 : 0}`,
    })
    .returning({ snapshot: repository.snapshotVersion, timestamp: repository.timestampVersion })
  if (!row) throw new Error('the table repository has no row')
  return row
}

interface Outcome {
  readonly snapshotVersion: number
  readonly timestampVersion: number
  readonly snapshotExpires: Date
  readonly timestampExpires: Date
  /** Hosts have something new to look at. */
  readonly tell: boolean
}

async function note(deps: SealDeps, accepted: Accepted, outcome: Outcome): Promise<void> {
  const { publishedRoot, publishedTimestamp } = accepted.repository
  const root = accepted.root?.version ?? 0
  await deps.db.queries.update(repository).set({
    publishedRoot: root,
    publishedSnapshot: outcome.snapshotVersion,
    publishedTimestamp: outcome.timestampVersion,
    publishedChanges: sql`${repository.publishedChanges} + ${outcome.tell ? 1 : 0}`,
    snapshotExpires: outcome.snapshotExpires,
    timestampExpires: outcome.timestampExpires,
    sealedAt: deps.clock.now(),
  })
  const rootIsNew = publishedRoot !== root
  if (publishedTimestamp === outcome.timestampVersion && !rootIsNew && !outcome.tell) return
  await deps.bell.reread()
  if (!rootIsNew && !outcome.tell) return
  await deps.bell.ring({ type: rootIsNew ? 'root' : 'release', timestampVersion: outcome.timestampVersion })
}

async function noteRoot(deps: SealDeps, accepted: Accepted): Promise<void> {
  if (accepted.repository.publishedRoot === accepted.root?.version) return
  await deps.db.queries.update(repository).set({ publishedRoot: accepted.root?.version ?? 0 })
  await deps.bell.reread()
  await deps.bell.ring({ type: 'root', timestampVersion: 0 })
}

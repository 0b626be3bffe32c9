// From the publisher's hands to the published files: accept, one transaction, seal, bell.
//
//   roots       the first one while there is none, if it names this server's own online keys; later ones only along the TUF chain
//   artifacts   uploads.ts
//   releases    submission.ts, whose checks are those of a host
//
// Everything may come twice: what is here already, byte for byte, is no error and changes nothing; a seal that was cut off is finished then.
import { and, eq, isNotNull, notInArray } from 'drizzle-orm'
import type { Clock } from '../../keys/platform/clock.ts'
import { releases, repository } from '../../schema/db/tables.ts'
import { parseManifestPath } from '../../schema/release-path.ts'
import type { PublishAnswer, PublishState } from '../../schema/rest.ts'
import { compareVersions, isVersion, type Version } from '../../schema/version.ts'
import { writeAudit } from './audit.ts'
import type { RingingBell } from './bell.ts'
import type { Mutation, Publication } from './core.ts'
import { CoreError } from './core-error.ts'
import { findDamaged } from './damaged-files.ts'
import { loadExpiries } from './expiry.ts'
import type { OnlineSigners } from './online-roles.ts'
import type { BlobStore, Db, Log, Transaction } from './ports.ts'
import { comparePublished } from './published-files.ts'
import { insertDocuments, isStillAccepted, loadAccepted, lockRepository, type RoleDocument } from './role-documents.ts'
import { checkRoots, type SubmittedRoots } from './root-submission.ts'
import type { Seal } from './seal.ts'
import { type Checked, checkSubmission, type KnownRelease, type Submission } from './submission.ts'
import type { Uploads } from './uploads.ts'
import { versionOrder } from './version-order.ts'

export interface PublicationDeps {
  readonly db: Db
  readonly blobs: BlobStore
  readonly clock: Clock
  readonly bell: RingingBell
  readonly log: Log
  readonly signers: OnlineSigners
  readonly seal: Seal
  readonly uploads: Uploads
  readonly publicUrl: string | null
}

/** As often as others may come in between. */
const ATTEMPTS = 5

export interface OpenPublication extends Publication {
  /** As the public ones, with every expiry compared with `now` instead: for taking in what was published before. Without a seal. */
  takeRoots(roots: readonly Uint8Array[], mutation: Mutation, now: Date): Promise<void>
  takeReleases(submission: Submission, mutation: Mutation, now: Date): Promise<readonly Version[]>
}

export function buildPublication(deps: PublicationDeps): OpenPublication {
  const { db, clock, seal, uploads, bell } = deps
  const checking = {
    clock,
    blobs: deps.blobs,
    signers: deps.signers,
    findArtifact: uploads.find,
    knownReleases: () => loadKnown(db),
  }

  async function state(): Promise<PublishState> {
    const { repository: row } = await loadAccepted(db)
    const keys = (role: 'snapshot' | 'timestamp' | 'director') =>
      (deps.signers[role] ?? []).map((signer) => signer.publicKey.object)
    return {
      product: row.product,
      root_version: row.rootVersion,
      timestamp_version: row.publishedTimestamp,
      online_keys: { snapshot: keys('snapshot'), timestamp: keys('timestamp'), director: keys('director') },
      public_url: deps.publicUrl,
    }
  }

  async function acceptRoots(submitted: SubmittedRoots, mutation: Mutation, now: Date): Promise<void> {
    await retried(async () => {
      const accepted = await loadAccepted(db)
      const fresh = await checkRoots({ ...deps, ...checking }, accepted, submitted, now)
      if (fresh.documents.length === 0 || mutation.dryRun) return true
      return db.transaction(async (tx) => {
        await lockRepository(tx)
        if (!(await isStillAccepted(tx, accepted))) return false
        await storeChecked(tx, clock, fresh)
        await tx.update(repository).set({ product: fresh.product, rootVersion: fresh.rootVersion })
        await writeAudit(tx, clock, mutation, {
          action: 'root.accept',
          subject: fresh.product,
          before: { root_version: accepted.repository.rootVersion },
          after: { root_version: fresh.rootVersion, ...describeChecked(fresh) },
        })
        return true
      })
    })
  }

  async function acceptSubmission(submission: Submission, mutation: Mutation, now: Date): Promise<Checked> {
    let checked: Checked | undefined
    await retried(async () => {
      const accepted = await loadAccepted(db)
      const result = await checkSubmission(checking, accepted, submission, now)
      checked = result
      if (result.documents.length === 0 || mutation.dryRun) return true
      return db.transaction(async (tx) => {
        await lockRepository(tx)
        if (!(await isStillAccepted(tx, accepted))) return false
        await store(tx, clock, result, mutation)
        return true
      })
    })
    if (!checked) throw new Error('a submission was neither checked nor refused')
    return checked
  }

  return {
    published: () => bell.remembered.published,
    state,
    acceptRoot: async ({ roots, targets, metadata = {}, manifests = {} }, mutation) => {
      const others = bytesByName(metadata)
      const again = targets === null ? others : new Map([['targets', bytesOf(targets)], ...others])
      const submitted = { roots: roots.map(bytesOf), metadata: again, manifests: bytesByName(manifests) }
      await acceptRoots(submitted, mutation, clock.now())
      if (!mutation.dryRun) await seal.run()
      return state()
    },
    expiries: () => loadExpiries(db),
    comparePublished: () => comparePublished(db, deps.blobs),
    findDamaged: async () => [...(await findDamaged(db, deps.blobs)), ...(await deps.uploads.findDamaged())],
    uploadState: uploads.uploadState,
    appendUpload: uploads.appendUpload,
    acceptReleases: async (request, mutation) => {
      const submission = {
        metadata: bytesByName(request.metadata),
        manifests: bytesByName(request.manifests),
      }
      const dryRun = request.dry_run || mutation.dryRun === true
      const checked = await acceptSubmission(submission, { ...mutation, dryRun }, clock.now())
      const unchanged = checked.documents.length === 0
      const versions = unchanged
        ? versionsOf(submission)
        : checked.releases.map(({ manifest }) => manifest.value.version)
      if (dryRun)
        return answer(
          versions,
          { snapshotVersion: checked.snapshotVersion, timestampVersion: checked.timestampVersion },
          unchanged,
        )
      if (!unchanged)
        deps.log('info', 'release.accepted', { versions, roles: checked.documents.map(({ role }) => role) })
      return answer(versions, await seal.run(), unchanged)
    },
    takeRoots: (roots, mutation, now) =>
      acceptRoots({ roots, metadata: new Map(), manifests: new Map() }, mutation, now),
    takeReleases: async (submission, mutation, now) =>
      (await acceptSubmission(submission, mutation, now)).releases.map(({ manifest }) => manifest.value.version),
  }
}

function answer(
  versions: readonly Version[],
  sealed: { snapshotVersion: number; timestampVersion: number },
  unchanged: boolean,
): PublishAnswer {
  return {
    versions: [...versions],
    snapshot_version: sealed.snapshotVersion,
    timestamp_version: sealed.timestampVersion,
    unchanged,
  }
}

function versionsOf(submission: Submission): Version[] {
  return [...submission.manifests.keys()].map(parseManifestPath).sort(compareVersions)
}

/** Checks against what was read, writes only if that still holds, else looks again. */
async function retried(attempt: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < ATTEMPTS; tries++) if (await attempt()) return
  throw new CoreError('conflict', 'others are publishing at the same time: nothing was accepted', {
    reason: 'concurrent',
  })
}

// ---- releases --------------------------------------------------------------------------------------------------------------------------

async function loadKnown(db: Db): Promise<KnownRelease[]> {
  const rows = await db.queries
    .select({ version: releases.version, manifestSha256: releases.manifestSha256, withdrawn: releases.withdrawn })
    .from(releases)
  return rows.flatMap(({ version, manifestSha256, withdrawn }) =>
    isVersion(version) ? [{ version, manifestSha256, withdrawn: withdrawn !== null }] : [],
  )
}

async function store(tx: Transaction, clock: Clock, checked: Checked, mutation: Mutation): Promise<void> {
  await storeChecked(tx, clock, checked)
  await writeAudit(tx, clock, mutation, {
    action: 'release.accept',
    subject: checked.releases.map(({ manifest }) => manifest.value.version).join(' ') || null,
    after: describeChecked(checked),
  })
}

type Changed = Pick<Checked, 'documents' | 'releases' | 'withdrawn'>

async function storeChecked(tx: Transaction, clock: Clock, checked: Changed): Promise<void> {
  await insertDocuments(tx, clock, checked.documents)
  for (const { path, manifest, sha256: hash } of checked.releases) {
    const { value } = manifest
    await tx.insert(releases).values({
      version: value.version,
      versionOrder: versionOrder(value.version),
      channel: value.channel,
      path,
      manifest: manifest.bytes,
      manifestSha256: hash,
      releasedAt: new Date(value.released_at),
      promotedFrom: value.promoted_from,
      platforms: value.artifacts.map((artifact) => artifact.platform),
      bytes: value.artifacts.reduce((sum, artifact) => sum + artifact.length, 0),
      summary: value.changelog.summary,
      acceptedAt: clock.now(),
    })
  }
  await storeWithdrawals(tx, checked.withdrawn)
}

function describeChecked({ documents, releases }: Changed) {
  return {
    documents: documents.map(describeDocument),
    manifests: releases.map(({ path, sha256: hash }) => ({ path, sha256: hash })),
  }
}

async function storeWithdrawals(tx: Transaction, changed: Checked['withdrawn']): Promise<void> {
  for (const [channel, withdrawn] of changed) {
    for (const [version, withdrawal] of withdrawn)
      await tx.update(releases).set({ withdrawn: withdrawal }).where(eq(releases.version, version))
    const back = and(eq(releases.channel, channel), isNotNull(releases.withdrawn))
    await tx
      .update(releases)
      .set({ withdrawn: null })
      .where(withdrawn.size === 0 ? back : and(back, notInArray(releases.version, [...withdrawn.keys()])))
  }
}

function describeDocument({ role, version, sha256: hash, signedBy, threshold }: RoleDocument) {
  return { role, version, sha256: hash, signed_by: signedBy, threshold }
}

function bytesByName(texts: Readonly<Record<string, string>>): ReadonlyMap<string, Uint8Array> {
  return new Map(Object.entries(texts).map(([name, text]) => [name, bytesOf(text)]))
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'utf8')
}

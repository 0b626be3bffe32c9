// What a publisher hands in, held against what is accepted. A submission passes exactly if a host that is up to date would take it, if everything
// that it speaks of is here, and if it keeps the few rules of a repository that a host cannot see:
//
//   role documents     newer than the accepted ones, though not out of reach (number-reach.ts), or byte for byte the same
//   manifests          never change; every new one is newer than all of its channel that are not withdrawn
//   what was listed    stays listed, unless it is withdrawn
//   remarks            are those of manifests: barriers and dead ends (remarks.ts)
//   artifacts          are here, with this length and these hashes
//   what is released   was not made in time to come

import { parseDocument } from '../../keys/document.ts'
import { isJsonObject } from '../../keys/json.ts'
import type { Clock } from '../../keys/platform/clock.ts'
import type { Trusted } from '../../keys/refresh.ts'
import { targetFile, verifyManifest } from '../../keys/release.ts'
import type { Verified, VerifiedTarget } from '../../keys/verified.ts'
import type { Withdrawal } from '../../schema/db/tables.ts'
import { endsInTime } from '../../schema/expiry.ts'
import type { Manifest } from '../../schema/manifest.ts'
import type { ChannelRole } from '../../schema/metadata.ts'
import { parseLineRoleName, parseManifestPath } from '../../schema/release-path.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { type Channel, channelOf, channels, compareVersions, maxVersion, type Version } from '../../schema/version.ts'
import { type CandidateDeps, unverified, verifyCandidate } from './candidate.ts'
import { CoreError } from './core-error.ts'
import { reachFrom, vouchedReachFrom } from './number-reach.ts'
import { sha256 } from './online-roles.ts'
import { checkRemarks } from './remarks.ts'
import type { Accepted, RoleDocument } from './role-documents.ts'
import type { StoredArtifact } from './uploads.ts'
import { wireTime } from './wire-time.ts'

export interface Submission {
  readonly metadata: ReadonlyMap<string, Uint8Array>
  /** By target path. */
  readonly manifests: ReadonlyMap<string, Uint8Array>
}

export interface KnownRelease {
  readonly version: Version
  readonly manifestSha256: string
  readonly withdrawn: boolean
}

export interface SubmissionDeps extends CandidateDeps {
  readonly clock: Clock
  readonly findArtifact: (sha256: string) => Promise<StoredArtifact | undefined>
  readonly knownReleases: () => Promise<readonly KnownRelease[]>
}

/** What accepting the submission changes. */
export interface Checked {
  readonly documents: readonly RoleDocument[]
  readonly releases: readonly {
    readonly path: string
    readonly manifest: Verified<Manifest>
    readonly sha256: string
  }[]
  /** All withdrawn versions of each channel that was handed in. */
  readonly withdrawn: ReadonlyMap<Channel, ReadonlyMap<string, Withdrawal>>
  readonly snapshotVersion: number
  readonly timestampVersion: number
}

/** Throws CoreError 'unverified' where a host would refuse, 'refused' where a rule of the repository is broken. `now`: every expiry is compared with it. */
export async function checkSubmission(
  deps: SubmissionDeps,
  accepted: Accepted,
  submission: Submission,
  now: Date,
): Promise<Checked> {
  const { root } = accepted
  if (!root)
    throw new CoreError('conflict', 'there is no root here yet: nothing can be accepted', {
      reason: 'no-root',
      next: ['netlink-publish init'],
    })
  const fresh = [...submission.metadata].flatMap(([role, bytes]) => readFresh(accepted, role, bytes))
  requireReach(accepted, fresh)
  // Not by `now`, which is long ago for what is recovered.
  for (const { role, expires } of fresh) requireEnd(role, expires, deps.clock.now())
  const roles = new Map([...accepted.roles, ...fresh.map((document) => [document.role, document] as const)])
  if (!roles.has('targets'))
    throw new CoreError('refused', 'expected the role targets, which names the keys of all others', {
      reason: 'no-targets',
    })

  const snapshotVersion = accepted.repository.snapshotVersion + 1
  const timestampVersion = accepted.repository.timestampVersion + 1
  try {
    const trusted = await verifyCandidate(deps, { root: root.bytes, roles, snapshotVersion, timestampVersion }, now)
    const channelRoles = await loadChannelRoles(trusted, roles)
    const listed = await verifyListed(trusted, fresh)
    const known = new Map((await deps.knownReleases()).map((release) => [release.version, release]))
    const releases = await verifyReleases(trusted, submission, listed, known)
    checkProgress(releases, known, channelRoles)
    const manifests = releases.map(({ manifest }) => manifest.value)
    checkRemarks(accepted, channelRoles, manifests)
    checkMade(releases, channelRoles, deps.clock.now())
    await checkStillListed(trusted, fresh, known, channelRoles)
    for (const manifest of manifests) await checkArtifacts(deps, manifest)
    const documents = fresh.map((document) => signedDocument(trusted, document))
    return { documents, releases, withdrawn: withdrawalsOf(fresh, channelRoles), snapshotVersion, timestampVersion }
  } catch (error) {
    throw unverified(error)
  }
}

/** Nothing holds for more than a year: what never ends can't be taken back. Throws CoreError 'refused'. */
export function requireEnd(role: string, expires: Date, now: Date): void {
  // A date that is none is refused with its document.
  if (Number.isNaN(expires.getTime()) || endsInTime(expires, now)) return
  throw new CoreError('refused', `${role} would expire at ${wireTime(expires)}, in more than a year`, {
    reason: 'wrong-expiry',
  })
}

/** The document, unless it is the accepted one. Not verified yet: this only says what is new. */
function readFresh(accepted: Accepted, role: string, bytes: Uint8Array): RoleDocument[] {
  if (!isOurRole(role))
    throw new CoreError(
      'refused',
      `expected targets, a channel or a line of releases, found the role ${JSON.stringify(role)}`,
      { reason: 'wrong-role' },
    )
  const before = accepted.roles.get(role)
  const hash = sha256(bytes)
  if (before?.sha256 === hash) return []
  const { version, expires } = claimsOf(role, bytes)
  if (before && version <= before.version) {
    const same = version === before.version
    throw new CoreError(
      'refused',
      `${role} version ${version} ${same ? 'is here already with other content' : `is older than version ${before.version}, which is here`}`,
      {
        reason: same ? 'wrong-version' : 'rollback',
        expected: String(before.version + 1),
        actual: String(version),
      },
    )
  }
  return [{ role, version, bytes, sha256: hash, expires, signedBy: [], threshold: 0 }]
}

/** Not one above the accepted one: a server that was put back from a backup gets several at once. Throws CoreError 'refused'. */
function requireReach(accepted: Accepted, fresh: readonly RoleDocument[]): void {
  const isVouched =
    (accepted.root?.version ?? 0) > accepted.repository.rootVersion || fresh.some(({ role }) => role === 'targets')
  for (const { role, version } of fresh) {
    const known = accepted.roles.get(role)?.version ?? 0
    const greatest = isVouched ? vouchedReachFrom(known) : reachFrom(known)
    if (version <= greatest) continue
    throw new CoreError('refused', `${role} version ${version} lies too far above version ${known}, which is here`, {
      reason: 'out-of-reach',
      expected: `at most ${greatest}`,
      actual: String(version),
    })
  }
}

/** What an unverified document says of itself. Used for nothing but to build the candidate in which it is verified. */
function claimsOf(role: string, bytes: Uint8Array): { version: number; expires: Date } {
  try {
    const { signed } = parseDocument(bytes, role)
    const { version, expires } = signed
    if (typeof version === 'number' && version >= 1 && typeof expires === 'string')
      return { version, expires: new Date(expires) }
  } catch (error) {
    throw unverified(error)
  }
  throw new CoreError('unverified', `${role}: expected a version and an expiry`, { reason: 'malformed' })
}

function isOurRole(role: string): boolean {
  return role === 'targets' || channels.some((channel) => channel === role) || isLine(role)
}

function isLine(role: string): boolean {
  try {
    parseLineRoleName(role)
    return true
  } catch (error) {
    if (error instanceof ShapeError) return false
    throw error
  }
}

async function loadChannelRoles(
  trusted: Trusted,
  roles: ReadonlyMap<string, RoleDocument>,
): Promise<ReadonlyMap<Channel, ChannelRole>> {
  const loaded = new Map<Channel, ChannelRole>()
  for (const channel of channels)
    if (roles.has(channel)) loaded.set(channel, (await trusted.loadChannel(channel)).value)
  return loaded
}

/** Every file that the new documents list, found by the way that a host goes: from its channel's role down to this very role. */
async function verifyListed(
  trusted: Trusted,
  fresh: readonly RoleDocument[],
): Promise<ReadonlyMap<Version, VerifiedTarget>> {
  const listed = new Map<Version, VerifiedTarget>()
  for (const { role, bytes } of fresh) {
    const { targets } = parseDocument(bytes, role).signed
    const paths = isJsonObject(targets) ? Object.keys(targets) : []
    if (role === 'targets' && paths.length > 0)
      throw new CoreError('refused', 'targets lists files itself: releases belong to their channel', {
        reason: 'wrong-role',
      })
    if (isLine(role) && paths.length === 0)
      throw new CoreError('refused', `${role} lists nothing`, { reason: 'malformed' })
    for (const path of paths) {
      const version = parsePath(path)
      const target = await trusted.findRelease(version)
      // Another role of the same channel may list it too, when a release moves from the channel to its line: what a host finds first counts.
      listed.set(version, target)
    }
    // A line that no path leads to was never verified.
    if (isLine(role)) trusted.signersOf(role)
  }
  return listed
}

function parsePath(path: string): Version {
  try {
    return parseManifestPath(path)
  } catch (error) {
    if (error instanceof ShapeError)
      throw new CoreError('refused', error.message, { reason: 'malformed' }, { cause: error })
    throw error
  }
}

type NewRelease = Checked['releases'][number]

async function verifyReleases(
  trusted: Trusted,
  submission: Submission,
  listed: ReadonlyMap<Version, VerifiedTarget>,
  known: ReadonlyMap<Version, KnownRelease>,
): Promise<NewRelease[]> {
  const consistent = trusted.root.value.consistent_snapshot
  const files = new Map<string, Uint8Array>()
  for (const target of listed.values()) {
    const bytes = submission.manifests.get(target.path)
    if (bytes) files.set(targetFile(target, consistent), bytes)
  }
  const stray = [...submission.manifests.keys()].find(
    (path) => !listed.has(parsePath(path)) && !known.has(parsePath(path)),
  )
  if (stray !== undefined)
    throw new CoreError('refused', `${stray} is listed by no role that was handed in`, { reason: 'not-delegated' })

  const releases: NewRelease[] = []
  for (const [version, target] of listed) {
    const before = known.get(version)
    if (before) {
      if (target.hashes.get('sha256') === before.manifestSha256) continue
      throw new CoreError('refused', `the manifest of ${version} is here already and never changes`, {
        reason: 'changed-manifest',
        expected: before.manifestSha256,
        actual: target.hashes.get('sha256') ?? 'no sha256',
      })
    }
    if (!submission.manifests.has(target.path)) {
      throw new CoreError('refused', `the manifest of ${version} was not handed in`, {
        reason: 'missing-manifest',
        expected: target.path,
      })
    }
    const manifest = await verifyManifest(trusted, { load: async (file) => files.get(file) ?? 'missing' }, version)
    releases.push({ path: target.path, manifest, sha256: sha256(manifest.bytes) })
  }
  return releases.sort((a, b) => compareVersions(a.manifest.value.version, b.manifest.value.version))
}

/**
 * Nobody sends a channel back, the holders of its keys included: a host would not follow, and people would wonder why. What is withdrawn doesn't count:
 * it would end the channel for ever if it were named as high as names go.
 */
function checkProgress(
  releases: readonly NewRelease[],
  known: ReadonlyMap<Version, KnownRelease>,
  channelRoles: ReadonlyMap<Channel, ChannelRole>,
): void {
  for (const { manifest } of releases) {
    const { version } = manifest.value
    const withdrawn = channelRoles.get(channelOf(version))?.channel.withdrawn.map((one): string => one.version)
    const standing = [...known.keys()].filter((one) => !withdrawn?.includes(one))
    const newest = maxVersion(standing.filter((one) => channelOf(one) === channelOf(version)))
    if (newest === undefined || compareVersions(version, newest) > 0) continue
    throw new CoreError('refused', `${version} is older than ${newest}, the newest of ${channelOf(version)}`, {
      reason: 'downgrade',
      expected: `newer than ${newest}`,
      actual: version,
    })
  }
}

/** Clocks of publishers differ. */
const AHEAD_MS = 10 * 60_000

/**
 * Hosts that believe their clocks stop at a release of tomorrow, unless it is withdrawn. One of long ago is none of this server's business: what it has lost is
 * handed in again as it was signed, in the same words as what is new, so no age tells one from the other.
 */
function checkMade(releases: readonly NewRelease[], channelRoles: ReadonlyMap<Channel, ChannelRole>, now: Date): void {
  for (const { path, manifest } of releases) {
    const { version, released_at: made } = manifest.value
    const role = channelRoles.get(channelOf(version))
    const listed = role?.targets.get(path)?.custom.released_at ?? made
    const latest = Date.parse(listed) > Date.parse(made) ? listed : made
    const isWithdrawn = role?.channel.withdrawn.some((one) => one.version === version) ?? false
    if (isWithdrawn || Date.parse(latest) <= now.getTime() + AHEAD_MS) continue
    throw new CoreError('refused', `${version} says that it was made at ${latest}, and it is ${wireTime(now)} here`, {
      reason: 'not-yet-valid',
      expected: `${wireTime(now)} or before`,
      actual: latest,
    })
  }
}

async function checkStillListed(
  trusted: Trusted,
  fresh: readonly RoleDocument[],
  known: ReadonlyMap<Version, KnownRelease>,
  channelRoles: ReadonlyMap<Channel, ChannelRole>,
): Promise<void> {
  const touched = new Set<string | undefined>(
    fresh.flatMap<string | undefined>(({ role }) => (role === 'targets' ? channels : [role.split('-')[0]])),
  )
  for (const { version, withdrawn, manifestSha256 } of known.values()) {
    const channel = channelOf(version)
    const withdrawnNow = channelRoles.get(channel)?.channel.withdrawn.some((one) => one.version === version)
    if (!touched.has(channel) || withdrawn || withdrawnNow) continue
    const target = await trusted.findRelease(version)
    if (target.hashes.get('sha256') === manifestSha256) continue
    throw new CoreError('refused', `the manifest of ${version} is here already and never changes`, {
      reason: 'changed-manifest',
      expected: manifestSha256,
    })
  }
}

async function checkArtifacts(deps: SubmissionDeps, manifest: Manifest): Promise<void> {
  for (const artifact of manifest.artifacts) {
    const stored = await deps.findArtifact(artifact.sha256)
    if (!stored) {
      throw new CoreError(
        'refused',
        `the artifact of ${manifest.version} for ${artifact.platform} is not here: ${artifact.sha256}`,
        {
          reason: 'missing-artifact',
          expected: artifact.sha256,
        },
      )
    }
    if (stored.length === artifact.length && stored.sha512 === artifact.sha512) continue
    throw new CoreError(
      'refused',
      `the artifact of ${manifest.version} for ${artifact.platform} has ${stored.length} bytes and another SHA-512 or length than its manifest says`,
      {
        reason: 'wrong-artifact',
        expected: `${artifact.length} bytes, sha512 ${artifact.sha512}`,
        actual: `${stored.length} bytes, sha512 ${stored.sha512}`,
      },
    )
  }
}

function signedDocument(trusted: Trusted, document: RoleDocument): RoleDocument {
  const { keyids, threshold } = trusted.signersOf(document.role)
  return { ...document, expires: trusted.expiresAt.get(document.role) ?? document.expires, signedBy: keyids, threshold }
}

function withdrawalsOf(
  fresh: readonly RoleDocument[],
  channelRoles: ReadonlyMap<Channel, ChannelRole>,
): ReadonlyMap<Channel, ReadonlyMap<string, Withdrawal>> {
  const handedIn = [...channelRoles].filter(([channel]) => fresh.some((document) => document.role === channel))
  return new Map(
    handedIn.map(([channel, role]) => [
      channel,
      new Map(role.channel.withdrawn.map(({ version, reason, severity }) => [version, { reason, severity }])),
    ]),
  )
}

// One look at what there is: refresh, list, decide, load the manifests that the decision rests on, decide again until nothing is missing.

import type { RoleSigners } from '../keys/refresh.ts'
import { TrustError } from '../keys/trust-error.ts'
import type { Verified } from '../keys/verified.ts'
import type { RoleExpiry } from '../schema/expiry.ts'
import type { Manifest } from '../schema/manifest.ts'
import { linkOf, type ReleaseLink } from '../schema/upgrade-path.ts'
import { type Channel, channelOf, compareStability, type Version } from '../schema/version.ts'
import { type AssignmentLook, decideUnder, lookAtAssignment, type UsedAuthorization } from './assignment-check.ts'
import { loadBrake } from './brake.ts'
import { decideCarriedFitness, findUncarried } from './bundle-fitness.ts'
import { type Asked, type Decision, decide, type Goal, type HostState, type Listing } from './decide.ts'
import { loadInstalled, loadManifest } from './engine/layout.ts'
import type { Generation } from './engine/plan.ts'
import { findQuarantine, loadQuarantine, type QuarantineEntry } from './engine/quarantine.ts'
import { firstExpiry } from './expiry.ts'
import { decideFitness } from './fitness.ts'
import type { Host } from './host.ts'
import { loadHold } from './host-state.ts'
import { artifactFor } from './plan-building.ts'
import { type TrustView, withTrust } from './trust.ts'
import { loadFloor } from './version-record.ts'

export interface CheckRequest {
  readonly goal: Goal
  readonly asked: Asked
  /** `offline`: only what was verified before. */
  readonly how: 'refresh' | 'offline'
  /** Another channel than the host's, to look at. */
  readonly channel?: Channel | undefined
  /** Whether an update runs, from whoever looked; otherwise an open journal counts as one that has to be recovered. */
  readonly engine?: HostState['engine'] | undefined
  /** Whether the server's assignment is taken in: what the socket heard, or what the server says besides. Left alone unless said. A host that acts by itself obeys it. */
  readonly assignment?: 'heard' | 'asked' | undefined
}

export interface CheckResult {
  readonly decision: Decision
  readonly state: HostState
  readonly installed: Generation | null
  readonly listing: Listing
  /** Verified manifests of what the decision speaks of, as far as they could be loaded. */
  readonly manifests: ReadonlyMap<Version, Verified<Manifest>>
  /** Who signed the role that lists the decision's version. */
  readonly signers: RoleSigners | null
  readonly rootVersion: number
  /** The fingerprint of the root that the decision rests on. */
  readonly rootSha256: string
  /** Of the roles that people sign, the one that expires first. */
  readonly expires: RoleExpiry | null
  readonly timestampVersion: number
  /** What the server directs this host to; null where nobody looked. */
  readonly assignment: AssignmentLook | null
  /** The authorisation that the decision rests on: it has to be used up before anything is done. */
  readonly authorization: UsedAuthorization | null
}

/** No decision rests on more manifests than this: a repository that asks for more is refused rather than followed. */
const MOST_LOADS = 64

/** Throws TrustError for what does not verify, PlatformError for what can't be reached or read. */
export async function checkReleases(host: Host, request: CheckRequest): Promise<CheckResult> {
  const installed = await loadInstalled(host)
  const state = await loadHostState(host, installed, request)
  const quarantine = await loadQuarantine(host.disk, host.paths)
  return withTrust(host.trust, request.how, async (view) => {
    const facts = { installed, state, quarantine, how: request.how }
    const { goal, asked } = request
    const assignment = await assignmentOf(host, view, facts, request)
    if (assignment && asked.by === 'host' && goal.kind === 'latest') {
      const listing = await listReleases(view, state, goal)
      const question = { state, asked }
      const found = await decideUnder(host, view, assignment, question, (what) =>
        // What else is there is a question about versions, not about the hour.
        lookFor(host, view, facts, what, what.kind === 'latest' ? { by: 'person' } : asked),
      )
      if (found) return resultOf(view, { state, installed, listing, assignment, authorization: null, ...found })
    }
    const found = await lookFor(host, view, facts, goal, asked)
    return resultOf(view, { state, installed, assignment, authorization: null, ...found })
  })
}

interface LookFacts {
  readonly installed: Generation | null
  readonly state: HostState
  readonly quarantine: readonly QuarantineEntry[]
  readonly how: CheckRequest['how']
}

async function assignmentOf(
  host: Host,
  view: TrustView,
  facts: LookFacts,
  { assignment, how }: CheckRequest,
): Promise<AssignmentLook | null> {
  if (assignment === undefined || how === 'offline') return null
  return lookAtAssignment(host, view, facts, { at: host.clock.now(), asks: assignment === 'asked' })
}

/** Decides, loads the manifests that this rests on, and decides again. */
async function lookFor(
  host: Host,
  view: TrustView,
  { installed, state, quarantine, how }: LookFacts,
  goal: Goal,
  asked: Asked,
): Promise<Pick<CheckResult, 'decision' | 'listing' | 'manifests'>> {
  const listing = await listReleases(view, state, goal)
  const known = await installedLink(host, installed)
  const freeBytes = await host.disk.freeBytes(host.paths.root)
  const manifests = new Map<Version, Verified<Manifest>>()
  const links = new Map<Version, ReleaseLink>(known ? [[known.version, known]] : [])
  const { carried } = host.trust
  const unfit = findUncarried(carried, listing)
  const twins = new Map<Version, string>()
  const absent = new Set<Version>()

  for (let loads = 0; ; loads++) {
    const decision = decide({
      listing,
      host: state,
      goal,
      asked,
      now: host.clock.now(),
      links,
      unfit,
      twins,
    })
    const missing = versionsOf(decision).filter((version) => !manifests.has(version) && !absent.has(version))
    const listed = missing.filter((version) => listing.releases.some((release) => release.version === version))
    if (listed.length === 0) return { decision, listing, manifests }
    if (loads >= MOST_LOADS) throw new TrustError('too-large', `expected at most ${MOST_LOADS} releases on the way`)
    for (const version of listed) {
      const verified = await loadUnlessAway(
        view,
        version,
        how === 'offline' || carried?.versions.includes(version) === false,
      )
      if (!verified) {
        absent.add(version)
        continue
      }
      manifests.set(version, verified)
      links.set(version, linkOf(verified.value))
      const unfitness =
        decideFitness(verified.value, { ...host, serviceControl: host.enrolment.service.control, freeBytes }) ??
        decideCarriedFitness(carried, verified.value, host.platform)
      if (unfitness) unfit.set(version, unfitness)
      const twin = twinWords(verified.value, host.platform, quarantine)
      if (twin !== undefined) twins.set(version, twin)
    }
  }
}

/** Why the bytes of this release are quarantined under another version's name, undefined if they are not. */
function twinWords(manifest: Manifest, platform: string, entries: readonly QuarantineEntry[]): string | undefined {
  const artifact = artifactFor(manifest, platform)
  if (!artifact) return undefined
  const entry = findQuarantine(entries, { version: manifest.version, treeSha256: artifact.tree_sha256 })
  return entry && `it has the same bytes as ${entry.version}: ${entry.message}`
}

function versionsOf(decision: Decision): readonly Version[] {
  if (decision.kind === 'available') return decision.hops
  return decision.kind === 'waiting' && decision.version !== null ? [decision.version] : []
}

function resultOf(
  view: TrustView,
  found: Omit<CheckResult, 'signers' | 'rootVersion' | 'rootSha256' | 'expires' | 'timestampVersion'>,
): CheckResult {
  const { decision } = found
  const [version] = decision.kind === 'available' ? [decision.version] : versionsOf(decision)
  const isListed = version !== undefined && found.listing.releases.some((release) => release.version === version)
  return {
    ...found,
    signers: isListed ? view.signersOf(version) : null,
    rootVersion: view.rootVersion,
    rootSha256: view.rootSha256,
    expires: firstExpiry(view.expiresAt()),
    timestampVersion: view.timestampVersion,
  }
}

/** What the channel roles list; a version that was named or must be installed on the way may be listed further down. */
async function listReleases(view: TrustView, state: HostState, goal: Goal): Promise<Listing> {
  const listing = await view.loadListing(channelFor(goal, state.channel))
  const wanted = listing.barriers.map((barrier) => barrier.version)
  if (goal.kind === 'version' || goal.kind === 'assigned') wanted.push(goal.version)
  const releases = [...listing.releases]
  for (const version of wanted) {
    if (releases.some((release) => release.version === version)) continue
    const found = await view.findRelease(version)
    if (found) releases.push(found)
  }
  return { ...listing, releases }
}

/** The least stable channel that the decision needs: another one's that is less stable may have expired, and that is nothing to this host. */
function channelFor(goal: Goal, own: Channel): Channel {
  if (goal.kind !== 'version' || !goal.allowChannelChange) return own
  const named = channelOf(goal.version)
  return compareStability(named, own) < 0 ? named : own
}

/** Offline there are the manifests that were kept, and in a bundle those that it carries. */
async function loadUnlessAway(
  view: TrustView,
  version: Version,
  mayBeAway: boolean,
): Promise<Verified<Manifest> | undefined> {
  try {
    return await view.loadManifest(version)
  } catch (error) {
    if (mayBeAway && error instanceof TrustError && error.code === 'missing') return undefined
    throw error
  }
}

/** What the installed release says about the ways that lead away from it. */
async function installedLink(host: Host, installed: Generation | null): Promise<ReleaseLink | undefined> {
  return installed ? linkOf(await loadManifest(host, installed)) : undefined
}

/** How this host stands now. */
export async function loadHostState(
  host: Host,
  installed: Generation | null,
  request: Pick<CheckRequest, 'channel' | 'engine'> = {},
): Promise<HostState> {
  const { disk, paths, files, enrolment } = host
  const quarantine = await loadQuarantine(disk, paths)
  return {
    channel: request.channel ?? enrolment.channel,
    platform: host.platform,
    installed: installed?.version ?? null,
    floor: await loadFloor(disk, paths),
    quarantine: new Map(quarantine.map((entry) => [entry.version, entry.message])),
    hold: await loadHold(disk, files),
    brake: await loadBrake(disk, files, enrolment),
    engine: request.engine ?? ((await isThere(host, paths.undecided)) ? 'undecided' : 'idle'),
  }
}

async function isThere({ disk }: Host, path: string): Promise<boolean> {
  try {
    await disk.lstat(path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'not-found') return false
    throw error
  }
}

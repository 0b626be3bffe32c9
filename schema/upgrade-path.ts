// How a host comes from one version to another: directly, through barriers, or not at all and why.
//
//   from 0r1, barrier 0r3, to 0r5   ->  0r3, then 0r5: each an update of its own, with its own checks and its own way back
//
// A barrier says: install me before anything later. A dead end says: nothing later can be reached from me. `upgrade_from` says from where one may come.
import type { Manifest } from './manifest.ts'
import { compareVersions, type Version } from './version.ts'
import { parseRange, rangeIncludes, type VersionRange } from './version-range.ts'

/** What the rules need to know of a release. */
export interface ReleaseLink {
  readonly version: Version
  /** Left out while the manifest has not been read (a channel role lists only barriers and withdrawals): decide again with it before installing. */
  readonly upgradeFrom?: VersionRange
  readonly barrier?: Reason | null
  readonly deadEnd?: Reason | null
  readonly withdrawn?: Reason | null
  /** The version whose bytes this one has under another letter. */
  readonly promotedFrom?: Version | null
}

export interface Reason {
  readonly reason: string
}

export type PathBlock =
  | 'not-newer' // the target is not above the installed version: nothing to do, or a downgrade
  | 'not-older' // the target of a downgrade is not below the installed version
  | 'unknown-release' // nothing is known of the target
  | 'withdrawn' // the target was taken back
  | 'barrier-withdrawn' // a version that must be installed on the way was taken back
  | 'dead-end' // the installed version, or one that must be installed on the way, leads nowhere
  | 'upgrade-from' // a release on the way may not be installed over what is there by then
  | 'downgrade-to' // the installed release allows no way back to this version

/** `hops` are installed in this order; the last one is the target. `reason` is a sentence without a full stop. */
export type PathDecision =
  | { readonly kind: 'direct' | 'hops'; readonly hops: readonly Version[] }
  | { readonly kind: 'blocked'; readonly code: PathBlock; readonly reason: string }

/** The link that a verified manifest stands for. */
export function linkOf(manifest: Manifest, withdrawn: Reason | null = null): ReleaseLink {
  return {
    version: manifest.version,
    upgradeFrom: parseRange(manifest.compatibility.upgrade_from),
    barrier: manifest.compatibility.barrier,
    deadEnd: manifest.compatibility.dead_end,
    withdrawn,
    promotedFrom: manifest.promoted_from,
  }
}

/**
 * The way from the installed version (null: none, then neither barriers nor `upgradeFrom` apply) up to `to`.
 * `releases` is what the host's channel offers, plus the installed one if known.
 */
export function decideUpgradePath(question: {
  from: Version | null
  to: Version
  releases: readonly ReleaseLink[]
}): PathDecision {
  const { from, to, releases } = question
  const target = releases.find((release) => release.version === to)
  // 1. The target exists, stands and lies above.
  if (from !== null && compareVersions(to, from) <= 0) return blocked('not-newer', `${to} is not newer than ${from}`)
  if (target === undefined) return blocked('unknown-release', `no release ${to} is known here`)
  if (target.withdrawn) return blocked('withdrawn', `${to} was withdrawn: ${target.withdrawn.reason}`)
  if (from === null) return { kind: 'direct', hops: [to] }
  // 2. Every barrier between is installed on the way, in order.
  const hops: ReleaseLink[] = []
  for (const barrier of barriersBetween(from, to, releases)) {
    const usable = barrier.find((release) => !release.withdrawn)
    const [first] = barrier
    if (usable !== undefined) hops.push(usable)
    else if (first !== undefined) {
      return blocked(
        'barrier-withdrawn',
        `${first.version} must be installed before ${to} and was withdrawn: ${first.withdrawn?.reason}`,
      )
    }
  }
  hops.push(target)
  // 3. Every step may be taken from where one stands by then.
  let standing = releases.find((release) => release.version === from)
  let standingAt = from
  for (const hop of hops) {
    if (standing?.deadEnd)
      return blocked('dead-end', `nothing later can be reached from ${standingAt}: ${standing.deadEnd.reason}`)
    if (hop.upgradeFrom && !rangeIncludes(hop.upgradeFrom, standingAt)) {
      return blocked(
        'upgrade-from',
        `${hop.version} can be installed over ${hop.upgradeFrom.text}, not over ${standingAt}`,
      )
    }
    standing = hop
    standingAt = hop.version
  }
  return { kind: hops.length === 1 ? 'direct' : 'hops', hops: hops.map((hop) => hop.version) }
}

/**
 * The barriers strictly between the two, ascending. Promotions of one release are one barrier, given as its members in ascending order;
 * it is no barrier where the installed version or the target is itself one of them.
 */
function barriersBetween(from: Version, to: Version, releases: readonly ReleaseLink[]): ReleaseLink[][] {
  const origin = originFinder(releases)
  const passed = new Set([origin(from), origin(to)])
  const groups = new Map<Version, ReleaseLink[]>()
  const between = releases
    .filter(({ barrier, version }) => barrier && compareVersions(version, from) > 0 && compareVersions(version, to) < 0)
    .sort((a, b) => compareVersions(a.version, b.version))
  for (const release of between) {
    const bytes = origin(release.version)
    if (!passed.has(bytes)) groups.set(bytes, [...(groups.get(bytes) ?? []), release])
  }
  return [...groups.values()].sort(byFirstUsable)
}

function byFirstUsable(a: readonly ReleaseLink[], b: readonly ReleaseLink[]): number {
  const left = a.find((release) => !release.withdrawn) ?? a[0]
  const right = b.find((release) => !release.withdrawn) ?? b[0]
  return left && right ? compareVersions(left.version, right.version) : 0
}

/** Follows promotions back to the version under which the bytes were first published. */
function originFinder(releases: readonly ReleaseLink[]): (version: Version) => Version {
  const promotedFrom = new Map(releases.map((release) => [release.version, release.promotedFrom ?? null]))
  return (version) => {
    let origin = version
    // A promotion only ever comes from a smaller version, so that this ends whatever the documents say.
    for (
      let next = promotedFrom.get(origin);
      next && compareVersions(next, origin) < 0;
      next = promotedFrom.get(origin)
    )
      origin = next
    return origin
  }
}

/** The way down: only to a version that the installed release's signed manifest names in `downgrade_to`. */
export function decideDowngrade(question: {
  from: Version
  to: Version
  downgradeTo: readonly Version[]
}): PathDecision {
  const { from, to, downgradeTo } = question
  if (compareVersions(to, from) >= 0) return blocked('not-older', `${to} is not older than ${from}`)
  if (downgradeTo.includes(to)) return { kind: 'direct', hops: [to] }
  const allowed = downgradeTo.length === 0 ? 'no downgrade' : `a downgrade only to ${downgradeTo.join(', ')}`
  return blocked('downgrade-to', `${from} allows ${allowed}, not to ${to}`)
}

function blocked(code: PathBlock, reason: string): PathDecision {
  return { kind: 'blocked', code, reason }
}

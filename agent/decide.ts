// What a host should do next. Pure: everything that it weighs is handed in, and the answer is one union.
//
//   listing   what the verified channel roles say           (trust.ts)
//   host      what runs, what it committed, what failed     (host-state.ts)
//   goal      newest of the channel, newest stable, or one version by name
//   asked     by a person at a command line, or by the host itself; then policy, holds and the fleet's brake count too
//
//   0r1, barrier 0r3, newest 0r5  ->  available, version 0r5, hops 0r3 0r5       each hop is an update of its own
//   0r1, newest 0r2, policy notify, asked by the host itself  ->  waiting notify_only
//
// A channel role knows only barriers, dead ends and withdrawals of a version. What stands in its manifest (`upgrade_from`, requirements, promotions) comes
// in by `links`, `unfit` and `twins` once that manifest was loaded: the caller decides, loads the manifests of the hops, and decides again until nothing is missing.
import type { WaitingReason } from '../schema/attempt.ts'
import { formatDuration } from '../schema/cli/format.ts'
import type { Brake } from '../schema/protocol.ts'
import { decideWindow, type TimeWindow } from '../schema/time-window.ts'
import { unreachable } from '../schema/unreachable.ts'
import { decideUpgradePath, type PathBlock, type Reason, type ReleaseLink } from '../schema/upgrade-path.ts'
import {
  type Channel,
  channelOf,
  channelOffers,
  compareStability,
  compareVersions,
  type Version,
} from '../schema/version.ts'

/** One manifest that a channel role or line role lists. */
export interface ListedRelease {
  readonly version: Version
  readonly platforms: readonly string[]
  /** UTC, one second's resolution. */
  readonly releasedAt: string
}

/** What a channel says of one of its versions. */
export interface Remark extends Reason {
  readonly version: Version
}

/** What the verified channel roles say together. */
export interface Listing {
  readonly releases: readonly ListedRelease[]
  readonly withdrawn: readonly Remark[]
  readonly barriers: readonly Remark[]
  readonly deadEnds: readonly Remark[]
  /** Per channel: nothing below is installed on a host without a floor of its own. */
  readonly minimum: Readonly<Partial<Record<Channel, Version | null>>>
}

/** How this host stands. */
export interface HostState {
  readonly channel: Channel
  /** As in a manifest's artifacts: `linux-x64`. */
  readonly platform: string
  readonly installed: Version | null
  /** The greatest version that it ever committed; null on a fresh host. */
  readonly floor: Version | null
  /** Versions that failed or were left here, with the reason. */
  readonly quarantine: ReadonlyMap<Version, string>
  readonly hold: Hold | null
  readonly brake: Brake
  /** Another update runs, or one that a crash cut waits for its recovery. */
  readonly engine: 'idle' | 'running' | 'undecided'
}

/** Set by `netlink update hold`. `until` null: until somebody lifts it. */
export interface Hold {
  readonly until: Date | null
  readonly reason: string | null
}

/** How automatic updates are allowed to happen. */
export interface AutomaticPolicy {
  readonly mode: 'off' | 'notify' | 'auto'
  readonly window: TimeWindow
  /** No automatic update starts with less than this left of the window. */
  readonly minRemainingMs: number
  /** Longest pause between the first sight of a version and its installation, so that a fleet does not move as one. */
  readonly jitterMs: number
  /** No release is installed by itself before it was published for so long. */
  readonly minimumSoakMs: number
}

export type Goal =
  | { readonly kind: 'latest' }
  | { readonly kind: 'stable' }
  /** What the server's director chose: the rules are those of `latest`, for this version alone. */
  | { readonly kind: 'assigned'; readonly version: Version }
  | { readonly kind: 'version'; readonly version: Version; readonly allowChannelChange: boolean }

export type Asked =
  | { readonly by: 'person' }
  | {
      readonly by: 'host'
      readonly policy: AutomaticPolicy
      /** When this host first saw the target, null if it is new. */
      readonly firstSeen: (version: Version) => Date | null
      /** This host's own place in the jitter, 0 to 1: the same for the same version. */
      readonly place: (version: Version) => number
    }

/** Why a release can't be installed on this machine, found in its manifest. */
export interface Unfitness {
  readonly reason: 'incompatible' | 'needs_engine' | 'disk'
  readonly detail: string
}

export interface Question {
  readonly listing: Listing
  readonly host: HostState
  readonly goal: Goal
  readonly asked: Asked
  readonly now: Date
  /** What loaded manifests say of their releases, the installed one's included. */
  readonly links: ReadonlyMap<Version, ReleaseLink>
  readonly unfit: ReadonlyMap<Version, Unfitness>
  /** Releases with the bytes of a quarantined one, as loaded manifests show, and why that one is. */
  readonly twins: ReadonlyMap<Version, string>
}

/** `hops` are installed one after another; the last one is `version`. Words are sentences without a full stop. */
export type Decision =
  | { readonly kind: 'up-to-date'; readonly detail: string }
  | { readonly kind: 'available'; readonly version: Version; readonly hops: readonly Version[] }
  | {
      readonly kind: 'waiting'
      readonly version: Version | null
      readonly reason: WaitingReason
      readonly detail: string
      readonly until: Date | null
    }

type Waiting = Extract<Decision, { kind: 'waiting' }>

/** What to install now, or why nothing. */
export function decide(question: Question): Decision {
  const target = decideWhat(question)
  if (target.kind !== 'available' || question.asked.by === 'person') return target
  return decideWhen(question, question.asked, target.version) ?? target
}

function decideWhat(question: Question): Decision {
  const { goal, host } = question
  switch (goal.kind) {
    case 'version':
      return decideNamed(question, goal)
    case 'assigned':
      return decideSoaked(question, goal.version, host.channel)
    case 'latest':
    case 'stable':
      return decideNewest(question)
    default:
      return unreachable(goal)
  }
}

// ---- what ------------------------------------------------------------------------------------------------------------------------

/** The greatest version that fits; if none does, the reason of the greatest. */
function decideNewest(question: Question): Decision {
  const { host, goal, listing } = question
  const channel = goal.kind === 'stable' ? 'release' : host.channel
  const newer = listing.releases
    .map((release) => release.version)
    .filter((version) => channelOffers(channel, version) && isAbove(version, host.installed))
    .sort((a, b) => compareVersions(b, a))
  let first: Waiting | undefined
  for (const version of newer) {
    const found = decideSoaked(question, version, channel)
    if (found.kind === 'available') return found
    first ??= found
  }
  return first ?? { kind: 'up-to-date', detail: upToDateWords(host.installed, channel) }
}

/** As decideCandidate; what comes by itself has to be out for a while first. */
function decideSoaked(
  question: Question,
  version: Version,
  channel: Channel,
): Exclude<Decision, { kind: 'up-to-date' }> {
  const found = decideCandidate(question, version, channel)
  return found.kind === 'available' ? (soakReason(question, version) ?? found) : found
}

/** By the time that the channel's keys signed: who has them could backdate it, a server can't. */
function soakReason({ asked, listing, now }: Question, version: Version): Waiting | undefined {
  if (asked.by === 'person' || asked.policy.mode !== 'auto') return undefined
  const listed = listing.releases.find((release) => release.version === version)
  const over = new Date(new Date(listed?.releasedAt ?? now).getTime() + asked.policy.minimumSoakMs)
  if (over <= now) return undefined
  const detail = `${version} was published ${listed?.releasedAt}, and this host waits until ${over.toISOString().slice(0, 16)}Z`
  return waiting(version, ['soak', detail], over)
}

function isAbove(version: Version, installed: Version | null): boolean {
  return installed === null || compareVersions(version, installed) > 0
}

function upToDateWords(installed: Version | null, channel: Channel): string {
  return installed === null ? `nothing is published for ${channel} yet` : `${installed} is the newest for ${channel}`
}

/** One version that somebody named. */
function decideNamed(question: Question, goal: Extract<Goal, { kind: 'version' }>): Decision {
  const { host, listing } = question
  const { version } = goal
  if (version === host.installed) return { kind: 'up-to-date', detail: `${version} is installed` }
  if (!listing.releases.some((release) => release.version === version)) {
    return waiting(version, withdrawnReason(listing, version) ?? ['incompatible', `no release ${version} is published`])
  }
  const lessStable = compareStability(channelOf(version), host.channel) < 0
  if (lessStable && !goal.allowChannelChange) {
    const detail = `${version} is ${channelOf(version)}, this host follows ${host.channel}: say --allow-channel-change if that is meant`
    return waiting(version, ['incompatible', detail])
  }
  const channel = lessStable ? channelOf(version) : host.channel
  return decideCandidate(question, version, channel)
}

type Because = readonly [reason: WaitingReason, detail: string]

function waiting(version: Version | null, [reason, detail]: Because, until: Date | null = null): Waiting {
  return { kind: 'waiting', version, reason, detail, until }
}

/** Numbered as the rules apply: the first that speaks decides. */
function decideCandidate(
  question: Question,
  version: Version,
  channel: Channel,
): Exclude<Decision, { kind: 'up-to-date' }> {
  const { host, listing } = question
  // 1. Taken back: never, whoever asks.
  const withdrawn = withdrawnReason(listing, version)
  if (withdrawn) return waiting(version, withdrawn)
  // 2. A fresh host is protected by the signed minimum, every other one by its own floor.
  const below = floorReason(question, version)
  if (below) return waiting(version, below)
  // 3. The way there, over everything that must be installed before.
  const path = decideUpgradePath({ from: host.installed, to: version, releases: linksFor(question, channel) })
  if (path.kind === 'blocked') return waiting(version, [reasonOfBlock(path.code), path.reason])
  // 4. Every hop must fit this machine and not have failed here before.
  for (const hop of path.hops) {
    const unusable = hopReason(question, hop)
    if (!unusable) continue
    if (hop === version) return waiting(version, unusable)
    return waiting(version, ['barrier_first', `${hop} must be installed before ${version}, but ${unusable[1]}`])
  }
  return { kind: 'available', version, hops: path.hops }
}

function withdrawnReason(listing: Listing, version: Version): Because | undefined {
  const remark = listing.withdrawn.find((one) => one.version === version)
  return remark && ['withdrawn', `${version} was withdrawn: ${remark.reason}`]
}

function floorReason({ host, listing, goal }: Question, version: Version): Because | undefined {
  if (host.floor === null) {
    const minimum = listing.minimum[channelOf(version)]
    if (!minimum || compareVersions(version, minimum) >= 0) return undefined
    return ['incompatible', `${version} is below ${minimum}, the least that a fresh host may install`]
  }
  // A person at this host may name any version above the installed one; what comes by itself never goes below what was once committed.
  if (goal.kind === 'version' || compareVersions(version, host.floor) >= 0) return undefined
  return ['quarantined', `${version} is below ${host.floor}, which this host has already run`]
}

function hopReason({ host, listing, goal, unfit, twins }: Question, hop: Version): Because | undefined {
  const listed = listing.releases.find((release) => release.version === hop)
  if (!listed) return ['incompatible', `${hop} is not published any more`]
  if (!listed.platforms.includes(host.platform) && !listed.platforms.includes('any')) {
    return ['incompatible', `${hop} is made for ${listed.platforms.join(', ')}, and this host is ${host.platform}`]
  }
  const unfitness = unfit.get(hop)
  if (unfitness) return [unfitness.reason, unfitness.detail]
  const failure = host.quarantine.get(hop) ?? twins.get(hop)
  if (failure === undefined || (goal.kind === 'version' && goal.version === hop)) return undefined
  return ['quarantined', `${hop} is quarantined on this host: ${failure}`]
}

/** What path rules see: everything that the channel offers, the installed release, and what manifests add. */
function linksFor({ listing, host, links }: Question, channel: Channel): ReleaseLink[] {
  const known = new Set([...listing.releases, ...listing.barriers, ...listing.withdrawn].map((one) => one.version))
  if (host.installed) known.add(host.installed)
  return [...known]
    .filter((version) => version === host.installed || channelOffers(channel, version))
    .map((version) => ({
      ...links.get(version),
      version,
      barrier: remarkOn(listing.barriers, version) ?? links.get(version)?.barrier ?? null,
      deadEnd: remarkOn(listing.deadEnds, version) ?? links.get(version)?.deadEnd ?? null,
      withdrawn: remarkOn(listing.withdrawn, version),
    }))
}

function remarkOn(remarks: readonly Remark[], version: Version): Reason | null {
  return remarks.find((remark) => remark.version === version) ?? null
}

function reasonOfBlock(code: PathBlock): WaitingReason {
  switch (code) {
    case 'withdrawn':
      return 'withdrawn'
    case 'barrier-withdrawn':
      return 'barrier_first'
    case 'dead-end':
      return 'dead_end'
    case 'not-newer':
    case 'not-older':
    case 'unknown-release':
    case 'upgrade-from':
    case 'downgrade-to':
      return 'incompatible'
    default:
      return unreachable(code)
  }
}

// ---- when ------------------------------------------------------------------------------------------------------------------------

/** What keeps an automatic update from starting now; the most lasting reason first. */
export function decideWhen(
  { host, now }: Pick<Question, 'host' | 'now'>,
  asked: Extract<Asked, { by: 'host' }>,
  version: Version,
): Waiting | undefined {
  const { policy } = asked
  if (host.engine === 'undecided')
    return waiting(version, ['undecided', 'an update that was cut off has to be recovered first'])
  if (host.engine === 'running') return waiting(version, ['locked', 'another update runs'])
  if (policy.mode === 'off') return waiting(version, ['automatic_off', 'automatic updates are off'])
  const hold = activeHold(host.hold, now)
  if (hold) return waiting(version, ['hold', holdWords(hold)], hold.until)
  if (host.brake.paused) return waiting(version, ['paused', brakeWords(host.brake)])
  if (policy.mode === 'notify') return waiting(version, ['notify_only', `run: netlink update upgrade --to ${version}`])
  const window = decideWindow(policy.window, now, policy.minRemainingMs)
  if (window.kind === 'closed') {
    const opens = `${window.opens.toISOString().slice(0, 16)}Z`
    return waiting(version, ['window_closed', `automatic updates may start again at ${opens}`], window.opens)
  }
  return decideJitter(asked, version, now)
}

function decideJitter(asked: Extract<Asked, { by: 'host' }>, version: Version, now: Date): Waiting | undefined {
  const seen = asked.firstSeen(version) ?? now
  const startMs = seen.getTime() + asked.place(version) * asked.policy.jitterMs
  // A clock that was set back must not turn a pause of minutes into one of years.
  const leftMs = Math.min(startMs - now.getTime(), asked.policy.jitterMs)
  if (leftMs <= 0) return undefined
  const until = new Date(now.getTime() + leftMs)
  return waiting(version, ['jitter', `starts in ${formatDuration(leftMs)}`], until)
}

/** The hold, if it still holds. */
export function activeHold(hold: Hold | null, now: Date): Hold | null {
  if (hold === null) return null
  return hold.until === null || hold.until > now ? hold : null
}

/** One sentence about a hold. */
export function holdWords(hold: Hold): string {
  const until = hold.until === null ? 'until it is lifted' : `until ${hold.until.toISOString().slice(0, 16)}Z`
  return `this host is held ${until}${hold.reason === null ? '' : `: ${hold.reason}`}`
}

function brakeWords(brake: Brake): string {
  return `the fleet is paused${brake.reason === null ? '' : `: ${brake.reason}`}`
}

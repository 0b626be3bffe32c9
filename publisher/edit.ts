// Editing signed metadata: open the newest documents, edit them, close them into the next ones to be signed.
//
//   openChannel    what a channel role and its line roles say now, or an empty channel before its first release
//   applyRelease   lists a manifest; the 21st oldest moves to its line role
//   applyWithdrawal, applyReinstatement   a version is taken back, or not any more
//   closeChannel   what has changed, one version up, with a fresh expiry
//
// Documents are edited as raw trees: a field that this program does not know was signed before and is signed again. Nothing here reads a clock,
// a disk or a key. What was signed is verified afterwards by the agents' own code (signing.ts), never by this file.
import { DIRECTOR, DIRECTOR_PATHS } from '../schema/assignment.ts'
import type { JsonObject, JsonValue } from '../schema/json-value.ts'
import { type ChannelRole, channelRoleShape, type ManifestCustom, manifestCustomShape } from '../schema/metadata.ts'
import { parseShape } from '../schema/parse-shape.ts'
import {
  decideListing,
  lineRoleName,
  lineRolePatterns,
  manifestPath,
  parseManifestPath,
} from '../schema/release-path.ts'
import { type Channel, channelOf, compareVersions, isVersion, maxVersion, type Version } from '../schema/version.ts'
import { PublishError } from './publish-error.ts'

const DAY_MS = 86_400_000
/** How long each kind of role is valid after an edit. */
export const VALID_MS = { root: 365 * DAY_MS, targets: 365 * DAY_MS, channel: 90 * DAY_MS, line: 365 * DAY_MS } as const
/** A line role is signed along with its channel when it would expire within this time. */
const RENEW_LINE_MS = 60 * DAY_MS
const SPEC_VERSION = '1.0.34'

/** Who may sign for a channel: what targets says of its role, the key objects included. */
export interface ChannelKeys {
  readonly keyids: readonly string[]
  readonly threshold: number
  /** TUF key objects by key id. */
  readonly keys: JsonObject
}

/** A channel's documents while they are edited. */
export interface ChannelDraft {
  readonly channel: Channel
  readonly keys: ChannelKeys
  readonly role: JsonObject
  readonly lines: ReadonlyMap<string, JsonObject>
  /** Roles that say something else than when they were opened. */
  readonly touched: ReadonlySet<string>
}

/** A document ready to be signed. */
export interface ClosedRole {
  readonly role: string
  readonly signed: JsonObject
  /** Whose signatures count for it; undefined where there is nobody to choose among. */
  readonly keyids?: readonly string[]
}

/** What the channel says now: `role` undefined if nothing was ever published in it. `lines` holds the signed part of every line role it delegates to. */
export function openChannel(
  channel: Channel,
  keys: ChannelKeys,
  role: JsonObject | undefined,
  lines: ReadonlyMap<string, JsonObject>,
): ChannelDraft {
  return { channel, keys, role: role ?? emptyChannel(channel), lines, touched: new Set() }
}

function emptyChannel(channel: Channel): JsonObject {
  return {
    ...emptyTargets(),
    channel: { name: channel, minimum: null, withdrawn: [], barriers: [], dead_ends: [] },
  }
}

/** Version 0 never leaves this file: closing makes it 1. */
function emptyTargets(): JsonObject {
  return { _type: 'targets', spec_version: SPEC_VERSION, version: 0, expires: '1970-01-01T00:00:00Z', targets: {} }
}

/** A manifest to be listed: what a channel role says about it. */
export interface NewRelease {
  readonly custom: ManifestCustom
  readonly length: number
  readonly sha256: string
  readonly sha512: string
  readonly barrier: { readonly reason: string } | null
  readonly deadEnd: { readonly reason: string } | null
}

/**
 * Throws PublishError `not-newer` unless this version is new, and above everything that the channel holds and has not withdrawn: whoever once named a release
 * as high as names go would otherwise have ended the channel for ever.
 */
export function checkNewer(draft: ChannelDraft, version: Version): void {
  const newest = maxVersion(standingIn(draft))
  if (newest !== undefined && compareVersions(version, newest) < 0)
    throw new PublishError('not-newer', `${draft.channel} already holds ${newest}, and ${version} is not newer`)
  if (versionsIn(draft).includes(version))
    throw new PublishError('not-newer', `${draft.channel} already holds ${version}`)
}

function standingIn(draft: ChannelDraft): readonly Version[] {
  return versionsIn(draft).filter((version) => withdrawnIn(draft, version).own.length === 0)
}

/** The channel with one more release. Throws PublishError as `checkNewer`. */
export function applyRelease(draft: ChannelDraft, release: NewRelease): ChannelDraft {
  const { version } = release.custom
  if (channelOf(version) !== draft.channel) {
    throw new PublishError('usage', `${version} belongs to ${channelOf(version)}, not to ${draft.channel}`)
  }
  checkNewer(draft, version)
  const { length, sha256, sha512, custom } = release
  const listed = {
    ...objectAt(draft.role, 'targets'),
    [manifestPath(version)]: { length, hashes: { sha256, sha512 }, custom: asJson(custom) },
  }
  const facts = objectAt(draft.role, 'channel')
  const channel = {
    ...facts,
    barriers: withReason(facts.barriers, version, release.barrier),
    dead_ends: withReason(facts.dead_ends, version, release.deadEnd),
  }
  return relist({ ...touch(draft, draft.channel), role: { ...draft.role, targets: listed, channel } })
}

function withReason(
  list: JsonValue | undefined,
  version: Version,
  reason: { readonly reason: string } | null,
): JsonValue {
  const items = Array.isArray(list) ? list : []
  return reason === null ? items : [...items, { version, reason: reason.reason }]
}

/**
 * Moves what the channel role no longer lists itself to its line roles, and delegates to them: all but its newest, and what is withdrawn above the newest release
 * that stands, for which hosts would otherwise wait for ever.
 */
function relist(draft: ChannelDraft): ChannelDraft {
  const targets = objectAt(draft.role, 'targets')
  const listed = Object.keys(targets).map(parseManifestPath)
  const newest = maxVersion(standingIn(draft))
  const passed = listed.filter((version) => newest !== undefined && compareVersions(version, newest) > 0)
  const { lines } = decideListing(listed.filter((version) => !passed.includes(version)))
  const moving = [...lines, ...passed.map((version) => [lineRoleName(version), [version]] as const)]
  const kept: Record<string, JsonValue> = { ...targets }
  const after = new Map(draft.lines)
  const touched = new Set(draft.touched)
  for (const [name, versions] of moving) {
    const line = after.get(name) ?? emptyTargets()
    const held: Record<string, JsonValue> = { ...objectAt(line, 'targets') }
    for (const path of versions.map(manifestPath)) {
      held[path] = kept[path] ?? null
      delete kept[path]
    }
    after.set(name, { ...line, targets: held })
    touched.add(name)
  }
  return { ...draft, role: { ...draft.role, targets: kept }, lines: after, touched }
}

/**
 * The channel below whose version no host begins any more. Throws PublishError `unknown-version`; `policy` where it would sink, unless that is meant: hosts that
 * were not there before could be given what nobody wants to begin with.
 */
export function applyMinimum(draft: ChannelDraft, version: Version, mayLower: boolean): ChannelDraft {
  if (!versionsIn(draft).includes(version)) throw unknownVersion(draft, version)
  const before = objectAt(draft.role, 'channel').minimum
  if (typeof before === 'string' && isVersion(before) && compareVersions(version, before) < 0 && !mayLower)
    throw new PublishError('policy', `the minimum of ${draft.channel} is ${before}, and ${version} is below`, {
      next: ['a greater version, or insist with --allow-lower'],
    })
  const channel = { ...objectAt(draft.role, 'channel'), minimum: version }
  return { ...touch(draft, draft.channel), role: { ...draft.role, channel } }
}

export interface Withdrawal {
  readonly version: Version
  readonly reason: string
  readonly severity: 'low' | 'high' | 'critical'
  readonly replaceWith: Version | null
  /** `2026-11-23T10:00:00Z` */
  readonly at: string
}

/** The channel with a version taken back; a second withdrawal of the same version replaces the first. Throws PublishError `unknown-version`. */
export function applyWithdrawal(draft: ChannelDraft, withdrawal: Withdrawal): ChannelDraft {
  const { version, reason, severity, replaceWith, at } = withdrawal
  if (!versionsIn(draft).includes(version)) throw unknownVersion(draft, version)
  if (replaceWith === version) throw new PublishError('usage', `${version} can't replace itself`)
  const entry = { version, reason, severity, replace_with: replaceWith, at }
  return withWithdrawn(draft, [...withdrawnIn(draft, version).others, entry])
}

/** The channel with a withdrawal taken back. Throws PublishError `unknown-version` if the version was not withdrawn. */
export function applyReinstatement(draft: ChannelDraft, version: Version): ChannelDraft {
  const { own, others } = withdrawnIn(draft, version)
  if (own.length === 0) throw new PublishError('unknown-version', `${version} is not withdrawn`)
  return relist(recall(withWithdrawn(draft, others), version))
}

/** Listed by the channel's role again, where hosts look for it, if newer than something there. It stays in its line too: a line that lists nothing is none. */
function recall(draft: ChannelDraft, version: Version): ChannelDraft {
  const path = manifestPath(version)
  const targets = objectAt(draft.role, 'targets')
  const isNewer = Object.keys(targets).some((other) => compareVersions(version, parseManifestPath(other)) > 0)
  const entry = objectAt(draft.lines.get(lineRoleName(version)) ?? {}, 'targets')[path]
  if (!isNewer || entry === undefined || path in targets) return draft
  return { ...draft, role: { ...draft.role, targets: { ...targets, [path]: entry } } }
}

function withWithdrawn(draft: ChannelDraft, withdrawn: readonly JsonValue[]): ChannelDraft {
  const channel = { ...objectAt(draft.role, 'channel'), withdrawn }
  return { ...touch(draft, draft.channel), role: { ...draft.role, channel } }
}

function withdrawnIn(
  draft: ChannelDraft,
  version: Version,
): { own: readonly JsonValue[]; others: readonly JsonValue[] } {
  const { withdrawn } = objectAt(draft.role, 'channel')
  const all: readonly JsonValue[] = Array.isArray(withdrawn) ? withdrawn : []
  const isOwn = (entry: JsonValue) => isObject(entry) && entry.version === version
  return { own: all.filter(isOwn), others: all.filter((entry) => !isOwn(entry)) }
}

/**
 * The documents to be signed: the channel role and every line role that changed, that would expire soon, or whose keys are no longer the channel's.
 * Each is one version up. An untouched draft closes into the same facts with a fresh expiry.
 */
export function closeChannel(draft: ChannelDraft, now: Date): readonly ClosedRole[] {
  const renewed = [...draft.lines].filter(
    ([name, line]) => draft.touched.has(name) || isDue(line, now) || rekeyed(draft, name),
  )
  const role = { ...draft.role, ...delegationsOf(draft) }
  const { keyids } = draft.keys
  const closed = [
    { role: draft.channel, signed: next(role, now, VALID_MS.channel), keyids },
    ...renewed.map(([name, line]) => ({ role: name, signed: next(line, now, VALID_MS.line), keyids })),
  ]
  // What this program can't read back, nobody else could.
  parseShape(channelRoleShape, closed[0]?.signed, draft.channel)
  return closed
}

function next(signed: JsonObject, now: Date, validMs: number): JsonObject {
  return { ...signed, version: Number(signed.version) + 1, expires: utcSeconds(new Date(now.getTime() + validMs)) }
}

function isDue(line: JsonObject, now: Date): boolean {
  return new Date(String(line.expires)).getTime() - now.getTime() < RENEW_LINE_MS
}

/** Line roles have the channel's keys and threshold. Delegated in the order of their names; terminating, so that a search ends where it belongs. */
function delegationsOf(draft: ChannelDraft): JsonObject {
  if (draft.lines.size === 0) return {}
  const { keyids, threshold, keys } = draft.keys
  const names = [...draft.lines.keys()].sort()
  const roles = names.map((name) => ({ name, keyids, threshold, terminating: true, paths: lineRolePatterns(name) }))
  return { delegations: { keys: pick(keys, keyids), roles } }
}

function pick(keys: JsonObject, keyids: readonly string[]): JsonObject {
  return Object.fromEntries(keyids.flatMap((keyid) => (keys[keyid] === undefined ? [] : [[keyid, keys[keyid]]])))
}

/** Whether a line role was last delegated to other keys than the channel has now. */
function rekeyed(draft: ChannelDraft, name: string): boolean {
  const { delegations } = draft.role
  const roles = isObject(delegations) && Array.isArray(delegations.roles) ? delegations.roles : []
  const before = roles.find((role) => isObject(role) && role.name === name)
  if (!isObject(before)) return true
  return JSON.stringify([before.keyids, before.threshold]) !== JSON.stringify([draft.keys.keyids, draft.keys.threshold])
}

/** Every version that the channel and its lines list. */
export function versionsIn(draft: ChannelDraft): readonly Version[] {
  return Object.keys(listedIn(draft)).map(parseManifestPath)
}

function listedIn(draft: ChannelDraft): JsonObject {
  return Object.assign({}, ...[...draft.lines.values(), draft.role].map((role) => objectAt(role, 'targets')))
}

/** What the channel and its lines say about each of their manifests. */
export function releasesIn(draft: ChannelDraft): readonly ManifestCustom[] {
  return Object.entries(listedIn(draft)).map(([path, file]) =>
    parseShape(manifestCustomShape, isObject(file) ? file.custom : undefined, path),
  )
}

/** The names of the line roles that a channel role delegates to. */
export function lineNames(role: ChannelRole): readonly string[] {
  return role.delegations?.roles.map(({ name }) => name) ?? []
}

/** A time as signed metadata spells it: UTC, whole seconds. */
export function utcSeconds(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}

export function unknownVersion(draft: ChannelDraft, version: Version): PublishError {
  const newest = maxVersion(versionsIn(draft))
  const holds = newest === undefined ? 'holds nothing yet' : `holds nothing of that name; its newest is ${newest}`
  return new PublishError('unknown-version', `${version} is not published: ${draft.channel} ${holds}`)
}

function touch(draft: ChannelDraft, role: string): ChannelDraft {
  return { ...draft, touched: new Set([...draft.touched, role]) }
}

function objectAt(object: JsonObject, name: string): JsonObject {
  const value = object[name]
  return isObject(value) ? value : {}
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A typed value as the tree that JSON makes of it. */
function asJson(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value))
}

/** What init signs first. */
export function firstRoot(facts: {
  product: string
  rootKeys: JsonObject
  rootThreshold: number
  online: { readonly snapshot: JsonObject; readonly timestamp: JsonObject }
  now: Date
}): JsonObject {
  const { product, rootKeys, rootThreshold, online, now } = facts
  const offline = { keyids: Object.keys(rootKeys), threshold: rootThreshold }
  return {
    _type: 'root',
    spec_version: SPEC_VERSION,
    version: 1,
    expires: utcSeconds(new Date(now.getTime() + VALID_MS.root)),
    consistent_snapshot: true,
    product,
    keys: { ...rootKeys, ...online.snapshot, ...online.timestamp },
    roles: {
      root: offline,
      targets: offline,
      snapshot: { keyids: Object.keys(online.snapshot), threshold: 1 },
      timestamp: { keyids: Object.keys(online.timestamp), threshold: 1 },
    },
  }
}

/** The first targets role: no files of its own, one terminating delegation for each channel and one for the director, whose paths never overlap. */
export function firstTargets(channels: ReadonlyMap<Channel, ChannelKeys>, director: JsonObject, now: Date): JsonObject {
  const channelRoles = [...channels].map(([name, { keyids, threshold }]) => ({
    name,
    keyids,
    threshold,
    terminating: true,
    paths: [`${name}/*/manifest.json`],
  }))
  return {
    ...emptyTargets(),
    version: 1,
    expires: utcSeconds(new Date(now.getTime() + VALID_MS.targets)),
    delegations: {
      keys: Object.assign({}, ...[...channels.values()].map(({ keys }) => keys), director),
      roles: [...channelRoles, ...directorRole(Object.keys(director))],
    },
  }
}

/** Who signs assignments, if anybody does: an online key that may speak for no release. */
function directorRole(keyids: readonly string[]): JsonObject[] {
  if (keyids.length === 0) return []
  return [{ name: DIRECTOR, keyids, threshold: 1, terminating: true, paths: DIRECTOR_PATHS }]
}

// The rules for adding a document to what is already trusted (TUF 1.0.34 section 5). Bytes in, the next set or a TrustError out; no disk, no network,
// no clock. A set never changes: whoever refuses a document still holds the set from before it.
//
//   openTrustedSet   a root that this host was given, and its floors
//   applyRoot        once for each newer root, one version at a time               5.3
//   verifyRootsDone  the last of them must not have expired
//   recall…          what is in the cache, perhaps expired: it may raise floors, and the timestamp stays if the repository has no newer one
//   verifyTimestamp  what the repository says now                                  5.4
//   applyTimestamp   the same, added to the set
//   applySnapshot    exactly what the timestamp announces                          5.5
//   applyTargets     exactly what the snapshot announces, by the keys of the role that is being followed right now    5.6
//
// Floors and metadata are different things here: metadata may be missing, expired or damaged and is then loaded again; floors only rise.
import type { MetaFile, Root, Snapshot, Targets, Timestamp } from '../schema/metadata.ts'
import { applyRootToFloors, type Floors, raiseSnapshotFloor, raiseTimestampFloor } from './floors.ts'
import type { Limits } from './limits.ts'
import { TrustError } from './trust-error.ts'
import {
  checkContent,
  type Delegator,
  roleTypes,
  trustRoot,
  type VerifiedRole,
  verifyNextRoot,
  verifyRole,
} from './verified.ts'

/** Whether what has expired is refused, or accepted so that a reading command can show it. */
export type Expiry = 'enforce' | 'report'

export interface TrustedSet {
  /** The one moment that every expiry is compared with (TUF 5.1). */
  readonly startedAt: Date
  readonly expiry: Expiry
  readonly limits: Limits
  readonly floors: Floors
  readonly root: VerifiedRole<Root>
  readonly timestamp: VerifiedRole<Timestamp> | undefined
  readonly snapshot: VerifiedRole<Snapshot> | undefined
}

/** A set that everything above targets has been added to. */
export interface SealedSet extends TrustedSet {
  readonly timestamp: VerifiedRole<Timestamp>
  readonly snapshot: VerifiedRole<Snapshot>
}

export interface OpenOptions {
  readonly startedAt: Date
  readonly expiry: Expiry
  readonly limits: Limits
  readonly floors: Floors
}

/** A set that trusts this root and nothing else. Its expiry does not matter yet. Throws TrustError `no-root` if the file can't be used. */
export function openTrustedSet(rootBytes: Uint8Array, options: OpenOptions): TrustedSet {
  const root = readPinnedRoot(rootBytes)
  return {
    ...options,
    floors: applyRootToFloors(options.floors, root),
    root,
    timestamp: undefined,
    snapshot: undefined,
  }
}

function readPinnedRoot(bytes: Uint8Array): VerifiedRole<Root> {
  try {
    return trustRoot(bytes)
  } catch (cause) {
    if (cause instanceof TrustError)
      throw new TrustError('no-root', `the trusted root can't be used: ${cause.message}`, { role: 'root' }, { cause })
    throw cause
  }
}

/**
 * The set with the next root. Whatever rests on keys that this root takes away is forgotten. Throws TrustError `unsigned`, `wrong-version`, `foreign` if it
 * names another product, or what makes it unreadable.
 */
export function applyRoot(set: TrustedSet, bytes: Uint8Array): TrustedSet {
  checkSize('root', bytes, set.limits.rootBytes)
  const root = verifyNextRoot(set.root, bytes)
  const expected = set.root.value.version + 1
  if (root.value.version !== expected) throw wrongVersion('root', expected, root.value.version)
  if (root.value.product !== set.root.value.product) throw otherProduct(set.root.value.product, root.value.product)
  return { ...set, root, floors: applyRootToFloors(set.floors, root), timestamp: undefined, snapshot: undefined }
}

/** Which cached files rest on keys that `next` takes away, and must go before `next` is stored (TUF 5.3.11). */
export function cachedFilesVoidedBy(current: VerifiedRole<Root>, next: VerifiedRole<Root>): readonly string[] {
  const lost = (role: string) => !keyIds(current, role).every((keyid) => keyIds(next, role).includes(keyid))
  if (lost('snapshot')) return ['timestamp.json', 'snapshot.json']
  return lost('timestamp') ? ['timestamp.json'] : []
}

function keyIds(root: VerifiedRole<Root>, role: string): readonly string[] {
  return root.value.roles.get(role)?.keyids ?? []
}

/** Call when there is no newer root. Throws TrustError `expired` (TUF 5.3.10), or `rollback` if this host once trusted a later root. */
export function verifyRootsDone(set: TrustedSet): void {
  if (set.root.value.version < set.floors.root) throw rollback('root', set.floors.root, set.root.value.version)
  verifyFresh(set, set.root)
}

/** The set with the cached timestamp, which may have expired. Throws TrustError if it doesn't verify or lies below the floor: treat it as absent. */
export function recallTimestamp(set: TrustedSet, bytes: Uint8Array): TrustedSet {
  return withTimestamp(set, readTimestamp(set, bytes))
}

/** The set whose floors this cached snapshot has raised, current or not. Throws TrustError if it doesn't verify: treat it as absent. */
export function recallSnapshot(set: TrustedSet, bytes: Uint8Array): TrustedSet {
  const snapshot = verifyRole(set.root, 'snapshot', roleTypes.snapshot, bytes)
  return { ...set, floors: raiseSnapshotFloor(set.floors, snapshot) }
}

/** The timestamp that the repository serves now, signed and not below the floors. Throws TrustError `rollback`, or what makes it unreadable. */
export function verifyTimestamp(set: TrustedSet, bytes: Uint8Array): VerifiedRole<Timestamp> {
  checkSize('timestamp', bytes, set.limits.timestampBytes)
  return readTimestamp(set, bytes)
}

/**
 * The set with this timestamp. The same version as before leaves the set as it was, whatever its content. Throws TrustError `expired`, or `freeze` if it is
 * still the one we have and that one has expired.
 */
export function applyTimestamp(set: TrustedSet, timestamp: VerifiedRole<Timestamp>): TrustedSet {
  if (timestamp.value.version === set.timestamp?.value.version) {
    verifyNotFrozen(set, set.timestamp)
    return set
  }
  verifyFresh(set, timestamp)
  return withTimestamp(set, timestamp)
}

function readTimestamp(set: TrustedSet, bytes: Uint8Array): VerifiedRole<Timestamp> {
  const timestamp = verifyRole(set.root, 'timestamp', roleTypes.timestamp, bytes)
  const { timestamp: floor, snapshot: snapshotFloor } = set.floors
  if (floor && timestamp.value.version < floor.version)
    throw rollback('timestamp', floor.version, timestamp.value.version)
  const announced = metaOf(timestamp, 'snapshot').version
  const least = Math.max(floor?.announced ?? 0, snapshotFloor?.version ?? 0)
  if (announced < least) throw rollback('snapshot', least, announced)
  return timestamp
}

function withTimestamp(set: TrustedSet, timestamp: VerifiedRole<Timestamp>): TrustedSet {
  return {
    ...set,
    timestamp,
    snapshot: undefined,
    floors: raiseTimestampFloor(set.floors, set.root.value, timestamp),
  }
}

/** What the timestamp says about the snapshot. */
export function announcedSnapshot(set: TrustedSet): MetaFile {
  return metaOf(timestampOf(set), 'snapshot')
}

/** The set with the snapshot that the timestamp announces. Throws TrustError `hash`, `wrong-version`, `rollback`, `expired`. */
export function applySnapshot(set: TrustedSet, bytes: Uint8Array): SealedSet {
  const timestamp = timestampOf(set)
  const announced = metaOf(timestamp, 'snapshot')
  checkSize('snapshot', bytes, set.limits.snapshotBytes)
  checkContent('snapshot.json', bytes, announced)
  const snapshot = verifyRole(set.root, 'snapshot', roleTypes.snapshot, bytes)
  if (snapshot.value.version !== announced.version)
    throw wrongVersion('snapshot', announced.version, snapshot.value.version)
  for (const [file, floor] of set.floors.snapshot?.roles ?? []) {
    const now = snapshot.value.meta.get(file)?.version
    if (now === undefined || now < floor) throw rollback(file.replace(/\.json$/, ''), floor, now)
  }
  verifyFresh(set, snapshot)
  return { ...set, timestamp, snapshot, floors: raiseSnapshotFloor(set.floors, snapshot) }
}

/** What the snapshot says about a targets role. Throws TrustError `missing` if it does not list it: there is no use in asking for it then. */
export function announcedTargets(set: TrustedSet, role: string): MetaFile {
  if (set.snapshot === undefined) throw missing('snapshot', 'there is no trusted snapshot')
  const announced = set.snapshot.value.meta.get(`${role}.json`)
  if (announced === undefined) throw missing(role, `the snapshot does not list the role ${role}`)
  return announced
}

/**
 * The targets role that the snapshot announces, signed by the keys that `delegator` names for it: the role may be trusted on another way through the
 * repository and not on this one. Throws TrustError `hash`, `unsigned`, `wrong-version`, `expired`, `missing`.
 */
export function applyTargets(
  set: TrustedSet,
  role: string,
  delegator: Delegator,
  bytes: Uint8Array,
): VerifiedRole<Targets> {
  const announced = announcedTargets(set, role)
  checkSize(role, bytes, set.limits.targetsBytes)
  checkContent(`${role}.json`, bytes, announced)
  const targets = verifyRole(delegator, role, roleTypes.targets, bytes)
  if (targets.value.version !== announced.version) throw wrongVersion(role, announced.version, targets.value.version)
  verifyFresh(set, targets)
  return targets
}

/** Throws TrustError `expired` if this role has expired at the start of this refresh, unless expiry is only reported. */
export function verifyFresh(set: TrustedSet, role: VerifiedRole<{ expires: Date }>): void {
  if (set.expiry === 'enforce' && isExpired(set, role))
    throw expired('expired', role, `${role.role} expired at ${seconds(role.value.expires)}`)
}

/** Whether a role has expired: its `expires` must lie after the start of this refresh. */
export function isExpired(set: TrustedSet, role: VerifiedRole<{ expires: Date }>): boolean {
  return role.value.expires.getTime() <= set.startedAt.getTime()
}

function verifyNotFrozen(set: TrustedSet, timestamp: VerifiedRole<Timestamp>): void {
  if (set.expiry === 'report' || !isExpired(set, timestamp)) return
  const at = seconds(timestamp.value.expires)
  throw expired(
    'freeze',
    timestamp,
    `the repository still serves timestamp v${timestamp.value.version}, which expired at ${at}`,
  )
}

function expired(
  code: 'expired' | 'freeze',
  { role, value }: VerifiedRole<{ expires: Date }>,
  message: string,
): TrustError {
  return new TrustError(code, message, { role, actual: seconds(value.expires) })
}

function seconds(time: Date): string {
  return time.toISOString().replace('.000Z', 'Z')
}

function timestampOf({ timestamp }: TrustedSet): VerifiedRole<Timestamp> {
  if (timestamp === undefined) throw missing('timestamp', 'there is no trusted timestamp')
  return timestamp
}

function metaOf(timestamp: VerifiedRole<Timestamp>, role: string): MetaFile {
  const meta = timestamp.value.meta.get(`${role}.json`)
  if (meta === undefined) throw missing(role, `the timestamp does not list the role ${role}`)
  return meta
}

function checkSize(role: string, bytes: Uint8Array, maxBytes: number): void {
  if (bytes.length <= maxBytes) return
  const facts = { role, expected: `at most ${maxBytes} bytes`, actual: `${bytes.length} bytes` }
  throw new TrustError('too-large', `${role}: expected ${facts.expected}, found ${facts.actual}`, facts)
}

function wrongVersion(role: string, expected: number, actual: number): TrustError {
  return new TrustError('wrong-version', `${role}: expected v${expected}, found v${actual}`, {
    role,
    expected: `v${expected}`,
    actual: `v${actual}`,
  })
}

function rollback(role: string, from: number, to: number | undefined): TrustError {
  const actual = to === undefined ? 'nothing' : `v${to}`
  return new TrustError('rollback', `rollback: ${role} went from v${from} to ${actual}`, {
    role,
    expected: `v${from} or later`,
    actual,
  })
}

function missing(role: string, message: string): TrustError {
  return new TrustError('missing', message, { role })
}

function otherProduct(expected = 'no product', actual = 'no product'): TrustError {
  return new TrustError('foreign', `root: expected the product ${expected}, found ${actual}`, {
    role: 'root',
    expected,
    actual,
  })
}

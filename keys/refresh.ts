import type { ChannelRole, MetaFile, Root, Targets } from '../schema/metadata.ts'
import type { Channel, Version } from '../schema/version.ts'
import { equalFloors, type Floors, noFloors } from './floors.ts'
import { DEFAULT_LIMITS, type Limits } from './limits.ts'
import { percentEncode } from './percent-encode.ts'
import { PlatformError } from './platform/platform-error.ts'
import { findRelease, findTarget, type LoadRole, loadChannel } from './role-search.ts'
import { TrustError } from './trust-error.ts'
import {
  announcedSnapshot,
  announcedTargets,
  applyRoot,
  applySnapshot,
  applyTargets,
  applyTimestamp,
  cachedFilesVoidedBy,
  openTrustedSet,
  recallSnapshot,
  recallTimestamp,
  type SealedSet,
  type TrustedSet,
  verifyFresh,
  verifyRootsDone,
  verifyTimestamp,
} from './trusted-set.ts'
import type { Delegator, Verified, VerifiedRole, VerifiedTarget } from './verified.ts'

/** Where published metadata comes from: an HTTP server, a mirror, a folder, a USB stick. It is trusted with nothing. */
export interface MetadataSource {
  /**
   * The file of this name (`2.root.json`, `timestamp.json`, `7.alpha.json`; already percent-encoded, ready to stand in a URL or a folder), or `missing` if
   * the source says that there is none. Never more than `maxBytes`. Throws PlatformError when it can't tell.
   */
  load(file: string, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array | 'missing'>
}

/**
 * What this host remembers between refreshes. Files are named by role (`root.json`, `alpha.json`, `../x.json`): turning that into a safe file name is the
 * store's work. `root.json` and the floors are durable and atomic: after a crash there is the old one or the new one. The other files are a cache, where
 * a crash may leave none and a power cut any bytes: they are verified whenever they are read, and what does not verify is loaded again.
 */
export interface TrustStore {
  load(name: string): Promise<Uint8Array | undefined>
  save(name: string, bytes: Uint8Array): Promise<void>
  /** Removing what is not there is fine. */
  remove(name: string): Promise<void>
  /** undefined if none were ever saved. Throws TrustError `malformed` if they can't be read: a floor that is damaged is not a floor of zero. */
  loadFloors(): Promise<Floors | undefined>
  saveFloors(floors: Floors): Promise<void>
}

export interface RefreshDeps {
  readonly source: MetadataSource
  readonly store: TrustStore
  /** Every expiry is compared with this one moment. */
  readonly startedAt: Date
  readonly signal?: AbortSignal
  readonly limits?: Limits
  /** `report` also accepts what has expired: only for whoever signs it anew. `enforce` unless said otherwise; a host never says otherwise. */
  readonly expiry?: 'enforce' | 'report'
}

export interface LoadDeps {
  readonly store: TrustStore
  readonly startedAt: Date
  readonly limits?: Limits
  /** `report` also accepts what has expired, so that a reading command can show what was installed. `enforce` unless said otherwise. */
  readonly expiry?: 'enforce' | 'report'
}

/** A verified view of the repository. Roles below targets are loaded and verified when they are asked for. */
export interface Trusted {
  readonly root: VerifiedRole<Root>
  /** The top-level targets role: who may sign for channels, and for assignments. */
  readonly targets: VerifiedRole<Targets>
  /** Root's `product`; undefined in a repository that is not one of ours. */
  readonly product: string | undefined
  readonly timestampVersion: number
  readonly snapshotVersion: number
  /** When each role that was loaded so far expires, by role name. */
  readonly expiresAt: ReadonlyMap<string, Date>
  /** The channel's own role. Throws TrustError: `not-delegated` if targets names no such role, `bad-delegation` as verifyLines, else as `refresh`. */
  loadChannel(channel: Channel): Promise<Verified<ChannelRole>>
  /**
   * What the repository says about a version's manifest: by its channel's own role or the line of that channel that the version belongs to, and nobody else.
   * Throws TrustError `not-delegated` if neither lists it, `bad-delegation` as verifyLines and verifyLine, else as `refresh`.
   */
  findRelease(version: Version): Promise<VerifiedTarget>
  /**
   * What the repository says about a file, from the first role that may speak for this path and lists it (TUF 5.6.7): any TUF repository's, so nobody installs
   * by it. Throws TrustError `not-delegated` if none does.
   */
  findTarget(path: string): Promise<VerifiedTarget>
  /** Who signed a role that was loaded. Throws TrustError `missing` for one that was not. */
  signersOf(role: string): RoleSigners
}

export interface RoleSigners {
  /** The key ids whose signatures are valid, one for each distinct key. */
  readonly keyids: readonly string[]
  readonly threshold: number
}

/**
 * Brings what is trusted up to date with the source (TUF 5.3 to 5.6): root step by step, timestamp, snapshot, targets. Everything is stored as soon as it
 * is verified, nothing that is refused ever is. Throws TrustError with the reason, PlatformError if the source can't be reached.
 */
export async function refresh(deps: RefreshDeps): Promise<Trusted> {
  const session = await openSession(deps, deps.source)
  return loadView(session, async () => {
    await followRoots(session, deps.source)
    verifyRootsDone(session.set)
    await recallFloors(session)
    await updateTimestamp(session, deps.source)
    return updateSnapshot(session)
  })
}

/** The same view from the store alone, without a network. Throws TrustError `missing` for what was never loaded. */
export async function loadTrusted(deps: LoadDeps): Promise<Trusted> {
  const session = await openSession(deps, undefined)
  return loadView(session, async () => {
    verifyRootsDone(session.set)
    await recallFloors(session)
    await recallCachedTimestamp(session)
    if (session.set.timestamp !== undefined) verifyFresh(session.set, session.set.timestamp)
    return updateSnapshot(session)
  })
}

/** What one refresh knows so far. `set` moves from one trusted set to the next. */
interface Session {
  readonly store: TrustStore
  readonly source: MetadataSource | undefined
  readonly limits: Limits
  readonly signal: AbortSignal | undefined
  /** Roles that were loaded, and the delegator whose keys they were verified with. */
  readonly loaded: Map<string, LoadedRole>
  set: TrustedSet
  savedFloors: Floors
  /** Files to be kept once the floors that they raise are safe. */
  readonly accepted: Map<string, Uint8Array>
}

interface LoadedRole {
  readonly delegator: Delegator
  readonly role: VerifiedRole<Targets>
}

async function openSession(
  deps: LoadDeps & { readonly signal?: AbortSignal },
  source: MetadataSource | undefined,
): Promise<Session> {
  const { store, startedAt, limits = DEFAULT_LIMITS, expiry = 'enforce', signal } = deps
  const savedFloors = (await store.loadFloors()) ?? noFloors
  const root = await store.load('root.json')
  if (root === undefined)
    throw new TrustError('no-root', 'there is no trusted root: nothing can be verified', { role: 'root' })
  const set = openTrustedSet(root, { startedAt, expiry, limits, floors: savedFloors })
  return { store, source, limits, signal, loaded: new Map(), set, savedFloors, accepted: new Map() }
}

/** TUF 5.3. Each root is stored before the next is asked for, so that whatever comes after can't take it back. */
async function followRoots(session: Session, source: MetadataSource): Promise<void> {
  for (let followed = 0; ; followed++) {
    const version = session.set.root.value.version + 1
    const bytes = await fetch(session, source, `${version}.root.json`, 'root', session.limits.rootBytes)
    if (bytes === 'missing') return
    if (followed === session.limits.roots) {
      throw new TrustError('too-many-roots', `more than ${followed} new roots in one refresh`, {
        role: 'root',
        expected: String(followed),
      })
    }
    const next = applyRoot(session.set, bytes)
    // The other way round, a crash in between would leave a timestamp that holds the new keys to what the old ones said.
    for (const file of cachedFilesVoidedBy(session.set.root, next.root)) await session.store.remove(file)
    await session.store.save('root.json', bytes)
    session.set = next
    await saveFloors(session)
  }
}

/**
 * Floors are saved before the files that raise them, so a cached file is never ahead of them: only where there are none is it asked what it knows. What does
 * not verify is treated as absent.
 */
async function recallFloors(session: Session): Promise<void> {
  if (session.set.floors.timestamp === null) await recallCachedTimestamp(session)
  if (session.set.floors.snapshot !== null) return
  const raised = await recall(session, 'snapshot.json', (bytes) => recallSnapshot(session.set, bytes))
  session.set = raised ?? session.set
}

async function recallCachedTimestamp(session: Session): Promise<void> {
  const timed = await recall(session, 'timestamp.json', (bytes) => recallTimestamp(session.set, bytes))
  session.set = timed ?? session.set
}

/** TUF 5.4. */
async function updateTimestamp(session: Session, source: MetadataSource): Promise<void> {
  const bytes = await fetch(session, source, 'timestamp.json', 'timestamp', session.limits.timestampBytes)
  if (bytes === 'missing') throw notThere('timestamp', 'timestamp.json')
  const timestamp = verifyTimestamp(session.set, bytes)
  if (timestamp.value.version === session.set.floors.timestamp?.version) await recallCachedTimestamp(session)
  const next = applyTimestamp(session.set, timestamp)
  if (next !== session.set) accept(session, next, 'timestamp.json', bytes)
}

/** TUF 5.5. The cached snapshot serves if it is the one that the timestamp announces. */
async function updateSnapshot(session: Session): Promise<SealedSet> {
  const announced = announcedSnapshot(session.set)
  const apply = (bytes: Uint8Array) => applySnapshot(session.set, bytes)
  const recalled = await recall(session, 'snapshot.json', apply)
  if (recalled) {
    session.set = recalled
    return recalled
  }
  const bytes = await fetchAnnounced(session, 'snapshot', announced, session.limits.snapshotBytes)
  const next = apply(bytes)
  accept(session, next, 'snapshot.json', bytes)
  return next
}

/** TUF 5.6. A role in the cache, or trusted already on another way, is verified again with the keys of the delegator that is being followed now. */
async function loadRole(session: Session, name: string, delegator: Delegator): Promise<VerifiedRole<Targets>> {
  const loaded = session.loaded.get(name)
  if (loaded?.delegator === delegator) return loaded.role
  const announced = announcedTargets(session.set, name)
  const apply = (bytes: Uint8Array) => applyTargets(session.set, name, delegator, bytes)
  let role = await recall(session, `${name}.json`, apply)
  if (role === undefined) {
    const bytes = await fetchAnnounced(session, name, announced, session.limits.targetsBytes)
    role = apply(bytes)
    await session.store.save(`${name}.json`, bytes)
  }
  session.loaded.set(name, { delegator, role })
  return role
}

async function fetchAnnounced(session: Session, role: string, announced: MetaFile, limit: number): Promise<Uint8Array> {
  const prefix = session.set.root.value.consistent_snapshot ? `${announced.version}.` : ''
  const file = `${prefix}${percentEncode(role)}.json`
  if (session.source === undefined)
    throw new TrustError('missing', `${role} v${announced.version} is not on this host`, { role })
  const bytes = await fetch(session, session.source, file, role, Math.min(announced.length ?? limit, limit))
  if (bytes === 'missing') throw notThere(role, file)
  return bytes
}

async function fetch(
  session: Session,
  source: MetadataSource,
  file: string,
  role: string,
  maxBytes: number,
): Promise<Uint8Array | 'missing'> {
  try {
    return await source.load(file, maxBytes, session.signal)
  } catch (cause) {
    if (!(cause instanceof PlatformError && cause.code === 'too-large')) throw cause
    throw new TrustError(
      'too-large',
      `${file}: expected at most ${maxBytes} bytes, found more`,
      { role, expected: `at most ${maxBytes} bytes` },
      { cause },
    )
  }
}

function accept(session: Session, next: TrustedSet, file: string, bytes: Uint8Array): void {
  session.set = next
  session.accepted.set(file, bytes)
}

/**
 * The view after `update`, with the targets role. What that has accepted is kept, also where something after it was refused: first the floors, once, then the files. Nobody
 * has seen anything of it before. The disk takes its time for the floors; targets come meanwhile, since nothing of theirs raises any.
 */
async function loadView(session: Session, update: () => Promise<SealedSet>): Promise<Trusted> {
  let set: SealedSet
  try {
    set = await update()
  } catch (error) {
    await keepAccepted(session)
    throw error
  }
  const [kept, targets] = await Promise.allSettled([keepAccepted(session), loadRole(session, 'targets', set.root)])
  if (kept.status === 'rejected') throw kept.reason
  if (targets.status === 'rejected') throw targets.reason
  return buildTrusted(session, set, targets.value)
}

async function keepAccepted(session: Session): Promise<void> {
  await saveFloors(session)
  for (const [file, bytes] of session.accepted) await session.store.save(file, bytes)
}

async function saveFloors(session: Session): Promise<void> {
  if (equalFloors(session.savedFloors, session.set.floors)) return
  await session.store.saveFloors(session.set.floors)
  session.savedFloors = session.set.floors
}

/** What this file in the store proves, or undefined if there is none or it is refused. Whatever else goes wrong is thrown. */
async function recall<T>(session: Session, file: string, verify: (bytes: Uint8Array) => T): Promise<T | undefined> {
  const cached = await session.store.load(file)
  if (cached === undefined) return undefined
  try {
    return verify(cached)
  } catch (error) {
    if (error instanceof TrustError) return undefined
    throw error
  }
}

function notThere(role: string, file: string): TrustError {
  return new TrustError('missing', `the repository has no ${file}`, { role, path: file })
}

function buildTrusted(
  session: Session,
  { root, timestamp, snapshot }: SealedSet,
  targets: VerifiedRole<Targets>,
): Trusted {
  const load: LoadRole = (name, delegator) => loadRole(session, name, delegator)
  const roles = () => [root, timestamp, snapshot, ...[...session.loaded.values()].map((loaded) => loaded.role)]
  return {
    root,
    targets,
    product: root.value.product,
    timestampVersion: timestamp.value.version,
    snapshotVersion: snapshot.value.version,
    get expiresAt() {
      return new Map(roles().map((role) => [role.role, role.value.expires]))
    },
    loadChannel: (channel) => loadChannel(load, targets, channel),
    findRelease: (version) => findRelease(load, targets, version),
    findTarget: (path) => findTarget(load, { root, most: session.limits.roles }, path),
    signersOf: (name) => {
      const role = roles().find((candidate) => candidate.role === name)
      if (role === undefined) throw new TrustError('missing', `the role ${name} was not loaded`, { role: name })
      return { keyids: role.signedBy.valid, threshold: role.signedBy.threshold }
    },
  }
}

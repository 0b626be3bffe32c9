import type { ChannelRole, Root } from '../schema/metadata.ts'
import type { Channel } from '../schema/version.ts'
import type { Floors } from './floors.ts'
import type { Limits } from './limits.ts'
import type { Verified, VerifiedRole, VerifiedTarget } from './verified.ts'

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
 * store's work. Each save is durable and atomic: after a crash there is the old file or the new one.
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
  /** Root's `product`; undefined in a repository that is not one of ours. */
  readonly product: string | undefined
  readonly timestampVersion: number
  readonly snapshotVersion: number
  /** When each role that was loaded so far expires, by role name. */
  readonly expiresAt: ReadonlyMap<string, Date>
  /** The channel's own role. Throws TrustError: `not-delegated` if targets names no such role, else as `refresh`. */
  loadChannel(channel: Channel): Promise<Verified<ChannelRole>>
  /** What the repository says about a file, from the first role that may speak for this path and lists it (TUF 5.6.7). Throws TrustError `not-delegated` if none does. */
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
  throw new Error(`soon ${String(deps)}`)
}

/** The same view from the store alone, without a network. */
export async function loadTrusted(deps: LoadDeps): Promise<Trusted> {
  throw new Error(`soon ${String(deps)}`)
}

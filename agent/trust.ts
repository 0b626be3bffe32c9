// What this host believes about releases: refreshed over HTTP from the enrolled server, kept in `<state>/trust`, checked from the pinned root on, every time.
//
//   const listing = await withTrust(deps, 'refresh', async (view) => view.loadListing('release'))
//
// The server is trusted with nothing: it can withhold, and it can choose among valid newer documents. Whoever refreshes holds the store's lock until it is
// done with the view, because roles are loaded and stored when they are asked for.
import { createHash } from 'node:crypto'
import { basename, join } from 'node:path'
import type { Bundle } from '../keys/bundle-source.ts'
import { buildHttpSource } from '../keys/http-source.ts'
import type { Clock } from '../keys/platform/clock.ts'
import type { Disk } from '../keys/platform/disk.ts'
import { makeDirDurable, replaceFile } from '../keys/platform/durable.ts'
import type { Fetcher } from '../keys/platform/fetch.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { loadTrusted, type RoleSigners, refresh, type Trusted } from '../keys/refresh.ts'
import { fingerprintOf, type TargetSource, verifyManifest } from '../keys/release.ts'
import { TrustError } from '../keys/trust-error.ts'
import type { Verified, VerifiedRole, VerifiedTarget } from '../keys/verified.ts'
import type { Manifest } from '../schema/manifest.ts'
import { type ChannelRole, manifestCustomShape, type Targets } from '../schema/metadata.ts'
import { readShape } from '../schema/read-shape.ts'
import { type Channel, channelOf, channels, compareStability, type Version } from '../schema/version.ts'
import { verifyClock } from './clock-check.ts'
import type { ListedRelease, Listing, Remark } from './decide.ts'
import { buildHostTrustStore } from './trust-folder.ts'

export interface TrustDeps {
  readonly disk: Disk
  readonly clock: Clock
  readonly fetcher: Fetcher
  /** The enrolled server's address, and the product that this host was enrolled for. */
  readonly server: string
  readonly product: string
  /** `<state>/trust`; verified manifests are kept beside it, in `manifests`. */
  readonly folder: string
  /** Takes the store's lock, waiting for another refresh for some seconds. Rejects with PlatformError `locked`. */
  readonly lock: () => Promise<{ release(): Promise<void> }>
  readonly signal?: AbortSignal | undefined
  /** A bundle in the server's place: then nothing is asked over the network. */
  readonly carried?: Bundle | undefined
}

/** A verified view. Every method throws TrustError for what does not verify and PlatformError for what can't be reached. */
export interface TrustView {
  readonly rootVersion: number
  /** The fingerprint of the root that all of this rests on. */
  readonly rootSha256: string
  readonly timestampVersion: number
  /** Who may sign for channels, and for assignments. */
  readonly targets: VerifiedRole<Targets>
  /** What a host of this channel may look at: its own channel's role and those of the more stable ones. */
  loadListing(channel: Channel): Promise<Listing>
  /** Why the version's own channel has taken it back; undefined if it stands. Other channels are not asked. */
  loadWithdrawal(version: Version): Promise<Remark | undefined>
  /** A version that its own channel's role or line lists, whatever other channels say. undefined if neither does. */
  findRelease(version: Version): Promise<ListedRelease | undefined>
  /** The signed manifest. Kept, so that it can be shown without a network. */
  loadManifest(version: Version): Promise<Verified<Manifest>>
  /** Who signed the role that lists the version. */
  signersOf(version: Version): RoleSigners
  /** The role that expires first, of those loaded. */
  /** When each role that was loaded so far expires. */
  readonly expiresAt: () => ReadonlyMap<string, Date>
  readonly expiresFirst: () => { readonly role: string; readonly at: Date } | undefined
}

/**
 * Runs `use` with a view of the repository: `refresh` asks the server first, `offline` takes what was verified before. Offline, what has expired since
 * is shown all the same: it was good when it was installed, and nothing is installed from it.
 */
export async function withTrust<T>(
  deps: TrustDeps,
  how: 'refresh' | 'offline',
  use: (view: TrustView) => Promise<T>,
): Promise<T> {
  const lock = await deps.lock()
  try {
    const store = buildHostTrustStore(deps.disk, deps.folder)
    const startedAt = deps.clock.now()
    const { signal } = deps
    const source = deps.carried?.metadata ?? buildHttpSource(deps.fetcher, repositoryUrl(deps.server, 'metadata'))
    const trusted =
      how === 'refresh'
        ? await refresh({ source, store, startedAt, ...(signal ? { signal } : {}) })
        : await loadTrusted({ store, startedAt, expiry: 'report' })
    verifyProduct(trusted, deps.product)
    return await use(buildView(deps, trusted, how))
  } finally {
    await lock.release()
  }
}

/** One repository is one product's, and this host's is the one of its pinned root. */
function verifyProduct(trusted: Trusted, product: string): void {
  if (trusted.product === product) return
  const actual = trusted.product ?? 'no product'
  throw new TrustError('foreign', `expected the repository of ${product}, found ${actual}`, {
    expected: product,
    actual,
  })
}

function buildView(deps: TrustDeps, trusted: Trusted, how: 'refresh' | 'offline'): TrustView {
  const source = buildManifestSource(deps, how)
  const loadRole = async (channel: Channel): Promise<ChannelRole[]> => {
    const roles = await loadChannel(trusted, channel)
    // What was verified before may be shown at any hour.
    if (how === 'refresh') for (const role of roles) verifyClock(role, deps.clock.now())
    return roles
  }
  return {
    rootVersion: trusted.root.value.version,
    rootSha256: fingerprintOf(trusted.root.bytes),
    timestampVersion: trusted.timestampVersion,
    targets: trusted.targets,
    loadListing: async (channel) => {
      const offered = channels.filter((candidate) => compareStability(candidate, channel) >= 0)
      const roles: ChannelRole[] = []
      for (const name of offered) roles.push(...(await loadRole(name)))
      return listingOf(roles)
    },
    loadWithdrawal: async (version) => {
      const roles = await loadRole(channelOf(version))
      return roles.flatMap(({ channel }) => channel.withdrawn).find((one) => one.version === version)
    },
    findRelease: async (version) => {
      const target = await unlessUnlisted(trusted.findRelease(version))
      return target && listedOf(target, version)
    },
    loadManifest: (version) => verifyManifest(trusted, source, version, deps.signal),
    signersOf: (version) => trusted.signersOf(channelOf(version)),
    expiresAt: () => trusted.expiresAt,
    expiresFirst: () => {
      const all = [...trusted.expiresAt]
        .map(([role, at]) => ({ role, at }))
        .sort((a, b) => a.at.getTime() - b.at.getTime())
      return all[0]
    },
  }
}

/** A channel that targets, which is signed, does not name has no releases. Whatever else is wrong with it is an error. */
async function loadChannel(trusted: Trusted, channel: Channel): Promise<ChannelRole[]> {
  try {
    return [(await trusted.loadChannel(channel)).value]
  } catch (error) {
    if (error instanceof TrustError && error.code === 'not-delegated') return []
    throw error
  }
}

async function unlessUnlisted(finding: Promise<VerifiedTarget>): Promise<VerifiedTarget | undefined> {
  try {
    return await finding
  } catch (error) {
    if (error instanceof TrustError && error.code === 'not-delegated') return undefined
    throw error
  }
}

function listedOf(target: VerifiedTarget, version: Version): ListedRelease {
  const custom = readShape(manifestCustomShape, target.custom)
  if (custom.success && custom.data.version === version) {
    return { version, platforms: custom.data.platforms, releasedAt: custom.data.released_at }
  }
  throw new TrustError('malformed', `${target.path}: expected version, platforms and released_at in custom`, {
    path: target.path,
  })
}

function listingOf(roles: readonly ChannelRole[]): Listing {
  return {
    releases: roles.flatMap((role) =>
      [...role.targets.values()].map(({ custom }) => ({
        version: custom.version,
        platforms: custom.platforms,
        releasedAt: custom.released_at,
      })),
    ),
    withdrawn: roles.flatMap((role) => role.channel.withdrawn),
    barriers: roles.flatMap((role) => role.channel.barriers),
    deadEnds: roles.flatMap((role) => role.channel.dead_ends),
    minimum: Object.fromEntries(roles.map((role) => [role.channel.name, role.channel.minimum])),
  }
}

/** Where a server publishes: its `/repo/metadata/` or `/repo/targets/`. */
export function repositoryUrl(server: string, part: 'metadata' | 'targets'): string {
  return new URL(`/repo/${part}/`, server).href
}

// ---- manifests -------------------------------------------------------------------------------------------------------------------

/** So many manifests are kept; the oldest go first. */
const MOST_KEPT = 200

/** Manifests from the folder where they are kept, else from the server. Their names carry their hash; whoever asks verifies the bytes in any case. */
function buildManifestSource(deps: TrustDeps, how: 'refresh' | 'offline'): TargetSource {
  const folder = join(deps.folder, '..', 'manifests')
  const kept = (path: string) => join(folder, basename(path))
  const remote = deps.carried?.targets ?? buildHttpSource(deps.fetcher, repositoryUrl(deps.server, 'targets'))
  return {
    load: async (path, maxBytes, signal) => {
      const here = await readKept(deps.disk, kept(path), maxBytes)
      if (how === 'offline' || (here !== 'missing' && isNamedBy(here, basename(path)))) return here
      const bytes = await remote.load(path, maxBytes, signal)
      if (bytes !== 'missing') await keep(deps.disk, folder, kept(path), bytes)
      return bytes
    },
  }
}

async function readKept(disk: Disk, file: string, maxBytes: number): Promise<Uint8Array | 'missing'> {
  try {
    return await disk.readFile(file, maxBytes)
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') return 'missing'
    throw error
  }
}

/** Whether the file still is what its name says: one that was damaged is loaded again. */
function isNamedBy(bytes: Uint8Array, name: string): boolean {
  return name.startsWith(`${createHash('sha256').update(bytes).digest('hex')}.`)
}

async function keep(disk: Disk, folder: string, file: string, bytes: Uint8Array): Promise<void> {
  await makeDirDurable(disk, folder, 0o700)
  await replaceFile(disk, file, bytes, 0o600)
  const names = (await disk.list(folder)).map((entry) => entry.name)
  if (names.length <= MOST_KEPT) return
  const aged = await Promise.all(
    names.map(async (name) => ({ name, ms: (await disk.stat(join(folder, name))).modifiedMs })),
  )
  const oldest = aged.sort((a, b) => a.ms - b.ms).slice(0, names.length - MOST_KEPT)
  for (const { name } of oldest) await disk.unlink(join(folder, name))
}

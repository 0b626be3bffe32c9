// The publisher's own trusted copy of the repository: refreshed from the server and verified before every edit, with the agents' code. The server
// can withhold, but it can't make a publisher sign over something that the keys did not sign.
import { join } from 'node:path'
import { parseDocument } from '../keys/document.ts'
import { buildFileTrustStore } from '../keys/file-trust-store.ts'
import { DEFAULT_LIMITS } from '../keys/limits.ts'
import { percentEncode } from '../keys/percent-encode.ts'
import type { Clock } from '../keys/platform/clock.ts'
import type { Disk } from '../keys/platform/disk.ts'
import { makeDirDurable, replaceFile } from '../keys/platform/durable.ts'
import { readIfThere } from '../keys/platform/if-there.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { loadTrusted, type MetadataSource, refresh, type Trusted, type TrustStore } from '../keys/refresh.ts'
import { type TargetSource, verifyManifest } from '../keys/release.ts'
import { TrustError } from '../keys/trust-error.ts'
import { roleKeysOf, roleTypes, type Verified, type VerifiedRole, verifyRole } from '../keys/verified.ts'
import type { JsonObject } from '../schema/json-value.ts'
import type { Manifest } from '../schema/manifest.ts'
import type { ChannelRole, Snapshot, Targets } from '../schema/metadata.ts'
import { manifestPath } from '../schema/release-path.ts'
import { type Channel, channelOf, channels, type Version } from '../schema/version.ts'
import { withoutOnlineNumbers } from './driven-up.ts'
import { type ChannelDraft, type ChannelKeys, lineNames, openChannel } from './edit.ts'
import { PublishError } from './publish-error.ts'
import { keepEarlierRoots, keepRoot, loadKeptRoot } from './root/kept.ts'

export interface RepositoryDeps {
  readonly disk: Disk
  readonly clock: Clock
  /** Where the trusted copy lies. It holds the root that init signed, or one that was vouched for. */
  readonly folder: string
  /** The file of the root that a lost copy begins with again; without it a lost copy is an error. */
  readonly firstRoot?: string
  /** Told when it does: that file travels with version control, and whoever changed it chose what is trusted here. */
  readonly onFirstRoot?: (root: Uint8Array) => void
  /** Product that root must name. */
  readonly product: string | undefined
  readonly signal?: AbortSignal | undefined
  /** `report`: root, targets and what the server signs may have expired too, because they are to be signed anew. `enforce` unless said otherwise. */
  readonly expiry?: 'enforce' | 'report' | undefined
  /** `offline`: numbers that the server's own keys signed are not held against it (driven-up.ts), and nothing is kept. */
  readonly floors?: 'offline' | undefined
}

/** A verified view of the repository, with what an editor needs besides. */
export interface Repository {
  readonly trusted: Trusted
  readonly targets: VerifiedRole<Targets>
  readonly snapshot: VerifiedRole<Snapshot>
  /** What a channel says; undefined if nothing was ever published in it. */
  loadChannel(channel: Channel): Promise<Verified<ChannelRole> | undefined>
  /** A channel's documents, to be edited. What has expired can be edited: that is how it becomes valid again. */
  openDraft(channel: Channel): Promise<ChannelDraft>
  /** A line role's document, verified; its file. */
  loadLine(name: string, role: ChannelRole): Promise<Uint8Array>
  /** The signed manifest of a version. Throws PublishError `unknown-version`, TrustError. */
  loadManifest(version: Version): Promise<Verified<Manifest>>
}

/** Brings the trusted copy up to date. Throws TrustError for what does not verify, PlatformError for what can't be reached. */
export async function refreshRepository(
  deps: RepositoryDeps,
  metadata: MetadataSource,
  targets: TargetSource,
): Promise<Repository> {
  const { store: kept, manifests, keepFirst } = await openStore(deps)
  const store = deps.floors === 'offline' ? withoutOnlineNumbers(kept) : kept
  const startedAt = deps.clock.now()
  const signal = deps.signal === undefined ? {} : { signal: deps.signal }
  const { expiry = 'enforce' } = deps
  const trusted = await refresh({ source: metadata, store, startedAt, expiry, ...signal })
  await keepFirst()
  await keepRoots(deps, trusted, metadata)
  return buildRepository({ deps, store, trusted, metadata, targets: keeping(deps.disk, manifests, targets) })
}

/** Folders of earlier versions kept none of the roots that the trusted copy went through. */
async function keepRoots(deps: RepositoryDeps, { root }: Trusted, source: MetadataSource): Promise<void> {
  const { disk, folder, firstRoot } = deps
  const newest = root.value.version
  if (firstRoot === undefined || newest < 3 || (await loadKeptRoot(disk, folder, newest - 1)) !== undefined) return
  const first = await readIfThere(disk, firstRoot, DEFAULT_LIMITS.rootBytes)
  if (first === undefined) return
  try {
    await keepEarlierRoots(deps, { first, newest }, source)
  } catch (error) {
    // The repository is verified without them.
    if (!(error instanceof TrustError || error instanceof PlatformError)) throw error
  }
}

/** The same view from the trusted copy alone; what has expired since is shown. Throws TrustError `missing` for what is not in it. */
export async function loadRepository(deps: RepositoryDeps, targets: TargetSource): Promise<Repository> {
  const { store } = await openStore(deps)
  const trusted = await loadTrusted({ store, startedAt: deps.clock.now(), expiry: 'report' })
  return buildRepository({ deps, store, trusted, metadata: undefined, targets })
}

/** Puts the first root where the trusted copy begins. */
export async function pinRoot(disk: Disk, folder: string, root: Uint8Array): Promise<void> {
  await makeDirDurable(disk, folder, 0o700)
  await keepRoot(disk, folder, root)
  await buildFileTrustStore(disk, folder).save('root.json', root)
}

/** Where verified manifests are kept, for commands without a network. */
export function manifestsFolder(folder: string): string {
  return join(folder, 'targets')
}

async function openStore({
  disk,
  folder,
  firstRoot,
  onFirstRoot,
}: RepositoryDeps): Promise<{ store: TrustStore; manifests: string; keepFirst: () => Promise<void> }> {
  await makeDirDurable(disk, folder, 0o700)
  const kept = buildFileTrustStore(disk, folder)
  let begun: Uint8Array | undefined
  const load = async (name: string) => {
    const bytes = await kept.load(name)
    // Folders of earlier versions kept none.
    if (bytes !== undefined && name === 'root.json') await keepRoot(disk, folder, bytes)
    if (bytes !== undefined || name !== 'root.json' || firstRoot === undefined) return bytes
    const first = await readIfThere(disk, firstRoot, DEFAULT_LIMITS.rootBytes)
    if (first !== undefined) onFirstRoot?.(first)
    begun = first
    return first
  }
  /** Once a repository follows from it, and unless a newer one has been kept. */
  const keepFirst = async () => {
    if (begun !== undefined && (await kept.load('root.json')) === undefined) await save('root.json', begun)
  }
  const save = async (name: string, bytes: Uint8Array) => {
    if (name === 'root.json') await keepRoot(disk, folder, bytes)
    await kept.save(name, bytes)
  }
  return { store: { ...kept, load, save }, manifests: manifestsFolder(folder), keepFirst }
}

/** Keeps what was loaded, unverified: whoever reads it again verifies it again. */
function keeping(disk: Disk, folder: string, source: TargetSource): TargetSource {
  return {
    load: async (path, maxBytes, signal) => {
      const bytes = await source.load(path, maxBytes, signal)
      if (bytes !== 'missing') {
        const file = join(folder, path)
        await makeDirDurable(disk, join(file, '..'), 0o700)
        await replaceFile(disk, file, bytes, 0o600)
      }
      return bytes
    },
  }
}

interface Session {
  readonly deps: RepositoryDeps
  readonly store: TrustStore
  readonly trusted: Trusted
  readonly metadata: MetadataSource | undefined
  readonly targets: TargetSource
}

async function buildRepository(session: Session): Promise<Repository> {
  const { deps, trusted, store } = session
  if (deps.product !== undefined && trusted.product !== deps.product) {
    const actual = trusted.product ?? 'no product'
    throw new TrustError('foreign', `expected the repository of ${deps.product}, found ${actual}`, {
      expected: deps.product,
      actual,
    })
  }
  // refresh has just verified and stored both; here they are verified again, because what is needed is the proof.
  const targets = verifyRole(trusted.root, 'targets', roleTypes.targets, await stored(store, 'targets.json'))
  const snapshot = verifyRole(trusted.root, 'snapshot', roleTypes.snapshot, await stored(store, 'snapshot.json'))
  const repository: Repository = {
    trusted,
    targets,
    snapshot,
    loadChannel: (channel) => loadChannel(session, snapshot, channel),
    loadLine: (name, role) => loadLine(session, name, role),
    openDraft: async (channel) => {
      const role = await repository.loadChannel(channel)
      const lines = new Map<string, JsonObject>()
      for (const name of role ? lineNames(role.value) : []) {
        lines.set(name, signedOf(await repository.loadLine(name, role?.value ?? raise())))
      }
      return openChannel(channel, channelKeys(targets, channel), role && signedOf(role.bytes), lines)
    },
    loadManifest: (version) => loadManifest(session, version),
  }
  return repository
}

function raise(): never {
  throw new Error('a line role without a channel')
}

async function stored(store: TrustStore, name: string): Promise<Uint8Array> {
  const bytes = await store.load(name)
  if (bytes === undefined) throw new TrustError('missing', `the trusted copy has no ${name}`, { path: name })
  return bytes
}

async function loadChannel(
  session: Session,
  snapshot: VerifiedRole<Snapshot>,
  channel: Channel,
): Promise<Verified<ChannelRole> | undefined> {
  // The snapshot is signed and may not forget a role: what it does not list was never published.
  if (!snapshot.value.meta.has(`${channel}.json`)) return undefined
  return evenIfExpired(session, snapshot, channel, (trusted) => trusted.loadChannel(channel))
}

/** A search for any manifest of the line leads to its role, which is verified and stored on the way, whether it lists that manifest or not. */
async function loadLine(session: Session, name: string, role: ChannelRole): Promise<Uint8Array> {
  const pattern = role.delegations?.roles.find((candidate) => candidate.name === name)?.paths?.[0]
  if (pattern === undefined)
    throw new TrustError('not-delegated', `nobody is named to sign for ${name}`, { role: name })
  const snapshot = verifyRole(
    session.trusted.root,
    'snapshot',
    roleTypes.snapshot,
    await stored(session.store, 'snapshot.json'),
  )
  await evenIfExpired(session, snapshot, name, async (trusted) => {
    await trusted.findTarget(pattern.replace('?', '0')).catch((error: unknown) => {
      if (!(error instanceof TrustError && error.code === 'not-delegated')) throw error
    })
    trusted.signersOf(name)
  })
  return stored(session.store, `${name}.json`)
}

/**
 * Loads a role that may have expired since it was signed. A refresh refuses it and does not keep it, so it is put into the store as it came and read from
 * there: whatever is in the store is verified when it is read, and there only expiry is forgiven.
 */
async function evenIfExpired<T>(
  session: Session,
  snapshot: VerifiedRole<Snapshot>,
  role: string,
  load: (trusted: Trusted) => Promise<T>,
): Promise<T> {
  try {
    return await load(session.trusted)
  } catch (error) {
    if (!(error instanceof TrustError && error.code === 'expired')) throw error
    const announced = snapshot.value.meta.get(`${role}.json`)
    const file = `${announced?.version ?? 0}.${percentEncode(role)}.json`
    const bytes = await session.metadata?.load(file, DEFAULT_LIMITS.targetsBytes, session.deps.signal)
    if (bytes !== undefined && bytes !== 'missing') await session.store.save(`${role}.json`, bytes)
    return load(await loadTrusted({ store: session.store, startedAt: session.deps.clock.now(), expiry: 'report' }))
  }
}

function signedOf(bytes: Uint8Array): JsonObject {
  return parseDocument(bytes).signed
}

function channelKeys(targets: VerifiedRole<Targets>, channel: Channel): ChannelKeys {
  const { keys, threshold } = roleKeysOf(targets, channel)
  return {
    keyids: keys.map(({ keyid }) => keyid),
    threshold,
    keys: Object.fromEntries(keys.map(({ keyid, object }) => [keyid, object])),
  }
}

async function loadManifest({ trusted, targets, deps }: Session, version: Version): Promise<Verified<Manifest>> {
  try {
    return await verifyManifest(trusted, targets, version, deps.signal)
  } catch (cause) {
    const unlisted =
      cause instanceof TrustError && cause.code === 'not-delegated' && cause.facts.path === manifestPath(version)
    const noChannel = cause instanceof TrustError && cause.code === 'missing' && cause.facts.role === channelOf(version)
    if (!unlisted && !noChannel) throw cause
    throw new PublishError(
      'unknown-version',
      `${version} is not published`,
      { next: ['netlink-publish list'] },
      { cause },
    )
  }
}

/** Channels that were never published: a host that follows several asks for each of them. */
export function unpublishedChannels({ snapshot }: Repository): readonly Channel[] {
  return channels.filter((channel) => !snapshot.value.meta.has(`${channel}.json`))
}

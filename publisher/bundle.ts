// A release as one file, for hosts without a network. What goes in is what an agent's own code asked for: a refresh from root version 1 on, every channel,
// every barrier, the manifests. What comes out is read back the same way, from the file alone, before anybody is told that it is there.
//
//   collectBundle ── refresh, channels, barriers, manifests; every answer is kept ──> index, documents
//   writeBundle   ── temporary name ── index, then each file as it comes, hashed ── synced ──> read back ──> its own name
import { createHash, type Hash, randomBytes } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { type Bundle, openBundle } from '../keys/bundle-source.ts'
import { DEFAULT_LIMITS } from '../keys/limits.ts'
import { buildMemoryTrustStore } from '../keys/memory-trust-store.ts'
import { startReading } from '../keys/platform/checked-file.ts'
import type { Disk, FileWriter } from '../keys/platform/disk.ts'
import { type MetadataSource, refresh, type Trusted } from '../keys/refresh.ts'
import { type TargetSource, verifyManifest } from '../keys/release.ts'
import { TrustError } from '../keys/trust-error.ts'
import { type ArchiveEntry, comparePaths } from '../schema/archive/entry.ts'
import { TAR_END, tarHeader, tarPadding } from '../schema/archive/tar.ts'
import { type BundleFile, bundleLayout, parseBundleIndex, writeBundleIndex } from '../schema/bundle.ts'
import type { Artifact, Manifest } from '../schema/manifest.ts'
import type { ChannelRole } from '../schema/metadata.ts'
import { manifestPath } from '../schema/release-path.ts'
import {
  type Channel,
  channelOf,
  channels,
  compareStability,
  compareVersions,
  type Version,
} from '../schema/version.ts'
import { PublishError } from './publish-error.ts'

/** Where it comes from, and what is trusted to begin with. */
export interface CollectDeps {
  readonly metadata: MetadataSource
  readonly targets: TargetSource
  /** A root that this publisher trusts: the repository's chain of roots must lead through it, byte for byte. */
  readonly root: Uint8Array
  readonly startedAt: Date
  readonly signal?: AbortSignal | undefined
}

export interface Wanted {
  /** What a host installs unless told otherwise. */
  readonly version: Version
  /** Other versions to carry: barriers that hosts have to install before. */
  readonly others: readonly Version[]
  /** Only these platforms' artifacts (and those for any); undefined: all. */
  readonly platforms: readonly string[] | undefined
}

/** What a bundle is going to hold, all of it verified but the artifacts, which are not here yet. */
export interface BundleContent {
  readonly product: string
  readonly version: Version
  readonly documents: ReadonlyMap<string, Uint8Array>
  readonly manifests: readonly Manifest[]
  /** One for each hash, in no order. */
  readonly artifacts: readonly Artifact[]
  /** Past this moment no host takes the bundle any more. */
  readonly expiresFirst: { readonly role: string; readonly at: Date }
  /** Barriers below the version that it does not carry: a host below one of them can't use it. */
  readonly missingBarriers: readonly Version[]
  /** Channels that do not verify now: hosts that follow one of them can't use it. */
  readonly leftOut: readonly Channel[]
}

/** Throws TrustError for what does not verify, PlatformError for what can't be had, PublishError `unknown-version` or `usage`. */
export async function collectBundle(deps: CollectDeps, wanted: Wanted): Promise<BundleContent> {
  const documents = new Map<string, Uint8Array>()
  const metadata = keeping(deps.metadata, 'repo/metadata', documents)
  const targets = keeping(deps.targets, 'repo/targets', documents)
  const trusted = await refreshFromFirst(metadata, deps)
  vouch(trusted, documents, deps.root)
  const { roles, leftOut } = await loadChannels(trusted, channelOf(wanted.version))
  const barriers = roles.flatMap((role) => role.channel.barriers.map(({ version }) => version))
  const versions = [...new Set([wanted.version, ...wanted.others])]
  // As an agent does: a barrier may be listed further down, and nobody may list it any more.
  for (const version of barriers) await unlessUnlisted(trusted.findTarget(manifestPath(version)))
  const manifests: Manifest[] = []
  for (const version of versions) manifests.push(await loadManifest(trusted, targets, version, deps.signal))
  return {
    product: productOf(trusted),
    version: wanted.version,
    documents,
    manifests,
    artifacts: artifactsOf(manifests, wanted.platforms),
    expiresFirst: firstExpiry(trusted),
    missingBarriers: [...new Set(barriers)].filter(
      (version) => compareVersions(version, wanted.version) < 0 && !versions.includes(version),
    ),
    leftOut,
  }
}

/** Keeps every answer under the name that it gets in the bundle. */
function keeping(
  source: MetadataSource,
  folder: string,
  documents: Map<string, Uint8Array>,
): MetadataSource & TargetSource {
  return {
    load: async (file, maxBytes, signal) => {
      const bytes = await source.load(file, maxBytes, signal)
      if (bytes !== 'missing') documents.set(`${folder}/${file}`, bytes)
      return bytes
    },
  }
}

/** From version 1 on: a host may have slept since it was enrolled. */
async function refreshFromFirst(
  metadata: MetadataSource,
  { startedAt, signal }: Pick<CollectDeps, 'startedAt' | 'signal'>,
): Promise<Trusted> {
  const first = await metadata.load('1.root.json', DEFAULT_LIMITS.rootBytes, signal)
  if (first === 'missing')
    throw new TrustError('missing', 'the repository has no 1.root.json', { role: 'root', path: '1.root.json' })
  const store = buildMemoryTrustStore(first)
  return refresh({ source: metadata, store, startedAt, ...(signal ? { signal } : {}) })
}

/** A chain that verifies by itself may still be somebody else's: it has to lead through the root that is trusted here. */
function vouch(trusted: Trusted, documents: ReadonlyMap<string, Uint8Array>, root: Uint8Array): void {
  const isThere = [...documents].some(
    ([path, bytes]) => /\/\d+\.root\.json$/.test(path) && Buffer.compare(bytes, root) === 0,
  )
  if (isThere) return
  const actual = trusted.product ?? 'no product'
  throw new TrustError('foreign', 'the roots of this repository do not lead through the one that is trusted here', {
    role: 'root',
    actual,
  })
}

function productOf({ product }: Trusted): string {
  if (product !== undefined) return product
  throw new TrustError('foreign', 'expected a repository whose root names its product', { role: 'root' })
}

/** A host asks for its own channel and the more stable ones. What fails in a less stable one than the release's only concerns hosts that follow that one. */
async function loadChannels(
  trusted: Trusted,
  needed: Channel,
): Promise<{ readonly roles: readonly ChannelRole[]; readonly leftOut: readonly Channel[] }> {
  const roles: ChannelRole[] = []
  const leftOut: Channel[] = []
  for (const channel of channels) {
    try {
      roles.push((await trusted.loadChannel(channel)).value)
    } catch (error) {
      if (!(error instanceof TrustError)) throw error
      if (error.code === 'not-delegated') continue
      if (compareStability(channel, needed) >= 0) throw error
      leftOut.push(channel)
    }
  }
  return { roles, leftOut }
}

async function unlessUnlisted(looking: Promise<unknown>): Promise<void> {
  try {
    await looking
  } catch (error) {
    if (!(error instanceof TrustError && error.code === 'not-delegated')) throw error
  }
}

async function loadManifest(
  trusted: Trusted,
  targets: TargetSource,
  version: Version,
  signal: AbortSignal | undefined,
): Promise<Manifest> {
  try {
    return (await verifyManifest(trusted, targets, version, signal)).value
  } catch (cause) {
    const isUnlisted =
      cause instanceof TrustError && cause.code === 'not-delegated' && cause.facts.path === manifestPath(version)
    if (!isUnlisted) throw cause
    const next = ['netlink-publish list']
    throw new PublishError('unknown-version', `${version} is not published`, { next }, { cause })
  }
}

function artifactsOf(manifests: readonly Manifest[], platforms: readonly string[] | undefined): readonly Artifact[] {
  const all = manifests.flatMap(({ artifacts }) => artifacts)
  const stray = platforms?.find((platform) => !all.some((artifact) => artifact.platform === platform))
  if (stray !== undefined) {
    const known = [...new Set(all.map(({ platform }) => platform))].join(', ')
    throw new PublishError('usage', `no artifact for ${JSON.stringify(stray)}: there is ${known}`)
  }
  const chosen = all.filter(
    ({ platform }) => platforms === undefined || platform === 'any' || platforms.includes(platform),
  )
  return [...new Map(chosen.map((artifact) => [artifact.sha256, artifact])).values()]
}

function firstExpiry({ expiresAt }: Trusted): BundleContent['expiresFirst'] {
  const all = [...expiresAt].map(([role, at]) => ({ role, at }))
  return all.reduce((first, one) => (one.at < first.at ? one : first))
}

// ---- the file ----------------------------------------------------------------------------------------------------------------------

export interface WriteDeps {
  readonly disk: Disk
  /** The bytes of an artifact, hashed here. */
  readonly openArtifact: (artifact: Artifact) => AsyncIterable<Uint8Array>
  readonly startedAt: Date
  readonly onProgress: (done: number, total: number) => void
  readonly signal?: AbortSignal | undefined
}

export interface WrittenBundle {
  readonly bytes: number
  readonly sha256: string
}

/**
 * Puts the bundle at `file`, durable, in the place of a file that was there, once it has been read back from the disk with the code that hosts use.
 * The same content makes the same bytes. Throws TrustError `hash` for an artifact that is not what was signed; then `file` is as it was.
 */
export async function writeBundle(deps: WriteDeps, content: BundleContent, file: string): Promise<WrittenBundle> {
  const { disk } = deps
  const temporary = join(dirname(file), `.${basename(file).slice(0, 100)}.${randomBytes(8).toString('hex')}.tmp`)
  try {
    const written = await writeAt(deps, content, temporary)
    await readBack(deps, content, temporary)
    await disk.rename(temporary, file)
    await disk.syncDir(dirname(file))
    return written
  } catch (error) {
    await disk.removeTree(temporary)
    throw error
  }
}

async function writeAt(deps: WriteDeps, content: BundleContent, path: string): Promise<WrittenBundle> {
  const index = indexOf(content)
  const layout = bundleLayout(index, index.bytes.length)
  const writer = await deps.disk.createFile(path, 0o644)
  try {
    const out = countingWriter(writer, layout.bytes, deps)
    for (const entry of layout.entries) {
      await out.write([tarHeader(entry)])
      for await (const chunk of contentOf(deps, content, index.bytes, entry)) await out.write([chunk])
      await out.write([tarPadding(entry.size)])
    }
    await out.write([TAR_END])
    await writer.sync()
    return { bytes: layout.bytes, sha256: out.hash.digest('hex') }
  } finally {
    await writer.close()
  }
}

function indexOf(content: BundleContent): { readonly files: readonly BundleFile[]; readonly bytes: Uint8Array } {
  const files = [
    ...[...content.documents].map(([path, bytes]) => ({
      path,
      length: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    })),
    ...content.artifacts.map(({ sha256, length }) => ({ path: `repo/artifacts/${sha256}`, length, sha256 })),
  ].sort((a, b) => comparePaths(a.path, b.path))
  const { product, version } = content
  const text = writeBundleIndex({ product, version, files })
  parseBundleIndex(JSON.parse(text)) // what no reader would take is not written
  return { files, bytes: Buffer.from(text) }
}

function countingWriter(writer: FileWriter, total: number, { onProgress }: Pick<WriteDeps, 'onProgress'>) {
  const hash: Hash = createHash('sha256')
  let done = 0
  return {
    hash,
    async write(parts: readonly Uint8Array[]): Promise<void> {
      for (const part of parts) {
        hash.update(part)
        done += part.length
      }
      await writer.write(parts)
      onProgress(done, total)
    },
  }
}

async function* contentOf(
  deps: WriteDeps,
  content: BundleContent,
  index: Uint8Array,
  { path, type }: ArchiveEntry,
): AsyncGenerator<Uint8Array> {
  if (type === 'directory') return
  const artifact = content.artifacts.find(({ sha256 }) => path === `repo/artifacts/${sha256}`)
  if (artifact === undefined) {
    yield content.documents.get(path) ?? index
    return
  }
  const reading = startReading(path, artifact)
  for await (const chunk of deps.openArtifact(artifact)) {
    deps.signal?.throwIfAborted()
    reading.update(chunk)
    yield chunk
  }
  reading.proof()
}

/** What a host would do with the file, from root version 1 on and with nothing else at hand. */
async function readBack(deps: WriteDeps, content: BundleContent, path: string): Promise<void> {
  const bundle = await openBundle(deps.disk, path, deps.signal)
  const trusted = await refreshFromFirst(bundle.metadata, deps)
  for (const channel of channels) {
    if (!content.leftOut.includes(channel)) await unlessUnlisted(trusted.loadChannel(channel))
  }
  for (const { version } of content.manifests) {
    const { artifacts } = (await verifyManifest(trusted, bundle.targets, version, deps.signal)).value
    for (const artifact of artifacts) if (bundle.hasArtifact(artifact.sha256)) await readArtifact(bundle, artifact)
  }
}

async function readArtifact(bundle: Bundle, artifact: Artifact): Promise<void> {
  const reading = startReading(`artifacts/${artifact.sha256}`, artifact)
  for await (const chunk of bundle.openArtifact(artifact.sha256)) reading.update(chunk)
  reading.proof()
}

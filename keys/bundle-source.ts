// A bundle as a source: what a refresh and an installation ask of a server, out of one file. schema/bundle.ts says what such a file looks like.
//
//   const bundle = await openBundle(nodeDisk, 'demo-0a2.bundle')       every byte was read and is the one that the index names
//   const trusted = await refresh({ source: bundle.metadata, store, startedAt })
//   const manifest = await verifyManifest(trusted, bundle.targets, bundle.version)
//   for await (const chunk of bundle.openArtifact(sha256)) …           hashed by whoever writes it down
//
// Opening proves nothing but that the file came over whole: it is trusted with nothing, like every other source.
import { createHash, type Hash } from 'node:crypto'
import { basename } from 'node:path'
import { ArchiveError } from '../schema/archive/archive-error.ts'
import type { ArchiveEntry } from '../schema/archive/entry.ts'
import { type ArchiveEvent, createArchiveReader } from '../schema/archive/reader.ts'
import {
  BUNDLE_INDEX,
  BUNDLE_SCHEMA,
  type BundleFile,
  type BundleIndex,
  type BundleLayout,
  bundledVersions,
  bundleLayout,
  kindOfFile,
  MAX_BUNDLE_FILES,
  MAX_INDEX_BYTES,
  parseBundleIndex,
  writeBundleIndex,
} from '../schema/bundle.ts'
import { ShapeError } from '../schema/shape-error.ts'
import { unreachable } from '../schema/unreachable.ts'
import type { Version } from '../schema/version.ts'
import { BundleError } from './bundle-error.ts'
import { isJsonObject, type JsonValue, parseJson } from './json.ts'
import type { Disk } from './platform/disk.ts'
import { PlatformError } from './platform/platform-error.ts'
import type { MetadataSource } from './refresh.ts'
import type { TargetSource } from './release.ts'
import { TrustError } from './trust-error.ts'

/** A bundle that is whole. What it says is to be verified like everything that came from elsewhere. */
export interface Bundle {
  readonly path: string
  /** Length of the file. */
  readonly bytes: number
  readonly product: string
  /** The version that it was made for, and every version whose manifest is in it. */
  readonly version: Version
  readonly versions: readonly Version[]
  readonly metadata: MetadataSource
  readonly targets: TargetSource
  hasArtifact(sha256: string): boolean
  /** The artifact's bytes, read anew from the file: whoever uses them hashes them. Throws TrustError `missing`, or `hash` if the file changed meanwhile. */
  openArtifact(sha256: string, signal?: AbortSignal): AsyncIterable<Uint8Array>
}

/** Whether the file begins as a bundle does. Throws PlatformError for what can't be read. */
export async function isBundle(disk: Disk, path: string): Promise<boolean> {
  for await (const chunk of disk.readChunks(path)) {
    return Buffer.from(chunk.subarray(0, BUNDLE_INDEX.length + 1)).toString('latin1') === `${BUNDLE_INDEX}\0`
  }
  return false
}

/**
 * Reads the whole file once: its form, and every byte against the index. Metadata and manifests stay in memory, artifacts are only hashed.
 * Throws BundleError for everything that is wrong with the file, PlatformError if it can't be read or `signal` says stop.
 */
export async function openBundle(disk: Disk, path: string, signal?: AbortSignal): Promise<Bundle> {
  const { kind, size } = await disk.stat(path)
  if (kind !== 'file') throw new BundleError('not-a-bundle', path, `${path}: expected a file, found ${kindWords(kind)}`)
  const reading = new BundleReading(path, size)
  try {
    for await (const event of eventsOf(disk, path, signal)) reading.take(event)
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error
    throw reading.refusal(error, await isBundle(disk, path))
  }
  return buildBundle(disk, path, reading.whole(), size)
}

function kindWords(kind: 'directory' | 'symlink' | 'other'): string {
  return kind === 'directory' ? 'a folder' : 'something that has no end'
}

/** Throws ArchiveError. */
async function* eventsOf(disk: Disk, path: string, signal: AbortSignal | undefined): AsyncGenerator<ArchiveEvent> {
  // Folders count too; what the index allows is held against every entry besides.
  const reader = createArchiveReader({ maxEntries: 3 * MAX_BUNDLE_FILES, maxBytes: Number.MAX_SAFE_INTEGER })
  for await (const chunk of disk.readChunks(path, 'reused')) {
    if (signal?.aborted)
      throw new PlatformError('cancelled', `${path}: cancelled`, { path }, { cause: signal.reason as unknown })
    yield* reader.push(chunk)
  }
  reader.end()
}

interface WholeBundle {
  readonly index: BundleIndex
  /** Metadata and manifests by their path. */
  readonly documents: ReadonlyMap<string, Uint8Array>
}

/** The entry that is being read. */
interface OpenEntry {
  readonly file: BundleFile | undefined
  readonly hash: Hash
  /** Its bytes so far, where they are kept. */
  readonly parts: Uint8Array[] | undefined
}

class BundleReading {
  readonly #path: string
  readonly #size: number
  readonly #documents = new Map<string, Uint8Array>()
  #index: BundleIndex | undefined
  #layout: BundleLayout | undefined
  #entries = 0
  #open: OpenEntry | undefined

  constructor(path: string, size: number) {
    this.#path = path
    this.#size = size
  }

  take(event: ArchiveEvent): void {
    switch (event.type) {
      case 'entry':
        this.#open = this.#entries === 0 ? this.#beginIndex(event.entry) : this.#begin(event.entry)
        this.#entries += 1
        return
      case 'data':
        this.#open?.hash.update(event.bytes)
        this.#open?.parts?.push(Uint8Array.from(event.bytes))
        return
      case 'end-entry':
        if (this.#index === undefined) this.#readIndex(Buffer.concat(this.#open?.parts ?? []))
        else this.#end()
        this.#open = undefined
        return
      default:
        unreachable(event)
    }
  }

  /** The archive was read to its end. */
  whole(): WholeBundle {
    if (this.#index === undefined) throw this.#notOne()
    if (this.#entries !== this.#layout?.entries.length)
      throw this.#damaged(`expected ${this.#layout?.entries.length} entries, found ${this.#entries}`)
    return { index: this.#index, documents: this.#documents }
  }

  /** What an archive that can't be read says about the bundle. */
  refusal(cause: ArchiveError, beginsAsOne: boolean): BundleError {
    if (!beginsAsOne) return this.#notOne(cause)
    if (cause.code === 'truncated') return this.#cutOff(cause)
    return this.#damaged(cause.message, cause)
  }

  #beginIndex({ path, size }: ArchiveEntry): OpenEntry {
    if (path !== BUNDLE_INDEX) throw this.#notOne()
    if (size > MAX_INDEX_BYTES)
      throw this.#tooLarge(`expected an index of at most ${MAX_INDEX_BYTES} bytes, found ${size}`)
    return { file: undefined, hash: createHash('sha256'), parts: [] }
  }

  #readIndex(bytes: Uint8Array): void {
    const index = parseIndex(bytes, this.#path)
    const layout = bundleLayout(index, bytes.length)
    // Said before the rest is read: nobody waits for the end of a file that is too long.
    if (this.#size < layout.bytes) throw this.#cutOff(undefined, layout.bytes)
    if (this.#size > layout.bytes) throw this.#damaged(`expected ${layout.bytes} bytes, found ${this.#size}`)
    this.#index = index
    this.#layout = layout
  }

  #begin(entry: ArchiveEntry): OpenEntry {
    const expected = this.#layout?.entries[this.#entries]
    if (!expected || !isSameEntry(entry, expected))
      throw this.#damaged(`expected ${entryWords(expected)}, found ${entryWords(entry)}`)
    const file = this.#index?.files.find((one) => one.path === entry.path)
    const isKept = file !== undefined && kindOfFile(file) !== 'artifact'
    return { file, hash: createHash('sha256'), parts: isKept ? [] : undefined }
  }

  #end(): void {
    if (this.#open?.file === undefined) return // a folder's
    const { file, hash, parts } = this.#open
    const sha256 = hash.digest('hex')
    if (sha256 !== file.sha256)
      throw this.#damaged(`${file.path}: expected sha256 ${file.sha256.slice(0, 16)}…, found ${sha256.slice(0, 16)}…`)
    if (parts) this.#documents.set(file.path, Buffer.concat(parts))
  }

  #notOne(cause?: ArchiveError): BundleError {
    return new BundleError('not-a-bundle', this.#path, `${this.#path} does not begin as a bundle does`, { cause })
  }

  #cutOff(cause: ArchiveError | undefined, bytes?: number): BundleError {
    const of = bytes === undefined ? '' : ` of ${bytes}`
    return new BundleError('truncated', this.#path, `${this.#path} ends after ${this.#size}${of} bytes`, { cause })
  }

  #damaged(words: string, cause?: Error): BundleError {
    return new BundleError('damaged', this.#path, `${basename(this.#path)}: ${words}`, { cause })
  }

  #tooLarge(words: string): BundleError {
    return new BundleError('too-large', this.#path, `${basename(this.#path)}: ${words}`)
  }
}

/** One index has one spelling: what is written again must be what was read. */
function parseIndex(bytes: Uint8Array, path: string): BundleIndex {
  const damaged = (words: string, cause?: unknown) =>
    new BundleError('damaged', path, `${basename(path)}: ${words}`, { cause })
  try {
    const value = parseJson(bytes, { subject: BUNDLE_INDEX })
    const form = isJsonObject(value) ? value.schema : undefined
    if (isNewer(form)) {
      throw new BundleError('newer', path, `${basename(path)}: expected ${BUNDLE_SCHEMA}, found ${String(form)}`)
    }
    const index = parseBundleIndex(value)
    if (writeBundleIndex(index) !== Buffer.from(bytes).toString('utf8')) throw damaged('its index is spelled otherwise')
    return index
  } catch (error) {
    if (error instanceof ShapeError || error instanceof TrustError) throw damaged(error.message, error)
    throw error
  }
}

function isNewer(form: JsonValue | undefined): boolean {
  return typeof form === 'string' && /^netlink\.bundle\/v\d{1,4}$/.test(form) && form !== BUNDLE_SCHEMA
}

function isSameEntry(a: ArchiveEntry, b: ArchiveEntry): boolean {
  return a.path === b.path && a.type === b.type && a.mode === b.mode && a.size === b.size
}

function entryWords(entry: ArchiveEntry | undefined): string {
  return entry ? `${entry.path.slice(0, 200)} (${entry.size} bytes)` : 'its end'
}

function buildBundle(disk: Disk, path: string, { index, documents }: WholeBundle, bytes: number): Bundle {
  const source = (folder: string): MetadataSource & TargetSource => ({
    load: async (file, maxBytes) => {
      const document = documents.get(`repo/${folder}/${file}`)
      if (document === undefined) return 'missing'
      if (document.length > maxBytes)
        throw new PlatformError('too-large', `${file}: more than ${maxBytes} bytes`, { path, limit: maxBytes })
      return document
    },
  })
  const artifacts = new Set(index.files.filter((file) => kindOfFile(file) === 'artifact').map((file) => file.sha256))
  return {
    path,
    bytes,
    product: index.product,
    version: index.version,
    versions: bundledVersions(index),
    metadata: source('metadata'),
    targets: source('targets'),
    hasArtifact: (sha256) => artifacts.has(sha256),
    openArtifact: (sha256, signal) => readArtifact(disk, path, sha256, signal),
  }
}

/** Read from the start: an archive has no other way in. What lies before is passed over as it comes. */
async function* readArtifact(
  disk: Disk,
  path: string,
  sha256: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  let isOpen = false
  try {
    for await (const event of eventsOf(disk, path, signal)) {
      if (event.type === 'entry') isOpen = event.entry.path === `repo/artifacts/${sha256}`
      else if (!isOpen) continue
      else if (event.type === 'data') yield event.bytes
      else return
    }
  } catch (cause) {
    if (!(cause instanceof ArchiveError)) throw cause
    throw new TrustError('hash', `${basename(path)} changed while it was read: ${cause.message}`, { path }, { cause })
  }
  throw new TrustError('missing', `${basename(path)} holds no artifact ${sha256.slice(0, 16)}…`, { path })
}

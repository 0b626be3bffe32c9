// A bundle: what a host needs for an update, in one file, for hosts without a network. It is a tar archive (archive/tar.ts) whose folder `repo/` is a slice
// of the public repository, file for file, so that `tar x` and any web server make a mirror of it:
//
//   bundle.json                                        the index: what else is in it, with length and hash
//   repo/artifacts/<sha256>
//   repo/metadata/1.root.json … timestamp.json …       every root, and each role that an agent may ask for
//   repo/targets/<channel>/<version>/<sha256>.manifest.json
//
// The index is signed by nobody. It tells a file that was damaged on its way from one that is whole, and says where things lie before anything is read;
// what may be trusted is decided by the metadata inside, exactly as if a server had sent it. One index has one spelling, and the index fixes every other
// byte of the file that is not a file's content: a bundle is either the one that was written or none.
import { z } from 'zod'
import { type ArchiveEntry, comparePaths, DIRECTORY_MODE, FILE_MODE } from './archive/entry.ts'
import { paddingBytes, TAR_END, tarHeader } from './archive/tar.ts'
import { productShape, sha256Shape } from './manifest.ts'
import { parseShape } from './parse-shape.ts'
import { manifestPath } from './release-path.ts'
import { ShapeError } from './shape-error.ts'
import { isVersion, type Version, versionShape } from './version.ts'

/** Name of the index, the first entry. */
export const BUNDLE_INDEX = 'bundle.json'
export const BUNDLE_SCHEMA = 'netlink.bundle/v1'
export const MAX_INDEX_BYTES = 1 << 20
/** Files in one bundle, the index aside. */
export const MAX_BUNDLE_FILES = 2_000
/** Metadata and manifests together: a reader holds them in memory. */
export const MAX_DOCUMENT_BYTES = 32 << 20

const fileShape = z.strictObject({ path: z.string(), length: z.int().min(1), sha256: sha256Shape })

const indexShape = z.strictObject({
  schema: z.literal(BUNDLE_SCHEMA),
  product: productShape,
  /** The version that was asked for: what a host installs unless told otherwise. */
  version: versionShape,
  files: z.array(fileShape).min(1).max(MAX_BUNDLE_FILES),
})

export type BundleFile = z.infer<typeof fileShape>
export type BundleIndex = z.infer<typeof indexShape>

/** The index that a JSON value is. Throws ShapeError unless every path is one that a bundle may hold, in order and once, and the version's manifest is there. */
export function parseBundleIndex(value: unknown): BundleIndex {
  const index = parseShape(indexShape, value, BUNDLE_INDEX)
  const { files, version } = index
  files.forEach((file, at) => {
    const before = files[at - 1]
    if (before !== undefined && comparePaths(before.path, file.path) >= 0)
      throw wrong(at, `expected paths in ascending order, each once, found ${quoted(file.path)}`)
    if (kindOfFile(file) === undefined)
      throw wrong(at, `expected the path of a file of the repository, found ${quoted(file.path)}`)
  })
  const documentBytes = files.reduce((sum, file) => sum + (kindOfFile(file) === 'artifact' ? 0 : file.length), 0)
  if (documentBytes > MAX_DOCUMENT_BYTES)
    throw wrong(undefined, `expected at most ${MAX_DOCUMENT_BYTES} bytes of metadata, found ${documentBytes}`)
  if (!bundledVersions(index).includes(version)) throw wrong(undefined, `expected the manifest of ${version}`)
  return index
}

/** The one spelling of an index. */
export function writeBundleIndex({
  product,
  version,
  files,
}: {
  readonly product: string
  readonly version: Version
  readonly files: readonly BundleFile[]
}): string {
  const sorted = [...files].sort((a, b) => comparePaths(a.path, b.path))
  const plain = sorted.map(({ path, length, sha256 }) => ({ path, length, sha256 }))
  return `${JSON.stringify({ schema: BUNDLE_SCHEMA, product, version, files: plain }, null, 1)}\n`
}

const SHA256 = '[0-9a-f]{64}'
const ARTIFACT = new RegExp(`^repo/artifacts/(${SHA256})$`)
const METADATA = /^repo\/metadata\/[A-Za-z0-9%_~-][A-Za-z0-9%._~-]{0,199}\.json$/
const MANIFEST = new RegExp(`^repo/targets/([a-z]+/[A-Za-z0-9%.-]+)/(${SHA256})\\.manifest\\.json$`)

/** What kind of file this is; undefined if a bundle may not hold it. Where a name carries a hash, it is the file's. */
export function kindOfFile({ path, sha256 }: BundleFile): 'artifact' | 'metadata' | 'manifest' | undefined {
  if (METADATA.test(path)) return 'metadata'
  if (ARTIFACT.exec(path)?.[1] === sha256) return 'artifact'
  if (MANIFEST.exec(path)?.[2] === sha256 && versionAt(path) !== undefined) return 'manifest'
  return undefined
}

/** Every version whose manifest is in the bundle. */
export function bundledVersions({ files }: { readonly files: readonly BundleFile[] }): readonly Version[] {
  return files.flatMap(({ path }) => versionAt(path) ?? [])
}

function versionAt(path: string): Version | undefined {
  const [, folder = ''] = MANIFEST.exec(path) ?? []
  const version = folder.slice(folder.indexOf('/') + 1).replaceAll('%2B', '+')
  if (!isVersion(version)) return undefined
  return manifestPath(version).replaceAll('+', '%2B') === `${folder}/manifest.json` ? version : undefined
}

export interface BundleLayout {
  /** Every entry of the archive in its order, index and folders included. */
  readonly entries: readonly ArchiveEntry[]
  /** Length of the whole file. */
  readonly bytes: number
}

/** Where everything lies in a bundle with this index, which has so many bytes itself. */
export function bundleLayout({ files }: { readonly files: readonly BundleFile[] }, indexBytes: number): BundleLayout {
  const folders = new Set(files.flatMap(({ path }) => foldersOf(path)))
  const entries: ArchiveEntry[] = [
    ...[...folders].map((path) => ({ path, type: 'directory' as const, mode: DIRECTORY_MODE, size: 0 })),
    ...files.map(({ path, length }) => ({ path, type: 'file' as const, mode: FILE_MODE, size: length })),
  ]
  entries.sort((a, b) => comparePaths(a.path, b.path))
  entries.unshift({ path: BUNDLE_INDEX, type: 'file', mode: FILE_MODE, size: indexBytes })
  const bytes = entries.reduce((sum, entry) => sum + tarHeader(entry).length + entry.size + paddingBytes(entry.size), 0)
  return { entries, bytes: bytes + TAR_END.length }
}

function foldersOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, at) => parts.slice(0, at + 1).join('/'))
}

function wrong(at: number | undefined, message: string): ShapeError {
  return new ShapeError(BUNDLE_INDEX, [{ pointer: at === undefined ? '/files' : `/files/${at}`, message }])
}

function quoted(path: string): string {
  return JSON.stringify(path.slice(0, 200))
}

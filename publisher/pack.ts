// A folder becomes an artifact: tar (schema/archive), then zstd, in one pass over the files, with every digest that the manifest needs.
//
//   list and refuse (tree.ts) -> for each file: as listed? -> tar -> zstd -> <artifacts>/<sha256>
//                                     \-> sha256, secret scan
//
// The same files give the same bytes wherever and in whatever order they were made: names sorted, times and owners 0, rights 0644 or 0755, one
// compression level, and input handed to zstd in pieces of one fixed size. Memory does not grow with the size of the files.
import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { constants, createZstdCompress } from 'node:zlib'
import type { Disk } from '../keys/platform/disk.ts'
import { makeDirDurable, renameDurable } from '../keys/platform/durable.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { BLOCK_BYTES, paddingBytes, TAR_END, tarHeader, tarPadding } from '../schema/archive/tar.ts'
import { treeDigest } from '../schema/archive/tree-digest.ts'
import type { Artifact } from '../schema/manifest.ts'
import { type Problem, PublishError } from './publish-error.ts'
import { scanSecrets } from './secrets.ts'
import type { Source } from './source.ts'
import { readTree, refusal, secretProblem, type TreeEntry } from './tree.ts'

/** See README.md for what was measured. */
const ZSTD_LEVEL = 10
const PIECE_BYTES = 1 << 20

export interface PackDeps {
  readonly disk: Disk
  /** Told how many bytes of the tar were read so far, and how many there will be. */
  readonly onProgress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

/** An artifact in the publisher's folder. */
export interface Packed {
  readonly artifact: Artifact
  /** Where it lies; named after its SHA-256. */
  readonly file: string
  /** SHA-256 of every file inside, by path. */
  readonly hashes: ReadonlyMap<string, string>
  /** Files that are programs (0755). */
  readonly programs: ReadonlySet<string>
}

/**
 * Packs a folder into `artifacts` (made if it is not there). Throws PublishError `files` naming everything that may not go out, `changed` if a file is not
 * what it was when it was listed; PlatformError. What was half written is removed.
 */
export async function packSource(deps: PackDeps, source: Source, artifacts: string): Promise<Packed> {
  const { disk } = deps
  const entries = await readTree(disk, source.folder, source.rules)
  await makeDirDurable(disk, artifacts, 0o700)
  const temporary = join(artifacts, `.${randomBytes(8).toString('hex')}.partial`)
  try {
    const packed = await writeArtifact(deps, source, entries, temporary)
    const file = join(artifacts, packed.artifact.sha256)
    await renameDurable(disk, temporary, file)
    return { ...packed, file }
  } catch (error) {
    await disk.removeTree(temporary).catch(() => undefined)
    throw error
  }
}

async function writeArtifact(
  deps: PackDeps,
  source: Source,
  entries: readonly TreeEntry[],
  path: string,
): Promise<Omit<Packed, 'file'>> {
  const total = tarLength(entries)
  const hashes = new Map<string, string>()
  const tar = inPieces(tarOf(deps, source, entries, hashes), (done) => deps.onProgress?.(done, total))
  const compress = () =>
    Readable.from(tar, { objectMode: false, highWaterMark: PIECE_BYTES }).compose(
      createZstdCompress({
        chunkSize: PIECE_BYTES,
        pledgedSrcSize: total,
        params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL, [constants.ZSTD_c_checksumFlag]: 1 },
      }),
    )
  const written = await writeHashed(deps, path, compress)
  const digested = entries.map((entry) => ({ ...entry, sha256: hashes.get(entry.path) ?? null }))
  const artifact: Artifact = {
    platform: source.platform,
    ...written,
    format: 'tar+zstd',
    unpacked_bytes: entries.reduce((sum, entry) => sum + entry.size, 0),
    entries: entries.length,
    tree_sha256: treeDigest(digested, createHash('sha256')),
  }
  const programs = new Set(entries.filter(({ mode, type }) => type === 'file' && mode === 0o755).map((one) => one.path))
  return { artifact, hashes, programs }
}

/** Bytes of the whole tar, so that zstd can say in its frame how much will come out. */
function tarLength(entries: readonly TreeEntry[]): number {
  const bytes = entries.map((entry) => tarHeader(entry).length + entry.size + paddingBytes(entry.size))
  return bytes.reduce((sum, one) => sum + one, 2 * BLOCK_BYTES)
}

async function* tarOf(
  deps: PackDeps,
  source: Source,
  entries: readonly TreeEntry[],
  hashes: Map<string, string>,
): AsyncGenerator<Uint8Array> {
  const problems: Problem[] = []
  for (const entry of entries) {
    deps.signal?.throwIfAborted()
    yield tarHeader(entry)
    if (entry.type === 'directory') continue
    const scan = scanSecrets()
    const hash = createHash('sha256')
    for await (const chunk of unchanged(deps.disk, entry)) {
      hash.update(chunk)
      scan.add(chunk)
      yield chunk
    }
    yield tarPadding(entry.size)
    hashes.set(entry.path, hash.digest('hex'))
    if (scan.found !== undefined && !source.rules.isAllowedSecret(entry.path)) {
      problems.push({ where: entry.path, what: secretProblem(scan.found) })
    }
  }
  // At the end, so that one run names all of them.
  if (problems.length > 0) throw refusal(source.folder, problems)
  yield TAR_END
}

/** The bytes of a file, exactly as many as were listed. Throws PublishError `changed` if the file is not the one that was listed, before or after. */
async function* unchanged(disk: Disk, entry: TreeEntry): AsyncGenerator<Uint8Array> {
  await checkUnchanged(disk, entry)
  let length = 0
  for await (const chunk of readable(disk, entry)) {
    length += chunk.length
    if (length > entry.size) throw changed(entry)
    yield chunk
  }
  if (length !== entry.size) throw changed(entry)
  await checkUnchanged(disk, entry)
}

async function* readable(disk: Disk, entry: TreeEntry): AsyncGenerator<Uint8Array> {
  try {
    yield* disk.readChunks(entry.source)
  } catch (cause) {
    if (!(cause instanceof PlatformError)) throw cause
    if (cause.code === 'not-found') throw changed(entry)
    if (cause.code !== 'not-permitted') throw cause
    const message = `${entry.source} can't be read by this user`
    throw new PublishError(
      'files',
      message,
      { problems: [{ where: entry.path, what: "can't be read by this user" }] },
      { cause },
    )
  }
}

async function checkUnchanged(disk: Disk, entry: TreeEntry): Promise<void> {
  const { facts } = entry
  const now = await disk.lstat(entry.source).catch(() => undefined)
  const same =
    now?.kind === 'file' &&
    now.size === facts.size &&
    now.modifiedMs === facts.modifiedMs &&
    now.inode === facts.inode &&
    now.device === facts.device
  if (!same) throw changed(entry)
}

function changed(entry: TreeEntry): PublishError {
  return new PublishError('changed', `${entry.source} changed while it was being packed`, {
    next: ['wait until whatever writes there is done, then run the same command again'],
  })
}

/** The same bytes in pieces of one size: what zstd writes must not depend on how the files were read. */
async function* inPieces(
  chunks: AsyncIterable<Uint8Array>,
  onBytes: (done: number) => void,
): AsyncGenerator<Uint8Array> {
  let piece = Buffer.allocUnsafe(PIECE_BYTES)
  let filled = 0
  let done = 0
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const take = Math.min(chunk.length - at, PIECE_BYTES - filled)
      piece.set(chunk.subarray(at, at + take), filled)
      filled += take
      at += take
      if (filled < PIECE_BYTES) continue
      done += filled
      yield piece
      onBytes(done)
      piece = Buffer.allocUnsafe(PIECE_BYTES)
      filled = 0
    }
  }
  if (filled === 0) return
  yield piece.subarray(0, filled)
  onBytes(done + filled)
}

async function writeHashed(
  { disk, signal }: PackDeps,
  path: string,
  start: () => AsyncIterable<Uint8Array>,
): Promise<{ length: number; sha256: string; sha512: string }> {
  const sha256 = createHash('sha256')
  const sha512 = createHash('sha512')
  const writer = await disk.createFile(path, 0o644)
  let length = 0
  try {
    // Not before somebody listens: a stream that fails with nobody there ends the process.
    for await (const chunk of start()) {
      signal?.throwIfAborted()
      sha256.update(chunk)
      sha512.update(chunk)
      length += chunk.length
      await writer.write(chunk)
    }
    await writer.sync()
  } finally {
    await writer.close()
  }
  return { length, sha256: sha256.digest('hex'), sha512: sha512.digest('hex') }
}

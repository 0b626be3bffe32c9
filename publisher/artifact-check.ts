import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { createZstdDecompress } from 'node:zlib'
import { startReading } from '../keys/platform/checked-file.ts'
import { TrustError } from '../keys/trust-error.ts'
import { ArchiveError } from '../schema/archive/archive-error.ts'
import { createArchiveReader } from '../schema/archive/reader.ts'
import { type TreeEntry, treeDigest } from '../schema/archive/tree-digest.ts'
import type { Artifact } from '../schema/manifest.ts'

/**
 * Reads an artifact to its end and compares everything that the manifest says about it: length, both hashes, and what comes out when it is unpacked (which
 * happens in memory, chunk by chunk, and is thrown away). Returns what lies in it. Throws TrustError `hash` naming what is not as it was signed.
 */
export async function verifyArtifact(
  chunks: AsyncIterable<Uint8Array>,
  artifact: Artifact,
): Promise<readonly TreeEntry[]> {
  const path = `artifacts/${artifact.sha256}`
  const reading = startReading(path, artifact)
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      reading.update(chunk)
      yield chunk
    }
  }
  const tree = await readTreeOf(hashed(), artifact)
  if (tree instanceof Error) throw notAsSigned(path, 'the archive that was signed', 'another or a damaged one', tree)
  reading.proof()
  compare(path, 'entries', artifact.entries, tree.entries.length)
  compare(path, 'unpacked bytes', artifact.unpacked_bytes, tree.bytes)
  compare(path, 'tree digest', artifact.tree_sha256, tree.digest)
  return tree.entries
}

interface ReadTree {
  readonly entries: readonly TreeEntry[]
  readonly bytes: number
  readonly digest: string
}

async function readTreeOf(chunks: AsyncIterable<Uint8Array>, artifact: Artifact): Promise<ReadTree | Error> {
  const reader = createArchiveReader({ maxEntries: artifact.entries, maxBytes: artifact.unpacked_bytes })
  const entries: TreeEntry[] = []
  let hash = createHash('sha256')
  const tar = Readable.from(chunks, { objectMode: false }).compose(createZstdDecompress())
  try {
    for await (const chunk of tar) {
      for (const event of reader.push(chunk)) {
        if (event.type === 'entry') entries.push({ ...event.entry, sha256: null })
        else if (event.type === 'data') hash.update(event.bytes)
        else {
          const entry = entries.pop()
          const digest = hash.digest('hex')
          hash = createHash('sha256')
          if (entry) entries.push(entry.type === 'file' ? { ...entry, sha256: digest } : entry)
        }
      }
    }
    reader.end()
  } catch (error) {
    if (error instanceof ArchiveError || isZlib(error)) return error
    throw error
  }
  const bytes = entries.reduce((sum, { size }) => sum + size, 0)
  return { entries, bytes, digest: treeDigest(entries, createHash('sha256')) }
}

function isZlib(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^(Z_|ZSTD_|ERR_ZSTD|ERR_ZLIB)/.test(String(error.code))
}

function compare(path: string, what: string, expected: string | number, actual: string | number): void {
  if (expected !== actual) throw notAsSigned(path, `${what} ${expected}`, `${what} ${actual}`)
}

function notAsSigned(path: string, expected: string, actual: string, cause?: Error): TrustError {
  return new TrustError('hash', `${path}: expected ${expected}, found ${actual}`, { path, expected, actual }, { cause })
}

// The published files: the signed repository as any TUF client reads it, straight from storage. The database is not asked.
//
//   repo/metadata/<n>.root.json <n>.<role>.json <n>.snapshot.json   never change
//   repo/metadata/timestamp.json                                    replaced last, whole
//   repo/targets/<channel>/<version>/<sha256>.manifest.json         never change
//   repo/artifacts/<sha256>                                         never change

import { percentEncode } from '../../keys/percent-encode.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import type { MetadataSource } from '../../keys/refresh.ts'
import { clampRange, isBlobKey } from './blob-key.ts'
import type { OpenedFile, Repository } from './core.ts'
import type { BlobStore, ByteRange, Stored } from './ports.ts'
import { buildSmallFiles, type SmallFiles } from './small-files.ts'

const ROOT = 'repo/'

/** Where things lie in storage. */
export const repositoryKeys = {
  metadata: (file: string) => `${ROOT}metadata/${file}`,
  target: (file: string) => `${ROOT}targets/${file}`,
  artifact: (sha256: string) => `${ROOT}artifacts/${sha256}`,
  timestamp: `${ROOT}metadata/timestamp.json`,
  metadataFolder: `${ROOT}metadata/`,
  targetsFolder: `${ROOT}targets/`,
} as const

/** Where a manifest lies: consistent snapshots put the hash before the name (TUF 6.2). */
export function manifestKey(path: string, sha256: string): string {
  const segments = path.split('/').map(percentEncode)
  return repositoryKeys.target([...segments.slice(0, -1), `${sha256}.${segments.at(-1)}`].join('/'))
}

export function buildRepository(blobs: BlobStore): Repository {
  const small = buildSmallFiles(blobs)
  return {
    stat: async (path) => {
      const file = parsePath(path)
      const stored = file && (await blobs.stat(file.key))
      if (!file || !stored) return undefined
      const { key, ...facts } = file
      return { ...stored, ...facts, open: (range) => openFile(blobs, small, key, stored, range) }
    },
  }
}

async function openFile(
  blobs: BlobStore,
  small: SmallFiles,
  key: string,
  stored: Stored,
  range: ByteRange | undefined,
): Promise<OpenedFile | undefined> {
  const bytes = await small.load(key, stored)
  if (bytes) {
    const { start, length } = clampRange(range, bytes.length)
    return { ...stored, start, length, body: bytes.subarray(start, start + length) }
  }
  const opened = await blobs.open(key, range)
  if (!opened) return undefined
  const { stream, ...facts } = opened
  return { ...facts, body: stream }
}

/** Published metadata as a source for keys/refresh.ts. */
export function publishedMetadata(blobs: BlobStore): MetadataSource {
  return { load: async (file, maxBytes) => (await blobs.read(repositoryKeys.metadata(file), maxBytes)) ?? 'missing' }
}

interface File {
  readonly key: string
  readonly immutable: boolean
  readonly contentType: string
}

/** The file behind a path below /repo/, whichever way its characters are encoded; undefined if there can be none. */
function parsePath(path: string): File | undefined {
  const segments = path.split('/').map(canonicalSegment)
  const [area] = segments
  const key = ROOT + segments.join('/')
  if (segments.includes(undefined) || !isBlobKey(key)) return undefined
  if (area === 'metadata' && segments.length === 2)
    return { key, immutable: key !== repositoryKeys.timestamp, contentType: 'application/json' }
  if (area === 'targets' && segments.length > 2) return { key, immutable: true, contentType: 'application/json' }
  if (area === 'artifacts' && segments.length === 2)
    return { key, immutable: true, contentType: 'application/octet-stream' }
  return undefined
}

function canonicalSegment(segment: string): string | undefined {
  try {
    return percentEncode(decodeURIComponent(segment))
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw new PlatformError('io', `path segment ${JSON.stringify(segment)}`, {}, { cause: error })
  }
}

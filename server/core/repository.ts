// The published files: the signed repository as any TUF client reads it, straight from storage. The database is not asked.
//
//   repo/metadata/<n>.root.json <n>.<role>.json <n>.snapshot.json   never change
//   repo/metadata/timestamp.json                                    replaced last, whole
//   repo/targets/<channel>/<version>/<sha256>.manifest.json         never change
//   repo/artifacts/<sha256>                                         never change

import { percentEncode } from '../../keys/percent-encode.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import type { MetadataSource } from '../../keys/refresh.ts'
import { isBlobKey } from './blob-key.ts'
import type { Repository } from './core.ts'
import type { BlobStore } from './ports.ts'

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

export function buildRepository(blobs: BlobStore): Repository {
  return {
    open: async (path, range) => {
      const file = parsePath(path)
      const stored = file && (await blobs.open(file.key, range))
      return file && stored && { ...stored, immutable: file.immutable, contentType: file.contentType }
    },
    stat: async (path) => {
      const file = parsePath(path)
      const stored = file && (await blobs.stat(file.key))
      return file && stored && { ...stored, immutable: file.immutable, contentType: file.contentType }
    },
  }
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

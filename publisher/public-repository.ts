// The signed repository as everybody sees it: plain files over HTTP, or the same files in a folder. It is trusted with nothing.
import { join } from 'node:path'
import { buildHttpSource } from '../keys/http-source.ts'
import type { Disk } from '../keys/platform/disk.ts'
import type { Fetcher } from '../keys/platform/fetch.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import type { MetadataSource } from '../keys/refresh.ts'
import type { TargetSource } from '../keys/release.ts'

export interface PublicRepository {
  readonly metadata: MetadataSource
  readonly targets: TargetSource
  /** The bytes of an artifact. Throws PlatformError `http-status` or `not-found` if it is not there. */
  openArtifact(sha256: string, length: number, signal?: AbortSignal): AsyncIterable<Uint8Array>
}

const ARTIFACT_DEADLINE_MS = 4 * 3_600_000
const LOWEST_BYTES_PER_SECOND = 1_024

/** The repository that a server publishes below `/repo/`. */
export function buildHttpRepository(fetcher: Fetcher, server: string): PublicRepository {
  return {
    metadata: buildHttpSource(fetcher, `${server}/repo/metadata/`),
    targets: buildHttpSource(fetcher, `${server}/repo/targets/`),
    openArtifact: (sha256, length, signal) =>
      openOverHttp(fetcher, `${server}/repo/artifacts/${sha256}`, length, signal),
  }
}

async function* openOverHttp(
  fetcher: Fetcher,
  url: string,
  length: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const answer = await fetcher.get(url, {
    maxBytes: length,
    deadlineMs: ARTIFACT_DEADLINE_MS,
    minBytesPerSecond: LOWEST_BYTES_PER_SECOND,
    signal,
  })
  if (answer.status !== 200) {
    answer.discard()
    throw new PlatformError('http-status', `${url}: expected status 200, got ${answer.status}`, {
      url,
      status: answer.status,
    })
  }
  yield* answer.body
}

/** The same from the publisher's own folder, for whoever has no network. Metadata comes from the trusted copy itself. */
export function buildLocalRepository(
  disk: Disk,
  folders: { readonly manifests: string; readonly artifacts: string },
): Omit<PublicRepository, 'metadata'> {
  return {
    targets: {
      load: async (path, maxBytes) => {
        try {
          return await disk.readFile(join(folders.manifests, path), maxBytes)
        } catch (error) {
          if (error instanceof PlatformError && error.code === 'not-found') return 'missing'
          throw error
        }
      },
    },
    openArtifact: (sha256) => disk.readChunks(join(folders.artifacts, sha256)),
  }
}

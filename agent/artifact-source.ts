import type { Clock } from '../keys/platform/clock.ts'
import type { Disk } from '../keys/platform/disk.ts'
import { downloadArtifact } from '../keys/platform/download.ts'
import type { Fetcher } from '../keys/platform/fetch.ts'
import type { ArtifactSource } from './engine/deps.ts'

const MINUTE_MS = 60_000
/** A link this slow is a stall or an attack; below it the try is given up and another begins where it stopped. */
const LEAST_BYTES_PER_SECOND = 4_096

/** Artifacts below a server's `/repo/artifacts/`: resumed, bounded by what was signed, given up when they come too slowly. */
export function buildArtifactSource(deps: {
  readonly fetcher: Fetcher
  readonly disk: Disk
  readonly clock: Clock
  readonly server: string
  readonly random: () => number
}): ArtifactSource {
  const { fetcher, disk, clock, server, random } = deps
  return {
    fetch: async ({ length, sha256, sha512 }, file, { signal, onProgress }) => {
      const url = new URL(`/repo/artifacts/${sha256}`, server).href
      const limits = {
        deadlineMs: 30 * MINUTE_MS + (length / LEAST_BYTES_PER_SECOND) * 1000,
        minBytesPerSecond: LEAST_BYTES_PER_SECOND,
      }
      await downloadArtifact({
        fetcher,
        disk,
        clock,
        random,
        url,
        path: file,
        length,
        sha256,
        sha512,
        limits,
        onProgress,
        signal,
      })
    },
  }
}

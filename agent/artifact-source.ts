import { dirname } from 'node:path'
import type { Bundle } from '../keys/bundle-source.ts'
import { startReading } from '../keys/platform/checked-file.ts'
import type { Clock } from '../keys/platform/clock.ts'
import type { Disk } from '../keys/platform/disk.ts'
import { downloadArtifact } from '../keys/platform/download.ts'
import type { Fetcher } from '../keys/platform/fetch.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
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

/** Artifacts out of a bundle, hashed while they are written into the folder that is only ours. */
export function buildBundleArtifactSource({
  disk,
  bundle,
}: {
  readonly disk: Disk
  readonly bundle: Bundle
}): ArtifactSource {
  return {
    fetch: async (artifact, file, { signal, onProgress }) => {
      // What an earlier download left is of no use: the bundle is read from its start.
      await disk.removeTree(file)
      await refuseWithoutRoom(disk, file, artifact.length)
      const reading = startReading(file, artifact)
      const writer = await disk.createFile(file, 0o600)
      try {
        for await (const chunk of bundle.openArtifact(artifact.sha256, signal)) {
          reading.update(chunk)
          await writer.write(chunk)
          onProgress(reading.length)
        }
        reading.proof()
        await writer.sync()
      } catch (error) {
        await disk.removeTree(file)
        throw error
      } finally {
        await writer.close()
      }
    },
  }
}

async function refuseWithoutRoom(disk: Disk, file: string, bytes: number): Promise<void> {
  const free = await disk.freeBytes(dirname(file))
  if (bytes <= free) return
  throw new PlatformError('no-space', `${file}: ${bytes} bytes to come, ${free} free`, { path: file, limit: free })
}

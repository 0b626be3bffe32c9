import type { Fetcher } from './platform/fetch.ts'
import { PlatformError } from './platform/platform-error.ts'
import type { MetadataSource } from './refresh.ts'
import type { TargetSource } from './release.ts'

/** These files are small: a server that takes longer is as good as none. */
const DEADLINE_MS = 60_000
/** Object storage answers 403 for what is not there. Taking it for "there is none" lets a server withhold files, which it can anyway. */
const MISSING_STATUS: readonly (number | undefined)[] = [403, 404, 410]

/** The files below this address, which ends in `/`: a repository's metadata, or its targets. */
export function buildHttpSource(fetcher: Fetcher, base: string): MetadataSource & TargetSource {
  return {
    load: async (file, maxBytes, signal) => {
      try {
        return await fetcher.bytes(base + file, { maxBytes, deadlineMs: DEADLINE_MS, signal })
      } catch (error) {
        const missing =
          error instanceof PlatformError && error.code === 'http-status' && MISSING_STATUS.includes(error.facts.status)
        if (missing) return 'missing'
        throw error
      }
    },
  }
}

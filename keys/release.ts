import type { Manifest } from '../schema/manifest.ts'
import type { Version } from '../schema/version.ts'
import type { Trusted } from './refresh.ts'
import type { Verified } from './verified.ts'

/** Where target files come from. It is trusted with nothing. */
export interface TargetSource {
  /** The file at this path below the repository's targets (`alpha/0a1/<sha256>.manifest.json`, each segment percent-encoded). As MetadataSource.load. */
  load(path: string, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array | 'missing'>
}

/**
 * The signed manifest of a version: listed by a role that may speak for it, with the length and hashes that role says, of this repository's product,
 * and of the version and channel that its path says. Throws TrustError `not-delegated`, `missing`, `hash`, `malformed` or `foreign`.
 */
export async function verifyManifest(
  trusted: Trusted,
  source: TargetSource,
  version: Version,
  signal?: AbortSignal,
): Promise<Verified<Manifest>> {
  throw new Error(`soon ${String([trusted, source, version, signal])}`)
}

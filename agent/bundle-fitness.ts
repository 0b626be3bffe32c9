// What a bundle does not carry can't be installed from it, however good the release is.
import { basename } from 'node:path'
import type { Bundle } from '../keys/bundle-source.ts'
import type { Manifest } from '../schema/manifest.ts'
import type { Version } from '../schema/version.ts'
import type { Listing, Unfitness } from './decide.ts'
import { artifactFor } from './plan-building.ts'

/** Every listed release that the bundle has no manifest of: the channel's roles in it speak of them all. */
export function findUncarried(bundle: Bundle | undefined, listing: Listing): Map<Version, Unfitness> {
  const absent = bundle ? listing.releases.filter(({ version }) => !bundle.versions.includes(version)) : []
  return new Map(
    absent.map(({ version }) => [
      version,
      { reason: 'incompatible', detail: `${version} is not in ${basename(bundle?.path ?? '')}` },
    ]),
  )
}

/** Why this release can't be installed from the bundle here, undefined if it can or there is no bundle. */
export function decideCarriedFitness(
  bundle: Bundle | undefined,
  manifest: Manifest,
  platform: string,
): Unfitness | undefined {
  const artifact = artifactFor(manifest, platform)
  if (!bundle || !artifact || bundle.hasArtifact(artifact.sha256)) return undefined
  const carried = manifest.artifacts.filter(({ sha256 }) => bundle.hasArtifact(sha256))
  const platforms = carried.map((one) => one.platform).join(', ') || 'no platform'
  const detail = `${basename(bundle.path)} carries ${manifest.version} for ${platforms}, and this host is ${platform}`
  return { reason: 'incompatible', detail }
}

import type { Manifest } from '../schema/manifest.ts'
import type { Unfitness } from './decide.ts'
import type { HostFacts } from './engine/deps.ts'
import { checkRequirements, missingEngines } from './engine/preflight.ts'
import { artifactFor } from './plan-building.ts'
import type { ServiceControl } from './service/control.ts'

/** What of this machine a release can ask for. */
export interface Fitness {
  readonly platform: string
  readonly facts: HostFacts
  readonly serviceControl: ServiceControl['kind']
  /** Bytes that may still be written below the host's root. */
  readonly freeBytes: number
}

/** Why this release can't be installed on this machine, undefined if it can: the engine's own rules, asked before there is a plan. Pure. */
export function decideFitness(
  manifest: Manifest,
  { platform, facts, serviceControl, freeBytes }: Fitness,
): Unfitness | undefined {
  const { version } = manifest
  const artifact = artifactFor(manifest, platform)
  if (!artifact) return { reason: 'incompatible', detail: `${version} is not made for ${platform}` }
  const unmet = checkRequirements(manifest.requirements, facts)
  if (unmet) return { reason: 'incompatible', detail: `${version} ${unmet.message}` }
  const missing = missingEngines(manifest, serviceControl)
  if (missing.length > 0) {
    return { reason: 'needs_engine', detail: `${version} asks for what this agent can't do yet: ${missing.join(', ')}` }
  }
  const needed = Math.max(manifest.requirements.disk_bytes ?? 0, artifact.length + artifact.unpacked_bytes)
  if (needed <= freeBytes) return undefined
  return { reason: 'disk', detail: `${version} needs ${needed} bytes on the disk, and ${freeBytes} are free` }
}

// What has to hold before anything is written. A plan that does not pass leaves no trace.
import { isDeepStrictEqual } from 'node:util'
import type { Manifest } from '../../schema/manifest.ts'
import { generationDir } from '../paths.ts'
import { resolveChecks, resolveService, variablesOf } from '../service/definition.ts'
import type { EngineDeps, HostFacts } from './deps.ts'
import { exists, loadGeneration, loadInstalled, loadManifest, readCurrent, sha256Of } from './layout.ts'
import { failure } from './machine.ts'
import type { Reason } from './outcome.ts'
import type { Plan } from './plan.ts'
import { findQuarantine, loadQuarantine } from './quarantine.ts'
import type { Session } from './session.ts'
import { loadSite } from './site.ts'
import { checkStranger } from './stranger.ts'

/** Null if the plan may begin. Throws what the disk throws, and ExpandError where `app.env` lacks a value. */
export async function checkPlan(session: Session): Promise<Reason | null> {
  const { deps, plan } = session
  return (
    (await checkFits(deps, plan)) ??
    (await checkManifest(session)) ??
    checkEngines(deps, plan) ??
    checkRequirements(plan.manifest.requirements, deps.host) ??
    checkPlatform(plan, deps.host) ??
    (await checkQuarantine(deps, plan)) ??
    (await checkSite(session)) ??
    (await checkSpace(deps, plan))
  )
}

/** The host is still as it was when the plan was made. */
async function checkFits(deps: EngineDeps, plan: Plan): Promise<Reason | null> {
  const stale = (message: string) => failure('stale_plan', 'preflight', message)
  if ((await readCurrent(deps)) !== (plan.from?.number ?? null))
    return stale('another generation is current than when the plan was made')
  if (!isDeepStrictEqual(await loadInstalled(deps), plan.from))
    return stale('the installed generation is not the one of the plan')
  if (plan.generation.number === plan.from?.number)
    return stale(`generation ${plan.generation.number} is the one that is installed`)
  if ((plan.kind === 'rollback') !== (plan.generation.kind === 'return'))
    return stale('only a rollback returns to a generation')
  if (plan.kind === 'install' && plan.from !== null) return stale('something is installed already')
  if (plan.generation.kind === 'new') {
    const taken = await exists(deps.disk, generationDir(deps.paths, plan.generation.number))
    return taken ? stale(`generation ${plan.generation.number} exists already`) : null
  }
  return null
}

/** What is going to be installed is what was verified; what a rollback returns to is what was installed then. */
async function checkManifest({ deps, plan, verified }: Session): Promise<Reason | null> {
  const foreign = (message: string) => failure('foreign', 'preflight', message)
  if (plan.manifest.version !== plan.to || plan.manifest.product !== plan.product)
    return foreign('the plan names another version or product than its manifest')
  if (!plan.manifest.artifacts.some((artifact) => isDeepStrictEqual(artifact, plan.artifact)))
    return foreign('the artifact is not one of the manifest')
  if (plan.generation.kind === 'new') {
    if (verified === null) return foreign('nothing but a rollback goes without a verified manifest')
    if (sha256Of(verified.bytes) !== plan.manifest_sha256 || !isDeepStrictEqual(verified.value, plan.manifest))
      return foreign('the verified manifest is not the one of the plan')
    return null
  }
  const { number } = plan.generation
  try {
    const target = await loadGeneration(deps, number)
    if (target.manifest_sha256 !== plan.manifest_sha256 || target.version !== plan.to)
      return foreign(`generation ${number} is not what the plan says`)
    await loadManifest(deps, target)
    return null
  } catch (error) {
    return failure(
      'missing_generation',
      'preflight',
      `generation ${number} is not whole: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

/** Engines that this agent does not have, named in the release's own words. */
export function missingEngines(
  manifest: Manifest,
  serviceControl: EngineDeps['service']['kind'] = 'exec',
): readonly string[] {
  const asked = [
    manifest.dependencies.length > 0 && 'dependencies',
    manifest.database_migrations.length > 0 && 'database_migrations',
    manifest.config_migrations.length > 0 && 'config_migrations',
    manifest.hooks.length > 0 && 'hooks',
    manifest.restart_units.length > 0 && serviceControl !== 'systemd' && 'restart_units',
  ]
  return asked.filter((name) => name !== false)
}

function checkEngines(deps: EngineDeps, plan: Plan): Reason | null {
  if (plan.generation.kind === 'return') return null // it was installed once
  const missing = missingEngines(plan.manifest, deps.service.kind)
  if (missing.length === 0) return null
  const message = `${plan.to} asks for what this agent can't do yet: ${missing.join(', ')}`
  return { ...failure('needs_engine', 'preflight', message), details: [...missing] }
}

/** Which requirement this machine does not meet, null if it meets all. */
export function checkRequirements(requirements: Manifest['requirements'], host: HostFacts): Reason | null {
  const { os, arch, memory_bytes, agent_version } = requirements
  const unfit = (message: string) => failure('incompatible', 'preflight', message)
  if (os && !os.includes(host.os)) return unfit(`needs ${os.join(' or ')}, this is ${host.os}`)
  if (arch && !arch.includes(host.arch)) return unfit(`needs ${arch.join(' or ')}, this is ${host.arch}`)
  if (memory_bytes !== undefined && host.memoryBytes < memory_bytes)
    return unfit(`needs ${memory_bytes} bytes of memory, here are ${host.memoryBytes}`)
  if (agent_version && !isAtLeast(host.agentVersion, agent_version))
    return unfit(`needs agent ${agent_version}, this is ${host.agentVersion}`)
  return null
}

function checkPlatform(plan: Plan, host: HostFacts): Reason | null {
  const own = `${host.os}-${host.arch}`
  if (plan.artifact.platform === 'any' || plan.artifact.platform === own) return null
  return failure('incompatible', 'preflight', `the artifact is for ${plan.artifact.platform}, this is ${own}`)
}

/** `major.minor.patch` by numbers. */
function isAtLeast(version: string, least: string): boolean {
  const have = version.split('.').map((part) => Number.parseInt(part, 10))
  for (const [index, want] of least.split('.').map(Number).entries()) {
    const part = have[index] ?? 0
    if (part !== want) return part > want
  }
  return true
}

async function checkQuarantine({ disk, paths }: EngineDeps, plan: Plan): Promise<Reason | null> {
  if (plan.quarantine_accepted || plan.kind === 'rollback') return null
  const release = { version: plan.to, treeSha256: plan.artifact.tree_sha256 }
  const entry = findQuarantine(await loadQuarantine(disk, paths), release)
  if (!entry) return null
  const subject = entry.version === plan.to ? plan.to : `${plan.to} has the same bytes as ${entry.version}, which`
  return failure('quarantined', 'preflight', `${subject} failed here in ${entry.update_id}: ${entry.message}`)
}

/** Everything that the new service asks of the site is there: to find out after the old one was stopped would be late. */
async function checkSite({ deps, plan, options }: Session): Promise<Reason | null> {
  const site = await loadSite(deps)
  const generation = { number: plan.generation.number, version: plan.to, service: plan.manifest.service }
  resolveService(generation, site)
  const checks = resolveChecks(plan.manifest.service?.health_checks ?? [], '/', variablesOf(generation, site))
  if (plan.kind === 'rollback' || options.acceptUnhealthy) return null
  return checkStranger(deps, checks)
}

/** Folders, inodes and the file system's own needs. */
const SPARE_BYTES = 16 << 20
const BYTES_AN_ENTRY = 4096

/** Room for the archive and the tree at once, on whichever file systems they lie. */
async function checkSpace({ disk, paths }: EngineDeps, plan: Plan): Promise<Reason | null> {
  if (plan.generation.kind === 'return') return null
  const { artifact, manifest } = plan
  const tree = artifact.unpacked_bytes + artifact.entries * BYTES_AN_ENTRY + SPARE_BYTES
  const root = await disk.stat(paths.root)
  const state = await disk.stat(paths.state)
  const same = root.device === state.device
  const needs = [
    { path: paths.root, bytes: Math.max(tree + (same ? artifact.length : 0), manifest.requirements.disk_bytes ?? 0) },
    ...(same ? [] : [{ path: paths.state, bytes: artifact.length + SPARE_BYTES }]),
  ]
  for (const { path, bytes } of needs) {
    const free = await disk.freeBytes(path)
    if (free < bytes) return failure('disk', 'preflight', `${path}: needs ${bytes} bytes, ${free} are free`)
  }
  return null
}

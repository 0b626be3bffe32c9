// What can be checked about a host without changing it: the metadata from the pinned root on, who signed what is installed, and every installed file.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { TrustError } from '../keys/trust-error.ts'
import { listGenerations, loadGeneration, loadInstalled, loadManifest } from './engine/layout.ts'
import type { Generation } from './engine/plan.ts'
import { hashTree } from './engine/unpack.ts'
import type { Host } from './host.ts'
import { type TrustView, withTrust } from './trust.ts'

export interface Check {
  readonly name: string
  readonly result: 'passed' | 'failed' | 'skipped'
  readonly detail: string
}

/** Every check that was made, in order. `deep` also reads the generations that are kept besides the running one. Throws only what no check can answer. */
export async function verifyHost(host: Host, deep: boolean): Promise<readonly Check[]> {
  const installed = await loadInstalled(host)
  const checks = [await checkMetadata(host, installed)]
  if (!installed)
    return [...checks.flat(), { name: 'installed', result: 'skipped', detail: 'nothing is installed on this host' }]
  const files = [await checkManifestFile(host, installed), await checkTree(host, installed)]
  if (!deep) return [...checks.flat(), ...files]
  for (const number of await listGenerations(host)) {
    if (number !== installed.number) files.push(await checkKept(host, number))
  }
  return [...checks.flat(), ...files]
}

/** From the pinned root to the manifest of what is installed. Without the server: what was verified before, and the answer says so. */
async function checkMetadata(host: Host, installed: Generation | null): Promise<Check[]> {
  try {
    return await withTrust(host.trust, 'refresh', (view) => checksOf(view, installed, 'fresh from the server'))
  } catch (error) {
    if (error instanceof TrustError)
      return [{ name: 'metadata', result: 'failed', detail: `${error.message} (${error.code})` }]
    if (!(error instanceof PlatformError) || error.code === 'cancelled') throw error
    const unreachable: Check = { name: 'server', result: 'skipped', detail: error.message }
    return [unreachable, ...(await checkKeptMetadata(host, installed))]
  }
}

async function checkKeptMetadata(host: Host, installed: Generation | null): Promise<Check[]> {
  try {
    return await withTrust(host.trust, 'offline', (view) => checksOf(view, installed, 'as it was verified before'))
  } catch (error) {
    if (error instanceof TrustError)
      return [{ name: 'metadata', result: 'failed', detail: `${error.message} (${error.code})` }]
    throw error
  }
}

async function checksOf(view: TrustView, installed: Generation | null, source: string): Promise<Check[]> {
  const first = view.expiresFirst()
  const until = first ? `, ${first.role} is good until ${first.at.toISOString().slice(0, 16)}Z` : ''
  const metadata: Check = {
    name: 'metadata',
    result: 'passed',
    detail: `root ${view.rootVersion}, timestamp ${view.timestampVersion}, ${source}${until}`,
  }
  return installed ? [metadata, await checkSigned(view, installed)] : [metadata]
}

/** What is installed is what the repository's keys signed, byte for byte. */
async function checkSigned(view: TrustView, installed: Generation): Promise<Check> {
  const name = 'manifest'
  try {
    const verified = await view.loadManifest(installed.version)
    const sha256 = createHash('sha256').update(verified.bytes).digest('hex')
    if (sha256 !== installed.manifest_sha256) {
      return { name, result: 'failed', detail: `signed is ${sha256}, installed was ${installed.manifest_sha256}` }
    }
    const { keyids, threshold } = view.signersOf(installed.version)
    return {
      name,
      result: 'passed',
      detail: `${installed.version} signed by ${keyids.length} (threshold ${threshold})`,
    }
  } catch (error) {
    if (error instanceof TrustError && error.code === 'missing')
      return { name, result: 'skipped', detail: error.message }
    if (error instanceof TrustError) return { name, result: 'failed', detail: `${error.message} (${error.code})` }
    throw error
  }
}

async function checkManifestFile(host: Host, generation: Generation): Promise<Check> {
  const name = `generation ${generation.number}`
  try {
    await loadManifest(host, generation)
    return { name, result: 'passed', detail: `${generation.version}, its manifest is the one that was installed` }
  } catch (error) {
    return { name, result: 'failed', detail: wordsOf(error) }
  }
}

async function checkTree(host: Host, generation: Generation): Promise<Check> {
  const name = `files of ${generation.version}`
  try {
    const digest = await hashTree(host.disk, join(host.paths.store, generation.tree), host.trust.signal)
    if (digest === generation.tree_sha256)
      return { name, result: 'passed', detail: `tree digest ${digest.slice(0, 12)}… as signed` }
    return { name, result: 'failed', detail: `tree digest is ${digest}, signed is ${generation.tree_sha256}` }
  } catch (error) {
    return { name, result: 'failed', detail: wordsOf(error) }
  }
}

async function checkKept(host: Host, number: number): Promise<Check> {
  try {
    const generation = await loadGeneration(host, number)
    const manifest = await checkManifestFile(host, generation)
    return manifest.result === 'failed'
      ? manifest
      : { ...(await checkTree(host, generation)), name: `generation ${number}` }
  } catch (error) {
    return { name: `generation ${number}`, result: 'failed', detail: wordsOf(error) }
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

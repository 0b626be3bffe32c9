// What a signer without a network needs besides the event: the repository as the proposer trusted it, from the root on.
import { join } from 'node:path'
import { DEFAULT_LIMITS } from '../../keys/limits.ts'
import { percentEncode } from '../../keys/percent-encode.ts'
import { targetFile } from '../../keys/release.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { manifestPath } from '../../schema/release-path.ts'
import type { CarriedRepository } from '../../schema/signing-event.ts'
import { channels, type Version } from '../../schema/version.ts'
import { lineNames } from '../edit.ts'
import type { Repository } from '../repository.ts'
import type { Workshop } from '../workshop.ts'
import { inBase64 } from './event.ts'

/**
 * `cited`: releases that the event was made from. `offline`: roots before the newest are not at hand, and a signer has to know all but that one; nor are channels
 * and lines that were never looked at here, and nothing that could be made without them needs them.
 */
export async function carriedRepository(
  workshop: Workshop,
  repository: Repository,
  cited: readonly Version[],
  { offline }: { readonly offline: boolean },
): Promise<CarriedRepository> {
  const metadata = new Map<string, Uint8Array>([
    ...(offline ? [] : await loadRoots(workshop, repository)),
    [`${repository.trusted.root.value.version}.root.json`, repository.trusted.root.bytes],
    ['timestamp.json', await loadTimestamp(workshop)],
    [`${repository.snapshot.value.version}.snapshot.json`, repository.snapshot.bytes],
    [`${repository.targets.value.version}.targets.json`, repository.targets.bytes],
    ...(await loadChannels(repository, offline)),
  ])
  return { metadata: inBase64(metadata), manifests: inBase64(await loadManifests(repository, cited)) }
}

/** Not verified here: whoever follows them verifies each. */
async function loadRoots(workshop: Workshop, { trusted }: Repository): Promise<readonly [string, Uint8Array][]> {
  const source = workshop.published().metadata
  const found: [string, Uint8Array][] = []
  for (let version = 2; version < trusted.root.value.version; version++) {
    const file = `${version}.root.json`
    const bytes = await source.load(file, DEFAULT_LIMITS.rootBytes, workshop.machine.signal)
    if (bytes !== 'missing') found.push([file, bytes])
  }
  return found
}

function loadTimestamp({ machine, layout }: Workshop): Promise<Uint8Array> {
  return machine.disk.readFile(join(layout.repository, 'timestamp.json'), DEFAULT_LIMITS.timestampBytes)
}

async function loadChannels(repository: Repository, offline: boolean): Promise<readonly [string, Uint8Array][]> {
  const found: [string, Uint8Array][] = []
  const versionOf = (role: string) => repository.snapshot.value.meta.get(`${role}.json`)?.version ?? 0
  const atHand = <T>(loaded: Promise<T>) => (offline ? loaded.catch(neverSeen) : loaded)
  for (const channel of channels) {
    const role = await atHand(repository.loadChannel(channel))
    if (role === undefined) continue
    found.push([`${versionOf(channel)}.${channel}.json`, role.bytes])
    for (const line of lineNames(role.value)) {
      const bytes = await atHand(repository.loadLine(line, role.value))
      if (bytes !== undefined) found.push([`${versionOf(line)}.${percentEncode(line)}.json`, bytes])
    }
  }
  return found
}

/** What this folder has never been shown. */
function neverSeen(error: unknown): undefined {
  if (error instanceof TrustError && error.code === 'missing') return undefined
  throw error
}

async function loadManifests(
  repository: Repository,
  versions: readonly Version[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>()
  for (const version of versions) {
    const target = await repository.trusted.findTarget(manifestPath(version))
    found.set(targetFile(target, true), (await repository.loadManifest(version)).bytes)
  }
  return found
}

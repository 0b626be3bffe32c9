import { refresh, type Trusted } from '../../keys/refresh.ts'
import { verifyManifest } from '../../keys/release.ts'
import { parseVersion } from '../../schema/version.ts'
import { SimRepository } from '../sim/repository.ts'
import { SimTrustStore } from '../sim/trust-store.ts'

/** A repository with 0a1 in it and a host that has seen it: root 1, timestamp 2, snapshot 2, targets 1, alpha 2. */
export interface TrustWorld {
  repo: SimRepository
  readonly store: SimTrustStore
  now: Date
}

export async function buildTrustWorld(): Promise<TrustWorld> {
  const repo = await SimRepository.create()
  await repo.release('0a1')
  const world = { repo, store: new SimTrustStore(repo.file('1.root.json')), now: repo.now }
  await useRelease(world)
  return world
}

export const SEEN = { root: 1, timestamp: 2, snapshot: 2, targets: 1, alpha: 2 }

/** What an agent does: refresh, look at its channel, load a manifest. */
export async function useRelease(world: TrustWorld, version = '0a1'): Promise<Trusted> {
  const trusted = await refreshOnly(world)
  await trusted.loadChannel('alpha')
  await verifyManifest(trusted, world.repo.targets, parseVersion(version))
  return trusted
}

export function refreshOnly({ repo, store, now }: TrustWorld): Promise<Trusted> {
  return refresh({ source: repo, store, startedAt: now })
}

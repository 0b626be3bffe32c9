// The one way down: from the installed release to one that its signed manifest names, whoever asks.
import type { Verified } from '../keys/verified.ts'
import type { Manifest } from '../schema/manifest.ts'
import { decideDowngrade } from '../schema/upgrade-path.ts'
import type { Version } from '../schema/version.ts'
import type { Decision } from './decide.ts'
import { decideFitness } from './fitness.ts'
import type { Host } from './host.ts'
import type { TrustView } from './trust.ts'

export interface WayDown {
  readonly decision: Decision
  readonly manifests: ReadonlyMap<Version, Verified<Manifest>>
}

/**
 * Whether this host may go down from what is installed: only if the installed release's signed manifest, verified anew, says so, and if `to` itself verifies,
 * was not withdrawn and fits. Only the channels of the two are asked: what is wrong with another is no matter. Throws TrustError, PlatformError.
 */
export async function checkWayDown(host: Host, view: TrustView, from: Version, to: Version): Promise<WayDown> {
  const current = await view.loadManifest(from)
  const path = decideDowngrade({ from, to, downgradeTo: current.value.compatibility.downgrade_to })
  if (path.kind === 'blocked') return noWay(to, 'incompatible', path.reason)
  const withdrawn = await view.loadWithdrawal(to)
  if (withdrawn) return noWay(to, 'withdrawn', `${to} was withdrawn: ${withdrawn.reason}`)
  const target = await view.loadManifest(to)
  const freeBytes = await host.disk.freeBytes(host.paths.root)
  const unfit = decideFitness(target.value, { ...host, serviceControl: host.enrolment.service.control, freeBytes })
  if (unfit) return noWay(to, 'incompatible', unfit.detail)
  return { decision: { kind: 'available', version: to, hops: [to] }, manifests: new Map([[to, target]]) }
}

/** There is none, and why. */
export function noWay(to: Version, reason: 'incompatible' | 'withdrawn', detail: string): WayDown {
  return { decision: { kind: 'waiting', version: to, reason, detail, until: null }, manifests: new Map() }
}

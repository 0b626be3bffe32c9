import type { Verified } from '../keys/verified.ts'
import type { Manifest } from '../schema/manifest.ts'
import { decideDowngrade } from '../schema/upgrade-path.ts'
import type { Version } from '../schema/version.ts'
import { type CheckResult, loadHostState } from './check.ts'
import type { Decision } from './decide.ts'
import { loadInstalled } from './engine/layout.ts'
import { decideFitness } from './fitness.ts'
import type { Host } from './host.ts'
import { withTrust } from './trust.ts'

type Found = Pick<CheckResult, 'decision' | 'state' | 'manifests'>

/**
 * Whether this host may go down to `to`: only if the installed release's signed manifest, verified anew, says so, and if `to` itself verifies, was not
 * withdrawn and fits. Never asked by a server: a downgrade begins at this host's command line. Throws TrustError, PlatformError, ShapeError.
 */
export async function checkDowngrade(host: Host, to: Version): Promise<Found> {
  const installed = await loadInstalled(host)
  const state = await loadHostState(host, installed, { engine: 'idle' })
  const refuse = (reason: 'incompatible' | 'withdrawn', detail: string): Found => ({
    decision: { kind: 'waiting', version: to, reason, detail, until: null },
    state,
    manifests: new Map(),
  })
  const from = state.installed
  if (from === null) return refuse('incompatible', 'nothing is installed here that could be left')
  if (from === to)
    return { decision: { kind: 'up-to-date', detail: `${to} is installed` }, state, manifests: new Map() }
  return withTrust(host.trust, 'refresh', async (view) => {
    const current = await view.loadManifest(from)
    const path = decideDowngrade({ from, to, downgradeTo: current.value.compatibility.downgrade_to })
    if (path.kind === 'blocked') return refuse('incompatible', path.reason)
    const listing = await view.loadListing('alpha')
    const withdrawn = listing.withdrawn.find((one) => one.version === to)
    if (withdrawn) return refuse('withdrawn', `${to} was withdrawn: ${withdrawn.reason}`)
    const target = await view.loadManifest(to)
    const unfit = await unfitnessOf(host, target)
    if (unfit) return refuse('incompatible', unfit)
    const decision: Decision = { kind: 'available', version: to, hops: [to] }
    return { decision, state, manifests: new Map([[to, target]]) }
  })
}

async function unfitnessOf(host: Host, target: Verified<Manifest>): Promise<string | undefined> {
  const freeBytes = await host.disk.freeBytes(host.paths.root)
  return decideFitness(target.value, { ...host, serviceControl: host.enrolment.service.control, freeBytes })?.detail
}

import type { Version } from '../schema/version.ts'
import { type CheckResult, loadHostState } from './check.ts'
import { loadInstalled } from './engine/layout.ts'
import type { Host } from './host.ts'
import { withTrust } from './trust.ts'
import { checkWayDown, noWay } from './way-down.ts'

/** `rootSha256` is null where nothing was looked up. */
type Found = Pick<CheckResult, 'decision' | 'state' | 'manifests'> & { readonly rootSha256: string | null }

/** Whether this host may go down to `to`, asked at its own command line. Throws TrustError, PlatformError, ShapeError. */
export async function checkDowngrade(host: Host, to: Version): Promise<Found> {
  const installed = await loadInstalled(host)
  const state = await loadHostState(host, installed, { engine: 'idle' })
  const from = state.installed
  const rootSha256 = null
  if (from === null)
    return { state, rootSha256, ...noWay(to, 'incompatible', 'nothing is installed here that could be left') }
  if (from === to)
    return { decision: { kind: 'up-to-date', detail: `${to} is installed` }, state, rootSha256, manifests: new Map() }
  const found = await withTrust(host.trust, 'refresh', async (view) => ({
    ...(await checkWayDown(host, view, from, to)),
    rootSha256: view.rootSha256,
  }))
  return { state, ...found }
}

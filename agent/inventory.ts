// What runs on this host now, as the server is told: read from `current`, the metadata store and the service itself, never from memory.
import type { Inventory } from '../schema/report.ts'
import { unreachable } from '../schema/unreachable.ts'
import { channelShape } from '../schema/version.ts'
import type { EngineDeps } from './engine/deps.ts'
import { loadInstalled } from './engine/layout.ts'
import type { Generation } from './engine/plan.ts'
import { loadSite } from './engine/site.ts'
import { decideExpiryFact } from './expiry.ts'
import { takeBaseline } from './health/watch.ts'
import type { Host } from './host.ts'
import { loadCheck } from './host-state.ts'
import { appDir, resolveChecks, resolveEnv, variablesOf } from './service/definition.ts'
import { loadVersionRecord } from './version-record.ts'

/** How well the service does at this moment. */
export type ServiceHealth = Inventory['service']

/** Throws what reading `current` throws; everything that is only said besides is said as unknown where it can't be found out. */
export async function buildInventory(host: Host, engine: EngineDeps): Promise<Inventory> {
  const installed = await loadInstalled(host)
  const record = await loadVersionRecord(host)
  const check = await loadCheck(host.disk, host.files)
  return {
    version: installed?.version ?? null,
    since: installed && record.current_version === installed.version ? record.last_updated : null,
    channel: channelShape.parse(host.enrolment.channel),
    database_version: installed?.database_version ?? null,
    config_version: installed?.config_version ?? null,
    generation: installed?.number ?? null,
    platform: host.platform,
    agent_version: host.facts.agentVersion,
    service: await readHealth(engine, installed),
    target: check?.target ?? null,
    waiting: check?.waiting ?? null,
    waiting_detail: check?.waiting_detail ?? null,
    expiring: decideExpiryFact(check?.expires ?? null, host.clock.now()),
    root_version: Math.max(1, check?.root_version ?? 1),
    timestamp_version: check?.timestamp_version ?? 0,
  }
}

/** Asks the service and its required checks once. */
export async function readHealth(engine: EngineDeps, installed: Generation | null): Promise<ServiceHealth> {
  if (!installed?.service) return 'none'
  try {
    const status = await engine.service.status()
    switch (status.state) {
      case 'unmanaged':
        return 'unknown'
      case 'stopped':
        return 'stopped'
      case 'crashed':
        return 'unhealthy'
      case 'running':
        return (await failingChecks(engine, installed)).length === 0 ? 'healthy' : 'unhealthy'
      default:
        return unreachable(status)
    }
  } catch {
    return 'unknown' // an inventory that says so is worth more than none
  }
}

/** Names of required checks that do not pass now. */
async function failingChecks(engine: EngineDeps, installed: Generation): Promise<readonly string[]> {
  const site = await loadSite(engine)
  const variables = variablesOf(installed, site)
  const app = appDir(engine.paths, installed.number)
  const checks = resolveChecks(installed.service?.health_checks ?? [], app, variables).filter(
    (check) => check.severity === 'required',
  )
  return takeBaseline(engine, {
    checks,
    context: { cwd: app, env: resolveEnv(installed.service?.env ?? {}, installed, site), unitRestarts: new Map() },
    isStopped: () => false,
  })
}

import { ServiceError } from '../service/control.ts'
import { resolveService } from '../service/definition.ts'
import type { EngineDeps } from './deps.ts'
import { loadInstalled } from './layout.ts'
import { loadSite } from './site.ts'

/**
 * Starts the service of what is installed, unless it runs, has none, or somebody stopped it on purpose. What a daemon does after a recovery, and
 * with `always` what `netlink service start` does. Rejects with ServiceError (`undecided` while a journal is open), ExpandError, ShapeError, PlatformError.
 */
export async function startInstalled(
  deps: Pick<EngineDeps, 'disk' | 'paths' | 'host' | 'service'>,
  how: 'unless-stopped' | 'always' = 'unless-stopped',
): Promise<'started' | 'left' | 'none'> {
  const definition = await installedService(deps)
  if (definition === null) return 'none'
  const status = await deps.service.status()
  if (status.state === 'unmanaged' || status.state === 'running') return 'left'
  if (status.state === 'stopped' && status.onPurpose && how === 'unless-stopped') return 'left'
  await deps.service.start(definition)
  return 'started'
}

/** Stops and starts the service of what is installed. Rejects as `startInstalled`; `not-startable` where nothing is installed. */
export async function restartInstalled(deps: Pick<EngineDeps, 'disk' | 'paths' | 'host' | 'service'>): Promise<void> {
  const definition = await installedService(deps)
  if (definition === null) throw new ServiceError('not-startable', 'nothing is installed that has a service')
  await deps.service.restart(definition)
}

/** The process of what is installed, null where nothing is or it has none. */
export async function installedService(deps: Pick<EngineDeps, 'disk' | 'paths' | 'host'>) {
  const installed = await loadInstalled(deps)
  return installed && resolveService(installed, await loadSite(deps))
}

// Whether somebody else answers where the service is going to. Its checks would pass for them, and prove nothing about the new version.
import { probe } from '../health/probe.ts'
import type { ResolvedCheck } from '../service/definition.ts'
import type { EngineDeps } from './deps.ts'
import { failure } from './machine.ts'
import type { Reason } from './outcome.ts'

const PATIENCE_MS = 2000

/**
 * Asks only where this agent starts the process itself and none of its own runs. Null unless every required check over the network passes already: one
 * of several may well ask after a database that is there before.
 */
export async function checkStranger(deps: EngineDeps, checks: readonly ResolvedCheck[]): Promise<Reason | null> {
  const asked = checks.filter(({ type, severity }) => severity === 'required' && (type === 'http' || type === 'tcp'))
  if (asked.length === 0 || deps.service.kind !== 'exec') return null
  if ((await deps.service.status()).state !== 'stopped') return null
  const context = { env: {}, cwd: '/', unitRestarts: new Map() }
  const ends = await Promise.all(
    asked.map((check) =>
      probe(deps.probes, { ...check, timeout_ms: Math.min(check.timeout_ms, PATIENCE_MS) }, context),
    ),
  )
  if (!ends.every(({ kind }) => kind === 'passed')) return null
  const places = asked.map((check) => placeOf(check)).join(', ')
  const message = `nothing of this host's runs, and ${places} answers already: somebody else is there; stop them, or choose another address in config/app.env`
  return failure('environment', 'preflight', message)
}

function placeOf(check: ResolvedCheck): string {
  if (check.type === 'http') return check.url
  return check.type === 'tcp' ? `${check.host}:${check.port}` : check.name
}

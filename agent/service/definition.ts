// From what a release says about its service to a process that can be started. Pure, and free of packages: the supervisor imports it too.

import { isAbsolute, join, normalize } from 'node:path'
import type { HealthCheck, Service } from '../../schema/manifest.ts'
import { generationDir, type Paths } from '../paths.ts'
import type { ServiceDefinition } from './control.ts'
import { ExpandError, expand, type Variables } from './expand.ts'

/** What is taken over from whoever starts the service. Everything else of that environment stays out. */
export const INHERITED = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ', 'TMPDIR'] as const
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface Site {
  readonly paths: Paths
  /** What `config/app.env` says. */
  readonly appEnv: Variables
  /** The starter's environment; only the names in INHERITED are looked at. */
  readonly inherited: Readonly<Record<string, string | undefined>>
}

/** Of a generation what counts here. */
export interface Runnable {
  readonly number: number
  readonly version: string
  readonly service: Service | null
}

/** The four names that every release can rely on, over those of the site. */
export function variablesOf(
  generation: Pick<Runnable, 'number' | 'version'>,
  { paths, appEnv }: Pick<Site, 'paths' | 'appEnv'>,
): Variables {
  return new Map([...appEnv, ...ownVariables(generation, paths)])
}

function ownVariables(
  { number, version }: Pick<Runnable, 'number' | 'version'>,
  paths: Paths,
): readonly (readonly [string, string])[] {
  return [
    ['NETLINK_APP_DIR', appDir(paths, number)],
    ['NETLINK_DATA_DIR', paths.data],
    ['NETLINK_CONFIG_DIR', paths.config],
    ['NETLINK_VERSION', version],
  ]
}

/** The release tree of a generation. */
export function appDir(paths: Paths, generation: number): string {
  return join(generationDir(paths, generation), 'app')
}

/** The process of a generation, null where its release has none. Throws ExpandError. */
export function resolveService(generation: Runnable, site: Site): ServiceDefinition | null {
  const { service } = generation
  if (service === null) return null
  const variables = variablesOf(generation, site)
  const app = appDir(site.paths, generation.number)
  return {
    generation: generation.number,
    version: generation.version,
    argv: resolveArgv(service.argv, app, variables),
    env: resolveEnv(service.env, generation, site),
    cwd: service.working_dir === 'data' ? site.paths.data : app,
    stopSignal: service.stop_signal,
    stopTimeoutMs: service.stop_timeout_ms,
  }
}

/** The whole environment of a service, its exec checks and its self-tests. Throws ExpandError. */
export function resolveEnv(
  env: Readonly<Record<string, string>>,
  generation: Runnable,
  site: Site,
): Record<string, string> {
  const variables = variablesOf(generation, site)
  const inherited = INHERITED.flatMap((name) => {
    const value = site.inherited[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  const own = Object.entries(env).map(([name, value]) => [name, expand(value, variables)] as const)
  return Object.fromEntries([
    ['PATH', DEFAULT_PATH] as const,
    ...inherited,
    ...own,
    ...ownVariables(generation, site.paths),
  ])
}

/** The first element becomes absolute where it has a slash (`./bin/app` lies in the release), and stays a name for PATH where it has none. Throws ExpandError. */
export function resolveArgv(argv: readonly string[], app: string, variables: Variables): readonly string[] {
  const [program = '', ...rest] = argv.map((word) => expand(word, variables))
  if (program === '') throw new ExpandError('malformed', 'expected the name of a program')
  if (!program.includes('/') || isAbsolute(program)) return [program, ...rest]
  const inside = normalize(program)
  if (inside.startsWith('..'))
    throw new ExpandError('malformed', `expected a program inside the release, found ${JSON.stringify(program)}`)
  return [join(app, inside), ...rest]
}

/** The checks with their names resolved. A port is a number afterwards. Throws ExpandError. */
export function resolveChecks(
  checks: readonly HealthCheck[],
  app: string,
  variables: Variables,
): readonly ResolvedCheck[] {
  return checks.map((check) => {
    const { name, severity, interval_ms, timeout_ms, success_threshold, failure_threshold } = check
    const common = { name, severity, interval_ms, timeout_ms, success_threshold, failure_threshold }
    switch (check.type) {
      case 'http': {
        const body = check.expect_body === undefined ? null : expand(check.expect_body, variables)
        return { ...common, type: 'http', url: expand(check.url, variables), status: check.expect_status, body }
      }
      case 'tcp':
        return { ...common, type: 'tcp', host: expand(check.host, variables), port: resolvePort(check.port, variables) }
      case 'exec':
        return { ...common, type: 'exec', argv: resolveArgv(check.argv, app, variables) }
      case 'unit':
        return { ...common, type: 'unit', unit: expand(check.unit, variables) }
      default:
        throw new ExpandError('malformed', `unknown health check ${JSON.stringify(check)}`)
    }
  })
}

interface CommonCheck {
  readonly name: string
  readonly severity: 'required' | 'wanted'
  readonly interval_ms: number
  readonly timeout_ms: number
  readonly success_threshold: number
  readonly failure_threshold: number
}

/** A health check that asks for nothing any more. */
export type ResolvedCheck = CommonCheck &
  (
    | { readonly type: 'http'; readonly url: string; readonly status: number; readonly body: string | null }
    | { readonly type: 'tcp'; readonly host: string; readonly port: number }
    | { readonly type: 'exec'; readonly argv: readonly string[] }
    | { readonly type: 'unit'; readonly unit: string }
  )

function resolvePort(port: number | string, variables: Variables): number {
  const text = typeof port === 'number' ? String(port) : expand(port, variables)
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (value < 1 || value > 65_535)
    throw new ExpandError('malformed', `expected a port from 1 to 65535, found ${JSON.stringify(text)}`)
  return value
}

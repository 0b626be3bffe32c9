// A host below a real folder: real files, the real supervisor, real processes.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Generation } from '../../agent/engine/plan.ts'
import { buildPaths, generationDir, type Paths } from '../../agent/paths.ts'
import type { ServiceDefinition } from '../../agent/service/control.ts'
import { resolveService } from '../../agent/service/definition.ts'
import { buildExecControl, type ExecControl } from '../../agent/service/exec-control.ts'
import { parseAppEnv } from '../../agent/service/expand.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'

export interface HostFolder {
  readonly paths: Paths
  readonly control: ExecControl
  /** Lays out a generation by hand: a release tree with these files and this service. */
  layOut(
    generation: number,
    service: Partial<NonNullable<Generation['service']>>,
    files?: Readonly<Record<string, string>>,
  ): Promise<ServiceDefinition>
  appLog(): Promise<string>
  supervisorLog(): Promise<string>
  close(): Promise<void>
}

/** The Node that runs the tests, by its full name: services are started with a PATH of their own. */
export const node = process.execPath

export async function makeHostFolder(prefix = 'netlink-host-'): Promise<HostFolder> {
  const folder = await mkdtemp(join(tmpdir(), prefix))
  const paths = buildPaths({ home: join(folder, 'h') })
  await mkdir(paths.config, { recursive: true })
  await mkdir(paths.data, { recursive: true })
  await mkdir(paths.state, { recursive: true, mode: 0o700 })
  await mkdir(paths.locks, { recursive: true, mode: 0o700 })
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, SECRET: 'not for the service' }
  const control = buildExecControl({ disk: nodeDisk, clock: systemClock, paths, env })
  return {
    paths,
    control,
    async layOut(number, service, files = {}) {
      const folder = generationDir(paths, number)
      await mkdir(join(folder, 'app'), { recursive: true })
      for (const [name, content] of Object.entries(files))
        await writeFile(join(folder, 'app', name), content, { mode: 0o755 })
      const generation = { number, version: `0a${number}`, service: { ...SERVICE, ...service } }
      await writeFile(join(folder, 'generation.json'), JSON.stringify(generation))
      const appEnv = await readFile(paths.appEnv, 'utf8').catch(() => '')
      const definition = resolveService(generation, { paths, appEnv: parseAppEnv(appEnv), inherited: env })
      if (!definition) throw new Error('no service')
      return definition
    },
    appLog: () => readFile(paths.appLog, 'utf8').catch(() => ''),
    supervisorLog: () => readFile(join(paths.service, 'supervisor.log'), 'utf8').catch(() => ''),
    async close() {
      await rm(paths.undecided, { force: true })
      await control.end('shutdown')
      await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
    },
  }
}

const SERVICE = {
  argv: [node, 'app.mjs'],
  env: {},
  working_dir: 'app' as const,
  stop_signal: 'SIGTERM' as const,
  stop_timeout_ms: 5000,
  ready_ms: 10_000,
  stability_ms: 300,
  health_checks: [],
}

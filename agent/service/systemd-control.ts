// Service control `systemd`: one unit runs whatever `current` leads to. Its ExecStart is `netlink service exec`, which becomes the process of the current
// generation; so the unit file never changes with a release.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../keys/platform/clock.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { makeDirDurable, replaceFile } from '../../keys/platform/durable.ts'
import type { Paths } from '../paths.ts'
import { type ServiceControl, type ServiceDefinition, ServiceError, type ServiceStatus } from './control.ts'
import { identify } from './process-facts.ts'
import { countOf, parseProperties } from './systemctl.ts'

/** One call of systemctl: its output, or ServiceError `systemd`. */
export type Systemctl = (args: readonly string[]) => Promise<string>

export interface SystemdControlDeps {
  readonly disk: Disk
  readonly clock: Clock
  readonly paths: Paths
  /** The service's unit: `demo.service`. */
  readonly unit: string
  readonly systemctl?: Systemctl
}

const PROPERTIES = 'ActiveState,SubState,Result,MainPID,NRestarts,InvocationID,ActiveEnterTimestampMonotonic'
const CALL_TIMEOUT_MS = 15 * 60_000

/** What was started when, so that it is known which generation runs: systemd only knows the unit. */
interface StartRecord {
  readonly generation: number
  readonly version: string
  readonly invocation: string
  readonly restarts: number
}

export function buildSystemdControl(deps: SystemdControlDeps): ServiceControl {
  const { unit, systemctl = runSystemctl, disk, paths, clock } = deps

  async function show(): Promise<ReadonlyMap<string, string>> {
    return parseProperties(await systemctl(['show', `--property=${PROPERTIES}`, '--', unit]))
  }

  async function launch(
    definition: ServiceDefinition,
    verb: 'start' | 'restart',
    updateId: string | undefined,
  ): Promise<void> {
    refuseUndecided(paths, updateId)
    await systemctl(['reset-failed', '--', unit]).catch(() => undefined) // a unit that never failed has nothing to reset
    await systemctl([verb, '--', unit])
    const facts = await show()
    const record: StartRecord = {
      generation: definition.generation,
      version: definition.version,
      invocation: facts.get('InvocationID') ?? '',
      restarts: countOf(facts.get('NRestarts')),
    }
    await makeDirDurable(disk, paths.service, 0o700)
    await replaceFile(disk, recordOf(paths), Buffer.from(`${JSON.stringify(record)}\n`), 0o600)
  }

  async function status(): Promise<ServiceStatus> {
    const facts = await show()
    const active = facts.get('ActiveState')
    const record = loadRecord(paths)
    const restarts = countOf(facts.get('NRestarts')) - (record?.restarts ?? 0)
    const known = { generation: record?.generation ?? 0, version: record?.version ?? '' }
    const identity = identify(Number(facts.get('MainPID') ?? 0))
    if ((active === 'active' || active === 'activating' || active === 'reloading') && identity && restarts <= 0) {
      const sinceMs = Math.max(
        0,
        Math.round(clock.monotonicMs() - Number(facts.get('ActiveEnterTimestampMonotonic') ?? 0) / 1000),
      )
      return { state: 'running', ...known, identity, restarts: 0, sinceMs }
    }
    if (active === 'inactive' || active === 'deactivating') return { state: 'stopped', onPurpose: true }
    const ended =
      restarts > 0
        ? `restarted ${restarts} times by systemd`
        : `${active}/${facts.get('SubState')} (${facts.get('Result')})`
    return { state: 'crashed', ...known, ended, restarts, tail: [] }
  }

  return {
    kind: 'systemd',
    start: async (definition, updateId) => {
      const now = await status()
      if (now.state === 'running' && now.generation === definition.generation) return refuseUndecided(paths, updateId)
      await launch(definition, now.state === 'running' ? 'restart' : 'start', updateId)
    },
    restart: (definition, updateId) => launch(definition, 'restart', updateId),
    stop: async () => void (await systemctl(['stop', '--', unit])),
    restartUnits: async (units) => {
      if (units.length > 0) await systemctl(['restart', '--', ...units])
    },
    status,
    identity: async () => {
      const now = await status()
      return now.state === 'running' ? now.identity : null
    },
  }
}

function refuseUndecided(paths: Paths, updateId: string | undefined): void {
  let mark: string
  try {
    mark = readFileSync(paths.undecided, 'utf8').trim()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
    throw error
  }
  if (mark !== updateId)
    throw new ServiceError('undecided', `${mark} is undecided: nothing is started before it has ended or was recovered`)
}

function recordOf(paths: Paths): string {
  return join(paths.service, 'unit.json')
}

function loadRecord(paths: Paths): StartRecord | undefined {
  try {
    return JSON.parse(readFileSync(recordOf(paths), 'utf8'))
  } catch {
    return undefined // never started by us: which generation runs is then unknown
  }
}

/** Without a shell and without our environment. */
const runSystemctl: Systemctl = (args) =>
  new Promise((resolve, reject) => {
    execFile(
      'systemctl',
      [...args],
      { timeout: CALL_TIMEOUT_MS, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' } },
      (error, stdout, stderr) => {
        if (!error) return resolve(stdout)
        reject(
          new ServiceError('systemd', `systemctl ${args.join(' ')}: ${stderr.trim() || error.message}`, {
            cause: error,
          }),
        )
      },
    )
  })

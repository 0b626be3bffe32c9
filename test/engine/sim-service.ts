// A service that runs in memory, by the same contract as the real one (test/engine/service-contract.ts).

import type { Paths } from '../../agent/paths.ts'
import {
  type ServiceControl,
  type ServiceDefinition,
  ServiceError,
  type ServiceStatus,
} from '../../agent/service/control.ts'
import type { Disk } from '../../keys/platform/disk.ts'

export interface SimService extends ServiceControl {
  /** What was asked of it, in order: `start 0a2`, `stop`. */
  readonly calls: string[]
  /** The version that runs, null where nothing does. */
  readonly running: string | null
  /** Ends the process as a bug would. */
  crash(tail?: readonly string[]): void
  /** These versions end right after they were started. */
  readonly dying: Set<string>
  /** These versions can't even be started. */
  readonly unstartable: Set<string>
}

/** `disk` is asked whether an update is undecided; undefined for a world without updates. */
export function createSimService(disk: Disk | undefined, paths: Paths): SimService {
  const calls: string[] = []
  const dying = new Set<string>()
  const unstartable = new Set<string>()
  let status: ServiceStatus = { state: 'stopped', onPurpose: false }
  let pids = 100

  async function refuseUndecided(updateId: string | undefined): Promise<void> {
    const mark = await disk?.readFile(paths.undecided).then(
      (bytes) => Buffer.from(bytes).toString().trim(),
      () => undefined,
    )
    if (mark !== undefined && mark !== updateId) throw new ServiceError('undecided', `${mark} is undecided`)
  }

  function launch(definition: ServiceDefinition): void {
    const { generation, version } = definition
    if (unstartable.has(version)) throw new ServiceError('not-startable', `${version} can't be started`)
    const identity = { pid: ++pids, startTime: String(pids), bootId: 'sim' }
    status = { state: 'running', generation, version, identity, restarts: 0, sinceMs: 0 }
    if (dying.has(version)) crash(['it hurts'])
  }

  function crash(tail: readonly string[] = []): void {
    if (status.state !== 'running') return
    const { generation, version } = status
    status = { state: 'crashed', generation, version, ended: 'exit code 1', restarts: 0, tail }
  }

  return {
    kind: 'exec',
    calls,
    dying,
    unstartable,
    crash,
    get running() {
      return status.state === 'running' ? status.version : null
    },
    async start(definition, updateId) {
      await refuseUndecided(updateId)
      if (status.state === 'running' && status.generation === definition.generation) return
      calls.push(`start ${definition.version}`)
      launch(definition)
    },
    async restart(definition, updateId) {
      await refuseUndecided(updateId)
      calls.push(`restart ${definition.version}`)
      launch(definition)
    },
    async stop() {
      calls.push('stop')
      status = { state: 'stopped', onPurpose: true }
    },
    async restartUnits(units) {
      if (units.length > 0) throw new ServiceError('systemd', 'no units')
    },
    status: async () => status,
    identity: async () => (status.state === 'running' ? status.identity : null),
  }
}

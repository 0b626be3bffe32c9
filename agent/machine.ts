// Everything outside that the agent's own code touches, put together once by main.ts, worker.ts and api.ts.
import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { type Clock, systemClock } from '../keys/platform/clock.ts'
import { type Disk, nodeDisk } from '../keys/platform/disk.ts'
import { type AgentFiles, agentFilesOf, type Environment, pathsOf, readEnvironment } from './config.ts'
import type { Paths } from './paths.ts'

export interface Machine {
  readonly environment: Environment
  readonly paths: Paths
  readonly files: AgentFiles
  readonly disk: Disk
  readonly clock: Clock
  /** 0 up to 1. */
  readonly random: () => number
  /** What takes locks, for whoever finds them taken: `netlink update upgrade`. */
  readonly owner: string
  readonly facts: MachineFacts
}

/** What this machine is. */
export interface MachineFacts {
  /** As Node names them: `linux`, `x64`. */
  readonly os: string
  readonly arch: string
  readonly memoryBytes: number
  /** As in this package's package.json. */
  readonly agentVersion: string
  readonly bootId: string
  readonly env: Readonly<{ [name: string]: string | undefined }>
}

/** The machine that this process runs on. */
export function buildMachine(
  surroundings: Pick<NodeJS.Process, 'env' | 'platform' | 'arch' | 'cwd'>,
  random: () => number,
  owner: string,
): Machine {
  const environment = readEnvironment(surroundings.env, surroundings.cwd())
  const paths = pathsOf(environment)
  return {
    environment,
    paths,
    files: agentFilesOf(paths),
    disk: nodeDisk,
    clock: systemClock,
    random,
    owner,
    facts: {
      os: surroundings.platform,
      arch: surroundings.arch,
      memoryBytes: totalmem(),
      agentVersion: readAgentVersion(),
      bootId: readBootId(),
      env: surroundings.env,
    },
  }
}

/** As in a manifest's artifacts: `linux-x64`. */
export function platformOf(facts: Pick<MachineFacts, 'os' | 'arch'>): string {
  return `${facts.os}-${facts.arch}`
}

/** The version in this package's package.json, two folders up in a checkout and one more in the built package. */
export function readAgentVersion(): string {
  for (const up of ['..', '../..']) {
    try {
      const { name, version } = JSON.parse(readFileSync(join(import.meta.dirname, up, 'package.json'), 'utf8'))
      if (name === 'netlink-update' && typeof version === 'string') return version
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
  throw new Error('package.json of netlink-update is missing')
}

function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return 'unknown' // no /proc: a restarted agent then counts as the same boot
  }
}

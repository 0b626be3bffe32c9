import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, closeSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import { openAppLog } from './app-log.ts'
import { type ServiceDefinition, ServiceError, type ServiceIdentity } from './control.ts'
import { identify } from './process-facts.ts'

export interface Started {
  readonly child: ChildProcess
  readonly identity: ServiceIdentity
  readonly logOffset: number
  /** Lets it run. Until then it waits, and ends by itself if we die first: what is not recorded never runs. */
  release(): void
}

/** Waits for one line, then becomes the program. `exec` keeps process number and start time, so both are known before the program runs. */
const GATE = 'read -r go && exec "$@" </dev/null'

/**
 * Starts the process in a session of its own, both outputs going to the log file itself: nothing of it depends on us. Rejects with ServiceError
 * `not-startable`.
 */
export async function startProcess(definition: ServiceDefinition, logFile: string): Promise<Started> {
  const { argv, env, cwd } = definition
  checkStartable(definition)
  const log = await openAppLog(logFile)
  let child: ChildProcess
  try {
    child = spawn('/bin/sh', ['-c', GATE, 'netlink-service', ...argv], {
      cwd,
      env: { ...env },
      detached: true,
      stdio: ['pipe', log.fd, log.fd],
    })
    await once(child, 'spawn')
  } catch (cause) {
    throw new ServiceError('not-startable', `${argv[0]}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    })
  } finally {
    closeSync(log.fd)
  }
  const identity = child.pid === undefined ? undefined : identify(child.pid)
  if (!identity) throw new ServiceError('not-startable', `${argv[0]}: ended before it was seen`)
  child.stdin?.on('error', () => undefined) // it ended before it was let go: its exit tells
  return { child, identity, logOffset: log.offset, release: () => void child.stdin?.end('go\n') }
}

/** What a shell would only say in the log. */
function checkStartable({ argv: [program = ''], env, cwd }: ServiceDefinition): void {
  if (!statSync(cwd, { throwIfNoEntry: false })?.isDirectory())
    throw new ServiceError('not-startable', `${cwd}: expected a folder to start in`)
  const candidates = program.includes('/')
    ? [program]
    : (env.PATH ?? '').split(':').map((folder) => join(folder || '.', program))
  if (candidates.some(isProgram)) return
  const where = program.includes('/') ? 'expected a program' : 'not found in PATH'
  throw new ServiceError('not-startable', `${program}: ${where}`)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

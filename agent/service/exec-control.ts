// Service control `exec`: asks the host's supervisor, and starts one where there is none. A supervisor that dies in the middle of an order is followed by
// another one and told again: every order may be repeated.
import { spawn } from 'node:child_process'
import { closeSync, openSync, statSync, truncateSync } from 'node:fs'
import { connect } from 'node:net'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../keys/platform/clock.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { makeDirDurable } from '../../keys/platform/durable.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { findSocketPath } from '../../keys/platform/private-dir.ts'
import type { Paths } from '../paths.ts'
import { type ServiceControl, ServiceError, type ServiceStatus } from './control.ts'
import { INHERITED } from './definition.ts'
import { isAlive } from './process-facts.ts'
import { loadProcessRecord } from './process-record.ts'
import { SOCKET_NAME, type SupervisorAnswer, type SupervisorRequest } from './wire.ts'

export interface ExecControlDeps {
  readonly disk: Disk
  readonly clock: Clock
  readonly paths: Paths
  /** Ours; the supervisor gets the names in INHERITED and where its user's runtime folder is. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** The Node to run the supervisor on; ours unless given. */
  readonly execPath?: string
}

const TRIES = 3
const START_TIMEOUT_MS = 15_000
const CONNECT_PAUSE_MS = 15
const MAX_LOG_BYTES = 1 << 20
/** A young generation of 1 MiB and no more heap than a parser of small files needs. */
const NODE_FLAGS = ['--max-semi-space-size=1', '--max-old-space-size=48', '--disable-warning=ExperimentalWarning']

export interface ExecControl extends ServiceControl {
  /** Ends the supervisor; the service is stopped with it, or left running. Nothing there is fine. */
  end(how: 'shutdown' | 'leave'): Promise<void>
}

/** The adapter. It touches nothing until it is asked. */
export function buildExecControl(deps: ExecControlDeps): ExecControl {
  const order = async (request: SupervisorRequest): Promise<ServiceStatus> => {
    for (let left = TRIES; ; left--) {
      const answer = (await ask(deps, request)) ?? (await startAndAsk(deps, request))
      if (answer?.ok) return answer.status
      if (answer) throw new ServiceError(answer.code, answer.message)
      if (left <= 1)
        throw new ServiceError(
          'no-supervisor',
          `no supervisor answers for ${deps.paths.root}; see ${logOf(deps.paths)}`,
        )
    }
  }

  const status = async (): Promise<ServiceStatus> => {
    const answer = await ask(deps, { op: 'status' })
    if (answer?.ok) return answer.status
    const record = await loadProcessRecord(deps.disk, deps.paths)
    // Somebody has to watch what runs. Where nothing does, nobody is started just to say so.
    if (record.process && isAlive(record.process.identity)) return order({ op: 'status' })
    return { state: 'stopped', onPurpose: record.wanted === 'stopped' && record.process !== null }
  }

  return {
    kind: 'exec',
    start: async ({ generation }, updateId) =>
      void (await order({ op: 'start', generation, update_id: updateId ?? null })),
    restart: async ({ generation }, updateId) =>
      void (await order({ op: 'restart', generation, update_id: updateId ?? null })),
    stop: async () => void (await order({ op: 'stop' })),
    restartUnits: async (units) => {
      if (units.length > 0)
        throw new ServiceError('systemd', `service control exec has no units to restart: ${units.join(', ')}`)
    },
    status,
    identity: async () => {
      const now = await status()
      return now.state === 'running' ? now.identity : null
    },
    end: async (how) => {
      const answer = await ask(deps, { op: how })
      if (answer && !answer.ok) throw new ServiceError(answer.code, answer.message)
      const record = await loadProcessRecord(deps.disk, deps.paths)
      if (!answer && how === 'shutdown' && record.process && isAlive(record.process.identity))
        await order({ op: 'shutdown' })
    },
  }
}

/** One question, undefined if nobody answers it to its end. */
async function ask(
  { disk, paths }: ExecControlDeps,
  request: SupervisorRequest,
): Promise<SupervisorAnswer | undefined> {
  const path = await findSocketPath(disk, paths.service, SOCKET_NAME).catch((error: unknown) => {
    if (error instanceof PlatformError && error.code === 'not-found') return undefined
    throw new ServiceError('no-supervisor', error instanceof Error ? error.message : String(error), { cause: error })
  })
  if (path === undefined) return undefined
  const { promise, resolve, reject } = Promise.withResolvers<SupervisorAnswer | undefined>()
  let text = ''
  const socket = connect(path)
  socket.setEncoding('utf8')
  socket.once('connect', () => socket.end(`${JSON.stringify(request)}\n`))
  socket.on('data', (chunk: string) => {
    text += chunk
  })
  socket.once('close', () => resolve(parseAnswer(text)))
  socket.once('error', (error) => {
    if ('code' in error && error.code === 'EACCES')
      reject(new ServiceError('no-supervisor', `${path}: ${error.message}`, { cause: error }))
    else resolve(undefined)
  })
  return promise
}

/** It comes from a process of our own user, from the same package. */
function parseAnswer(text: string): SupervisorAnswer | undefined {
  if (!text.endsWith('\n')) return undefined
  const value: SupervisorAnswer = JSON.parse(text)
  return typeof value.ok === 'boolean' ? value : undefined
}

async function startAndAsk(deps: ExecControlDeps, request: SupervisorRequest): Promise<SupervisorAnswer | undefined> {
  const { clock, disk, paths } = deps
  await makeDirDurable(disk, paths.service, 0o700)
  startSupervisor(deps)
  for (const until = clock.monotonicMs() + START_TIMEOUT_MS; clock.monotonicMs() < until; ) {
    await clock.sleep(CONNECT_PAUSE_MS)
    // Asked for its status first: an order that is cut off by our own impatience would be given twice.
    if (await ask(deps, { op: 'status' })) return ask(deps, request)
  }
  return undefined
}

/** Detached, in a session of its own, with files instead of our pipes: nothing of it depends on us. */
function startSupervisor({ paths, env, execPath = process.execPath }: ExecControlDeps): void {
  const names = [...INHERITED, 'XDG_RUNTIME_DIR']
  const own = Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])))
  const script = fileURLToPath(new URL(`./supervisor${extname(import.meta.url)}`, import.meta.url))
  const log = logOf(paths)
  if ((statSync(log, { throwIfNoEntry: false })?.size ?? 0) > MAX_LOG_BYTES) truncateSync(log)
  const fd = openSync(log, 'a', 0o600)
  try {
    const child = spawn(execPath, [...NODE_FLAGS, script, paths.root, paths.state], {
      cwd: '/',
      env: own,
      detached: true,
      stdio: ['ignore', fd, fd],
    })
    child.on('error', () => undefined) // nobody will answer then, and that is said
    child.unref()
  } finally {
    closeSync(fd)
  }
}

function logOf(paths: Paths): string {
  return join(paths.service, 'supervisor.log')
}

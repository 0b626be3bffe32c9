// The daemon's process. Started by `netlink agent run`, which becomes it: same process number, a fresh heap, none of the command line's memory.
import { stat } from 'node:fs/promises'
import { flushCompileCache } from 'node:module'
import { makeDirDurable } from '../../keys/platform/durable.ts'
import { acquireLock } from '../../keys/platform/lock.ts'
import { makeSocketPath } from '../../keys/platform/private-dir.ts'
import { saveBrake } from '../brake.ts'
import { signStatement } from '../enrolment.ts'
import { buildMachine } from '../machine.ts'
import { openOutbox } from '../opened-outbox.ts'
import { buildAgentSocket, socketUrlOf } from '../report/socket.ts'
import { runtimeRoot } from '../service/runtime-root.ts'
import { saveStanding } from '../standing.ts'
import { saveState } from '../state-file.ts'
import { buildDaemon, type Daemon } from './daemon.ts'
import { type Identity, loadIdentity, stampOf } from './identity.ts'
import { buildLocalApi, LOCAL_SOCKET } from './local-api.ts'
import { buildResident } from './resident.ts'
import { startWorker } from './worker-process.ts'

const REST_MS = 1_500
becomeLean()
const machine = buildMachine(process, Math.random, 'netlink agent run')
const { disk, paths, files, clock } = machine
const stop = new AbortController()
let stoppedBy: NodeJS.Signals | undefined
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stoppedBy !== undefined) process.exit(signal === 'SIGINT' ? 130 : 143)
    stoppedBy = signal
    stop.abort()
  })
}

await makeDirDurable(disk, paths.locks, 0o700)
const lock = await acquireLock(files.daemonLock, { owner: machine.owner, waitMs: 2_000 })

/** One JSON object a line. */
function log(event: string, fields: Readonly<Record<string, unknown>>): void {
  const level = event.endsWith('.failed') || event.endsWith('.refused') ? 'warning' : 'info'
  process.stdout.write(`${JSON.stringify({ time: clock.now().toISOString(), level, event, ...fields })}\n`)
}

const resident = buildResident({
  clock,
  loadIdentity: () => loadIdentity(machine),
  stamp: () => stampOf(machine),
  buildTerm,
  startWorker: (task) => startWorker(task, { env: process.env }),
  log,
})

function buildTerm({ enrolment, key }: Identity): Daemon {
  const { host_id: hostId, server } = enrolment
  const ca = enrolment.ca ?? undefined
  const sign = (statement: Uint8Array) => signStatement(key, statement)
  const { agentVersion } = machine.facts
  const url = socketUrlOf(server)
  return buildDaemon({
    clock,
    random: machine.random,
    outbox: openOutbox(machine, enrolment, key),
    buildSocket: (listener) =>
      buildAgentSocket({ url, hostId, agentVersion, sign, ca, clock, random: machine.random, log }, listener),
    startWorker: (task, onProgress) =>
      startWorker(task, {
        env: process.env,
        onLine: (line) => line.type !== 'done' && line.type !== 'failed' && onProgress?.(),
      }),
    saveBrake: (brake) => saveBrake(disk, files, enrolment, brake),
    saveStanding: (standing) => saveStanding(machine, enrolment, standing),
    saveOffered: (document) => saveState(disk, files.assignmentOffered, { document }),
    outboxChangedMs: async () => (await stat(files.outbox)).mtimeMs,
    // What starting and looking left behind is 3 MB that the collector would not come for until it is pressed.
    rest: () =>
      setTimeout(() => globalThis.gc?.({ type: 'major', flavor: 'last-resort', execution: 'sync' }), REST_MS).unref(),
    log,
  })
}

const startedAt = clock.now().toISOString()
await makeDirDurable(disk, files.run, 0o700)
await disk.chmod(files.run, 0o700)
const uid = process.getuid?.() ?? 0
const socketPath = await makeSocketPath({ disk, runtimeRoot: runtimeRoot(process.env), uid }, files.run, LOCAL_SOCKET)
// Under the daemon's lock nobody else listens here: what is there was left by one that died.
await disk.removeTree(socketPath)
const api = buildLocalApi({
  daemon: resident,
  paths,
  about: () => ({
    pid: process.pid,
    started_at: startedAt,
    agent_version: machine.facts.agentVersion,
    ...resident.state(),
  }),
})
await new Promise<void>((resolve, reject) => {
  api.once('error', reject)
  api.listen(socketPath, resolve)
})
await disk.chmod(socketPath, 0o600)
log('daemon.started', { pid: process.pid, socket: socketPath })

await resident.run(stop.signal)
api.close()
api.closeAllConnections()
await disk.removeTree(socketPath)
await lock.release()
log('daemon.stopped', { signal: stoppedBy ?? null })
// Ends as whoever sent the signal expects: by it.
if (stoppedBy !== undefined) {
  process.removeAllListeners(stoppedBy)
  process.kill(process.pid, stoppedBy)
}

/**
 * In a checkout the first start strips types from every file, and what that takes is never given back: once it is kept in the compile cache the process
 * begins anew without it. A built package has nothing to strip.
 */
function becomeLean(): void {
  if (!import.meta.filename.endsWith('.ts') || process.env.NETLINK_LEAN === '1' || !process.env.NODE_COMPILE_CACHE)
    return
  flushCompileCache()
  process.execve?.(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    ...process.env,
    NETLINK_LEAN: '1',
  })
}

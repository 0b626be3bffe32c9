// The daemon's process. Started by `netlink agent run`, which becomes it: same process number, a fresh heap, none of the command line's memory.
import { stat } from 'node:fs/promises'
import { flushCompileCache } from 'node:module'
import { makeDirDurable } from '../../keys/platform/durable.ts'
import { acquireLock } from '../../keys/platform/lock.ts'
import { makeSocketPath } from '../../keys/platform/private-dir.ts'
import { saveBrake } from '../brake.ts'
import { loadEnrolment } from '../enrolled.ts'
import { parseHostKey, signStatement } from '../enrolment.ts'
import { buildMachine } from '../machine.ts'
import { openOutbox } from '../opened-outbox.ts'
import { buildAgentSocket, socketUrlOf } from '../report/socket.ts'
import { runtimeRoot } from '../service/runtime-root.ts'
import { saveState } from '../state-file.ts'
import { buildDaemon } from './daemon.ts'
import { buildLocalApi, LOCAL_SOCKET } from './local-api.ts'
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

const enrolment = await loadEnrolment(machine)
if (!enrolment) throw new Error('this host is not enrolled') // agent-run.ts has said so in better words
const key = parseHostKey(Buffer.from(await disk.readFile(files.key, 4096)).toString('utf8'), files.key)
const ca = enrolment.has_ca ? Buffer.from(await disk.readFile(files.ca, 1 << 20)).toString('utf8') : undefined
await makeDirDurable(disk, paths.locks, 0o700)
const lock = await acquireLock(files.daemonLock, { owner: machine.owner, waitMs: 2_000 })

/** One JSON object a line. */
function log(event: string, fields: Readonly<Record<string, unknown>>): void {
  const level = event.endsWith('.failed') || event.endsWith('.refused') ? 'warning' : 'info'
  process.stdout.write(`${JSON.stringify({ time: clock.now().toISOString(), level, event, ...fields })}\n`)
}

const daemon = buildDaemon({
  clock,
  random: machine.random,
  outbox: openOutbox(machine, { hostId: enrolment.host_id, key }),
  buildSocket: (listener) =>
    buildAgentSocket(
      {
        url: socketUrlOf(enrolment.server),
        hostId: enrolment.host_id,
        agentVersion: machine.facts.agentVersion,
        sign: (statement) => signStatement(key, statement),
        ca,
        clock,
        random: machine.random,
        log,
      },
      listener,
    ),
  startWorker: (task, onProgress) =>
    startWorker(task, {
      env: process.env,
      onLine: (line) => line.type !== 'done' && line.type !== 'failed' && onProgress?.(),
    }),
  saveBrake: (brake) => saveBrake(disk, files, brake),
  saveOffered: (document) => saveState(disk, files.assignmentOffered, { document }),
  outboxChangedMs: async () => (await stat(files.outbox)).mtimeMs,
  // What starting and looking left behind is 3 MB that the collector would not come for until it is pressed.
  rest: () =>
    setTimeout(() => globalThis.gc?.({ type: 'major', flavor: 'last-resort', execution: 'sync' }), REST_MS).unref(),
  log,
})

const startedAt = clock.now().toISOString()
await makeDirDurable(disk, files.run, 0o700)
await disk.chmod(files.run, 0o700)
const uid = process.getuid?.() ?? 0
const socketPath = await makeSocketPath({ disk, runtimeRoot: runtimeRoot(process.env), uid }, files.run, LOCAL_SOCKET)
// Under the daemon's lock nobody else listens here: what is there was left by one that died.
await disk.removeTree(socketPath)
const api = buildLocalApi({
  daemon,
  paths,
  about: () => ({
    pid: process.pid,
    started_at: startedAt,
    agent_version: machine.facts.agentVersion,
    ...daemon.state(),
  }),
})
await new Promise<void>((resolve, reject) => {
  api.once('error', reject)
  api.listen(socketPath, resolve)
})
await disk.chmod(socketPath, 0o600)
log('daemon.started', { pid: process.pid, server: enrolment.server, host_id: enrolment.host_id, socket: socketPath })

await daemon.run(stop.signal)
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

// The supervisor: one small process per host that owns the service. It is started by whoever needs it first (exec-control.ts), detached, and is asked
// through a socket in a folder that only this user can enter. Command line and daemon may die as they like; so may this process (service-process.ts).
// It ends by itself when nothing runs and nobody asks.
//
//   node supervisor.ts <root> <state>
//
// No packages are imported here: what stays resident should stay small.
import { once } from 'node:events'
import { chmodSync, rmSync, statSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { systemClock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { makeDirDurable } from '../../keys/platform/durable.ts'
import { acquireLock } from '../../keys/platform/lock.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { makeSocketPath } from '../../keys/platform/private-dir.ts'
import { buildPaths, type Paths } from '../paths.ts'
import { ServiceError } from './control.ts'
import { runtimeRoot } from './runtime-root.ts'
import { openServiceProcess, type ServiceProcess } from './service-process.ts'
import { MAX_LINE_BYTES, parseRequest, SOCKET_NAME, type SupervisorAnswer, type SupervisorRequest } from './wire.ts'

const TICK_MS = 250
const IDLE_MS = 10_000
const MAX_QUIET_MS = 10_000

const [root, state] = process.argv.slice(2)
if (root === undefined || state === undefined) throw new Error('usage: supervisor <root> <state>')
process.title = 'netlink-supervisor'
process.umask(0o077)
process.on('SIGHUP', () => undefined)
await supervise(buildPaths({ root, state }))

async function supervise(paths: Paths): Promise<void> {
  await makeDirDurable(nodeDisk, paths.locks, 0o700)
  await makeDirDurable(nodeDisk, paths.service, 0o700)
  if (!(await isOnlyOne(paths))) return // the other one answers
  const service = await openServiceProcess({ disk: nodeDisk, clock: systemClock, paths, env: process.env, log })
  const uid = process.getuid?.() ?? 0
  const socketPath = await makeSocketPath(
    { disk: nodeDisk, runtimeRoot: runtimeRoot(process.env), uid },
    paths.service,
    SOCKET_NAME,
  )
  rmSync(socketPath, { force: true }) // of one that was killed: the lock says that it is gone
  let lastUseMs = systemClock.monotonicMs()

  const server = createServer({ allowHalfOpen: true }, (socket) => {
    lastUseMs = systemClock.monotonicMs()
    readLine(socket, async (line) => {
      const request = parseRequest(line)
      const answer = request
        ? await obey(service, request)
        : ({ ok: false, code: 'no-supervisor', message: 'not a request' } as const)
      socket.end(`${JSON.stringify(answer)}\n`, () => {
        lastUseMs = systemClock.monotonicMs()
        if (answer.ok && (request?.op === 'leave' || request?.op === 'shutdown')) leave('asked to')
      })
    })
  })
  server.listen(socketPath)
  await once(server, 'listening')
  chmodSync(socketPath, 0o600)
  const own = statSync(socketPath).ino
  server.on('error', (error) => leave(`the socket failed: ${error.message}`, 1))
  process.on('SIGTERM', () => leave('SIGTERM')) // the service stays: whoever wants it stopped says so
  setInterval(() => {
    service.tick()
    // Whoever can't reach this one starts another, and that one can't begin while this one holds the lock.
    if (statSync(socketPath, { throwIfNoEntry: false })?.ino !== own) return leave('the socket is gone')
    const idle = service.status().state === 'stopped' && systemClock.monotonicMs() - lastUseMs > IDLE_MS
    if (idle) leave('nothing to watch')
  }, TICK_MS)

  function leave(why: string, code = 0): void {
    log('supervisor.ended', { why })
    if (statSync(socketPath, { throwIfNoEntry: false })?.ino === own) rmSync(socketPath, { force: true })
    process.exit(code)
  }
  log('supervisor.started', { pid: process.pid, socket: join(socketPath) })
}

/** Held until this process ends, however it does. */
async function isOnlyOne(paths: Paths): Promise<boolean> {
  try {
    await acquireLock(join(paths.locks, 'supervisor'), { owner: 'netlink supervisor', waitMs: 1_000 })
    return true
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'locked') return false
    throw error
  }
}

async function obey(service: ServiceProcess, request: SupervisorRequest): Promise<SupervisorAnswer> {
  try {
    switch (request.op) {
      case 'start':
        await service.start(request.generation, request.update_id)
        break
      case 'restart':
        await service.restart(request.generation, request.update_id)
        break
      case 'stop':
      case 'shutdown':
        await service.stop()
        break
      case 'status':
        service.tick()
        break
      case 'leave':
        break
    }
    return { ok: true, status: service.status() }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    log('request.failed', { op: request.op, message })
    return { ok: false, code: error instanceof ServiceError ? error.code : 'not-startable', message }
  }
}

/** The first line, once; a connection that sends more or says nothing for long is cut. */
function readLine(socket: Socket, take: (line: string) => void): void {
  let text = ''
  let taken = false
  socket.setTimeout(MAX_QUIET_MS, () => !taken && socket.destroy())
  socket.on('error', () => socket.destroy())
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    if (taken) return
    text += chunk
    const newline = text.indexOf('\n')
    if (newline === -1 && text.length > MAX_LINE_BYTES) socket.destroy()
    if (newline === -1) return
    taken = true
    take(text.slice(0, newline))
  })
}

function log(event: string, fields: Readonly<Record<string, unknown>>): void {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level: 'info', event, ...fields })}\n`)
}

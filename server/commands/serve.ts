// `netlink-server serve`: the process that answers. Its end is orderly:
//
//   first SIGTERM or SIGINT   readyz says no -> agents are sent elsewhere (1012) -> requests end -> what is in memory is written -> database closed
//   second                    at once
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { loadConfig, type ServerConfig } from '../config.ts'
import type { Core } from '../core/core.ts'
import type { Log } from '../core/ports.ts'
import { ensureDirectorKey } from '../director-key.ts'
import { buildApp } from '../http/app.ts'
import { type HttpServer, listen } from '../http/listen.ts'
import { openDb, openServer } from '../open-server.ts'
import { applyMigrations, loadMigrations } from '../store/migrate.ts'
import { parseTrustedProxies } from '../ws/client-address.ts'
import { buildRateLimit } from '../ws/rate-limit.ts'
import { buildSockets } from '../ws/socket.ts'
import { buildLog, type Machine, type SharedOptions, tellFailure } from './context.ts'
import { listenLocal } from './local.ts'

export interface ServeOptions extends SharedOptions {
  readonly listen?: string
  readonly migrate?: boolean
}

/** Running requests and sockets have this long. */
const GRACE_MS = 20_000
/** Failed hellos from one address. */
const FAILURES = { burst: 60, perMinute: 60 }
/** A command like `keys export` has the embedded database open for so long at most. */
const LOCK_WAIT_MS = 10_000
/** The first socket that systemd hands over (sd_listen_fds(3)). */
const SYSTEMD_FD = 3

/** Resolves with the exit status when the server has ended. */
export async function serve(machine: Machine, options: ServeOptions): Promise<ExitCode> {
  const stop = buildStop(machine)
  try {
    const config = await loadConfig(machine.disk, options.dir, {
      listen: options.listen,
      environment: machine.environment,
    })
    const log = buildLog(machine)
    return await run(machine, config, { log, stop, migrate: options.migrate ?? false })
  } catch (error) {
    const isAsked = stop.signal.aborted && error instanceof PlatformError && error.code === 'cancelled'
    if (isAsked) return EXIT.ok
    return tellFailure(machine, error, options)
  }
}

interface Stop {
  /** Resolves at the first signal, or when something broke that the server can't live without. */
  readonly asked: Promise<{ readonly signal: 'SIGTERM' | 'SIGINT' } | { readonly broken: Error }>
  readonly broken: (error: Error) => void
  /** Aborted at the first signal. */
  readonly signal: AbortSignal
}

function buildStop(machine: Machine): Stop {
  const { promise, resolve } = Promise.withResolvers<Awaited<Stop['asked']>>()
  const aborter = new AbortController()
  let signals = 0
  machine.onSignal((signal) => {
    signals++
    if (signals > 1) machine.exit(signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated)
    resolve({ signal })
    aborter.abort()
  })
  return { asked: promise, signal: aborter.signal, broken: (error) => resolve({ broken: error }) }
}

async function run(
  machine: Machine,
  config: ServerConfig,
  how: { log: Log; stop: Stop; migrate: boolean },
): Promise<ExitCode> {
  const { log, stop } = how
  const deps = {
    ...{ ...machine, log, owner: 'netlink-server serve', onBroken: stop.broken },
    lockWaitMs: LOCK_WAIT_MS,
    onLockWait: (holder: string) => log('info', 'server.waits_for_lock', { holder }),
    signal: stop.signal,
  }
  if (how.migrate) await migrateFirst(config, deps)
  const server = await openServer(config, deps)
  const closers: (() => Promise<void>)[] = [server.close]
  try {
    const http = await open(machine, config, server.core)
    closers.unshift(() => http.close(GRACE_MS))
    const local = await listenLocal(machine, config.paths.run, server)
    closers.unshift(local.close)
    // What is published is served from the first moment; readyz says yes when it is sealed.
    const started = server.core.start()
    await Promise.race([started, stop.asked])
    log('info', 'server.listening', {
      url: http.url,
      version: machine.version,
      database: config.database.kind,
      storage: config.storage.kind,
    })
    machine.stdout(`listening on ${http.url}\n`)

    const reason = await stop.asked
    log('info', 'server.stopping', 'signal' in reason ? { signal: reason.signal } : { broken: reason.broken.message })
    server.core.drain()
    if ('broken' in reason) throw reason.broken
    return EXIT.ok
  } finally {
    for (const close of closers)
      await close().catch((error) => log('error', 'server.stop_failed', { error: String(error) }))
    log('info', 'server.stopped')
  }
}

async function migrateFirst(config: ServerConfig, deps: Parameters<typeof openDb>[1]): Promise<void> {
  const db = await openDb(config, deps)
  try {
    const ran = await applyMigrations(db, await loadMigrations())
    if (ran.length === 0) return
    await ensureDirectorKey(deps.disk, config.paths.onlineKeys)
    deps.log('info', 'database.migrated', { migrations: ran.map(({ id }) => id) })
  } finally {
    await db.close()
  }
}

async function open(machine: Machine, config: ServerConfig, core: Core): Promise<HttpServer> {
  const trustedProxies = parseTrustedProxies(config.trustedProxies)
  const app = buildApp(core, { version: machine.version, trustedProxies })
  const sockets = buildSockets(core, { trustedProxies, failures: buildRateLimit({ clock: core.clock, ...FAILURES }) })
  const tls = config.tls && {
    key: Buffer.from(await machine.disk.readFile(config.tls.keyFile, 1 << 20)).toString('utf8'),
    cert: Buffer.from(await machine.disk.readFile(config.tls.certFile, 1 << 20)).toString('utf8'),
  }
  const { LISTEN_FDS, LISTEN_PID } = machine.environment
  const handedOver = LISTEN_FDS !== undefined && Number(LISTEN_FDS) > 0 && Number(LISTEN_PID) === machine.pid
  try {
    return await listen({
      app,
      sockets,
      address: handedOver ? { fd: SYSTEMD_FD } : config.listen,
      ...(tls ? { tls } : {}),
    })
  } catch (error) {
    await sockets.drain(0)
    throw cannotListen(config, error)
  }
}

function cannotListen(config: ServerConfig, cause: unknown): unknown {
  const errno = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const { host, port } = config.listen
  const words: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program listens there',
    EACCES: 'this user may not listen there; ports below 1024 are for root',
    EADDRNOTAVAIL: 'this machine does not have that address',
    ENOTFOUND: 'there is no machine of that name',
  }
  const detail = words[errno]
  if (detail === undefined) return cause
  return new Failure(
    {
      code: errno === 'EADDRINUSE' ? 'E-PORT-IN-USE' : 'E-LISTEN',
      exit: EXIT.usage,
      title: `can't listen on ${host}:${port}`,
      detail,
      state: 'The server did not start; its data is as it was.',
      next: [`netlink-server serve --dir ${config.paths.folder} --listen ${host}:${port === 65_535 ? 8401 : port + 1}`],
    },
    { cause },
  )
}

// Commands on a server's folder work while `serve` runs on it and without. Running, it listens on a socket in a folder that only its user may enter;
// otherwise the command opens the database itself.
//
//   -> {"command":"token.create","arguments":{…}}\n        <- {"ok":true,"result":{…}}\n  or  {"ok":false,"code":…,"message":…,"facts":{…}}\n
//
// One question a connection. What crosses is checked on both sides: another version of this program may be at the other end.
import { connect, createServer, type Server, type Socket } from 'node:net'
import { z } from 'zod'
import { makeDirDurable } from '../../keys/platform/durable.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { findSocketPath, makeSocketPath, removeSocketPath } from '../../keys/platform/private-dir.ts'
import { tokenScopeShape } from '../../schema/rest.ts'
import { loadConfig } from '../config.ts'
import type { Core, PublishedTimestamp, Readiness } from '../core/core.ts'
import { CoreError, type CoreErrorCode } from '../core/core-error.ts'
import { loadOnlineKeys } from '../core/online-keys.ts'
import type { Db } from '../core/ports.ts'
import type { LiveSigners } from '../open-signers.ts'
import { buildLog, type Machine } from './context.ts'

const SOCKET = 'server.sock'
const MAX_BYTES = 4 << 20
const TIMEOUT_MS = 30_000
/** `serve` may be starting: it has the database and not yet the socket. */
const LOCK_WAIT_MS = 10_000

export interface LocalDeps {
  readonly core: Core
  readonly db: Db
  readonly signers: LiveSigners
}

const mutationShape = z.object({ user: z.string().max(256), reason: z.string().max(2000).nullable() })
const pageShape = z.object({ cursor: z.string().max(1000).nullable() })
const newTokenShape = z.object({
  mutation: mutationShape,
  name: z.string(),
  scope: tokenScopeShape,
  group: z.string().nullable(),
  expires_at: z.string().nullable(),
  uses: z.int().nullable(),
})
const tokenIdShape = z.object({ mutation: mutationShape, id: z.string().max(64) })

/** What can be asked. Every answer is JSON. */
export const localCommands = {
  'token.create': async ({ core }: LocalDeps, input: unknown) => {
    const { mutation, expires_at: expires, ...request } = newTokenShape.parse(input)
    return core.tokens.create({ ...request, expiresAt: expires === null ? null : new Date(expires) }, byLocal(mutation))
  },
  'token.list': async ({ core }: LocalDeps, input: unknown) =>
    core.tokens.list({ limit: 500, cursor: pageShape.parse(input).cursor }),
  'token.revoke': async ({ core }: LocalDeps, input: unknown) => {
    const { id, mutation } = tokenIdShape.parse(input)
    return core.tokens.revoke(id, byLocal(mutation))
  },
  'token.rotate': async ({ core }: LocalDeps, input: unknown) => {
    const { id, mutation } = tokenIdShape.parse(input)
    return core.tokens.rotate(id, byLocal(mutation))
  },
  'keys.list': async ({ db, signers }: LocalDeps) => {
    // What is asked for is the file: a `serve` that came up while a key was made would not know of it.
    await signers.reload()
    return loadOnlineKeys(db, signers)
  },
  'keys.reload': async ({ signers }: LocalDeps) => {
    await signers.reload()
    return {}
  },
  status: async ({ core, db }: LocalDeps): Promise<LocalStatus> => {
    const { loadMigrations, readMigrations } = await import('../store/migrate.ts')
    const { applied, pending } = await readMigrations(db, await loadMigrations())
    return {
      readiness: await core.readiness(),
      migrations: { applied: applied.map(({ id }) => id), pending: pending.map(({ id }) => id) },
      published: core.publication.published(),
      expiries: await core.publication.expiries(),
      timestamp: await core.publication.comparePublished(),
      damaged: await core.publication.findDamaged(),
    }
  },
} as const

export type LocalCommand = keyof typeof localCommands

export interface LocalStatus {
  readonly readiness: Readiness
  readonly migrations: { readonly applied: readonly string[]; readonly pending: readonly string[] }
  readonly published: {
    readonly product: string | null
    readonly rootVersion: number
    readonly timestampVersion: number
  }
  readonly expiries: readonly { readonly role: string; readonly expires: string }[]
  readonly timestamp: PublishedTimestamp
  /** Storage keys. */
  readonly damaged: readonly string[]
}

function byLocal({ user, reason }: z.infer<typeof mutationShape>) {
  return { actor: { kind: 'local', user } as const, reason }
}

// ---- asking ----------------------------------------------------------------------------------------------------------------------------

export interface LocalAnswer<T> {
  readonly result: T
  /** Whether `serve` answered. */
  readonly serving: boolean
}

/** Asks the `serve` that runs on this folder, or does it on the folder itself. `owner`: the command as it was typed, for whoever finds the folder locked. */
export async function askLocal<Name extends LocalCommand>(
  machine: Machine,
  dir: string,
  command: Name,
  input: object,
  owner = `netlink-server ${command.replace('.', ' ')}`,
): Promise<LocalAnswer<Awaited<ReturnType<(typeof localCommands)[Name]>>>> {
  type Result = Awaited<ReturnType<(typeof localCommands)[Name]>>
  const config = await loadConfig(machine.disk, dir, { environment: machine.environment })
  const socket = await connectLocal(machine, config.paths.run)
  if (socket) return { result: (await question(socket, { command, arguments: input })) as Result, serving: true }
  // Where `serve` runs nothing else is needed, and the database takes longer to load than to ask.
  const { openServer } = await import('../open-server.ts')
  const server = await openServer(config, {
    ...machine,
    log: buildLog(machine, 'warn'),
    owner,
    lockWaitMs: LOCK_WAIT_MS,
  }).catch(async (error) => {
    // It came up in between: then it can be asked after all.
    const late =
      error instanceof PlatformError && error.code === 'locked'
        ? await connectLocal(machine, config.paths.run)
        : undefined
    if (!late) throw error
    return late
  })
  if ('destroy' in server)
    return { result: (await question(server, { command, arguments: input })) as Result, serving: true }
  try {
    return { result: (await localCommands[command](server, input)) as Result, serving: false }
  } finally {
    await server.close()
  }
}

/** A connection to the `serve` on this folder; undefined if none runs. */
async function connectLocal(machine: Machine, run: string): Promise<Socket | undefined> {
  const path = await findSocketPath(machine.disk, run, SOCKET).catch((error) => {
    if (error instanceof PlatformError && error.code === 'not-found') return undefined
    throw error
  })
  if (path === undefined) return undefined
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED' || error.code === 'ENOTDIR') resolve(undefined)
      else
        reject(
          new PlatformError(
            error.code === 'EACCES' ? 'not-permitted' : 'io',
            `${path}: ${error.message}`,
            { path },
            { cause: error },
          ),
        )
    })
  })
}

const answerShape = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), result: z.unknown() }),
  z.object({ ok: z.literal(false), code: z.string(), message: z.string(), facts: z.record(z.string(), z.unknown()) }),
])

async function question(socket: Socket, asked: object): Promise<unknown> {
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`serve did not answer within ${TIMEOUT_MS / 1000} s`)))
  try {
    socket.write(`${JSON.stringify(asked)}\n`)
    const answer = answerShape.parse(JSON.parse(await readLine(socket)))
    if (answer.ok) return answer.result
    throw new CoreError(answer.code as CoreErrorCode, answer.message, answer.facts)
  } finally {
    socket.destroy()
  }
}

async function readLine(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  // Leaving the loop must not hang up: the answer goes the same way.
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    const bytes = Buffer.from(chunk)
    const end = bytes.indexOf(10)
    chunks.push(end === -1 ? bytes : bytes.subarray(0, end))
    length += bytes.length
    if (end !== -1) return Buffer.concat(chunks).toString('utf8')
    if (length > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes without an end`)
  }
  throw new CoreError('unavailable', 'serve hung up before it answered')
}

// ---- answering -------------------------------------------------------------------------------------------------------------------------

/** Listens for commands on this folder until closed. */
export async function listenLocal(machine: Machine, run: string, deps: LocalDeps): Promise<{ close(): Promise<void> }> {
  await makeDirDurable(machine.disk, run, 0o700)
  const runtime = { disk: machine.disk, runtimeRoot: machine.runtimeRoot, uid: machine.user.uid }
  const path = await makeSocketPath(runtime, run, SOCKET)
  // Whoever was killed left its name there. The database's lock says that nobody else serves this folder.
  await machine.disk.removeTree(path)
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy())
    void answer(socket, deps)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  return {
    close: async () => {
      await new Promise<void>((resolve) => server.close(() => resolve()))
      await removeSocketPath(machine.disk, run, SOCKET)
    },
  }
}

const questionShape = z.object({
  command: z.enum(Object.keys(localCommands) as [LocalCommand, ...LocalCommand[]]),
  arguments: z.unknown(),
})

async function answer(socket: Socket, deps: LocalDeps): Promise<void> {
  try {
    const asked = questionShape.parse(JSON.parse(await readLine(socket)))
    const result = await localCommands[asked.command](deps, asked.arguments)
    socket.end(`${JSON.stringify({ ok: true, result })}\n`)
  } catch (error) {
    if (socket.destroyed) return
    const known = error instanceof CoreError
    const message = error instanceof Error ? error.message : String(error)
    socket.end(
      `${JSON.stringify({ ok: false, code: known ? error.code : 'invalid', message, facts: known ? error.facts : {} })}\n`,
    )
  }
}

// The embedded database: PGlite, which is PostgreSQL, in a worker thread. The same `postgres` client talks to it as to a server, over a
// stream of the wire protocol instead of a socket; measured 0.06 ms a query and 170,000 rows a second in batches.
//
// Two processes on one folder silently lose rows, so the caller hands in a lock that the kernel releases with the process.
// Gap: PGlite never syncs. It survives kill -9 but not a power cut; `doctor` says so, and production takes a PostgreSQL server.
import { EventEmitter } from 'node:events'
import { Duplex } from 'node:stream'
import { Worker } from 'node:worker_threads'
import postgres from 'postgres'
import { CoreError } from '../core/core-error.ts'
import type { Db, Log } from '../core/ports.ts'
import { buildDb } from './postgres-db.ts'

export interface EmbeddedDbOptions {
  /** Made if it is not there (3 s); opened otherwise (0.3 s). */
  readonly folder: string
  /** Held as long as the database is open. Rejects if another process has it. */
  readonly lock: () => Promise<{ release(): Promise<void> }>
  readonly log: Log
  /** The worker broke: no query will be answered any more. */
  readonly onBroken?: (error: Error) => void
}

/** Opens the folder's database, making it first if there is none. Rejects with what `lock` says, or CoreError 'unavailable'. */
export async function openEmbeddedDb(options: EmbeddedDbOptions): Promise<Db> {
  const held = await options.lock()
  const worker = await startWorker(options).catch(async (error) => {
    await held.release()
    throw error
  })
  const client = postgres({
    // One connection, for good: PGlite has one session, and a second would see the first one's transaction.
    max: 1,
    max_lifetime: null,
    idle_timeout: 0,
    connect_timeout: 0,
    user: 'postgres',
    database: 'postgres',
    ssl: false,
    onnotice: () => {},
    socket: () => worker.connect(),
  } as postgres.Options<Record<string, never>>)
  const bell = new EventEmitter().setMaxListeners(0)
  return buildDb('embedded', client, {
    // There is one process: a notification goes to the listeners in it.
    notify: async (channel, payload) => {
      setImmediate(() => bell.emit(channel, payload))
    },
    listen: async (channel, onMessage, onGap) => {
      bell.on(channel, onMessage)
      onGap()
      return async () => void bell.off(channel, onMessage)
    },
    close: async () => {
      await client.end({ timeout: 5 })
      await worker.close()
      await held.release()
    },
  })
}

interface RunningWorker {
  connect(): Promise<Duplex>
  close(): Promise<void>
}

type WorkerMessage =
  | Uint8Array
  | 'ready'
  | 'closed'
  | { readonly failed: string }
  | { readonly notKept: string; readonly code: string }

/** Who may not write into the package makes a cluster each time, and that is well: everything else somebody should look at. */
function logNotKept(log: Log, { notKept, code }: { readonly notKept: string; readonly code: string }): void {
  const foreseen = code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
  log(foreseen ? 'debug' : 'warn', 'database.cluster_not_kept', { error: notKept })
}

async function startWorker(options: EmbeddedDbOptions): Promise<RunningWorker> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const worker = new Worker(new URL(`./embedded-worker.${extension}`, import.meta.url), {
    workerData: { folder: options.folder },
  })
  let connection: WorkerStream | undefined
  let broken: CoreError | undefined
  let closing = false
  const breakWith = (reason: string, cause?: unknown) => {
    if (broken || closing) return
    broken = new CoreError(
      'unavailable',
      `the embedded database in ${options.folder} stopped: ${reason}`,
      {},
      { cause },
    )
    connection?.destroy(broken)
    options.onBroken?.(broken)
  }

  const opened = new Promise<void>((resolve, reject) => {
    const refuse = (reason: string, cause?: unknown) =>
      reject(
        new CoreError(
          'unavailable',
          `the embedded database in ${options.folder} does not open: ${reason}`,
          {},
          { cause },
        ),
      )
    worker.on('message', (message: WorkerMessage) => {
      if (message instanceof Uint8Array) connection?.push(message)
      else if (message === 'ready') resolve()
      else if (typeof message === 'string') return
      else if ('notKept' in message) logNotKept(options.log, message)
      else {
        refuse(message.failed)
        breakWith(message.failed)
      }
    })
    worker.on('error', (error) => {
      refuse(error.message, error)
      breakWith(error.message, error)
    })
    worker.on('exit', (code) => {
      refuse(`its thread ended with ${code}`)
      breakWith(`its thread ended with ${code}`)
    })
  })
  try {
    await opened
  } catch (error) {
    closing = true
    await worker.terminate()
    throw error
  }
  return {
    connect: async () => {
      if (broken) throw broken
      worker.postMessage('reset')
      connection = new WorkerStream(worker)
      return connection
    },
    close: async () => {
      closing = true
      const ended = new Promise((resolve) => worker.once('exit', resolve))
      worker.postMessage('close')
      await ended
    },
  }
}

/** A socket, as the client sees it. */
class WorkerStream extends Duplex {
  readonly #worker: Worker

  constructor(worker: Worker) {
    super()
    this.#worker = worker
  }

  /** Asked for by the client before it says goodbye. */
  get readyState(): 'open' | 'closed' {
    return this.destroyed ? 'closed' : 'open'
  }

  override _read(): void {}

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.#worker.postMessage(Uint8Array.from(chunk))
    done()
  }

  override _final(done: () => void): void {
    this.push(null)
    done()
  }
}

// PGlite in a thread of its own, because it blocks the loop for up to half a second. What comes in are the bytes of a PostgreSQL client,
// what goes out are the bytes of a server; one connection, one after another.
//
//   -> bytes            <- bytes
//   -> 'reset'          a new connection begins: end an open transaction, forget prepared statements
//   -> 'close'          <- 'closed'
//                       <- 'ready' once it is open        <- {failed} if it can't be opened or breaks
//                       <- {notKept} before it, if the fresh cluster could not be kept for the next time
import { parentPort, workerData } from 'node:worker_threads'
import type { PGlite } from '@electric-sql/pglite'
import { errnoOf } from '../../keys/platform/disk-error.ts'
import { openCluster } from './kept-cluster.ts'

const port = parentPort
if (!port) throw new Error('embedded-worker.ts runs as a worker only')

let pending: Uint8Array = new Uint8Array()
/** The first message of a connection has no type byte. */
let started = false
let work: Promise<unknown> = Promise.resolve()

try {
  const database = await openCluster(String(workerData.folder), tellNotKept)
  port.on('message', (message: Uint8Array | 'reset' | 'close') => {
    work = work.then(() => handle(database, message)).catch(fail)
  })
  port.postMessage('ready')
} catch (error) {
  fail(error)
}

async function handle(database: PGlite, message: Uint8Array | 'reset' | 'close'): Promise<void> {
  if (message === 'close') {
    await database.close()
    port?.postMessage('closed')
    port?.close()
  } else if (message === 'reset') {
    pending = new Uint8Array()
    started = false
    await database.execProtocolRaw(simpleQuery('rollback'))
    await database.execProtocolRaw(simpleQuery('discard all'))
  } else {
    pending = pending.length === 0 ? message : Buffer.concat([pending, message])
    const complete = completeLength()
    if (complete === 0) return
    const request = pending.subarray(0, complete)
    pending = pending.subarray(complete)
    const answer = await database.execProtocolRaw(request)
    // A copy: the answer is a view into the database's own memory, which must not be handed over.
    const bytes = Uint8Array.from(answer)
    port?.postMessage(bytes, [bytes.buffer])
  }
}

/** Bytes of `pending` that are whole messages. */
function completeLength(): number {
  const view = new DataView(pending.buffer, pending.byteOffset, pending.byteLength)
  let end = 0
  if (!started) {
    if (view.byteLength < 4 || view.getInt32(0) > view.byteLength) return 0
    started = true
    return view.getInt32(0)
  }
  while (end + 5 <= view.byteLength) {
    const next = end + 1 + view.getInt32(end + 1)
    if (next > view.byteLength) break
    end = next
  }
  return end
}

function simpleQuery(text: string): Uint8Array {
  const body = Buffer.from(`${text}\0`)
  const head = Buffer.alloc(5)
  head.write('Q')
  head.writeInt32BE(4 + body.length, 1)
  return Buffer.concat([head, body])
}

function fail(error: unknown): void {
  port?.postMessage({ failed: words(error) })
}

function tellNotKept(error: unknown): void {
  port?.postMessage({ notKept: words(error), code: errnoOf(error) })
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

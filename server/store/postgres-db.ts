// The Db port over the `postgres` client: the one code path for a PostgreSQL server and for the embedded database (embedded-db.ts), which
// speaks the same wire protocol from a worker thread.
import { drizzle } from 'drizzle-orm/postgres-js'
import postgres, { type Sql } from 'postgres'
import { CoreError } from '../core/core-error.ts'
import type { Db, Unlisten } from '../core/ports.ts'

export interface ServerDbOptions {
  /** `postgres://user:password@host:port/database?sslmode=…` */
  readonly url: string
  /** Connections for queries; one more listens. */
  readonly connections?: number
  readonly connectTimeoutMs?: number
}

/** A database on a PostgreSQL server. Connects at the first query; `ping` says whether it answers. */
export function openServerDb(options: ServerDbOptions): Db {
  const client = postgres(options.url, {
    max: options.connections ?? 10,
    connect_timeout: (options.connectTimeoutMs ?? 10_000) / 1000,
    onnotice: () => {},
    connection: { application_name: 'netlink-server' },
  })
  return buildDb('server', client, {
    notify: async (channel, payload) => void (await client.notify(channel, payload)),
    listen: async (channel, onMessage, onGap) => {
      // Called at once and again after every reconnect: what was said in between is lost.
      const listening = await client.listen(channel, onMessage, onGap)
      return () => listening.unlisten()
    },
    close: () => client.end({ timeout: 5 }),
  })
}

interface Notifications {
  notify(channel: string, payload: string): Promise<void>
  listen(channel: string, onMessage: (payload: string) => void, onGap: () => void): Promise<Unlisten>
  close(): Promise<void>
}

/** The type `timestamptz[]` in pg_type. */
const TIMESTAMPTZ_ARRAY = 1185

/** The port over a client of either kind. */
export function buildDb(kind: Db['kind'], client: Sql, notifications: Notifications): Db {
  const queries = drizzle(client)
  // drizzle lets every type of time through as it is, arrays too, and an array the client can't put on the wire.
  client.options.serializers[TIMESTAMPTZ_ARRAY] = (times: readonly (string | null)[]) =>
    `{${times.map((time) => time ?? 'NULL').join(',')}}`
  return {
    kind,
    queries,
    transaction: (work) => queries.transaction(work, { isolationLevel: 'read committed' }),
    notify: notifications.notify,
    listen: notifications.listen,
    ping: (timeoutMs) => pingWithin(client, timeoutMs),
    close: notifications.close,
  }
}

async function pingWithin(client: Sql, timeoutMs: number): Promise<void> {
  const query = client`select 1`
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new CoreError('unavailable', `the database did not answer within ${timeoutMs} ms`))
    }, timeoutMs)
  })
  try {
    await Promise.race([query, late])
  } catch (cause) {
    query.catch(() => {})
    if (cause instanceof CoreError) throw cause
    throw new CoreError(
      'unavailable',
      `the database does not answer: ${cause instanceof Error ? cause.message : cause}`,
      {},
      { cause },
    )
  } finally {
    clearTimeout(timer)
  }
}

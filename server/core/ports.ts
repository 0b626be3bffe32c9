// The two ports below the core. What runs by itself (PGlite, a folder) and what a site brings (a PostgreSQL server, any S3) are the same
// code above this line; `test/contract/` runs one suite against each.
import type { ExtractTablesWithRelations } from 'drizzle-orm'
import type { PgDatabase, PgTransaction } from 'drizzle-orm/pg-core'
import type { PostgresJsQueryResultHKT } from 'drizzle-orm/postgres-js'

type NoSchema = Record<string, never>

/** Queries outside a transaction: each statement by itself. */
export type Queries = PgDatabase<PostgresJsQueryResultHKT, NoSchema>
/** Queries inside one. */
export type Transaction = PgTransaction<PostgresJsQueryResultHKT, NoSchema, ExtractTablesWithRelations<NoSchema>>

/** PostgreSQL, embedded or a server. PostgreSQL is the commit point of everything that the server knows. */
export interface Db {
  readonly kind: 'embedded' | 'server'
  readonly queries: Queries
  /** Runs `work` in one READ COMMITTED transaction; what it throws rolls everything back. `work` must not wait for anything but the database. */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  /** Tells every listener of every replica, this one too, after the surrounding statement. A lost notification only costs latency. */
  notify(channel: string, payload: string): Promise<void>
  /** Calls `onMessage` for each notification. `onGap` says that some may have been lost: re-read what you follow. */
  listen(channel: string, onMessage: (payload: string) => void, onGap: () => void): Promise<Unlisten>
  /** Rejects if the database does not answer within `timeoutMs`. */
  ping(timeoutMs: number): Promise<void>
  close(): Promise<void>
}

export type Unlisten = () => Promise<void>

export interface ByteRange {
  readonly start: number
  /** Last byte, included. Absent: to the end. */
  readonly end?: number
}

export interface Stored {
  /** Bytes of the whole object. */
  readonly size: number
  /** Without quotes; changes whenever the content does. */
  readonly etag: string
}

export interface StoredStream extends Stored {
  /** First byte that the stream carries, and how many it carries. */
  readonly start: number
  readonly length: number
  readonly stream: ReadableStream<Uint8Array>
}

export interface PutOptions {
  readonly length: number
  /** Hexadecimal. The object does not become visible if its bytes hash to anything else. */
  readonly sha256: string
  /** Content-addressed: if the key is there already it holds the same bytes, and nothing is written. */
  readonly immutable: boolean
}

export type Bytes = Uint8Array | AsyncIterable<Uint8Array>

/**
 * Objects by key. Keys are `/`-separated, of letters, digits, `.`, `_`, `-`, `%`, without empty, `.` or `..` segments. A key shows either no object or a whole one;
 * once `put` resolves it survives a crash. Throws PlatformError.
 */
export interface BlobStore {
  readonly kind: 'fs' | 's3'
  put(key: string, bytes: Bytes, options: PutOptions): Promise<Stored>
  /** undefined: there is no such key. A range that starts past the end throws `CoreError` 'invalid'. */
  open(key: string, range?: ByteRange): Promise<StoredStream | undefined>
  /** A small object at once. Throws `PlatformError` 'too-large' beyond `maxBytes`. */
  read(key: string, maxBytes: number): Promise<Uint8Array | undefined>
  stat(key: string): Promise<Stored | undefined>
  /** Deleting what is not there is no error. */
  delete(key: string): Promise<void>
  /** Keys below `prefix` (which ends in `/` or is empty), in byte order. */
  list(prefix: string): AsyncIterable<{ readonly key: string; readonly size: number }>
  ping(timeoutMs: number): Promise<void>
}

/** Bytes that nobody could guess. */
export type RandomBytes = (length: number) => Uint8Array

/** One JSON object a line is written by whoever passes this in. `event` as in `release.accepted`. Never a secret in the fields. */
export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  event: string,
  fields?: Readonly<Record<string, unknown>>,
) => void

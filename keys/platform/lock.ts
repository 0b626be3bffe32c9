import { closeSync, constants, lstatSync, openSync, writeSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { type Clock, systemClock } from './clock.ts'
import { nodeDisk } from './disk.ts'
import { diskError, errnoOf } from './disk-error.ts'
import { createFileDurable } from './durable.ts'
import { PlatformError } from './platform-error.ts'

export interface LockOptions {
  /** The command that takes it, for whoever finds it taken: `netlink update`. */
  readonly owner: string
  /** How long to wait for another holder; not at all unless said otherwise. */
  readonly waitMs?: number
  readonly signal?: AbortSignal
  readonly clock?: Clock
}

/** A lock that is held until `release` or the end of this process, whichever comes first. */
export interface Lock {
  /** A second call does nothing. */
  release(): Promise<void>
}

/** Who took a lock. Information for people, never a reason to break it: the process number may be of another container. */
export interface LockHolder {
  readonly pid: number
  readonly command: string
  /** ISO 8601, UTC. */
  readonly since: string
}

const POLL_MS = 100
const MAX_HOLDER_BYTES = 4096
const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants

/** Node's garbage collector would close a forgotten database, and with it give the lock away. */
const held = new Set<DatabaseSync>()

/**
 * Takes the lock at `path`, a file that is made when needed and never removed; its folder must be there and be ours alone.
 * PlatformError `locked` if another process, or another part of this one, still holds it after `waitMs`; `cancelled`; or what the disk says.
 *
 * The lock is an exclusive transaction on an empty SQLite database: a lock of the kernel on the file itself, gone with its holder however that ends,
 * and good between containers that share the folder. Children don't inherit it.
 *
 * Nobody may open the file in any other way while this process might hold it: closing it again would drop the lock (fcntl(2), POSIX locks).
 * Gap: network filesystems without working POSIX locks.
 */
export async function acquireLock(path: string, options: LockOptions): Promise<Lock> {
  const { clock = systemClock, waitMs = 0, signal } = options
  await makeLockFile(path)
  const { DatabaseSync } = await import('node:sqlite')
  const database = openDatabase(path, () => new DatabaseSync(path, { timeout: 0 }))
  try {
    for (const until = clock.monotonicMs() + waitMs; !tryLock(path, database); ) {
      const left = until - clock.monotonicMs()
      if (left <= 0) throw await lockedError(path)
      await clock.sleep(Math.min(POLL_MS, left), signal).catch((cause) => {
        throw new PlatformError('cancelled', `${path}: cancelled while waiting for the lock`, { path }, { cause })
      })
    }
  } catch (error) {
    database.close()
    throw error
  }
  held.add(database)
  noteHolder(path, { pid: process.pid, command: options.owner, since: clock.now().toISOString() })
  return {
    async release() {
      if (!held.has(database)) return
      forgetHolder(path)
      if (held.delete(database)) database.close()
    },
  }
}

/** Who says to hold the lock at `path`. Undefined if nobody does or it can't be read; a holder that was killed is still named. */
export async function readHolder(path: string): Promise<LockHolder | undefined> {
  try {
    return parseHolder(await nodeDisk.readFile(holderPath(path), MAX_HOLDER_BYTES))
  } catch {
    // Missing, torn, or not ours to read: the lock itself does not depend on it.
    return undefined
  }
}

/** Made under another name and closed before it gets this one: to open it here, even briefly, could drop a lock that this process holds. */
async function makeLockFile(path: string): Promise<void> {
  const kind = kindAt(path)
  if (kind === 'file') return
  if (kind === 'other') throw new PlatformError('io', `${path}: expected a lock file, found something else`, { path })
  try {
    await createFileDurable(nodeDisk, path, new Uint8Array(), 0o600)
  } catch (error) {
    if (!(error instanceof PlatformError && error.code === 'exists')) throw error
  }
}

function kindAt(path: string): 'file' | 'nothing' | 'other' {
  try {
    return lstatSync(path).isFile() ? 'file' : 'other'
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return 'nothing'
    throw diskError(path, error)
  }
}

function openDatabase(path: string, open: () => DatabaseSync): DatabaseSync {
  try {
    return open()
  } catch (error) {
    throw sqliteError(path, error)
  }
}

const SQLITE_BUSY = 5

function tryLock(path: string, database: DatabaseSync): boolean {
  try {
    // In memory, because a journal would be a file made and removed again for nothing.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    if (sqliteCode(error) === SQLITE_BUSY) return false
    throw sqliteError(path, error)
  }
}

/** The primary result code; the extended ones hold more in the upper bytes. */
function sqliteCode(error: unknown): number {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : 0
}

function sqliteError(path: string, cause: unknown): PlatformError {
  const SQLITE_PERM = 3
  const SQLITE_READONLY = 8
  const SQLITE_CANTOPEN = 14
  const refused = [SQLITE_PERM, SQLITE_READONLY, SQLITE_CANTOPEN].includes(sqliteCode(cause))
  const said = cause instanceof Error ? cause.message : String(cause)
  return new PlatformError(refused ? 'not-permitted' : 'io', `${path}: can't be locked: ${said}`, { path }, { cause })
}

async function lockedError(path: string): Promise<PlatformError> {
  const holder = await readHolder(path)
  const words = holder ? `${holder.command} (process ${holder.pid}, since ${holder.since})` : 'another process'
  return new PlatformError('locked', `${path}: held by ${words}`, { path, holder: words })
}

function holderPath(path: string): string {
  return `${path}.holder`
}

/** More than any holder needs, so that one written over another leaves nothing of it. */
const HOLDER_BYTES = 512

/** For people only, so neither durable nor in anybody's way: on a full disk the lock holds without a name beside it. */
function noteHolder(path: string, holder: LockHolder): void {
  writeHolder(path, JSON.stringify({ ...holder, command: holder.command.slice(0, 200) }))
}

function forgetHolder(path: string): void {
  writeHolder(path, '')
}

/** In its place: a new file for each holder would cost more than everything else about the lock. */
function writeHolder(path: string, text: string): void {
  try {
    const file = openSync(holderPath(path), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
    try {
      writeSync(file, `${text.padEnd(HOLDER_BYTES - 1)}\n`, 0)
    } finally {
      closeSync(file)
    }
  } catch {
    // A full disk, or one that takes nothing: whoever is kept waiting is told "another process".
  }
}

function parseHolder(bytes: Uint8Array): LockHolder | undefined {
  const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
  if (typeof value !== 'object' || value === null) return undefined
  if (!('pid' in value && 'command' in value && 'since' in value)) return undefined
  const { pid, command, since } = value
  if (typeof pid !== 'number' || typeof command !== 'string' || typeof since !== 'string') return undefined
  return { pid, command, since }
}

import {
  type BigIntStats,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsync,
  ftruncateSync,
  lstatSync,
  open,
  openSync,
  writeSync,
  writev,
  writevSync,
} from 'node:fs'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { errnoOf, told } from './disk-error.ts'
import { chunksOf, readChunks, readFile, SMALL_BYTES, sizedChunksOf } from './disk-read.ts'
import { PlatformError } from './platform-error.ts'
import { syncOne, syncTree } from './sync-tree.ts'

/**
 * Every effect on files that durable work needs, and nothing else, so that a simulated disk can stand in its place and lose power at any of them.
 *
 * Nothing here is durable by itself: data needs `sync` of its writer, a name (create, rename, link, symlink, unlink) needs `syncDir` of its folder.
 * `durable.ts` puts the two together; other code should rarely call the bare effects.
 *
 * Every method rejects with a PlatformError: `not-found`, `exists`, `not-permitted`, `no-space`, `too-large` (readFile) or `io`, with the path in its facts.
 * A failed sync is final: the kernel may have dropped the pages already, so nobody may sync again and believe the answer. Write anew under another name.
 */
export interface Disk {
  /** The whole file; `too-large` if it holds more than `maxBytes`. Refuses (`io`) to read anything but a regular file. Follows symlinks. */
  readFile(path: string, maxBytes?: number): Promise<Uint8Array>
  /** The file from its start, in chunks of up to 1 MiB. Follows symlinks. `reused`: a chunk holds its bytes only until the next one is asked for. */
  readChunks(path: string, memory?: 'own' | 'reused'): AsyncIterable<Uint8Array>
  /** A file to read, as one thing: what is said of it and what it holds can't be of two files that take turns under its name. Never through a symlink (`io`). */
  openRead(path: string): Promise<Reader>
  /** A new file of exactly this mode, whatever the umask; `exists` if there is anything of that name, a dangling symlink too. */
  createFile(path: string, mode: number): Promise<FileWriter>
  /**
   * Puts these bytes in the place of what the file holds, and makes it if it is not there. Neither durable nor atomic: a crash may leave it cut, mixed or
   * empty. For what is verified whenever it is read and can be had again; a tenth of what a new file and a rename cost. Never through a symlink (`io`).
   */
  overwrite(path: string, bytes: Uint8Array, mode: number): Promise<void>
  /** A file to append to, made with this mode if it is not there. Never through a symlink (`io`). */
  openAppend(path: string, mode: number): Promise<Appender>
  /** One folder of exactly this mode; `exists` if there is anything of that name. */
  makeDir(path: string, mode: number): Promise<void>
  /** Puts `from` in the place of `to`, atomically, if both lie on one filesystem. */
  rename(from: string, to: string): Promise<void>
  /** A symlink at `path` whose text is `target`. */
  symlink(target: string, path: string): Promise<void>
  readLink(path: string): Promise<string>
  /** A second name for the file at `existing`. */
  link(existing: string, path: string): Promise<void>
  /** Removes a file or symlink; `not-found` if there is none. */
  unlink(path: string): Promise<void>
  /** Removes whatever is there, folders with all they hold, without following symlinks. Nothing there is fine. */
  removeTree(path: string): Promise<void>
  /** What the folder holds, sorted by name in code unit order. */
  list(path: string): Promise<readonly DirEntry[]>
  /** What the path leads to, through symlinks. */
  stat(path: string): Promise<FileFacts>
  /** What lies at the path itself. */
  lstat(path: string): Promise<FileFacts>
  chmod(path: string, mode: number): Promise<void>
  /** Makes the names in this folder durable. */
  syncDir(path: string): Promise<void>
  /** Makes a folder and everything below it durable, names and data, but not its own name in its parent. */
  syncTree(path: string): Promise<void>
  /** Bytes that this user may still write on the filesystem of `path`. */
  freeBytes(path: string): Promise<number>
}

/** A file that is open for reading. */
export interface Reader {
  /** As it was opened, before anything of it was read. */
  readonly facts: FileFacts
  /** From its start, once; `reused` as in `Disk.readChunks`. */
  readChunks(memory?: 'own' | 'reused'): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

/** A file being made. Writes one after another: await each. */
export interface FileWriter {
  /** Writes all of it. A list is written in one go without copying it together. */
  write(bytes: Uint8Array | readonly Uint8Array[]): Promise<void>
  /** Makes the content durable (fsync), not the name. */
  sync(): Promise<void>
  /** Lets the file go. A second call does nothing. */
  close(): Promise<void>
}

/** A file that grows at its end: a journal, or a download that goes on. */
export interface Appender {
  /** Bytes in the file, counting what this appender added. */
  readonly length: number
  /** What the file holds now, from its start, through the same handle: nobody can swap it in between. */
  readChunks(): AsyncIterable<Uint8Array>
  append(bytes: Uint8Array | readonly Uint8Array[]): Promise<void>
  /** Makes content and length durable (fdatasync), not the name. */
  sync(): Promise<void>
  /** Cuts the file to `length` bytes. */
  truncate(length: number): Promise<void>
  /** Lets the file go. A second call does nothing. */
  close(): Promise<void>
}

export type FileKind = 'file' | 'directory' | 'symlink' | 'other'

export interface DirEntry {
  readonly name: string
  readonly kind: FileKind
}

export interface FileFacts {
  readonly kind: FileKind
  /** Bytes. */
  readonly size: number
  /** Permission bits only, sticky and set-id bits included: `0o1777`. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Equal for two paths that one rename can join. */
  readonly device: number
  readonly inode: number
  /** Milliseconds since 1970. */
  readonly modifiedMs: number
  /** ctime, nanoseconds since 1970: when content, rights or names were changed last. Nobody but the kernel sets it. */
  readonly changedNs: bigint
}

/** Linux takes no more parts in one writev(2) (IOV_MAX). */
const MAX_PARTS = 1024
const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants

/** The machine's own disk. */
export const nodeDisk: Disk = createNodeDisk(['/usr/bin/sync', '/bin/sync'])

/** A disk over node:fs. `syncPrograms` are where coreutils' `sync` may lie: whole paths, because what `PATH` says is not ours to trust. */
export function createNodeDisk(syncPrograms: readonly string[]): Disk {
  return {
    readFile,
    readChunks,
    openRead: (path) => told(path, () => openRead(path)),
    createFile: (path, mode) => told(path, () => createFile(path, mode)),
    overwrite: (path, bytes, mode) => told(path, async () => overwrite(path, bytes, mode)),
    openAppend: (path, mode) => told(path, () => openAppend(path, mode)),
    makeDir: (path, mode) =>
      told(path, async () => {
        await fs.mkdir(path, mode)
        await fs.chmod(path, mode)
      }),
    rename: (from, to) => told(from, () => fs.rename(from, to)),
    symlink: (target, path) => told(path, () => fs.symlink(target, path)),
    readLink: (path) => told(path, () => fs.readlink(path)),
    link: (existing, path) => told(path, () => fs.link(existing, path)),
    unlink: (path) => told(path, () => fs.unlink(path)),
    removeTree: (path) => told(path, () => removeTree(path)),
    list: (path) =>
      told(path, async () => {
        const entries = await fs.readdir(path, { withFileTypes: true })
        return entries.map((entry) => ({ name: entry.name, kind: kindOf(entry) })).sort(byName)
      }),
    stat: (path) => told(path, async () => factsOf(await fs.stat(path, { bigint: true }))),
    // At once: a tree is looked at with the service away, and an errand of the thread pool costs ten times what it does.
    lstat: (path) => told(path, async () => factsOf(lstatSync(path, { bigint: true }))),
    chmod: (path, mode) => told(path, () => fs.chmod(path, mode)),
    syncDir: (path) => told(path, () => syncOne(path)),
    syncTree: (path) => told(path, () => syncTree(syncPrograms, path)),
    freeBytes: (path) =>
      told(path, async () => {
        const { bavail, bsize } = await fs.statfs(path)
        return bavail * bsize
      }),
  }
}

async function openRead(path: string): Promise<Reader> {
  const handle = await fs.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  const facts = factsOf(await orClose(handle, () => handle.stat({ bigint: true })))
  if (facts.kind !== 'file') {
    await handle.close()
    throw new PlatformError('io', `${path}: expected a regular file`, { path })
  }
  return {
    facts,
    readChunks: (memory = 'own') => sizedChunksOf(path, handle, facts.size, memory),
    close: () => told(path, () => handle.close()),
  }
}

/** What may wait for the disk is an errand of the thread pool; a small content is not, for which such an errand costs more than itself. */
async function createFile(path: string, mode: number): Promise<FileWriter> {
  let file: number | undefined = await openOne(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
  const close = () => {
    if (file !== undefined) closeSync(file)
    file = undefined
  }
  const handle = () => file ?? raise(path)
  try {
    if ((fstatSync(file).mode & 0o7777) !== mode) fchmodSync(file, mode)
  } catch (error) {
    close()
    throw error
  }
  return {
    write: (bytes) => told(path, () => writeAll(partWriter(handle()), bytes)),
    sync: () => told(path, () => fsyncOne(handle())),
    close: () => told(path, async () => close()),
  }
}

function overwrite(path: string, bytes: Uint8Array, mode: number): void {
  const file = openToOverwrite(path, mode)
  try {
    const facts = fstatSync(file)
    if (!facts.isFile()) throw new PlatformError('io', `${path}: expected a regular file`, { path })
    if ((facts.mode & 0o7777) !== mode) fchmodSync(file, mode)
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, at)
    if (facts.size > bytes.length) ftruncateSync(file, bytes.length)
  } finally {
    closeSync(file)
  }
}

/** Without O_CREAT at first: with it even a file that is there waits for whoever is at the folder. */
function openToOverwrite(path: string, mode: number): number {
  try {
    return openSync(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    return openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode)
  }
}

function raise(path: string): never {
  throw new Error(`${path} was closed`)
}

const openOne = promisify<string, number, number, number>(open)
const writevOne = promisify(writev)
const fsyncOne = promisify(fsync)

/** Writes what it can of these parts, and says how much. */
type PartWriter = (parts: readonly Uint8Array[]) => Promise<number>

function partWriter(file: number): PartWriter {
  return async (parts) => {
    const length = parts.reduce((sum, part) => sum + part.length, 0)
    if (length <= SMALL_BYTES) return writevSync(file, parts)
    return (await writevOne(file, parts)).bytesWritten
  }
}

async function openAppend(path: string, mode: number): Promise<Appender> {
  const handle = await fs.open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode)
  const facts = await orClose(handle, () => handle.stat())
  let length = facts.size
  return {
    get length() {
      return length
    },
    readChunks: () => chunksOf(path, handle, 'own'),
    append: (bytes) =>
      told(path, async () => {
        const write: PartWriter = async (parts) => (await handle.writev(parts)).bytesWritten
        await writeAll(write, bytes, (written) => {
          length += written
        })
      }),
    sync: () => told(path, () => handle.datasync()),
    truncate: (to) =>
      told(path, async () => {
        await handle.truncate(to)
        length = to
      }),
    close: () => told(path, () => handle.close()),
  }
}

async function orClose<T>(handle: fs.FileHandle, effect: () => Promise<T>): Promise<T> {
  try {
    return await effect()
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** write(2) may take less than it was given: on until nothing is left. */
async function writeAll(
  write: PartWriter,
  bytes: Uint8Array | readonly Uint8Array[],
  onWritten?: (written: number) => void,
): Promise<void> {
  let left = (bytes instanceof Uint8Array ? [bytes] : [...bytes]).filter((part) => part.length > 0)
  while (left.length > 0) {
    const written = await write(left.slice(0, MAX_PARTS))
    onWritten?.(written)
    left = without(left, written)
  }
}

/** What is left of the parts when their first `count` bytes are gone. */
function without(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  let rest = count
  let index = 0
  for (; index < parts.length; index++) {
    const part = parts[index]
    if (!part || part.length > rest) break
    rest -= part.length
  }
  const [cut, ...whole] = parts.slice(index)
  return cut ? [cut.subarray(rest), ...whole] : []
}

async function removeTree(path: string): Promise<void> {
  try {
    await fs.rm(path, { recursive: true, force: true })
  } catch (error) {
    if (errnoOf(error) !== 'EACCES') throw error
    // A release tree is read-only, and an agent without root may not empty a folder it can't write to.
    await openFolders(path)
    await fs.rm(path, { recursive: true, force: true })
  }
}

async function openFolders(path: string): Promise<void> {
  if (!(await fs.lstat(path)).isDirectory()) return
  await fs.chmod(path, 0o700)
  for (const name of await fs.readdir(path)) await openFolders(join(path, name))
}

function kindOf(entry: { isFile(): boolean; isDirectory(): boolean; isSymbolicLink(): boolean }): FileKind {
  if (entry.isFile()) return 'file'
  if (entry.isDirectory()) return 'directory'
  return entry.isSymbolicLink() ? 'symlink' : 'other'
}

function factsOf(stats: BigIntStats): FileFacts {
  return {
    kind: kindOf(stats),
    size: Number(stats.size),
    mode: Number(stats.mode) & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    device: Number(stats.dev),
    inode: Number(stats.ino),
    modifiedMs: Number(stats.mtimeNs) / 1e6,
    changedNs: stats.ctimeNs,
  }
}

function byName(a: DirEntry, b: DirEntry): number {
  return a.name < b.name ? -1 : 1
}

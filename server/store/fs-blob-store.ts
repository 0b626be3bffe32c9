// Objects as files below one folder. A file is written under another name, synced, renamed and its folders synced: a key shows nothing or
// the whole object, also after a power cut.
import { createHash } from 'node:crypto'
import { constants, lstatSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { type Disk, nodeDisk } from '../../keys/platform/disk.ts'
import { diskError, errnoOf } from '../../keys/platform/disk-error.ts'
import { makeDirDurable } from '../../keys/platform/durable.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { clampRange, parseBlobKey } from '../core/blob-key.ts'
import { CoreError } from '../core/core-error.ts'
import type { BlobStore, Bytes, PutOptions, RandomBytes, Stored } from '../core/ports.ts'

/** Hono and nginx read fastest in pieces of this size. */
const CHUNK_BYTES = 1 << 20
/** Never through a symlink that somebody put in an object's place, and never waiting for the other end of a pipe. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
/** Unfinished files. No key begins with a dot. */
const INCOMING = '.incoming'

export interface FsBlobStoreOptions {
  /** Made with mode 0700 if it is not there. */
  readonly folder: string
  readonly random: RandomBytes
  readonly disk?: Disk
}

/** Opens the folder and removes what a crash left unfinished in it. One process at a time owns it. */
export async function openFsBlobStore(options: FsBlobStoreOptions): Promise<BlobStore> {
  const disk = options.disk ?? nodeDisk
  const root = options.folder
  await makeDirDurable(disk, root, 0o700)
  await disk.removeTree(join(root, INCOMING))
  await makeDirDurable(disk, join(root, INCOMING), 0o700)
  const pathOf = (key: string) => join(root, ...parseBlobKey(key).split('/'))

  async function put(key: string, bytes: Bytes, wanted: PutOptions): Promise<Stored> {
    const path = pathOf(key)
    if (wanted.immutable) {
      const there = await stat(key)
      if (there?.size === wanted.length) return there
    }
    const incoming = join(root, INCOMING, Buffer.from(options.random(16)).toString('hex'))
    try {
      await writeChecked(disk, incoming, key, bytes, wanted)
      await makeDirDurable(disk, dirname(path), 0o700)
      await disk.rename(incoming, path)
    } catch (error) {
      await disk.removeTree(incoming)
      throw error
    }
    await disk.syncDir(dirname(path))
    const stored = await stat(key)
    if (!stored) throw new PlatformError('io', `${path}: written and not there`, { path })
    return stored
  }

  async function stat(key: string): Promise<Stored | undefined> {
    const path = pathOf(key)
    try {
      // At once: through the thread pool it takes longer than everything else about answering a host that has the file already.
      return storedOf(lstatSync(path, { bigint: true }))
    } catch (error) {
      return absent(path, error)
    }
  }

  return {
    kind: 'fs',
    put,
    stat,
    open: async (key, range) => {
      const path = pathOf(key)
      const handle = await fs.open(path, OPEN_FLAGS).catch((error) => absent(path, error))
      if (!handle) return undefined
      try {
        const facts = await handle.stat({ bigint: true })
        const stored = storedOf(facts)
        if (!stored) {
          await handle.close()
          return undefined
        }
        const { start, length } = clampRange(range, stored.size)
        if (length === 0) {
          await handle.close()
          return { ...stored, start, length, stream: emptyStream() }
        }
        const file = handle.createReadStream({ start, end: start + length - 1, highWaterMark: CHUNK_BYTES })
        return { ...stored, start, length, stream: webStream(file) }
      } catch (error) {
        await handle.close()
        throw error
      }
    },
    read: async (key, maxBytes) => {
      const path = pathOf(key)
      const handle = await fs.open(path, OPEN_FLAGS).catch((error) => absent(path, error))
      if (!handle) return undefined
      try {
        return await readWhole(path, handle, maxBytes)
      } finally {
        await handle.close()
      }
    },
    delete: async (key) => {
      const path = pathOf(key)
      if (!(await stat(key))) return
      await disk.unlink(path)
      await disk.syncDir(dirname(path))
    },
    list: async function* (prefix) {
      if (prefix !== '') parseBlobKey(prefix.replace(/\/$/, ''))
      yield* walk(disk, prefix === '' ? root : join(root, ...prefix.replace(/\/$/, '').split('/')), prefix)
    },
    ping: async () => void (await disk.list(root)),
  }
}

/** What the open file holds; undefined for what is no regular file. */
async function readWhole(path: string, handle: fs.FileHandle, maxBytes: number): Promise<Uint8Array | undefined> {
  try {
    const facts = await handle.stat()
    if (!facts.isFile()) return undefined
    if (facts.size <= maxBytes) return await handle.readFile()
  } catch (error) {
    throw diskError(path, error)
  }
  throw new PlatformError('too-large', `${path}: more than ${maxBytes} bytes`, { path, limit: maxBytes })
}

async function writeChecked(disk: Disk, path: string, key: string, bytes: Bytes, wanted: PutOptions): Promise<void> {
  const writer = await disk.createFile(path, 0o600)
  try {
    const hash = createHash('sha256')
    let length = 0
    for await (const chunk of bytes instanceof Uint8Array ? [bytes] : bytes) {
      length += chunk.length
      if (length > wanted.length) break
      hash.update(chunk)
      await writer.write(chunk)
    }
    checkBytes(key, wanted, length, hash.digest('hex'))
    await writer.sync()
  } finally {
    await writer.close()
  }
}

/** Throws CoreError 'unverified' if what came is not what was announced. */
export function checkBytes(key: string, wanted: PutOptions, length: number, sha256: string): void {
  if (length === wanted.length && sha256 === wanted.sha256) return
  const lengths = length !== wanted.length
  throw new CoreError(
    'unverified',
    `${key}: expected ${lengths ? `${wanted.length} bytes` : wanted.sha256}, came ${lengths ? length : sha256}`,
    {
      reason: lengths ? 'length' : 'hash',
      expected: lengths ? String(wanted.length) : wanted.sha256,
      actual: lengths ? String(length) : sha256,
    },
  )
}

async function* walk(disk: Disk, folder: string, prefix: string): AsyncGenerator<{ key: string; size: number }> {
  const entries = await disk.list(folder).catch((error) => {
    if (error instanceof PlatformError && error.code === 'not-found') return []
    throw error
  })
  // Byte order of whole keys: a folder sorts as its name with a slash.
  const sorted = entries
    .filter((entry) => !entry.name.startsWith('.'))
    .map((entry) => ({ ...entry, sort: entry.kind === 'directory' ? `${entry.name}/` : entry.name }))
    .sort((a, b) => (a.sort < b.sort ? -1 : 1))
  for (const entry of sorted) {
    const path = join(folder, entry.name)
    if (entry.kind === 'directory') yield* walk(disk, path, `${prefix}${entry.name}/`)
    else if (entry.kind === 'file') yield { key: `${prefix}${entry.name}`, size: (await disk.stat(path)).size }
  }
}

/** undefined for a folder or a symlink: it is no object. Every `put` makes a new inode, so the tag changes with the content. */
function storedOf(facts: { isFile(): boolean; size: bigint; ino: bigint; mtimeNs: bigint }): Stored | undefined {
  if (!facts.isFile()) return undefined
  return {
    size: Number(facts.size),
    etag: `${facts.ino.toString(36)}-${facts.mtimeNs.toString(36)}-${facts.size.toString(36)}`,
  }
}

function absent(path: string, error: unknown): undefined {
  const errno = errnoOf(error)
  if (errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'EISDIR' || errno === 'ELOOP' || errno === 'ENXIO')
    return undefined
  throw diskError(path, error)
}

function webStream(file: Readable): ReadableStream<Uint8Array> {
  return Readable.toWeb(file, { strategy: { highWaterMark: 1 } }) as ReadableStream<Uint8Array>
}

function emptyStream(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.close() })
}

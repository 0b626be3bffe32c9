// From a verified archive to a tree on disk. The archive was hashed before it got here; all the same nothing that it says is believed: names, kinds,
// rights and order are the strict reader's to refuse, bytes and entries are bounded by what was signed, and every file is hashed while it is written,
// so that the digest of the whole tree can be held against the signed one without reading a byte again.
//
// Writing runs behind reading: a few files at once and a bounded number of bytes in flight. Nothing is synced here; the caller does that once for all.
import { createHash, type Hash } from 'node:crypto'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdDecompress } from 'node:zlib'
import type { Disk } from '../../keys/platform/disk.ts'
import { ArchiveError } from '../../schema/archive/archive-error.ts'
import type { ArchiveEntry } from '../../schema/archive/entry.ts'
import { createArchiveReader } from '../../schema/archive/reader.ts'
import { type TreeEntry, treeDigest } from '../../schema/archive/tree-digest.ts'
import { unreachable } from '../../schema/unreachable.ts'
import type { HashMemory } from './hash-memory.ts'

export interface UnpackRequest {
  readonly disk: Disk
  /** The compressed archive, from its start. */
  readonly archive: AsyncIterable<Uint8Array>
  /** A folder that is there, is empty, and that nobody else may write to. */
  readonly into: string
  readonly maxEntries: number
  /** Sum of the files' sizes. */
  readonly maxBytes: number
  readonly signal?: AbortSignal | undefined
  /** Bytes of files read so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined
}

export interface Unpacked {
  readonly treeSha256: string
  readonly entries: number
  readonly bytes: number
}

/** What zlib hands out at once. Fewer and larger pieces cost less. */
const CHUNK_BYTES = 1 << 20
/** The greatest window that a decoder takes by default: 128 MiB. An archive that asks for more is refused, not served. */
const MAX_WINDOW_LOG = 27
const MAX_BYTES_IN_FLIGHT = 8 << 20
const MAX_JOBS_IN_FLIGHT = 32
/** Room of headers and padding in a tar archive of so many entries, PAX headers included. */
const TAR_BYTES_AN_ENTRY = 8 << 10

/**
 * Writes the archive's files and folders below `into`, files 0644 or 0755, folders 0755. Rejects with ArchiveError, PlatformError, the signal's reason,
 * or Error for a broken compression; then what was written is garbage, and nothing is being written any more.
 */
export async function unpack(request: UnpackRequest): Promise<Unpacked> {
  const tree = createTreeWriter(request)
  const reader = createArchiveReader({ maxEntries: request.maxEntries, maxBytes: request.maxBytes })
  const maxTarBytes = request.maxBytes + (request.maxEntries + 1) * TAR_BYTES_AN_ENTRY
  let tarBytes = 0
  try {
    await pipeline(
      Readable.from(request.archive, { objectMode: true, highWaterMark: 2 }),
      createZstdDecompress({ chunkSize: CHUNK_BYTES, params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG } }),
      async (chunks: AsyncIterable<Uint8Array>) => {
        for await (const chunk of chunks) {
          tarBytes += chunk.length
          if (tarBytes > maxTarBytes)
            throw new ArchiveError('too-many-bytes', `more than ${maxTarBytes} bytes after decompression`)
          for (const event of reader.push(chunk)) {
            switch (event.type) {
              case 'entry':
                await tree.begin(event.entry)
                break
              case 'data':
                await tree.write(event.bytes)
                break
              case 'end-entry':
                tree.end()
                break
              default:
                unreachable(event)
            }
          }
        }
        reader.end()
      },
      request.signal ? { signal: request.signal } : {},
    )
  } catch (error) {
    await tree.settle()
    throw request.signal?.aborted ? request.signal.reason : error
  }
  return tree.finish()
}

interface OpenFile {
  readonly entry: ArchiveEntry
  readonly hash: Hash
  /** Bytes that are read and not yet handed to the disk. */
  waiting: Uint8Array[]
  waitingBytes: number
  /** Everything that the disk was asked for so far. */
  done: Promise<void>
  writer: Awaited<ReturnType<Disk['createFile']>> | undefined
}

function createTreeWriter({ disk, into, onProgress }: UnpackRequest) {
  const entries: TreeEntry[] = []
  const running = new Set<Promise<void>>()
  /** When the folder of this path was made, or asked for. */
  const folders = new Map<string, Promise<void>>()
  let failure: { readonly error: unknown } | undefined
  /** Called whenever a job is over. */
  let wake = (): void => undefined
  let bytesInFlight = 0
  let bytes = 0
  let open: OpenFile | undefined

  /** The disk's part of one piece of work. It never rejects: the first failure is kept and everything after it is left undone. */
  function ask(work: () => Promise<void>, costBytes: number): Promise<void> {
    bytesInFlight += costBytes
    const job = (async () => {
      try {
        await work()
      } catch (error) {
        failure ??= { error }
      } finally {
        bytesInFlight -= costBytes
      }
    })()
    running.add(job)
    void job.then(() => {
      running.delete(job)
      wake()
    })
    return job
  }

  async function room(): Promise<void> {
    while (bytesInFlight > MAX_BYTES_IN_FLIGHT || running.size > MAX_JOBS_IN_FLIGHT) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    if (failure) throw failure.error
  }

  /** Hands the waiting bytes of a file to the disk, behind what it was asked before. */
  function flush(file: OpenFile, last: boolean): void {
    const parts = file.waiting
    const cost = file.waitingBytes
    file.waiting = []
    file.waitingBytes = 0
    const before = file.done
    file.done = ask(async () => {
      await before
      try {
        if (failure) return
        file.writer ??= await disk.createFile(join(into, file.entry.path), file.entry.mode)
        if (parts.length > 0) await file.writer.write(parts)
      } catch (error) {
        failure ??= { error }
      } finally {
        if (last || failure) await file.writer?.close()
      }
    }, cost)
  }

  return {
    async begin(entry: ArchiveEntry): Promise<void> {
      await room()
      const folder = folders.get(entry.path.slice(0, Math.max(0, entry.path.lastIndexOf('/')))) ?? Promise.resolve()
      if (entry.type === 'directory') {
        const make = async () => {
          await folder
          if (!failure) await disk.makeDir(join(into, entry.path), entry.mode)
        }
        folders.set(entry.path, ask(make, 0))
        entries.push({ ...entry, sha256: null })
        return
      }
      open = {
        entry,
        hash: createHash('sha256'),
        waiting: [],
        waitingBytes: 0,
        done: folder,
        writer: undefined,
      }
    },

    async write(part: Uint8Array): Promise<void> {
      if (!open) return
      open.hash.update(part)
      open.waiting.push(part)
      open.waitingBytes += part.length
      bytes += part.length
      onProgress?.(bytes)
      if (open.waitingBytes >= CHUNK_BYTES) flush(open, false)
      await room()
    },

    end(): void {
      if (!open) return // a folder's
      flush(open, true)
      entries.push({ ...open.entry, sha256: open.hash.digest('hex') })
      open = undefined
    },

    /** Waits until the disk has done or refused everything, and lets go of what is open. */
    async settle(): Promise<void> {
      failure ??= { error: new Error('given up') }
      await Promise.all(running)
      await open?.writer?.close().catch(() => undefined)
    },

    async finish(): Promise<Unpacked> {
      await Promise.all(running)
      if (failure) throw failure.error
      return { treeSha256: treeDigest(entries, createHash('sha256')), entries: entries.length, bytes }
    },
  }
}

/**
 * The digest of a tree as it lies on the disk: every file is read, but for those that the memory knows to be unchanged. Rejects with ArchiveError if it holds
 * what no release may hold (a link, a device, other rights), with PlatformError if it can't be read.
 */
export async function hashTree(disk: Disk, root: string, signal?: AbortSignal, memory?: HashMemory): Promise<string> {
  const entries: TreeEntry[] = []
  const walk = async (folder: string, prefix: string): Promise<void> => {
    for (const { name, kind } of await disk.list(folder)) {
      signal?.throwIfAborted()
      const path = prefix + name
      const full = join(folder, name)
      if (kind === 'symlink') throw new ArchiveError('link', `${full} is a symbolic link`, { path })
      if (kind === 'other') throw new ArchiveError('device', `${full} is no regular file`, { path })
      const facts = await disk.lstat(full)
      if (kind === 'directory') {
        entries.push({ path, type: 'directory', mode: facts.mode, size: 0, sha256: null })
        await walk(full, `${path}/`)
      } else {
        const sha256 = memory?.find(path, facts)
        entries.push(
          sha256 === undefined
            ? await readEntry(disk, full, path, memory)
            : { path, type: 'file', mode: facts.mode, size: facts.size, sha256 },
        )
      }
    }
  }
  await walk(root, '')
  entries.sort((a, b) => (a.path === b.path ? 0 : Buffer.compare(Buffer.from(a.path), Buffer.from(b.path))))
  return treeDigest(entries, createHash('sha256'))
}

async function readEntry(disk: Disk, file: string, path: string, memory: HashMemory | undefined): Promise<TreeEntry> {
  const reader = await disk.openRead(file)
  try {
    const hash = createHash('sha256')
    for await (const chunk of reader.readChunks('reused')) hash.update(chunk)
    const sha256 = hash.digest('hex')
    const { facts } = reader
    memory?.note(path, facts, sha256)
    return { path, type: 'file', mode: facts.mode, size: facts.size, sha256 }
  } finally {
    await reader.close()
  }
}

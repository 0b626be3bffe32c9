// Reading files: small ones at once, large ones in chunks.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { told } from './disk-error.ts'
import { PlatformError } from './platform-error.ts'

const CHUNK_BYTES = 1 << 20
/** What is shorter costs less in one go than as an errand of the thread pool. */
export const SMALL_BYTES = 1 << 18
const { O_NONBLOCK, O_RDONLY } = constants

/** As Disk.readFile. */
export async function readFile(path: string, maxBytes = Number.POSITIVE_INFINITY): Promise<Uint8Array> {
  const small = await told(path, async () => readSmall(path))
  if (small !== 'large') return within(path, maxBytes, small)
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of readChunks(path)) {
    length += chunk.length
    if (length > maxBytes) throw tooLarge(path, maxBytes)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length)
}

/**
 * A small file at once and without the thread pool, whose five errands (open, stat, read, read, close) cost twenty times what they do. `large` for all
 * others, and for what grows while it is read.
 */
function readSmall(path: string): Uint8Array | 'large' {
  // O_NONBLOCK: opening a pipe that somebody put there must not wait for its other end.
  const file = openSync(path, O_RDONLY | O_NONBLOCK)
  try {
    const facts = fstatSync(file)
    if (!facts.isFile()) throw new PlatformError('io', `${path}: expected a regular file`, { path })
    if (facts.size >= SMALL_BYTES) return 'large'
    const room = Buffer.allocUnsafeSlow(facts.size + 1)
    const length = readSync(file, room, 0, room.length, 0)
    return length <= facts.size && readSync(file, room, length, room.length - length, length) === 0
      ? room.subarray(0, length)
      : 'large'
  } finally {
    closeSync(file)
  }
}

function within(path: string, maxBytes: number, bytes: Uint8Array): Uint8Array {
  if (bytes.length > maxBytes) throw tooLarge(path, maxBytes)
  return bytes
}

function tooLarge(path: string, maxBytes: number): PlatformError {
  return new PlatformError('too-large', `${path}: more than ${maxBytes} bytes`, { path, limit: maxBytes })
}

/** As Disk.readChunks. */
export async function* readChunks(path: string, memory: 'own' | 'reused' = 'own'): AsyncGenerator<Uint8Array> {
  // O_NONBLOCK: opening a pipe that somebody put there must not wait for its other end.
  const handle = await told(path, () => fs.open(path, O_RDONLY | O_NONBLOCK))
  try {
    yield* chunksOf(path, handle, memory)
  } finally {
    await handle.close()
  }
}

/** The same of a file that is open. */
export async function* chunksOf(
  path: string,
  handle: fs.FileHandle,
  memory: 'own' | 'reused',
): AsyncGenerator<Uint8Array> {
  const facts = await told(path, () => handle.stat())
  if (!facts.isFile()) throw new PlatformError('io', `${path}: expected a regular file`, { path })
  yield* sizedChunksOf(path, handle, facts.size, memory)
}

/** The same where its size is known. */
export async function* sizedChunksOf(
  path: string,
  handle: fs.FileHandle,
  size: number,
  memory: 'own' | 'reused',
): AsyncGenerator<Uint8Array> {
  let room = Buffer.alloc(0)
  for (let position = 0; ; ) {
    // One byte more than is left, so that a file of one chunk ends with the second read and one that grows is still seen.
    const wanted = Math.min(CHUNK_BYTES, Math.max(0, size - position) + 1)
    if (memory === 'own' || room.length < wanted) room = Buffer.allocUnsafeSlow(wanted)
    const { bytesRead } = await told(path, () => handle.read(room, 0, room.length, position))
    if (bytesRead === 0) return
    position += bytesRead
    yield room.subarray(0, bytesRead)
  }
}

// An artifact goes up in chunks that continue wherever the last attempt ended: the server says how much it has, and the next chunk begins there.
// A lost answer, a killed process and a restarted server all end in the same question.
import type { Disk } from '../keys/platform/disk.ts'
import type { UploadState } from '../schema/rest.ts'
import type { PublishClient } from './client.ts'
import { PublishError } from './publish-error.ts'
import { type RetryDeps, withRetry } from './retry.ts'

const CHUNK_BYTES = 8 * 1024 ** 2

export interface UploadDeps extends RetryDeps {
  readonly disk: Disk
  readonly client: PublishClient
  /** Told how much of it the server has. */
  readonly onProgress?: (done: number, total: number) => void
}

export interface UploadFile {
  readonly path: string
  readonly sha256: string
  readonly length: number
}

/**
 * Sends what the server does not have of a file yet; `present` if it had all. Throws PublishError `mismatch` if the file is not the one that was packed,
 * what the client throws, and the signal's reason. Whatever was sent stays on the server for the next attempt.
 */
export async function uploadFile(deps: UploadDeps, file: UploadFile): Promise<'present' | 'uploaded'> {
  const size = (await deps.disk.stat(file.path)).size
  if (size !== file.length) {
    throw new PublishError('mismatch', `${file.path} has ${size} bytes, ${file.length} were packed`)
  }
  let state = await withRetry(deps, () => deps.client.uploadState(file.sha256))
  if (state.complete) return 'present'
  const reader = openReader(deps.disk, file.path)
  try {
    for (let stalled = 0; stalled < MAX_STALLED; ) {
      deps.onProgress?.(state.received, file.length)
      const next = await sendNext(deps, file, reader, state)
      if (next.complete) {
        deps.onProgress?.(file.length, file.length)
        return 'uploaded'
      }
      stalled = next.received > state.received ? 0 : stalled + 1
      state = next
    }
  } finally {
    await reader.close()
  }
  throw new PublishError(
    'server',
    `the upload of ${file.sha256} does not get on: the server has ${state.received} bytes`,
  )
}

/** Another upload of the same bytes may run; one that makes no progress so many times in a row is given up. */
const MAX_STALLED = 3

/** One chunk, sent again from wherever the server stands if its answer does not come. */
function sendNext(deps: UploadDeps, file: UploadFile, reader: RangeReader, known: UploadState): Promise<UploadState> {
  let state: UploadState | undefined = known
  return withRetry(deps, async () => {
    deps.signal?.throwIfAborted()
    state ??= await deps.client.uploadState(file.sha256)
    const { received, complete } = state
    if (complete) return state
    const body = await reader.read(received, CHUNK_BYTES)
    state = undefined
    try {
      return await deps.client.appendUpload(file.sha256, { offset: received, length: file.length, body })
    } catch (error) {
      if (!(error instanceof PublishError && error.facts.problem === 'offset')) throw error
      return deps.client.uploadState(file.sha256)
    }
  })
}

interface RangeReader {
  /** `count` bytes from `offset`, fewer at the file's end. Fast where one read goes on after the last one or repeats it. */
  read(offset: number, count: number): Promise<Uint8Array>
  close(): Promise<void>
}

/** Reads a file in one pass as long as nobody jumps: an artifact of gigabytes must not be read anew for each chunk. */
function openReader(disk: Disk, path: string): RangeReader {
  let chunks: AsyncIterator<Uint8Array> | undefined
  let position = 0
  let rest: Uint8Array = new Uint8Array()
  let last = { offset: -1, body: new Uint8Array() as Uint8Array }

  /** The next bytes, at most `count`; none at the end. */
  async function take(count: number): Promise<Uint8Array> {
    if (rest.length === 0) {
      chunks ??= disk.readChunks(path)[Symbol.asyncIterator]()
      const next = await chunks.next()
      if (next.done) return rest
      rest = next.value
    }
    const taken = rest.subarray(0, count)
    rest = rest.subarray(taken.length)
    position += taken.length
    return taken
  }

  async function close(): Promise<void> {
    await chunks?.return?.()
    chunks = undefined
    position = 0
    rest = new Uint8Array()
  }

  async function read(offset: number, count: number): Promise<Uint8Array> {
    if (last.offset === offset) return last.body
    if (offset < position) await close()
    while (position < offset) if ((await take(offset - position)).length === 0) break
    const parts: Uint8Array[] = []
    for (let left = count; left > 0; ) {
      const part = await take(left)
      if (part.length === 0) break
      parts.push(part)
      left -= part.length
    }
    last = { offset, body: Buffer.concat(parts) }
    return last.body
  }

  return { read, close }
}

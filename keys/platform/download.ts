// One artifact from an address to a file, as far as possible in one go and otherwise in several: what is there stays there until it turns out wrong.
// The file may be opened by a parser only after this has resolved, because until then nobody knows whose bytes they are.
import { randomInt } from 'node:crypto'
import { dirname } from 'node:path'
import { TrustError } from '../trust-error.ts'
import { type CheckedFile, type FileDigest, type Reading, startReading } from './checked-file.ts'
import type { Clock } from './clock.ts'
import type { Appender, Disk } from './disk.ts'
import { openJournal, removeDurable } from './durable.ts'
import type { Fetcher, Response } from './fetch.ts'
import { shownUrl } from './fetch-policy.ts'
import { PlatformError } from './platform-error.ts'

/** Length and hashes are what signed metadata says. */
export interface DownloadRequest extends FileDigest {
  readonly fetcher: Fetcher
  readonly disk: Disk
  readonly clock: Clock
  /** Uniform in [0, 1): spreads the tries of many hosts. From `node:crypto` unless given. */
  readonly random?: () => number
  readonly url: string
  /** Where the bytes gather, in a folder that only we can write in; what an earlier call left there is used. */
  readonly path: string
  readonly limits: DownloadLimits
  /** Bytes in the file so far. */
  readonly onProgress?: (done: number) => void
  readonly signal?: AbortSignal
}

export interface DownloadLimits {
  /** For the whole download with all its tries. */
  readonly deadlineMs: number
  readonly minBytesPerSecond: number
  readonly rateWindowMs?: number
  /** Tries in a row that bring less than a mebibyte of news; 5 unless said otherwise. */
  readonly attempts?: number
  /** Before the second try; doubles, up to 30 seconds. 500 unless said otherwise. */
  readonly backoffMs?: number
}

const ATTEMPTS = 5
const BACKOFF_MS = 500
const MAX_BACKOFF_MS = 30_000
/** A try that brought this much was worth it, whatever ended it. */
const NEWS_BYTES = 1 << 20
/** Chunks of the network are 64 KiB; the disk is asked once for this many bytes. */
const WRITE_BYTES = 1 << 20

/**
 * Appends to the file at `path` until it is the artifact, durable, and proves it.
 *
 * Rejects with TrustError `hash` if the server's bytes are not those of `sha256`, `sha512` and `length` (the file is removed); with PlatformError
 * if the network (after its tries) or the disk fails or the caller cancels: then what came stays in the file for the next call.
 */
export async function downloadArtifact(request: DownloadRequest): Promise<CheckedFile> {
  const { disk, path } = request
  const file = await openJournal(disk, path, 0o600)
  try {
    const part = await readPart(file, request)
    await refuseWithoutRoom(part, request)
    const checked = await completePart(part, request)
    await file.sync()
    return checked
  } catch (error) {
    if (error instanceof TrustError) await removeDurable(disk, path)
    throw error
  } finally {
    await file.close()
  }
}

/** What is in the file, and its hashes so far. */
interface Part {
  readonly file: Appender
  reading: Reading
  /** The entity that these bytes are of, if the server gave it a strong tag. */
  etag: string | undefined
  /** Put together from several answers, which might be of several files. */
  pieced: boolean
}

async function readPart(file: Appender, digest: DownloadRequest): Promise<Part> {
  const part: Part = { file, reading: startReading(digest.path, digest), etag: undefined, pieced: file.length > 0 }
  if (file.length > digest.length) await clear(part, digest)
  else for await (const chunk of file.readChunks()) part.reading.update(chunk)
  return part
}

async function clear(part: Part, digest: DownloadRequest): Promise<void> {
  await part.file.truncate(0)
  part.reading = startReading(digest.path, digest)
  part.etag = undefined
  part.pieced = false
}

async function refuseWithoutRoom(part: Part, { disk, path, length }: DownloadRequest): Promise<void> {
  const free = await disk.freeBytes(dirname(path))
  const missing = length - part.reading.length
  if (missing <= free) return
  throw new PlatformError('no-space', `${path}: ${missing} bytes to come, ${free} free`, { path, limit: free })
}

async function completePart(part: Part, request: DownloadRequest): Promise<CheckedFile> {
  const tries = startTries(request)
  for (let fresh = false; ; ) {
    await tries.untilWhole(part)
    const pieced = part.pieced
    try {
      return part.reading.proof()
    } catch (error) {
      // Pieces of different files don't fit, and a power cut leaves holes: neither is an attack. Once more in one piece, then it is.
      if (fresh || !pieced) throw error
      fresh = true
      await clear(part, request)
    }
  }
}

function startTries(request: DownloadRequest) {
  const { clock, limits, signal, random = () => randomInt(2 ** 32) / 2 ** 32 } = request
  const until = clock.monotonicMs() + limits.deadlineMs
  let inVain = 0
  let most = 0

  const pause = async (error: unknown) => {
    const longest = Math.min(MAX_BACKOFF_MS, (limits.backoffMs ?? BACKOFF_MS) * 2 ** (inVain - 1))
    const ms = longest / 2 + (random() * longest) / 2
    if (clock.monotonicMs() + ms >= until) throw error
    await clock.sleep(ms, signal).catch((cause) => {
      throw new PlatformError('cancelled', `${request.url}: cancelled`, { path: request.path }, { cause })
    })
  }

  return {
    async untilWhole(part: Part): Promise<void> {
      while (part.reading.length < request.length) {
        try {
          await fetchRest(part, request, until - clock.monotonicMs())
        } catch (error) {
          if (!isPassing(error)) throw error
          const isNews = part.reading.length >= most + NEWS_BYTES
          if (isNews) most = part.reading.length
          inVain = isNews ? 1 : inVain + 1
          if (inVain >= (limits.attempts ?? ATTEMPTS)) throw error
          await pause(error)
        }
      }
    },
  }
}

async function fetchRest(part: Part, request: DownloadRequest, deadlineMs: number): Promise<void> {
  const from = part.reading.length
  const answer = await ask(part, request, deadlineMs)
  if (answer.status === 200) {
    if (from > 0) await clear(part, request)
  } else if (answer.status === 206 && continues(answer, from, request.length)) {
    part.pieced = true
  } else {
    answer.discard()
    // A range that is not the one asked for, or can't be had: from the start next time.
    if (answer.status === 206 || answer.status === 416) await clear(part, request)
    throw unusable(answer)
  }
  part.etag = strongTag(answer)
  await takeBody(part, answer, request)
  if (part.reading.length < request.length) throw endedEarly(answer, part, request)
}

async function ask(part: Part, request: DownloadRequest, deadlineMs: number): Promise<Response> {
  const { fetcher, limits, signal, url } = request
  const from = part.reading.length
  try {
    return await fetcher.get(url, {
      maxBytes: request.length,
      deadlineMs,
      minBytesPerSecond: limits.minBytesPerSecond,
      ...(limits.rateWindowMs === undefined ? {} : { rateWindowMs: limits.rateWindowMs }),
      signal,
      ...(from > 0 ? { range: { from, ifRange: part.etag } } : {}),
    })
  } catch (error) {
    throw asTrust(error, request)
  }
}

async function takeBody(part: Part, answer: Response, request: DownloadRequest): Promise<void> {
  let held: Uint8Array[] = []
  let heldBytes = 0
  const put = async () => {
    const chunks = held
    held = []
    heldBytes = 0
    // The disk writes on another thread while this one hashes.
    const written = part.file.append(chunks)
    try {
      for (const chunk of chunks) part.reading.update(chunk)
    } finally {
      await written
    }
    request.onProgress?.(part.reading.length)
  }
  try {
    for await (const chunk of answer.body) {
      held.push(chunk)
      heldBytes += chunk.length
      if (heldBytes >= WRITE_BYTES) await put()
    }
  } catch (error) {
    // What came before the connection broke is worth keeping.
    await put()
    throw asTrust(error, request)
  }
  await put()
}

/** More bytes than signed metadata announces: not a question of limits but of whose bytes they are. */
function asTrust(error: unknown, { url, length }: DownloadRequest): unknown {
  if (!(error instanceof PlatformError && error.code === 'too-large')) return error
  const facts = { path: url, expected: `${length} bytes`, actual: 'more' }
  return new TrustError('hash', `${url}: longer than the ${length} bytes that signed metadata says`, facts, {
    cause: error,
  })
}

function continues(answer: Response, from: number, length: number): boolean {
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.headers['content-range'] ?? '') ?? []
  return Number(start) === from && (total === '*' || Number(total) === length)
}

/** RFC 9110 13.1.5: only a strong tag may stand in If-Range. */
function strongTag(answer: Response): string | undefined {
  const tag = answer.headers.etag
  return tag?.startsWith('"') ? tag : undefined
}

function unusable(answer: Response): PlatformError {
  const url = shownUrl(new URL(answer.url))
  const range = answer.headers['content-range']
  const words = `not a usable answer: status ${answer.status}${range ? `, range ${range}` : ''}`
  return new PlatformError('http-status', `${url}: ${words}`, { url, status: answer.status })
}

/** An answer that tells its own end and ends too soon is the wrong file; one that just stops may have been cut. */
function endedEarly(answer: Response, part: Part, { length }: DownloadRequest): TrustError | PlatformError {
  const url = shownUrl(new URL(answer.url))
  const words = `${url}: ended after ${part.reading.length} of ${length} bytes`
  const tellsEnd = answer.headers['content-length'] !== undefined || answer.headers['transfer-encoding'] !== undefined
  if (!tellsEnd) return new PlatformError('unreachable', words, { url })
  return new TrustError('hash', words, { path: url, expected: `${length} bytes`, actual: `${part.reading.length}` })
}

/** Whether the next try may well go better. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof PlatformError)) return false
  if (error.code === 'http-status') {
    const status = error.facts.status ?? 0
    return status >= 500 || [206, 408, 416, 429].includes(status)
  }
  return error.code === 'unreachable' || error.code === 'timeout' || error.code === 'too-slow'
}

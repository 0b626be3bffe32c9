// Objects in any S3. Whole objects only: S3 shows a key when its put or its last part is complete. No conditional puts: few servers have them.
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { Client } from 'minio'
import { PlatformError, type PlatformErrorCode } from '../../keys/platform/platform-error.ts'
import { clampRange, parseBlobKey } from '../core/blob-key.ts'
import { CoreError } from '../core/core-error.ts'
import type { BlobStore, ByteRange, Bytes, PutOptions, Stored, StoredStream } from '../core/ports.ts'
import { checkBytes } from './fs-blob-store.ts'

/** Larger objects go up in parts of this size, and one part at a time is in memory. */
const PART_BYTES = 16 << 20

export interface S3BlobStoreOptions {
  /** `https://host[:port]`, no path. */
  readonly endpoint: string
  readonly bucket: string
  readonly region: string
  readonly accessKey: string
  readonly secretKey: string
  /** Put before every key, ends in `/` or is empty. */
  readonly prefix?: string
}

/** A store in one bucket, which must be there. Path-style addresses: they work everywhere. */
export function openS3BlobStore(options: S3BlobStoreOptions): BlobStore {
  const { client, bucket } = { client: buildClient(options), bucket: options.bucket }
  const prefix = options.prefix ?? ''
  const nameOf = (key: string) => prefix + parseBlobKey(key)
  const told = <T>(key: string, effect: () => Promise<T>): Promise<T> =>
    effect().catch((error) => {
      throw s3Error(`${options.endpoint}/${bucket}/${prefix}${key}`, error)
    })

  async function put(key: string, bytes: Bytes, wanted: PutOptions): Promise<Stored> {
    const name = nameOf(key)
    if (wanted.immutable) {
      const there = await stat(key)
      if (there?.size === wanted.length) return there
    }
    await told(key, () => upload(client, bucket, name, checked(key, bytes, wanted), wanted.length))
    const stored = await stat(key)
    if (!stored) throw new PlatformError('io', `${key}: written to ${bucket} and not there`, { path: key })
    return stored
  }

  async function stat(key: string): Promise<Stored | undefined> {
    const name = nameOf(key)
    return orAbsent(() =>
      told(key, async () => {
        const facts = await client.statObject(bucket, name)
        return { size: facts.size, etag: facts.etag }
      }),
    )
  }

  return {
    kind: 's3',
    put,
    stat,
    open: (key, range) => orAbsent(() => told(key, () => openObject(client, bucket, nameOf(key), range))),
    read: async (key, maxBytes) => {
      const object = await orAbsent(() => told(key, () => openObject(client, bucket, nameOf(key), undefined)))
      if (!object) return undefined
      if (object.size > maxBytes) {
        await object.stream.cancel()
        throw new PlatformError('too-large', `${key}: more than ${maxBytes} bytes`, { path: key, limit: maxBytes })
      }
      return told(key, async () => new Uint8Array(await new Response(object.stream).arrayBuffer()))
    },
    delete: (key) => told(key, () => client.removeObject(bucket, nameOf(key))),
    list: async function* (below) {
      if (below !== '') parseBlobKey(below.replace(/\/$/, ''))
      for await (const item of client.listObjectsV2(bucket, prefix + below, true)) {
        const name: unknown = item.name
        if (typeof name === 'string') yield { key: name.slice(prefix.length), size: Number(item.size) }
      }
    },
    ping: (timeoutMs) => pingWithin(client, options, timeoutMs),
  }
}

function buildClient(options: S3BlobStoreOptions): Client {
  const url = new URL(options.endpoint)
  return new Client({
    endPoint: url.hostname,
    port: Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
    useSSL: url.protocol === 'https:',
    region: options.region,
    accessKey: options.accessKey,
    secretKey: options.secretKey,
    partSize: PART_BYTES,
    pathStyle: true,
  })
}

/** The bytes as they came; fails at their end if they are not the announced ones, before the object is completed. */
async function* checked(key: string, bytes: Bytes, wanted: PutOptions): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let length = 0
  for await (const chunk of bytes instanceof Uint8Array ? [bytes] : bytes) {
    length += chunk.length
    if (length > wanted.length) break
    hash.update(chunk)
    if (length === wanted.length) checkBytes(key, wanted, length, hash.copy().digest('hex'))
    yield chunk
  }
  checkBytes(key, wanted, length, hash.digest('hex'))
}

async function upload(
  client: Client,
  bucket: string,
  name: string,
  bytes: AsyncIterable<Uint8Array>,
  length: number,
): Promise<void> {
  if (length <= PART_BYTES) {
    const parts: Uint8Array[] = []
    for await (const chunk of bytes) parts.push(chunk)
    await client.putObject(bucket, name, Buffer.concat(parts), length)
    return
  }
  // The client goes on with an upload that it finds under this name, and takes parts of equal content for the same part: begin afresh.
  await removeUnfinished(client, bucket, name)
  const body = Readable.from(bytes)
  // It also waits for ever for a body that breaks.
  const broken = new Promise<never>((_, reject) => body.once('error', reject))
  try {
    await Promise.race([client.putObject(bucket, name, body, length), broken])
  } catch (error) {
    body.destroy()
    await removeUnfinished(client, bucket, name)
    throw error
  }
}

async function removeUnfinished(client: Client, bucket: string, name: string): Promise<void> {
  for (let found = await client.findUploadId(bucket, name); found; found = await client.findUploadId(bucket, name)) {
    await client.abortMultipartUpload(bucket, name, found)
  }
}

async function openObject(
  client: Client,
  bucket: string,
  name: string,
  range: ByteRange | undefined,
): Promise<StoredStream> {
  const length = range?.end === undefined ? 0 : range.end - range.start + 1
  if (range && length < 0) clampRange(range, range.start)
  const answer = range
    ? await client.getPartialObject(bucket, name, range.start, length)
    : await client.getObject(bucket, name)
  // What the client types as a stream is the answer itself; its headers spare a second request.
  const { headers } = answer as IncomingMessage
  const etag = String(headers.etag ?? '').replace(/^"|"$/g, '')
  const total = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers['content-range'] ?? '')
  const carried = Number(headers['content-length'])
  return {
    etag,
    size: total ? Number(total[3]) : carried,
    start: total ? Number(total[1]) : 0,
    length: carried,
    stream: Readable.toWeb(answer) as ReadableStream<Uint8Array>,
  }
}

async function pingWithin(client: Client, options: S3BlobStoreOptions, timeoutMs: number): Promise<void> {
  const place = `${options.endpoint}/${options.bucket}`
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new PlatformError('timeout', `${place} did not answer within ${timeoutMs} ms`)),
      timeoutMs,
    )
  })
  try {
    const there = await Promise.race([client.bucketExists(options.bucket), late])
    if (!there) throw new PlatformError('not-found', `${place}: no such bucket`)
  } catch (error) {
    throw s3Error(place, error)
  } finally {
    clearTimeout(timer)
  }
}

async function orAbsent<T>(effect: () => Promise<T>): Promise<T | undefined> {
  try {
    return await effect()
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') return undefined
    throw error
  }
}

const CODES: Readonly<Record<string, PlatformErrorCode>> = {
  NoSuchKey: 'not-found',
  NotFound: 'not-found',
  AccessDenied: 'not-permitted',
  Forbidden: 'not-permitted',
  SignatureDoesNotMatch: 'not-permitted',
  InvalidAccessKeyId: 'not-permitted',
  EntityTooLarge: 'too-large',
  ECONNREFUSED: 'unreachable',
  ECONNRESET: 'unreachable',
  ENOTFOUND: 'unreachable',
  ETIMEDOUT: 'timeout',
}

function s3Error(place: string, cause: unknown): Error {
  if (cause instanceof CoreError || cause instanceof PlatformError) return cause
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  const said = cause instanceof Error ? cause.message : String(cause)
  if (code === 'InvalidRange')
    return new CoreError('invalid', `${place}: the range lies outside the object`, { reason: 'range' }, { cause })
  return new PlatformError(CODES[code] ?? 'io', `${place}: ${said || code}`, { url: place }, { cause })
}

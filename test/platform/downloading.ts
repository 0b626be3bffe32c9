// What the tests of downloads share: an artifact, a file server that can misbehave, and requests into folders that are gone after each test.
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import type { IncomingMessage, RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../keys/platform/clock.ts'
import { type Disk, nodeDisk } from '../../keys/platform/disk.ts'
import type { DownloadRequest } from '../../keys/platform/download.ts'
import { createFetcher } from '../../keys/platform/fetch.ts'
import type { TestServer } from './servers.ts'

export const WHOLE = randomBytes(5_000_000)
export const digest = (bytes: Uint8Array) => ({
  length: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
  sha512: createHash('sha512').update(bytes).digest('hex'),
})
export const using = async (starting: Promise<TestServer>) => {
  const server = await starting
  onTestFinished(async () => void (await server.close()))
  return server
}
export const home = () => {
  const folder = mkdtempSync(join(tmpdir(), 'netlink-download-'))
  onTestFinished(async () => void (await rmSync(folder, { recursive: true, force: true })))
  return folder
}
export const requestFor = (url: string, more: Partial<DownloadRequest> = {}): DownloadRequest => {
  const fetcher = createFetcher({ userAgent: 'netlink-test/1', clock: systemClock })
  onTestFinished(async () => void (await fetcher.close()))
  const limits = { deadlineMs: 20_000, minBytesPerSecond: 0, backoffMs: 1 }
  const disk = nodeDisk
  return { fetcher, disk, clock: systemClock, url, path: join(home(), 'part'), ...digest(WHOLE), limits, ...more }
}
export const place = async (path: string, bytes: Uint8Array) => {
  const writer = await nodeDisk.createFile(path, 0o600)
  await writer.write(bytes)
  await writer.close()
}
export const exists = async (disk: Disk, path: string) =>
  (await disk.list(join(path, '..'))).some((e) => path.endsWith(e.name))

export interface Manner {
  readonly content?: Uint8Array
  /** Entity tag, or none. */
  readonly etag?: string
  readonly ranges?: 'obeyed' | 'ignored'
  /** Breaks the connection after this many bytes of the answer. */
  readonly breakAfter?: number
}
export const rangeStart = (request: IncomingMessage) =>
  Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)

/** An ordinary file server (RFC 9110 14), as `manner` says for each request. */
export const fileServer = (mannerOf: (turn: number, request: IncomingMessage) => Manner): RequestListener => {
  let turn = 0
  return (request, response) => {
    const { content = WHOLE, etag, ranges = 'obeyed', breakAfter } = mannerOf(++turn, request)
    const from = ranges === 'obeyed' ? rangeStart(request) : 0
    const isSame = request.headers['if-range'] === undefined || request.headers['if-range'] === etag
    const isPart = from > 0 && isSame
    const body = isPart ? content.subarray(from) : content
    response.writeHead(isPart ? 206 : 200, {
      ...(etag ? { etag } : {}),
      ...(isPart ? { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` } : {}),
      'content-length': body.length,
    })
    if (breakAfter === undefined) response.end(body)
    else response.write(body.subarray(0, breakAfter), () => setTimeout(() => response.destroy(), 20))
  }
}

import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { checkFile } from '../../keys/platform/checked-file.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { type Disk, nodeDisk } from '../../keys/platform/disk.ts'
import { type DownloadRequest, downloadArtifact } from '../../keys/platform/download.ts'
import { createFetcher } from '../../keys/platform/fetch.ts'
import { createSimDisk } from '../sim/disk.ts'
import { serve, serveRaw, type TestServer } from './servers.ts'

const WHOLE = randomBytes(5_000_000)
const digest = (bytes: Uint8Array) => ({
  length: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
  sha512: createHash('sha512').update(bytes).digest('hex'),
})
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})
const using = async (starting: Promise<TestServer>) => {
  const server = await starting
  cleanups.push(() => server.close())
  return server
}
const home = () => {
  const folder = mkdtempSync(join(tmpdir(), 'netlink-download-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
const requestFor = (url: string, more: Partial<DownloadRequest> = {}): DownloadRequest => {
  const fetcher = createFetcher({ userAgent: 'netlink-test/1', clock: systemClock })
  cleanups.push(() => fetcher.close())
  const limits = { deadlineMs: 20_000, minBytesPerSecond: 0, backoffMs: 1 }
  const disk = nodeDisk
  return { fetcher, disk, clock: systemClock, url, path: join(home(), 'part'), ...digest(WHOLE), limits, ...more }
}
const place = async (path: string, bytes: Uint8Array) => {
  const writer = await nodeDisk.createFile(path, 0o600)
  await writer.write(bytes)
  await writer.close()
}
const exists = async (disk: Disk, path: string) =>
  (await disk.list(join(path, '..'))).some((e) => path.endsWith(e.name))

interface Manner {
  readonly content?: Uint8Array
  /** Entity tag, or none. */
  readonly etag?: string
  readonly ranges?: 'obeyed' | 'ignored'
  /** Breaks the connection after this many bytes of the answer. */
  readonly breakAfter?: number
}
const rangeStart = (request: IncomingMessage) => Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)

/** An ordinary file server (RFC 9110 14), as `manner` says for each request. */
const fileServer = (mannerOf: (turn: number, request: IncomingMessage) => Manner): RequestListener => {
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

describe('a download', () => {
  test('ends with the proven file, synced, and says how far it is', async () => {
    const server = await using(serve(fileServer(() => ({}))))
    const done: number[] = []
    const request = requestFor(server.url, { onProgress: (bytes) => done.push(bytes) })
    const file = await downloadArtifact(request)
    expect(file).toMatchObject({ path: request.path, length: WHOLE.length, sha256: request.sha256 })
    expect(Buffer.compare(await nodeDisk.readFile(request.path), WHOLE)).toBe(0)
    expect(await nodeDisk.stat(request.path)).toMatchObject({ mode: 0o600 })
    expect(done.at(-1)).toBe(WHOLE.length)
    expect(done).toEqual([...done].sort((a, b) => a - b))
  })

  test('that is there already needs no network, and an empty one neither', async () => {
    const request = requestFor('http://127.0.0.1:1/')
    await place(request.path, WHOLE)
    await downloadArtifact(request)
    await downloadArtifact(requestFor('http://127.0.0.1:1/', digest(new Uint8Array())))
  })

  test('goes on where the connection broke, of the same entity', async () => {
    const asked: unknown[] = []
    const server = await using(
      serve(
        fileServer((turn, { headers }) => {
          asked.push([headers.range !== undefined, headers['if-range']])
          return { etag: '"one"', ...(turn < 3 ? { breakAfter: 1_500_000 } : {}) }
        }),
      ),
    )
    await downloadArtifact(requestFor(server.url))
    expect(asked).toEqual([
      [false, undefined],
      [true, '"one"'],
      [true, '"one"'],
    ])
  })

  test('goes on where another process stopped, with what that had written hashed again', async () => {
    let from = 0
    const server = await using(
      serve((request, response) => {
        from = rangeStart(request)
        fileServer(() => ({}))(request, response)
      }),
    )
    const request = requestFor(server.url)
    await place(request.path, WHOLE.subarray(0, 3_000_000))
    await downloadArtifact(request)
    expect(from).toBe(3_000_000)
  })

  test('starts over when the entity tag changed in between', async () => {
    const server = await using(
      serve(
        fileServer((turn) =>
          turn === 1
            ? { etag: '"old"', content: randomBytes(WHOLE.length), breakAfter: 2_000_000 }
            : { etag: '"new"', content: WHOLE },
        ),
      ),
    )
    const request = requestFor(server.url)
    await downloadArtifact(request)
    expect(Buffer.compare(await nodeDisk.readFile(request.path), WHOLE)).toBe(0)
    expect(server.requests).toHaveLength(2)
  })

  test('starts over when two halves, without entity tags, turn out to be of two files', async () => {
    const server = await using(
      serve(fileServer((turn) => (turn === 1 ? { content: randomBytes(WHOLE.length), breakAfter: 2_000_000 } : {}))),
    )
    const request = requestFor(server.url)
    await downloadArtifact(request)
    expect(Buffer.compare(await nodeDisk.readFile(request.path), WHOLE)).toBe(0)
    expect(server.requests).toHaveLength(3)
  })

  test.each<[string, RequestListener]>([
    ['ignores ranges', fileServer(() => ({ ranges: 'ignored' }))],
    [
      'answers with another range',
      (request, response) => {
        const from = rangeStart(request)
        if (from === 0) return fileServer(() => ({}))(request, response)
        const range = `bytes 0-${WHOLE.length - 1}/${WHOLE.length}`
        response.writeHead(206, { 'content-range': range }).end(WHOLE)
      },
    ],
    [
      'calls the whole another length',
      (request, response) => {
        const from = rangeStart(request)
        if (from === 0) return fileServer(() => ({}))(request, response)
        response.writeHead(206, { 'content-range': `bytes ${from}-9/10` }).end(WHOLE.subarray(from))
      },
    ],
    [
      'refuses ranges',
      (request, response) => {
        if (rangeStart(request) === 0) fileServer(() => ({}))(request, response)
        else response.writeHead(416).end()
      },
    ],
  ])('succeeds although the server %s', async (_, handler) => {
    const server = await using(serve(handler))
    const request = requestFor(server.url)
    await place(request.path, WHOLE.subarray(0, 1_000_000))
    await downloadArtifact(request)
    expect(Buffer.compare(await nodeDisk.readFile(request.path), WHOLE)).toBe(0)
  })

  test.each([
    ['garbage', randomBytes(2_000_000)],
    ['zeros where a power cut lost the bytes', Buffer.alloc(2_000_000)],
    ['more than the whole', Buffer.concat([WHOLE, Buffer.from('!')])],
    ['the whole with one bit wrong', Buffer.concat([Buffer.of((WHOLE[0] ?? 0) ^ 1), WHOLE.subarray(1)])],
  ])('starts over once when what lay there was %s', async (_, left) => {
    const server = await using(serve(fileServer(() => ({}))))
    const request = requestFor(server.url)
    await place(request.path, left)
    await downloadArtifact(request)
    expect(Buffer.compare(await nodeDisk.readFile(request.path), WHOLE)).toBe(0)
  })

  test('into a path of more than 200 characters', async () => {
    const server = await using(serve(fileServer(() => ({}))))
    const folder = join(home(), 'p'.repeat(200))
    await nodeDisk.makeDir(folder, 0o700)
    const file = await downloadArtifact(requestFor(server.url, { path: join(folder, 'q'.repeat(200)) }))
    expect(file.path.length).toBeGreaterThan(400)
  })
})

describe('bytes that are not what was signed', () => {
  const wrong = async (handler: RequestListener, more: Partial<DownloadRequest> = {}) => {
    const server = await using(serve(handler))
    const request = requestFor(server.url, more)
    const downloading = downloadArtifact(request)
    await expect(downloading).rejects.toMatchObject({ name: 'TrustError', code: 'hash' })
    expect(await exists(request.disk, request.path)).toBe(false)
    return server
  }

  const wrongRest = async (handler: RequestListener) => {
    const server = await using(serve(handler))
    const request = requestFor(server.url)
    await place(request.path, WHOLE.subarray(0, WHOLE.length - 100))
    await expect(downloadArtifact(request)).rejects.toMatchObject({ name: 'TrustError', code: 'hash' })
  }

  test('of another SHA-256 or of another SHA-512 are removed', async () => {
    const other = digest(randomBytes(10))
    await wrong(
      fileServer(() => ({})),
      { sha256: other.sha256 },
    )
    await wrong(
      fileServer(() => ({})),
      { sha512: other.sha512 },
    )
  })

  test('of the right length, one bit off, are fetched once and removed', async () => {
    const server = await wrong(
      fileServer(() => ({ content: Buffer.concat([WHOLE.subarray(1), WHOLE.subarray(0, 1)]) })),
    )
    expect(server.requests).toHaveLength(1)
  })

  test('too many, announced', () => wrong(fileServer(() => ({ content: Buffer.concat([WHOLE, Buffer.from('!')]) }))))

  test('too many, chunked without end', () =>
    wrong((_, response: ServerResponse) => {
      const more = () => {
        while (response.write(WHOLE));
        response.once('drain', more)
      }
      more()
    }))

  test('too few, with an end of their own', () => wrong(fileServer(() => ({ content: WHOLE.subarray(1) }))))

  test('pieced together from two files, twice', async () => {
    const lying: RequestListener = fileServer(() => ({ content: randomBytes(WHOLE.length) }))
    const server = await using(serve(lying))
    const request = requestFor(server.url)
    await place(request.path, WHOLE.subarray(0, 1_000_000))
    await expect(downloadArtifact(request)).rejects.toMatchObject({ code: 'hash' })
    expect(server.requests).toHaveLength(2)
    expect(await exists(nodeDisk, request.path)).toBe(false)
  })

  test('are fetched once if the server sent the whole file instead of the rest of it', async () => {
    const server = await using(serve(fileServer(() => ({ ranges: 'ignored', content: randomBytes(WHOLE.length) }))))
    const request = requestFor(server.url)
    await place(request.path, WHOLE.subarray(0, 1_000_000))
    await expect(downloadArtifact(request)).rejects.toMatchObject({ code: 'hash' })
    expect(server.requests).toHaveLength(1)
  })

  test('that never end are not taken to their end when only a rest is missing', async () => {
    let sent = 0
    await wrongRest((request, response) => {
      const range = `bytes ${rangeStart(request)}-${WHOLE.length - 1}/${WHOLE.length}`
      response.writeHead(206, { 'content-range': range })
      const more = () => {
        do sent += 65_536
        while (response.write(Buffer.alloc(65_536)))
        response.once('drain', more)
      }
      more()
    })
    expect(sent).toBeLessThan(60_000_000)
  })

  test('are found by checkFile too, which leaves them', async () => {
    const path = join(home(), 'x')
    await place(path, WHOLE)
    expect(await checkFile(nodeDisk, path, digest(WHOLE))).toMatchObject({ path })
    for (const other of [
      digest(Buffer.from('x')),
      { ...digest(WHOLE), sha512: 'x' },
      { ...digest(WHOLE), length: 1 },
    ]) {
      await expect(checkFile(nodeDisk, path, other)).rejects.toMatchObject({ name: 'TrustError', code: 'hash' })
    }
    expect(await exists(nodeDisk, path)).toBe(true)
  })
})

describe('a network that fails', () => {
  test('is tried again a bounded number of times, and what came is kept', async () => {
    const server = await using(serve(fileServer((turn) => ({ breakAfter: turn === 1 ? 300_000 : 0 }))))
    const request = requestFor(server.url)
    await expect(downloadArtifact(request)).rejects.toMatchObject({ name: 'PlatformError', code: 'unreachable' })
    expect(server.requests).toHaveLength(5)
    expect(await nodeDisk.stat(request.path)).toMatchObject({ size: 300_000 })
  })

  test('that brings a mebibyte each time may fail as often as it likes', async () => {
    const server = await using(serve(fileServer(() => ({ breakAfter: 1_100_000 }))))
    const limits = { deadlineMs: 20_000, minBytesPerSecond: 0, backoffMs: 1, attempts: 2 }
    await downloadArtifact(requestFor(server.url, { limits }))
    expect(server.requests).toHaveLength(5)
  })

  test('a server that starts over with another entity each time does not keep us for ever', async () => {
    const server = await using(
      serve(fileServer((turn) => ({ etag: `"${turn}"`, content: randomBytes(WHOLE.length), breakAfter: 1_100_000 }))),
    )
    await expect(downloadArtifact(requestFor(server.url))).rejects.toMatchObject({ code: 'unreachable' })
    expect(server.requests.length).toBeLessThan(12)
  })

  test.each([500, 503, 429, 408])('status %d passes', async (status) => {
    let turn = 0
    const server = await using(
      serve((request, response) => {
        if (++turn === 1) response.writeHead(status).end()
        else fileServer(() => ({}))(request, response)
      }),
    )
    await downloadArtifact(requestFor(server.url))
  })

  test.each([401, 403, 404, 410])('status %d does not', async (status) => {
    const server = await using(serve((_, response) => response.writeHead(status).end()))
    const downloading = downloadArtifact(requestFor(server.url))
    await expect(downloading).rejects.toMatchObject({ code: 'http-status', facts: { status } })
    expect(server.requests).toHaveLength(1)
  })

  test('a body that just stops, without having told its length, may have been cut', async () => {
    const server = await using(
      serveRaw((socket, request) => {
        const from = Number(/bytes=(\d+)-/.exec(request)?.[1] ?? 0)
        const range = `content-range: bytes ${from}-${WHOLE.length - 1}/${WHOLE.length}\r\n`
        socket.write(from ? `HTTP/1.1 206 Partial\r\n${range}connection: close\r\n\r\n` : 'HTTP/1.0 200 OK\r\n\r\n')
        socket.end(from ? WHOLE.subarray(from) : WHOLE.subarray(0, 2_000_000))
      }),
    )
    await downloadArtifact(requestFor(server.url))
    expect(server.requests).toHaveLength(2)
  })

  test('one byte a second is too slow, each time', async () => {
    const server = await using(
      serve((_, response) => {
        response.writeHead(200, { 'content-length': WHOLE.length })
        const timer = setInterval(() => response.write('x'), 50)
        response.once('close', () => clearInterval(timer))
      }),
    )
    const limits = { deadlineMs: 20_000, minBytesPerSecond: 10_000, rateWindowMs: 100, backoffMs: 1, attempts: 2 }
    await expect(downloadArtifact(requestFor(server.url, { limits }))).rejects.toMatchObject({ code: 'too-slow' })
  })

  test('a stall at 99 % ends at the deadline of the whole', async () => {
    const server = await using(
      serve((request, response) => {
        const from = rangeStart(request)
        const range = `bytes ${from}-${WHOLE.length - 1}/${WHOLE.length}`
        response.writeHead(from ? 206 : 200, from ? { 'content-range': range } : {})
        response.write(WHOLE.subarray(from, 4_950_000))
      }),
    )
    const request = requestFor(server.url, { limits: { deadlineMs: 500, minBytesPerSecond: 0, backoffMs: 1 } })
    await expect(downloadArtifact(request)).rejects.toMatchObject({ code: 'timeout' })
    expect(await nodeDisk.stat(request.path)).toMatchObject({ size: 4_950_000 })
  })

  test.each(['in the body', 'between two tries'])('the caller stops it %s and what came is kept', async (when) => {
    const server = await using(
      serve((_, response) => {
        response.writeHead(200, { 'content-length': WHOLE.length })
        response.write(WHOLE.subarray(0, 100_000), () => {
          if (when === 'between two tries') setTimeout(() => response.destroy(), 20)
        })
      }),
    )
    const stop = new AbortController()
    const limits = { deadlineMs: 600_000, minBytesPerSecond: 0, backoffMs: 300_000 }
    const request = requestFor(server.url, { signal: stop.signal, limits })
    setTimeout(() => stop.abort(), 300)
    await expect(downloadArtifact(request)).rejects.toMatchObject({ code: 'cancelled' })
    expect(await nodeDisk.stat(request.path)).toMatchObject({ size: 100_000 })
  })

  test('waits longer each time, never as long as another host', async () => {
    const waits: number[] = []
    const clock = { ...systemClock, sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(wait(ms), signal) }
    const wait = (ms: number) => {
      if (ms >= 20_000) return ms
      waits.push(ms)
      return 0
    }
    const limits = { deadlineMs: 600_000, minBytesPerSecond: 0, backoffMs: 1000 }
    const random = () => 0.5
    await expect(downloadArtifact(requestFor('http://127.0.0.1:1/', { clock, limits, random }))).rejects.toMatchObject({
      code: 'unreachable',
    })
    expect(waits).toEqual([750, 1500, 3000, 6000])
  })
})

describe('a disk that fails', () => {
  test('without room from the start asks nobody', async () => {
    const disk = createSimDisk({ capacityBytes: WHOLE.length - 1 })
    const downloading = downloadArtifact(requestFor('http://127.0.0.1:1/', { disk, path: '/part' }))
    await expect(downloading).rejects.toMatchObject({ code: 'no-space', facts: { limit: WHOLE.length - 1 } })
  })

  test('that fills up on the way keeps what came, and with room again the rest comes', async () => {
    const server = await using(serve(fileServer(() => ({}))))
    const disk = createSimDisk()
    disk.failAt(5, { errno: 'ENOSPC' })
    const request = requestFor(server.url, { disk, path: '/part' })
    await expect(downloadArtifact(request)).rejects.toMatchObject({ name: 'PlatformError', code: 'no-space' })
    expect((await disk.stat('/part')).size).toBeGreaterThan(0)
    await downloadArtifact({ ...request, disk: disk.fork() })
    expect(server.requests).toHaveLength(2)
  })

  test('at every effect: typed, and never a proof', async () => {
    const server = await using(serve(fileServer(() => ({}))))
    const whole = createSimDisk()
    await downloadArtifact(requestFor(server.url, { disk: whole, path: '/part' }))
    for (let n = 1; n <= whole.effects; n++) {
      const disk = createSimDisk()
      disk.failAt(n, { errno: 'EIO' })
      const downloading = downloadArtifact(requestFor(server.url, { disk, path: '/part' }))
      await expect(downloading).rejects.toMatchObject({ name: 'PlatformError', code: 'io' })
    }
  })

  test('that loses power afterwards still has what was proven', async () => {
    const server = await using(serve(fileServer(() => ({}))))
    const disk = createSimDisk()
    await downloadArtifact(requestFor(server.url, { disk, path: '/part' }))
    const after = disk.afterCut({ seed: 1, samples: 20 })
    expect(after).toHaveLength(1)
    for (const state of after) await checkFile(state.disk, '/part', digest(WHOLE))
  })
})

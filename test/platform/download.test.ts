import { randomBytes } from 'node:crypto'
import type { RequestListener, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { checkFile } from '../../keys/platform/checked-file.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { type DownloadRequest, downloadArtifact } from '../../keys/platform/download.ts'
import { createFetcher } from '../../keys/platform/fetch.ts'
import { digest, exists, fileServer, home, place, rangeStart, requestFor, using, WHOLE } from './downloading.ts'
import { makeCertificate, serve } from './servers.ts'

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

test('T51: a download leaves the origin that it was asked of for nobody, not even for the right bytes', async () => {
  const certificate = makeCertificate()
  const elsewhere = [
    await using(serve(fileServer(() => ({})))),
    await using(
      serve(
        fileServer(() => ({})),
        { ...certificate },
      ),
    ),
  ]
  const fetcher = createFetcher({ userAgent: 'netlink-test/1', clock: systemClock, ca: certificate.cert })
  onTestFinished(() => fetcher.close())
  for (const { url, connections } of elsewhere) {
    const server = await using(serve((_, response) => response.writeHead(302, { location: `${url}/object` }).end()))
    const request = requestFor(server.url, { fetcher })
    await expect(downloadArtifact(request)).rejects.toMatchObject({ name: 'PlatformError', code: 'redirect' })
    expect(server.requests).toHaveLength(1)
    expect(connections()).toBe(0)
    await downloadArtifact(requestFor(url, { fetcher }))
  }
  const moved = await using(
    serve((request, response) => {
      if (request.url === '/object') fileServer(() => ({}))(request, response)
      else response.writeHead(302, { location: '/object' }).end()
    }),
  )
  await downloadArtifact(requestFor(moved.url, { fetcher }))
})

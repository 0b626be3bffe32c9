// A repository behind a hostile network: real HTTP, a real folder. Whatever is done to the bytes on their way, the host ends in time with the reason,
// keeps what it had, and the next good answer works.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { buildFileTrustStore } from '../../keys/file-trust-store.ts'
import { buildHttpSource } from '../../keys/http-source.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { createFetcher, type Fetcher } from '../../keys/platform/fetch.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { refresh } from '../../keys/refresh.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { serve, serveRaw, type TestServer } from '../platform/servers.ts'
import { SimRepository } from '../sim/repository.ts'

let folder: string
let repo: SimRepository
let fetcher: Fetcher
const servers: TestServer[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-transport-'))
  repo = await SimRepository.create()
  fetcher = createFetcher({ userAgent: 'netlink-test/1', clock: systemClock })
  await store().save('root.json', repo.file('1.root.json'))
  await update((await honest()).url)
  await repo.publish('targets')
})
afterEach(async () => {
  fetcher.close()
  for (const server of servers.splice(0)) await server.close()
  await rm(folder, { recursive: true })
})

const store = () => buildFileTrustStore(nodeDisk, folder)
const using = async (starting: Promise<TestServer>) => {
  const server = await starting
  servers.push(server)
  return server
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const bytes = repo.files.get((request.url ?? '').slice(1))
  response.writeHead(bytes ? 200 : 404).end(bytes)
}

const honest = () => using(serve(answer))

/** Answers as it should, but for the file that is attacked. */
const hostile = (file: string, trick: (request: IncomingMessage, response: ServerResponse) => void) =>
  using(serve((request, response) => (request.url === `/${file}` ? trick : answer)(request, response)))

/** A refresh as an agent does it, with a deadline that a test can wait for. */
async function update(url: string, deadlineMs = 60_000): Promise<number> {
  const quick: Fetcher = {
    ...fetcher,
    bytes: (address, options) =>
      fetcher.bytes(address, { ...options, deadlineMs: Math.min(options.deadlineMs, deadlineMs) }),
  }
  const source = buildHttpSource(quick, `${url}/`)
  return (await refresh({ source, store: store(), startedAt: repo.now })).timestampVersion
}

async function folderBytes(): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort()
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, (await readFile(join(folder, name))).toString('base64')])),
  )
}

/** The refresh is refused with this code, the folder is byte for byte as before, and the honest server is believed at once. */
async function refused(url: string, code: string, deadlineMs?: number): Promise<void> {
  const before = await folderBytes()
  const error = await update(url, deadlineMs).catch((reason: unknown) => reason)
  if (!(error instanceof TrustError || error instanceof PlatformError)) throw new Error('not typed', { cause: error })
  expect(error.code).toBe(code)
  expect(await folderBytes()).toEqual(before)
  expect(await update((await honest()).url)).toBe(2)
}

function endless(response: ServerResponse, sent: { bytes: number }): void {
  const more = () => {
    do sent.bytes += 65_536
    while (response.write(Buffer.alloc(65_536, 0x20)))
    response.once('drain', more)
  }
  more()
}

describe('T31 data without end', () => {
  it('chunked: the body is left at its limit', async () => {
    const sent = { bytes: 0 }
    const server = await hostile('timestamp.json', (_, response) => endless(response, sent))
    await refused(server.url, 'too-large')
    expect(sent.bytes).toBeLessThan(20_000_000)
  })

  it('with a content-length that announces it', async () => {
    const server = await hostile('timestamp.json', (_, response) => {
      response.writeHead(200, { 'content-length': 10 ** 12 })
      endless(response, { bytes: 0 })
    })
    await refused(server.url, 'too-large')
  })

  it('with a content-length that denies it: what lies behind it belongs to nobody', async () => {
    const timestamp = repo.file('timestamp.json')
    const server = await using(
      serveRaw((socket, request) => {
        const bytes = request.includes('timestamp') ? timestamp.subarray(0, 100) : undefined
        socket.write(`HTTP/1.1 ${bytes ? '200 OK' : '404 No'}\r\ncontent-length: ${bytes?.length ?? 0}\r\n`)
        socket.write('connection: close\r\n\r\n')
        socket.end(Buffer.concat([bytes ?? Buffer.alloc(0), bytes ? timestamp.subarray(100) : Buffer.alloc(0)]))
      }),
    )
    await refused(server.url, 'malformed')
  })

  it.each(['gzip', 'br', 'deflate'])('packed as %s, which would unpack without end', async (encoding) => {
    const bomb = gzipSync(Buffer.alloc(50_000_000))
    const server = await hostile('timestamp.json', (_, response) =>
      response.writeHead(200, { 'content-encoding': encoding }).end(bomb),
    )
    await refused(server.url, 'encoding')
  })
})

describe('T32 data too slow', () => {
  it('one byte now and then ends at the deadline', async () => {
    const server = await hostile('timestamp.json', (_, response) => {
      response.writeHead(200, { 'content-length': 1000 })
      const drip = setInterval(() => response.write(' '), 20)
      response.once('close', () => clearInterval(drip))
    })
    const started = performance.now()
    await refused(server.url, 'timeout', 300)
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it('no answer at all ends at the deadline', async () => {
    await refused((await hostile('timestamp.json', () => undefined)).url, 'timeout', 300)
  })

  it('an answer that breaks off in the middle is not taken for a short one', async () => {
    const server = await hostile('timestamp.json', (_, response) => {
      response.writeHead(200, { 'content-length': repo.file('timestamp.json').length })
      response.write(repo.file('timestamp.json').subarray(0, 300), () => setTimeout(() => response.destroy(), 10))
    })
    await refused(server.url, 'unreachable')
  })
})

describe('T51 redirects', () => {
  it.each([
    ['a file', () => 'file:///etc/passwd'],
    ['the cloud’s own address', () => 'http://169.254.169.254/latest/meta-data/'],
    ['another port of this machine', (other: string) => `${other}/timestamp.json`],
    ['data', () => 'data:application/json,{}'],
  ])('to %s are not followed, although what lies there would verify', async (_, location) => {
    const other = await honest()
    const server = await hostile('timestamp.json', (__, response) =>
      response.writeHead(302, { location: location(other.url) }).end(),
    )
    await refused(server.url, 'redirect')
    expect(other.requests).toEqual([])
  })

  it('on the server’s own origin are followed: the control', async () => {
    const server = await hostile('timestamp.json', (_, response) =>
      response.writeHead(302, { location: '/moved.json' }).end(),
    )
    repo.files.set('moved.json', repo.file('timestamp.json'))
    expect(await update(server.url)).toBe(2)
  })
})

describe('one mirror after another', () => {
  it('one that is down, one that is behind and one that lies cost nothing: the next good one is believed', async () => {
    const behind = repo.copy()
    const down = await honest()
    await down.close()
    const late = await using(
      serve((request, response) => {
        const bytes = behind.files.get((request.url ?? '').slice(1))
        response.writeHead(bytes ? 200 : 404).end(bytes)
      }),
    )
    await update((await honest()).url)
    await repo.publish('targets')
    const liar = await hostile('3.snapshot.json', (_, response) => response.end('{}'))
    const before = await folderBytes()

    await expect(update(down.url)).rejects.toMatchObject({ name: 'PlatformError', code: 'unreachable' })
    expect(await folderBytes()).toEqual(before)
    expect(await update(late.url)).toBe(2)
    await expect(update(liar.url)).rejects.toMatchObject({ name: 'TrustError', code: 'malformed' })
    await expect(update(late.url)).rejects.toMatchObject({ name: 'TrustError', code: 'rollback' })
    expect(await update((await honest()).url)).toBe(3)
  })
})

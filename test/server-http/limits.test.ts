import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { uploadStateShape } from '../../schema/rest.ts'
import { findUnstorable } from '../../server/core/storable.ts'
import { boundedStream } from '../../server/http/bounded-stream.ts'
import { clientAddress, limitKey, parseTrustedProxies } from '../../server/ws/client-address.ts'
import { buildRateLimit } from '../../server/ws/rate-limit.ts'
import { openSocket, rawRequest, readAnswer } from './raw-http.ts'
import { HttpWorld, hexOf } from './world.ts'

let world: HttpWorld
let url: string

beforeAll(async () => {
  world = await HttpWorld.create()
  await world.publishRoot()
  url = (await world.listen()).url
}, 60_000)
afterAll(() => world?.[Symbol.asyncDispose]())

const MIB = 1_048_576

/** Sends chunks of 64 KiB for as long as the server takes them. Resolves with what it answered and how much it took. */
async function sendForEver(head: string): Promise<{ status: number; sentBytes: number }> {
  const socket = await openSocket(url)
  const answer = readAnswer(socket)
  let sentBytes = 0
  let isOver = false
  socket.on('close', () => {
    isOver = true
  })
  socket.write(`${head}\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n`)
  const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536, 0x20), Buffer.from('\r\n')])
  while (!isOver && sentBytes < 200 * MIB) {
    const drained = socket.write(chunk)
    sentBytes += 65_536
    if (!drained) {
      await new Promise<void>((resolve) => {
        socket.once('drain', resolve)
        socket.once('close', resolve)
      })
    } else await new Promise((resolve) => setImmediate(resolve))
  }
  const { status } = await answer
  return { status, sentBytes }
}

describe('a body without end', () => {
  const json = 'content-type: application/json'
  test.each([
    [
      'of signed documents is cut at 8 MiB',
      () => `POST /api/v1/publish/releases HTTP/1.1\r\n${json}\r\nauthorization: Bearer ${world.tokens.publish}`,
      413,
      8,
    ],
    [
      'of a pause is cut at 1 MiB',
      () => `PUT /api/v1/fleet/brake HTTP/1.1\r\n${json}\r\nauthorization: Bearer ${world.tokens.rollout}`,
      413,
      1,
    ],
    ['of an enrolment, by anybody, is cut at 1 MiB', () => `POST /api/v1/agent/enroll HTTP/1.1\r\n${json}`, 413, 1],
    ['of reports that nobody signed is cut at 1 MiB', () => `POST /api/v1/agent/reports HTTP/1.1\r\n${json}`, 413, 1],
    [
      'of documents without a token is not read at all',
      () => `POST /api/v1/publish/releases HTTP/1.1\r\n${json}`,
      401,
      0,
    ],
    [
      'of an artifact of 1000 bytes is cut there',
      () =>
        `PUT /api/v1/publish/artifacts/${'ab'.repeat(32)}?offset=0&length=1000 HTTP/1.1\r\ncontent-type: application/octet-stream\r\nauthorization: Bearer ${world.tokens.publish}`,
      413,
      0,
    ],
    [
      'of an artifact without a token is not read at all',
      () =>
        `PUT /api/v1/publish/artifacts/${'ab'.repeat(32)}?offset=0&length=${10 ** 10} HTTP/1.1\r\ncontent-type: application/octet-stream`,
      401,
      0,
    ],
    ['to where there is nothing is not read at all', () => 'POST /nothing HTTP/1.1', 404, 0],
  ])('%s', async (_, head, status, limitMib) => {
    const before = process.memoryUsage().arrayBuffers
    const answer = await sendForEver(head())
    expect(answer.status).toBe(status)
    // What lies in the buffers of two kernels and two streams comes on top.
    expect(answer.sentBytes).toBeLessThan((limitMib + 24) * MIB)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan((3 * limitMib + 24) * MIB)
  })

  test('one that is announced to be too long is not even begun', async () => {
    const head = `PUT /api/v1/fleet/brake HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer ${world.tokens.rollout}`
    const answer = await rawRequest(url, `${head}\r\ncontent-length: 10000000000\r\n\r\n{`)
    expect(answer.status).toBe(413)
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'too-large', expected: '1048576' })
  })

  test('one that is just small enough is taken', async () => {
    const reason = 'x'.repeat(2000)
    const padding = ' '.repeat(MIB - 2100)
    const answer = await fetch(`${url}/api/v1/fleet/brake?dry_run=true`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${world.tokens.rollout}`, 'content-type': 'application/json' },
      body: JSON.stringify({ paused: true, reason }) + padding,
    })
    expect(answer.status).toBe(200)
  })

  test('an upload that breaks off keeps what came, and goes on there', async () => {
    // given
    const bytes = new Uint8Array(300_000).fill(7)
    const path = `/api/v1/publish/artifacts/${hexOf(bytes)}`
    const socket = await openSocket(url)

    // when
    world.logs.length = 0
    socket.write(
      `PUT ${path}?offset=0&length=${bytes.length} HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\nauthorization: Bearer ${world.tokens.publish}\r\ncontent-length: ${bytes.length}\r\n\r\n`,
    )
    socket.write(bytes.subarray(0, 200_000), () => socket.destroy())
    await vi.waitFor(() => expect(world.logs.map(({ event }) => event)).toContain('http.request'))

    // then
    expect(world.logs.filter(({ level }) => level === 'error')).toEqual([])
    const state = uploadStateShape.parse(await (await world.request('GET', path, { scope: 'publish' })).json())
    expect(state.received).toBeLessThanOrEqual(200_000)
    const rest = await world.request('PUT', `${path}?offset=${state.received}&length=${bytes.length}`, {
      scope: 'publish',
      body: bytes.slice(state.received),
      headers: { 'content-type': 'application/octet-stream' },
    })
    expect(await rest.json()).toMatchObject({ complete: true })
  })

  test('a document that breaks off is no failure of the server', async () => {
    // given
    const socket = await openSocket(url)
    world.logs.length = 0

    // when
    socket.write(
      `PUT /api/v1/fleet/brake HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer ${world.tokens.rollout}\r\ncontent-length: 1000\r\n\r\n{"paused"`,
      () => socket.destroy(),
    )
    await vi.waitFor(() => expect(world.logs.map(({ event }) => event)).toContain('http.request'))

    // then
    expect(world.logs.filter(({ level }) => level === 'error')).toEqual([])
  })

  test('a body of which nothing comes any more is given up', async () => {
    const body = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(new Uint8Array(3)) })
    const late: (() => void)[] = []
    const clock = { sleep: () => new Promise<void>((resolve) => late.push(resolve)), monotonicMs: () => 0 }
    const chunks = boundedStream(body, { maxBytes: 10, stallMs: 30_000, clock })
    expect((await chunks.next()).value).toEqual(new Uint8Array(3))
    const next = chunks.next()
    late.at(-1)?.()
    await expect(next).rejects.toMatchObject({ code: 'too-slow' })
  })

  test('a body that comes byte by byte is given up when its whole time is over', async () => {
    // given
    let now = 0
    const waits: number[] = []
    const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(1)) })
    const clock = {
      monotonicMs: () => now,
      sleep: (ms: number) => {
        waits.push(ms)
        return new Promise<void>(() => undefined)
      },
    }

    // when
    const read = async () => {
      for await (const byte of boundedStream(body, { maxBytes: 1_000, stallMs: 10_000, totalMs: 25_000, clock }))
        now += 9_000 * byte.length
    }

    // then
    await expect(read()).rejects.toMatchObject({ code: 'too-slow' })
    expect(waits).toEqual([10_000, 10_000, 7_000])
  })
})

describe('too many tries', () => {
  test('of enrolment by one address have to wait, whatever they show', async () => {
    // given
    const app = world.buildApp({ enrolments: { burst: 3, perMinute: 6 } })
    let enrolled = 0
    const enrol = (host = world.newHost(`many-${enrolled++}`)) =>
      app.request('/api/v1/agent/enroll', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(host.enrollRequest(world.tokens['host-enroll'])),
      })

    // when
    const statuses = [await enrol(), await enrol(), await enrol()].map((answer) => answer.status)
    const fourth = await enrol()

    // then
    expect(statuses).toEqual([200, 200, 200])
    expect(fourth.status).toBe(429)
    expect(Number(fourth.headers.get('retry-after'))).toBeGreaterThan(5)
    expect(await fourth.json()).toMatchObject({ code: 'rate-limited' })
  })

  test('with wrong tokens from one address end all its tries; right ones never count', async () => {
    // given
    const app = world.buildApp({ failures: { burst: 3, perMinute: 6 } })
    const ask = (token: string) => app.request('/api/v1/hosts', { headers: { authorization: `Bearer ${token}` } })

    // when, then
    for (let tries = 0; tries < 10; tries++) expect((await ask(world.tokens.read)).status).toBe(200)
    for (let tries = 0; tries < 3; tries++) expect((await ask('nlk_wrong')).status).toBe(401)
    const refused = await ask('nlk_wrong')
    expect(refused.status).toBe(429)
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
    expect((await ask(world.tokens.read)).status).toBe(429)
    expect((await app.request('/livez')).status).toBe(200)
  })

  test('are counted by the client’s address, which only a trusted proxy may name', async () => {
    // given
    const behind = await world.listen({
      app: { failures: { burst: 1, perMinute: 1 }, trustedProxies: parseTrustedProxies(['127.0.0.1']) },
    })
    const open = await world.listen({ app: { failures: { burst: 1, perMinute: 1 } } })
    const ask = async (base: string, client: string) =>
      (await fetch(`${base}/api/v1/hosts`, { headers: { authorization: 'Bearer nope', 'x-forwarded-for': client } }))
        .status

    // when, then
    expect(await ask(behind.url, '192.0.2.1')).toBe(401)
    expect(await ask(behind.url, '192.0.2.1')).toBe(429)
    expect(await ask(behind.url, '192.0.2.2')).toBe(401)
    expect(await ask(behind.url, '198.51.100.9, 192.0.2.2')).toBe(429)
    expect(await ask(open.url, '192.0.2.1')).toBe(401)
    expect(await ask(open.url, '192.0.2.2')).toBe(429)
  })
})

describe('a limit', () => {
  test('gives so many at once, and then so many a minute', () => {
    // given
    let now = 1_000
    const limit = buildRateLimit({ clock: { monotonicMs: () => now }, burst: 3, perMinute: 60 })

    // when, then
    expect([limit.take('a'), limit.take('a'), limit.take('a')]).toEqual([0, 0, 0])
    expect(limit.take('a')).toBe(1_000)
    expect(limit.waitMs('a')).toBe(1_000)
    expect(limit.take('b')).toBe(0)
    now += 1_000
    expect([limit.take('a'), limit.take('a')]).toEqual([0, 1_000])
    now += 60_000
    expect([limit.take('a'), limit.take('a'), limit.take('a'), limit.take('a')]).toEqual([0, 0, 0, 1_000])
  })

  test('remembers a bounded number of keys, the latest', () => {
    const limit = buildRateLimit({ clock: { monotonicMs: () => 0 }, burst: 1, perMinute: 1, maxKeys: 100 })
    for (let key = 0; key < 1_000; key++) limit.take(String(key))
    expect(limit.waitMs('999')).toBeGreaterThan(0)
    expect(limit.waitMs('0')).toBe(0)
  })
})

describe('where a client comes from', () => {
  const trusted = parseTrustedProxies(['10.0.0.0/8', '::1'])
  test.each([
    ['203.0.113.5', undefined, '203.0.113.5'],
    ['203.0.113.5', '1.2.3.4', '203.0.113.5'],
    ['10.1.1.1', '203.0.113.5', '203.0.113.5'],
    ['10.1.1.1', '6.6.6.6, 203.0.113.5', '203.0.113.5'],
    ['10.1.1.1', '203.0.113.5, 10.2.2.2', '203.0.113.5'],
    ['10.1.1.1', 'garbage', '10.1.1.1'],
    ['10.1.1.1', '203.0.113.5, garbage', '10.1.1.1'],
    ['10.1.1.1', undefined, '10.1.1.1'],
    ['::ffff:10.1.1.1', '2001:db8::7', '2001:db8::7'],
    ['::1', '203.0.113.5', '203.0.113.5'],
    [undefined, '203.0.113.5', 'unknown'],
  ])('peer %s saying "%s" is %s', (peer, forwarded, address) => {
    const socket = new Socket()
    Object.defineProperty(socket, 'remoteAddress', { value: peer })
    const request = new IncomingMessage(socket)
    if (forwarded !== undefined) request.headers['x-forwarded-for'] = forwarded
    expect(clientAddress(request, trusted)).toBe(address)
  })

  test.each([
    ...['10.0.0.0/33', 'example.com', '', '10.0.0.0/x', '::1/129', '10.0.0.0/8/9', '10.0.0.0/ 8', '10.0.0.0/0x8'],
    // Read as a number, nothing is 0: everybody would have been believed.
    ...['10.0.0.0/', '::1/'],
  ])('"%s" is no proxy', (entry) => {
    expect(() => parseTrustedProxies([entry])).toThrow(JSON.stringify(entry))
  })

  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ])('%s shares its limits with %s', (address, key) => {
    expect(limitKey(address)).toBe(key)
  })
})

describe('text that a database cannot hold', () => {
  test.each([
    ['{"a":"\\u0000"}', '/a'],
    ['{"a":{"b":["x","\\ud800"]}}', '/a/b/1'],
    ['{"a\\u0000":1}', ''],
    ['{"a/b~":"\\udc00"}', '/a~1b~0'],
    ['"\\ud83d\\ude00"', undefined],
    ['{"a":"\\\\u0000"}', undefined],
    ['{"a":"plain"}', undefined],
    ['no json \\u0000', undefined],
  ])('in %s is found at %s', (json, pointer) => {
    expect(findUnstorable(json)).toBe(pointer)
  })

  test('is found at any depth without using up the stack', () => {
    const deep = 300_000
    expect(findUnstorable(`${'['.repeat(deep)}"\\u0000"${']'.repeat(deep)}`)).toHaveLength(2 * deep)
  })
})

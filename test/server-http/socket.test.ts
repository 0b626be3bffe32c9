import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { systemClock } from '../../keys/platform/clock.ts'
import { MAX_FRAME_BYTES } from '../../schema/protocol.ts'
import type { Hosts, Ring } from '../../server/core/core.ts'
import { CoreError } from '../../server/core/core-error.ts'
import { buildRateLimit } from '../../server/ws/rate-limit.ts'
import { openSocket, rawRequest } from './raw-http.ts'
import { SocketClient } from './socket-client.ts'
import { BY_TEST, HttpWorld, inventoryReport, type TestHost } from './world.ts'

let world: HttpWorld
let url: string
let host: TestHost

beforeAll(async () => {
  world = await HttpWorld.create()
  await world.publishRoot()
  await world.publishRelease('0a1')
  host = await world.enrol('web-1')
  url = (await world.listen()).url
}, 60_000)
afterAll(() => world?.[Symbol.asyncDispose]())

const handshake = [
  'GET /api/v1/agent/socket HTTP/1.1',
  'host: x',
  'connection: upgrade',
  'upgrade: websocket',
  'sec-websocket-version: 13',
  'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==',
]

describe('the handshake', () => {
  test('any page’s origin is refused, even one that looks like ours', async () => {
    for (const origin of ['https://evil.example', url, 'null']) {
      await expect(SocketClient.connect(url, { headers: { origin } })).rejects.toMatchObject({ status: 403 })
    }
    const old = await rawRequest(
      url,
      `${[...handshake, 'sec-websocket-origin: https://evil.example'].join('\r\n')}\r\n\r\n`,
    )
    expect(old.status).toBe(403)
    expect((await SocketClient.connect(url)).ws.readyState).toBe(WebSocket.OPEN)
  })

  test('nothing is compressed, whatever the client offers', async () => {
    const client = await SocketClient.connect(url, { perMessageDeflate: true })
    expect(client.ws.extensions).toBe('')
    client.ws.terminate()
  })

  test('anywhere else there is no socket', async () => {
    const lines = ['GET /api/v1/hosts HTTP/1.1', ...handshake.slice(1)].join('\r\n')
    expect((await rawRequest(url, `${lines}\r\nconnection: close\r\n\r\n`)).status).toBe(401)
    const raw = await rawRequest(url, 'GET /api/v1/agent/socket HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    expect(raw.status).toBe(426)
    expect(JSON.parse(raw.body)).toMatchObject({ code: 'upgrade-required' })
    const http2 = await rawRequest(
      url,
      'GET /livez HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: h2c\r\n\r\n',
    )
    expect(http2.status).toBe(200)
  })

  test('an address that opens sockets and says nothing gets no more of them', async () => {
    // given
    const few = await world.listen({ maxAnonymous: 3, helloTimeoutMs: 60_000 })
    const silent = await Promise.all([1, 2, 3].map(() => SocketClient.connect(few.url)))

    // when, then
    await expect(SocketClient.connect(few.url)).rejects.toMatchObject({ status: 429, headers: { 'retry-after': '5' } })
    silent[0]?.send(host.hello((await silent[0].next('challenge')).nonce))
    await silent[0]?.next('welcome')
    const fourth = await SocketClient.connect(few.url)
    await expect(SocketClient.connect(few.url)).rejects.toMatchObject({ status: 429 })
    for (const client of [...silent, fourth]) client.ws.terminate()
    await vi.waitFor(() => expect(few.sockets.open).toBe(0))
    ;(await SocketClient.connect(few.url)).ws.terminate()
  })

  test('a server that is full says so', async () => {
    const full = await world.listen({ maxOpen: 1 })
    const only = await SocketClient.connect(full.url)
    await expect(SocketClient.connect(full.url)).rejects.toMatchObject({ status: 503 })
    only.ws.terminate()
  })
})

describe('who is there', () => {
  test('a host that signs the nonce is welcome and hears how things stand', async () => {
    // given
    const client = await SocketClient.connect(url)
    const { nonce, server_time } = await client.next('challenge')
    expect(nonce).toMatch(/^[0-9a-f]{48}$/)
    expect(server_time).toMatch(/Z$/)

    // when
    client.send(host.hello(nonce))

    // then
    expect(await client.next('welcome')).toMatchObject({ protocol: 1, brake: { paused: false }, timestamp_version: 2 })
    const shown = await (await world.request('POST', '/api/v1/hosts/web-1/check-now', { scope: 'rollout' })).json()
    expect(shown).toMatchObject({ name: 'web-1' })
    expect(await client.next('hint')).toEqual({ type: 'hint', cause: 'check_now', timestamp_version: 2 })
    expect(world.core.presence.online).toBe(1)
    client.ws.close()
    await client.closed
    await vi.waitFor(() => expect(world.core.presence.online).toBe(0))
  })

  test.each([
    ['with another key', (nonce: string) => ({ ...world.newHost('x').hello(nonce), host_id: host.id })],
    ['with a signature over another nonce', () => host.hello('0'.repeat(48))],
    ['as a host that nobody knows', (nonce: string) => world.newHost('x').hello(nonce)],
  ])('who signs %s is sent away', async (_, hello) => {
    const client = await SocketClient.connect(url)
    client.send(hello((await client.next('challenge')).nonce))
    expect(await client.closed).toMatchObject({ code: 4401 })
  })

  test('a nonce is good on its own connection only', async () => {
    // given
    const first = await SocketClient.connect(url)
    const hello = host.hello((await first.next('challenge')).nonce)
    first.send(hello)
    await first.next('welcome')

    // when
    const second = await SocketClient.connect(url)
    await second.next('challenge')
    second.send(hello)

    // then
    expect(await second.closed).toMatchObject({ code: 4401 })
    expect(first.ws.readyState).toBe(WebSocket.OPEN)
    first.ws.terminate()
  })

  test('who says nothing is sent away, and others who came at the same time are not', async () => {
    const impatient = await world.listen({ helloTimeoutMs: 1_000 })
    const silent = await SocketClient.connect(impatient.url)
    const live = await SocketClient.live(impatient.url, host)
    expect(await silent.closed).toMatchObject({ code: 4408 })
    expect(live.ws.readyState).toBe(WebSocket.OPEN)
    live.ws.terminate()
  })

  test('who fails too often has to wait', async () => {
    // given
    const failures = buildRateLimit({ clock: systemClock, burst: 1, perMinute: 1 })
    const strict = await world.listen({ failures })
    const client = await SocketClient.connect(strict.url)
    client.send({ ...host.hello('0'.repeat(48)) })
    await client.closed

    // then
    await expect(SocketClient.connect(strict.url)).rejects.toMatchObject({ status: 429 })
  })

  test('a newer connection of a host takes over, and its hints go there', async () => {
    // given
    const older = await SocketClient.live(url, host)

    // when
    const newer = await SocketClient.live(url, host)

    // then
    expect(await older.closed).toMatchObject({ code: 4409 })
    await world.core.hosts.checkNow(host.id, BY_TEST)
    expect(await newer.next('hint')).toMatchObject({ cause: 'check_now' })
    expect(world.core.presence.online).toBe(1)
    expect(world.logs).toContainEqual(expect.objectContaining({ event: 'socket.replaced' }))
    newer.ws.terminate()
  })

  test('a host that is forgotten is sent away and does not come back', async () => {
    // given
    const leaver = await world.enrol('leaver')
    const client = await SocketClient.live(url, leaver)

    // when
    expect((await world.request('DELETE', '/api/v1/hosts/leaver', { scope: 'rollout' })).status).toBe(200)

    // then
    expect(await client.closed).toMatchObject({ code: 4401 })
    const again = await SocketClient.connect(url)
    again.send(leaver.hello((await again.next('challenge')).nonce))
    expect(await again.closed).toMatchObject({ code: 4401 })
    const body = leaver.enrollRequest(world.tokens['host-enroll'])
    expect((await world.request('POST', '/api/v1/agent/enroll', { body })).status).toBe(200)
    ;(await SocketClient.live(url, leaver)).ws.terminate()
  })

  test('a host that is forgotten while its hello is looked up is not let in after all', async () => {
    // given
    const leaver = await world.enrol('hurried')
    const found = Promise.withResolvers<void>()
    const forgotten = Promise.withResolvers<void>()
    const hosts: Hosts = {
      ...world.core.hosts,
      authenticateHello: async (hello) => {
        const known = await world.core.hosts.authenticateHello(hello)
        found.resolve()
        await forgotten.promise
        return known
      },
    }
    const slow = await world.listen({ hosts })
    const client = await SocketClient.connect(slow.url)
    const heard = new Promise<void>((resolve) => {
      world.core.bell.subscribe((ring) => ring.type === 'forgotten' && ring.hostId === leaver.id && resolve())
    })

    // when
    client.send(leaver.hello((await client.next('challenge')).nonce))
    await found.promise
    await world.core.hosts.forget(leaver.id, BY_TEST)
    await heard
    forgotten.resolve()

    // then
    expect(await client.closed).toMatchObject({ code: 4401 })
    expect(client.received).toEqual([])
  })
})

describe('what is no frame of this protocol', () => {
  test.each<[string, string | Buffer, number]>([
    ['no JSON', '{"type":', 4400],
    ['an array', '[]', 4400],
    ['a word', '"hello"', 4400],
    ['no type', '{}', 4400],
    ['a type that is a number', '{"type":1}', 4400],
    ['reports that are none', '{"type":"reports","items":[{}]}', 4400],
    [
      'more reports than allowed',
      JSON.stringify({ type: 'reports', items: Array.from({ length: 101 }, (_, seq) => inventoryReport(seq + 1)) }),
      4400,
    ],
    [
      'a report with a NUL',
      JSON.stringify({ type: 'reports', items: [inventoryReport(1, { waiting_detail: '\u0000' })] }),
      4400,
    ],
    [
      'a second hello',
      JSON.stringify({ type: 'hello', protocol: 1, host_id: 'h_0', agent_version: '1', signature: '00'.repeat(64) }),
      4400,
    ],
    ['a binary frame', Buffer.from('{"type":"seen","timestamp_version":1}'), 4400],
    [
      'a frame that is too large',
      JSON.stringify({ type: 'seen', timestamp_version: 1, padding: 'x'.repeat(MAX_FRAME_BYTES) }),
      1009,
    ],
  ])('%s ends the connection, and the server goes on', async (_, frame, code) => {
    const client = await SocketClient.live(url, host)
    client.ws.send(frame)
    expect(await client.closed).toMatchObject({ code })
    expect((await world.request('GET', '/readyz')).status).toBe(200)
  })

  test('of types that only a newer agent knows nothing is made', async () => {
    const client = await SocketClient.live(url, host)
    client.send({ type: 'exec', url: 'https://evil.example', sha256: '00' })
    client.send({ type: 'seen', timestamp_version: 2, more: 'than we know' })
    client.send({ type: 'reports', items: [] })
    expect(await client.next('ack')).toMatchObject({ type: 'ack' })
    client.ws.terminate()
  })

  test('who talks before the hello, or between hello and welcome, is sent away', async () => {
    const early = await SocketClient.connect(url)
    await early.next('challenge')
    early.send({ type: 'reports', items: [inventoryReport(1)] })
    expect(await early.closed).toMatchObject({ code: 4400 })
    const hasty = await SocketClient.connect(url)
    const hello = host.hello((await hasty.next('challenge')).nonce)
    hasty.send(hello)
    hasty.send({ type: 'reports', items: [inventoryReport(1)] })
    expect(await hasty.closed).toMatchObject({ code: 4400 })
  })

  test('a message in a thousand fragments ends the connection', async () => {
    // given
    const socket = await openSocket(url)
    socket.write(`${handshake.join('\r\n')}\r\n\r\n`)
    await once(socket, 'data')
    let received = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
    })

    // when
    const fragment = (opcode: number) => Buffer.from([opcode, 0x81, 0, 0, 0, 0, 0x20])
    socket.write(Buffer.concat([fragment(0x01), ...Array.from({ length: 1_000 }, () => fragment(0x00))]))
    await once(socket, 'close')

    // then
    const at = received.lastIndexOf(0x88)
    expect(received.readUInt16BE(at + 2)).toBe(1008)
  })
})

describe('reports', () => {
  test('are stored in order and acknowledged', async () => {
    // given
    const reporter = await world.enrol('reporter')
    const client = await SocketClient.live(url, reporter)

    // when
    client.send({ type: 'reports', items: [inventoryReport(1), inventoryReport(2, { version: '0a1' })] })
    client.send({ type: 'reports', items: [inventoryReport(3, { version: '0a1', service: 'healthy' })] })

    // then
    expect(await client.next('ack')).toEqual({ type: 'ack', seq: 2 })
    expect(await client.next('ack')).toEqual({ type: 'ack', seq: 3 })
    expect((await world.core.hosts.show(reporter.id)).inventory).toMatchObject({ version: '0a1', service: 'healthy' })
    client.ws.terminate()
    const again = await SocketClient.connect(url)
    again.send(reporter.hello((await again.next('challenge')).nonce))
    expect(await again.next('welcome')).toMatchObject({ stored_seq: 3 })
    again.ws.terminate()
  })

  test('come back one by one from a host that sends more than can wait', async () => {
    // given
    const flood = await world.enrol('flood')
    const client = await SocketClient.live(url, flood)

    // when
    for (let first = 1; first <= 2_000; first += 100) {
      client.send({ type: 'reports', items: Array.from({ length: 100 }, (_, at) => inventoryReport(first + at)) })
    }

    // then
    for (let last = 100; last <= 2_000; last += 100)
      expect(await client.next('ack')).toEqual({ type: 'ack', seq: last })
    client.ws.terminate()
  })

  test('that the database does not take now are not acknowledged: the agent is asked to come back', async () => {
    // given
    const unlucky = await world.enrol('unlucky')
    const ingest = vi
      .spyOn(world.core.reports, 'ingest')
      .mockRejectedValueOnce(new CoreError('unavailable', 'the database sleeps'))
    const client = await SocketClient.live(url, unlucky)

    // when
    client.send({ type: 'reports', items: [inventoryReport(1)] })

    // then
    expect(await client.closed).toMatchObject({ code: 1013 })
    expect(client.received).toEqual([])
    ingest.mockRestore()
    const again = await SocketClient.live(url, unlucky)
    again.send({ type: 'reports', items: [inventoryReport(1)] })
    expect(await again.next('ack')).toEqual({ type: 'ack', seq: 1 })
    again.ws.terminate()
  })
})

describe('what the server tells', () => {
  test('the brake goes to everybody who is there, and to who comes later with the welcome', async () => {
    // given
    const client = await SocketClient.live(url, host)

    // when
    await world.core.fleet.setBrake(true, { ...BY_TEST, reason: 'smoke' })

    // then
    expect(await client.next('brake')).toMatchObject({ brake: { paused: true, reason: 'smoke' } })
    const later = await SocketClient.connect(url)
    later.send(host.hello((await later.next('challenge')).nonce))
    expect(await later.next('welcome')).toMatchObject({ brake: { paused: true, reason: 'smoke' } })
    await world.core.fleet.setBrake(false, { ...BY_TEST, reason: 'aired' })
    expect(await later.next('brake')).toMatchObject({ brake: { paused: false } })
    later.ws.terminate()
  })

  test('five hundred hosts hear of a release at once', async () => {
    // given
    const hosts = await Promise.all(Array.from({ length: 500 }, (_, at) => world.enrol(`many-${at}`)))
    const clients = await Promise.all(hosts.map((one) => SocketClient.live(url, one)))
    await world.prepareRelease('0a2')

    // when
    await world.core.publication.acceptReleases(world.submission('0a2'), BY_TEST)
    const started = performance.now()
    const hints = await Promise.all(clients.map((client) => client.next('hint')))
    const tookMs = performance.now() - started

    // then
    expect(hints.every((hint) => hint.cause === 'release' && hint.timestamp_version === 3)).toBe(true)
    expect(tookMs).toBeLessThan(3_000)
    for (const client of clients) client.send({ type: 'seen', timestamp_version: 3 })
    for (const client of clients) client.ws.terminate()
    await vi.waitFor(() => expect(world.core.presence.online).toBe(0))
  }, 60_000)

  test('a peer that does not read is cut off before it fills the memory, and others are not', async () => {
    // given
    const listeners = new Set<(ring: Ring) => void>()
    const bell = {
      subscribe: (listener: (ring: Ring) => void) => {
        listeners.add(listener)
        return () => void listeners.delete(listener)
      },
    }
    const small = await world.listen({ bell, maxBufferedBytes: 65_536 })
    const stuck = await SocketClient.live(small.url, await world.enrol('stuck'))
    const reading = await SocketClient.live(small.url, host)
    stuck.freeze()

    // when
    const brake = { paused: true, reason: 'x'.repeat(2_000), since: null }
    let rung = 0
    while (small.sockets.open === 2 && rung < 50_000) {
      for (const listener of listeners) listener({ type: 'brake', brake })
      // What the kernels' buffers take counts nowhere: the peer that reads gets each before the next is sent.
      if (++rung % 10 === 0) for (let ten = 0; ten < 10; ten++) await reading.next('brake')
    }

    // then
    expect(small.sockets.open).toBe(1)
    expect(world.logs).toContainEqual(expect.objectContaining({ event: 'socket.too_slow' }))
    expect(reading.ws.readyState).toBe(WebSocket.OPEN)
  })

  test('a peer that is dead is found out by a ping it does not answer', async () => {
    // given
    const quick = await world.listen({ pingIntervalMs: 1_000 })
    const living = await SocketClient.live(quick.url, host)
    const dead = await SocketClient.live(quick.url, await world.enrol('dead'))
    let pings = 0
    living.ws.on('ping', () => pings++)

    // when
    dead.freeze()

    // then
    await vi.waitFor(() => expect(quick.sockets.open).toBe(1), { timeout: 10_000 })
    await vi.waitFor(() => expect(pings).toBeGreaterThan(2), { timeout: 10_000 })
    expect(living.ws.readyState).toBe(WebSocket.OPEN)
  })

  test('a server that goes down sends everybody elsewhere and takes nobody in', async () => {
    // given
    const leaving = await world.listen()
    const client = await SocketClient.live(leaving.url, host)
    const anonymous = await SocketClient.connect(leaving.url)

    // when
    const gone = leaving.close(2_000)

    // then
    expect(await client.closed).toMatchObject({ code: 1012 })
    expect(await anonymous.closed).toMatchObject({ code: 1012 })
    await gone
    expect(leaving.sockets.open).toBe(0)
    await expect(SocketClient.connect(leaving.url)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('a peer that does not answer the goodbye does not hold the server', async () => {
    const leaving = await world.listen()
    const client = await SocketClient.live(leaving.url, host)
    client.freeze()
    const started = performance.now()
    await leaving.close(300)
    expect(performance.now() - started).toBeLessThan(3_000)
  })
})

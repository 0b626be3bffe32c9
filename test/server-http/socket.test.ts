import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { systemClock } from '../../keys/platform/clock.ts'
import type { Hosts } from '../../server/core/core.ts'
import { buildRateLimit } from '../../server/ws/rate-limit.ts'
import { rawRequest } from './raw-http.ts'
import { handshake, SocketClient } from './socket-client.ts'
import { BY_TEST, type HttpWorld, listeningWorld, type TestHost } from './world.ts'

let world: HttpWorld
let url: string
let host: TestHost

beforeAll(async () => {
  ;({ world, url, host } = await listeningWorld())
}, 60_000)
afterAll(() => world?.[Symbol.asyncDispose]())

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

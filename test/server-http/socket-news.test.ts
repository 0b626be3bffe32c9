import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import type { Ring } from '../../server/core/core.ts'
import { SocketClient } from './socket-client.ts'
import { BY_TEST, type HttpWorld, listeningWorld, type TestHost } from './world.ts'

let world: HttpWorld
let url: string
let host: TestHost

beforeAll(async () => {
  ;({ world, url, host } = await listeningWorld())
}, 60_000)
afterAll(() => world?.[Symbol.asyncDispose]())

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

import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { MAX_FRAME_BYTES } from '../../schema/protocol.ts'
import { CoreError } from '../../server/core/core-error.ts'
import { openSocket } from './raw-http.ts'
import { handshake, SocketClient } from './socket-client.ts'
import { type HttpWorld, inventoryReport, listeningWorld, type TestHost } from './world.ts'

let world: HttpWorld
let url: string
let host: TestHost

beforeAll(async () => {
  ;({ world, url, host } = await listeningWorld())
}, 60_000)
afterAll(() => world?.[Symbol.asyncDispose]())

const ODD_LENGTH = '{"length":{"valueOf":1,"toString":1}}'

describe('what is no frame of this protocol', () => {
  test.each<[string, string | Buffer | ((host: TestHost) => Promise<unknown>), number]>([
    ['no JSON', '{"type":', 4400],
    ['an array', '[]', 4400],
    ['a word', '"hello"', 4400],
    ['no type', '{}', 4400],
    ['a type that is a number', '{"type":1}', 4400],
    ['a report that nobody signed', JSON.stringify({ type: 'reports', items: [inventoryReport(1)] }), 4400],
    [
      'a report that another host signed',
      async () => (await world.enrol('stranger')).reports([inventoryReport(1)]),
      4400,
    ],
    ['reports that are none', '{"type":"reports","items":[{}]}', 4400],
    [
      'more reports than allowed',
      (host: TestHost) => host.reports(Array.from({ length: 101 }, (_, seq) => inventoryReport(seq + 1))),
      4400,
    ],
    ['a report with a NUL', (host: TestHost) => host.reports([inventoryReport(1, { waiting_detail: '\u0000' })]), 4400],
    [
      'a second hello',
      JSON.stringify({ type: 'hello', protocol: 1, host_id: 'h_0', agent_version: '1', signature: '00'.repeat(64) }),
      4400,
    ],
    // zod counts the length of whatever has one: this used to end the server's process, whoever sent it.
    [
      'a text that is an object with a length of its own',
      `{"type":"hello","protocol":1,"host_id":${ODD_LENGTH}}`,
      4400,
    ],
    ['reports that are an object with a length of its own', `{"type":"reports","items":${ODD_LENGTH}}`, 4400],
    ['a binary frame', Buffer.from('{"type":"seen","timestamp_version":1}'), 4400],
    [
      'a frame that is too large',
      JSON.stringify({ type: 'seen', timestamp_version: 1, padding: 'x'.repeat(MAX_FRAME_BYTES) }),
      1009,
    ],
  ])('%s ends the connection, and the server goes on', async (_, frame, code) => {
    const client = await SocketClient.live(url, host)
    const isText = typeof frame !== 'function'
    client.ws.send(isText ? frame : JSON.stringify({ type: 'reports', items: await frame(host) }))
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
    early.send({ type: 'reports', items: await host.reports([inventoryReport(1)]) })
    expect(await early.closed).toMatchObject({ code: 4400 })
    const hasty = await SocketClient.connect(url)
    const hello = host.hello((await hasty.next('challenge')).nonce)
    hasty.send(hello)
    hasty.send({ type: 'reports', items: await host.reports([inventoryReport(1)]) })
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
    client.send({
      type: 'reports',
      items: await reporter.reports([inventoryReport(1), inventoryReport(2, { version: '0a1' })]),
    })
    client.send({
      type: 'reports',
      items: await reporter.reports([inventoryReport(3, { version: '0a1', service: 'healthy' })]),
    })

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
      const reports = Array.from({ length: 100 }, (_, at) => inventoryReport(first + at))
      client.send({ type: 'reports', items: await flood.reports(reports) })
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
    client.send({ type: 'reports', items: await unlucky.reports([inventoryReport(1)]) })

    // then
    expect(await client.closed).toMatchObject({ code: 1013 })
    expect(client.received).toEqual([])
    ingest.mockRestore()
    const again = await SocketClient.live(url, unlucky)
    again.send({ type: 'reports', items: await unlucky.reports([inventoryReport(1)]) })
    expect(await again.next('ack')).toEqual({ type: 'ack', seq: 1 })
    again.ws.terminate()
  })
})

test('what fails unexpectedly while a frame is taken ends its connection and not the server', async () => {
  const seen = () => {
    throw new TypeError('nobody thought of this')
  }
  const broken = vi.spyOn(world.core.presence, 'open').mockReturnValueOnce({ touch: () => 0, seen, close: () => 0 })
  const client = await SocketClient.live(url, host)
  client.send({ type: 'seen', timestamp_version: 1 })
  expect(await client.closed).toMatchObject({ code: 1011 })
  broken.mockRestore()
  const again = await SocketClient.live(url, host)
  again.ws.terminate()
})

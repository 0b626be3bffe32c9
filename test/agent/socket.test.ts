// The agent's side of the socket, against a real WebSocket server that is not always a friend.
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { readServerMessage } from '../../agent/report/server-message.ts'
import { type AgentSocket, buildAgentSocket, type SocketListener } from '../../agent/report/socket.ts'
import { type Clock, systemClock } from '../../keys/platform/clock.ts'
import { agentMessageShape, helloStatement, type ServerMessage, serverMessageShape } from '../../schema/protocol.ts'
import { MAX_STORED_SEQ } from '../../schema/report-number.ts'
import { until } from '../world/programs.ts'

const HOST = 'h_0123456789abcdef0123456789abcdef'
const NONCE = 'n'.repeat(43)
const { publicKey, privateKey } = generateKeyPairSync('ed25519')
const brake = { paused: false, reason: null, since: null }
const challenge: ServerMessage = { type: 'challenge', nonce: NONCE, server_time: '2026-11-23T10:00:00Z' }
const welcome: ServerMessage = {
  type: 'welcome',
  protocol: 1,
  brake,
  stored_seq: 4,
  timestamp_version: 7,
  next_check_after_ms: 60_000,
}

type OnPeer = (peer: WebSocket, request: IncomingMessage, count: number) => void

let server: WebSocketServer | undefined
let stop = new AbortController()

afterEach(() => {
  stop.abort()
  for (const peer of server?.clients ?? []) peer.terminate()
  server?.close()
})

/** A server, an agent that connects to it, and what the agent heard. Pauses between connections are noted and cut short. */
async function meet(onPeer: OnPeer, pingMs = 30_000) {
  stop = new AbortController()
  const heard: string[] = []
  const logged: string[] = []
  const pauses: number[] = []
  let count = 0
  server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  server.on('connection', (peer, request) => {
    peer.on('error', () => undefined)
    onPeer(peer, request, ++count)
  })
  await new Promise((resolve) => server?.once('listening', resolve))
  const clock: Clock = {
    ...systemClock,
    sleep: (ms, signal) => {
      pauses.push(ms)
      return systemClock.sleep(Math.min(ms, 20), signal)
    },
  }
  const listener: SocketListener = {
    onWelcome: (message) => heard.push(`welcome ${message.stored_seq}`),
    onHint: (message) => heard.push(`hint ${message.cause}`),
    onAssignment: (document) => heard.push(`assignment ${document}`),
    onBrake: (message) => heard.push(`brake ${message.paused}`),
    onAck: (seq) => heard.push(`ack ${seq}`),
    onUnknown: () => heard.push('unknown'),
    onClosed: () => heard.push('closed'),
  }
  const socket: AgentSocket = buildAgentSocket(
    {
      url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/agent/socket`,
      hostId: HOST,
      agentVersion: '0.1.0',
      sign: (statement) => sign(null, statement, privateKey).toString('hex'),
      ca: undefined,
      clock,
      random: () => 0.5,
      log: (event, fields) => logged.push(`${event} ${JSON.stringify(fields)}`),
      pingMs,
    },
    listener,
  )
  void socket.run(stop.signal)
  return { heard, logged, pauses, socket, connections: () => count }
}

function say(peer: WebSocket, message: unknown): void {
  peer.send(typeof message === 'string' ? message : JSON.stringify(message))
}

/** An honest server: challenge, and a welcome for whoever signs. */
function honest(then: (peer: WebSocket) => void = () => undefined): OnPeer {
  return (peer) => {
    say(peer, challenge)
    peer.once('message', (data) => {
      const hello = agentMessageShape.parse(JSON.parse(String(data)))
      if (hello.type !== 'hello') return
      const isGood = verify(
        null,
        helloStatement(hello.host_id, NONCE),
        createPublicKey(publicKey.export({ format: 'pem', type: 'spki' })),
        Buffer.from(hello.signature, 'hex'),
      )
      if (!isGood) return peer.close(4401)
      say(peer, welcome)
      then(peer)
    })
  }
}

describe('a connection', () => {
  test('proves who the host is, without Origin and without compression', async () => {
    let headers: IncomingMessage['headers'] = {}
    const { heard } = await meet((peer, request, count) => {
      headers = request.headers
      honest()(peer, request, count)
    })
    await until(5, () => heard.includes('welcome 4') || undefined)
    expect(heard).toEqual(['welcome 4'])
    expect(headers.origin).toBeUndefined()
    expect(headers['sec-websocket-extensions']).toBeUndefined()
  })

  test('brings hints, the brake and acknowledgements, and takes reports', async () => {
    const got: string[] = []
    const { heard, socket } = await meet(
      honest((peer) => {
        peer.on('message', (data) => got.push(JSON.parse(String(data)).type))
        say(peer, { type: 'hint', cause: 'release', timestamp_version: 8 })
        say(peer, { type: 'brake', brake: { ...brake, paused: true } })
        say(peer, { type: 'ack', seq: 9 })
      }),
    )
    await until(5, () => heard.includes('ack 9') || undefined)
    expect(heard).toEqual(['welcome 4', 'hint release', 'brake true', 'ack 9'])
    expect(socket.send({ type: 'seen', timestamp_version: 8 })).toBe(true)
    await until(5, () => got.includes('seen') || undefined)
    expect(got).toEqual(['seen'])
  })

  test('an order to execute or install something is no message of this protocol: ignored and logged, the next hint still comes', async () => {
    const { heard, logged } = await meet(
      honest((peer) => {
        say(peer, { type: 'exec', argv: ['/bin/sh', '-c', 'id'] })
        say(peer, { type: 'apply', url: 'https://evil.example/x', sha256: '00' })
        say(peer, { type: 'hint', cause: 'check_now', timestamp_version: 0 })
      }),
    )
    await until(5, () => heard.includes('hint check_now') || undefined)
    expect(heard).toEqual(['welcome 4', 'hint check_now'])
    expect(logged.filter((line) => line.startsWith('socket.ignored'))).toHaveLength(2)
  })

  test('nothing counts before the welcome', async () => {
    const { heard, logged } = await meet((peer) => {
      say(peer, { type: 'hint', cause: 'release', timestamp_version: 99 })
      say(peer, challenge)
      say(peer, welcome)
    })
    await until(5, () => heard.length > 0 || undefined)
    expect(heard).toEqual(['welcome 4'])
    expect(logged.some((line) => line.includes('before the welcome'))).toBe(true)
  })
})

describe('a server that misbehaves', () => {
  const bad: readonly [words: string, frame: string | Buffer][] = [
    ['no JSON', '{"type":'],
    ['no object', '[]'],
    ['a hint without a version', '{"type":"hint","cause":"release"}'],
    ['a binary frame', Buffer.from([1, 2, 3])],
    ['a frame past the limit', 'x'.repeat(300_000)],
  ]
  test.each(bad)('%s ends the connection, and the next one is as good as new', async (_words, frame) => {
    const { heard, connections } = await meet((peer, request, count) => {
      if (count === 1) honest((one) => one.send(frame))(peer, request, count)
      else honest()(peer, request, count)
    })
    await until(
      8,
      () => (connections() >= 2 && heard.filter((one) => one.startsWith('welcome')).length === 2) || undefined,
    )
    expect(heard).toEqual(['welcome 4', 'closed', 'welcome 4'])
  })

  test('that goes silent is given up after two pings', async () => {
    const { heard, logged } = await meet((peer, request, count) => {
      honest((one) => {
        if (count === 1) one.pong = () => undefined
        if (count === 1) one.removeAllListeners('ping')
        // A peer that reads nothing any more: TCP still believes in it.
        if (count === 1) one.pause()
      })(peer, request, count)
    }, 60)
    await until(8, () => heard.filter((one) => one.startsWith('welcome')).length >= 2 || undefined)
    expect(heard.slice(0, 3)).toEqual(['welcome 4', 'closed', 'welcome 4'])
    expect(logged.some((line) => line.includes('gone silent'))).toBe(true)
  })

  test('pauses grow while it is away, and it that says who we are is wrong is not asked again soon', async () => {
    const away = await meet((peer) => peer.close(1012))
    await until(5, () => away.pauses.length >= 6 || undefined)
    expect(away.pauses.slice(0, 6)).toEqual([1_100, 2_100, 4_100, 8_100, 16_100, 30_100])
    stop.abort()
    server?.close()
    const refused = await meet((peer) => peer.close(4401))
    await until(5, () => refused.pauses.length >= 1 || undefined)
    expect(refused.pauses[0]).toBe(225_000)
  })
})

test('every message of the protocol reads the same by hand as by its shape', () => {
  const messages: ServerMessage[] = [
    challenge,
    welcome,
    { type: 'hint', cause: 'root', timestamp_version: 3 },
    { type: 'brake', brake: { paused: true, reason: 'why', since: '2026-11-23T10:00:00Z' } },
    { type: 'assignment', document: '{"signed":{}}\n'.repeat(1_000) },
    { type: 'ack', seq: 0 },
    { type: 'refused', code: 'x', message: 'y' },
  ]
  expect(new Set(messages.map((message) => message.type)).size).toBe(serverMessageShape.options.length)
  for (const message of messages) {
    expect(readServerMessage(JSON.stringify({ ...message, newer: 1 }))).toEqual(serverMessageShape.parse(message))
  }
  for (const [seq, isGood] of [
    [MAX_STORED_SEQ, true],
    [MAX_STORED_SEQ + 1, false],
  ] as const) {
    for (const message of [
      { ...welcome, stored_seq: seq },
      { type: 'ack', seq },
    ]) {
      expect(serverMessageShape.safeParse(message).success).toBe(isGood)
      expect(readServerMessage(JSON.stringify(message)).type).toBe(isGood ? message.type : 'malformed')
    }
  }
})

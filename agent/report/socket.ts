// The host's socket to its server: `/api/v1/agent/socket`. It carries hints, reports, the brake and signed assignments; nothing that is learned here changes what is trusted.
//
//   connecting -> challenged -> live -> (closed) -> pausing -> connecting …
//
// One connection at a time. Every pause is drawn at random up to a limit that doubles, so that a server that comes back is not met by its whole fleet at
// once. A peer that says nothing for two ping intervals is dead, whatever TCP believes.
import { WebSocket } from 'ws'
import type { Clock } from '../../keys/platform/clock.ts'
import type { AgentMessage, Brake, ServerMessage } from '../../schema/protocol.ts'
import { unreachable } from '../../schema/unreachable.ts'
import { MAX_MESSAGE_BYTES, readServerMessage } from './server-message.ts'
import { helloBytes } from './statement.ts'

const PROTOCOL = 1
const HANDSHAKE_MS = 15_000
const WELCOME_MS = 15_000
const PAUSE_MS = { first: 1_000, most: 60_000, refused: 300_000 }
const PING_MS = 30_000
/** RFC 6455 7.4.2, and this protocol's own. */
const CLOSE = { malformed: 4400, unauthenticated: 4401, replaced: 4409 }

export interface SocketDeps {
  /** `wss://…/api/v1/agent/socket`. */
  readonly url: string
  readonly hostId: string
  readonly agentVersion: string
  /** Ed25519, hexadecimal. */
  readonly sign: (statement: Uint8Array) => string
  /** PEM of the server's own certificate authority. */
  readonly ca: string | undefined
  readonly clock: Clock
  /** 0 up to 1. */
  readonly random: () => number
  readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void
  readonly pingMs?: number
}

/** What the rest of the daemon hears. */
export interface SocketListener {
  onWelcome(welcome: Extract<ServerMessage, { type: 'welcome' }>): void
  onHint(hint: Extract<ServerMessage, { type: 'hint' }>): void
  onBrake(brake: Brake): void
  /** A document that claims to be this host's assignment: not verified. */
  onAssignment(document: string): void
  onAck(seq: number): void
  /** The server says that it does not know this host, or not with this key: it was forgotten. */
  onUnknown(): void
  onClosed(): void
}

export interface AgentSocket {
  /** Sends it if a connection is live; false otherwise: what matters is in the outbox and goes with the next one. */
  send(message: AgentMessage): boolean
  /** Keeps connecting until the signal; never rejects. */
  run(signal: AbortSignal): Promise<void>
}

export function buildAgentSocket(deps: SocketDeps, listener: SocketListener): AgentSocket {
  let live: WebSocket | undefined
  const session: Session = {
    onLive: (socket) => {
      live = socket
    },
    onGone: () => {
      if (live) listener.onClosed()
      live = undefined
    },
  }
  return {
    send: (message) => {
      if (live?.readyState !== WebSocket.OPEN) return false
      live.send(JSON.stringify(message))
      return true
    },
    run: async (signal) => {
      for (let failures = 0; !signal.aborted; ) {
        const end = await connectOnce(deps, listener, session, signal)
        failures = end.wasLive ? 0 : failures + 1
        if (end.code === CLOSE.unauthenticated) listener.onUnknown()
        if (signal.aborted) return
        const pauseMs = pauseAfter(end, failures, deps.random)
        deps.log('socket.closed', { code: end.code, reason: end.reason, pause_ms: Math.round(pauseMs) })
        await deps.clock.sleep(pauseMs, signal).catch(() => undefined)
      }
    },
  }
}

interface Session {
  onLive(socket: WebSocket): void
  onGone(): void
}

interface End {
  readonly code: number
  readonly reason: string
  readonly wasLive: boolean
}

/** Full jitter: anything from nearly nothing to the limit. Who was refused or replaced comes back seldom. */
function pauseAfter(end: End, failures: number, random: () => number): number {
  if (end.code === CLOSE.unauthenticated || end.code === CLOSE.replaced) return PAUSE_MS.refused * (0.5 + random() / 2)
  const most = Math.min(PAUSE_MS.most, PAUSE_MS.first * 2 ** Math.min(failures, 16))
  return 100 + random() * most
}

/** One connection from start to end. Never rejects. */
function connectOnce(deps: SocketDeps, listener: SocketListener, session: Session, signal: AbortSignal): Promise<End> {
  return new Promise((resolve) => {
    const socket = new WebSocket(deps.url, {
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
      handshakeTimeout: HANDSHAKE_MS,
      followRedirects: false,
      rejectUnauthorized: true, // whatever the environment says
      ...(deps.ca === undefined ? {} : { ca: deps.ca }),
    })
    let wasLive = false
    let isChallenged = false
    let lastHeard = deps.clock.monotonicMs()
    let failure = ''
    const pingMs = deps.pingMs ?? PING_MS
    const welcomeTimer = setTimeout(() => fail('no welcome in time'), WELCOME_MS)
    const pingTimer = setInterval(beat, pingMs)
    const stop = () => socket.close(1000)
    signal.addEventListener('abort', stop, { once: true })

    function beat() {
      if (deps.clock.monotonicMs() - lastHeard > 2 * pingMs) fail('the server has gone silent')
      else if (socket.readyState === WebSocket.OPEN) socket.ping()
    }
    function fail(reason: string) {
      failure = reason
      socket.terminate()
    }
    function heard() {
      lastHeard = deps.clock.monotonicMs()
    }

    socket.on('message', (data, isBinary) => {
      heard()
      const message = isBinary ? undefined : readServerMessage(String(data))
      if (message === undefined || message.type === 'malformed') {
        failure = message?.message ?? 'a binary frame'
        socket.close(CLOSE.malformed)
      } else if (message.type === 'challenge' && !isChallenged) {
        isChallenged = true
        const signature = deps.sign(helloBytes(deps.hostId, message.nonce))
        const hello: AgentMessage = {
          type: 'hello',
          protocol: PROTOCOL,
          host_id: deps.hostId,
          agent_version: deps.agentVersion,
          signature,
        }
        socket.send(JSON.stringify(hello))
      } else if (message.type === 'welcome' && !wasLive) {
        clearTimeout(welcomeTimer)
        wasLive = true
        session.onLive(socket)
        listener.onWelcome(message)
      } else if (!wasLive) {
        deps.log('socket.ignored', { message: message.type, because: 'it came before the welcome' })
      } else {
        hear(deps, listener, message)
      }
    })
    socket.on('ping', heard)
    socket.on('pong', heard)
    socket.on('redirect', () => fail('the server wanted to send this host elsewhere'))
    socket.on('error', (error) => {
      failure ||= error.message
    })
    socket.on('close', (code, reason) => {
      clearTimeout(welcomeTimer)
      clearInterval(pingTimer)
      signal.removeEventListener('abort', stop)
      session.onGone()
      resolve({ code, reason: failure || reason.toString('utf8').slice(0, 200), wasLive })
    })
  })
}

function hear(
  deps: SocketDeps,
  listener: SocketListener,
  message: Exclude<ReturnType<typeof readServerMessage>, { type: 'malformed' }>,
): void {
  switch (message.type) {
    case 'hint':
      listener.onHint(message)
      break
    case 'brake':
      listener.onBrake(message.brake)
      break
    case 'assignment':
      listener.onAssignment(message.document)
      break
    case 'ack':
      listener.onAck(message.seq)
      break
    case 'refused':
      deps.log('socket.refused', { code: message.code, message: message.message })
      break
    case 'unknown':
      deps.log('socket.ignored', { message: message.said, because: 'no message of this protocol' })
      break
    case 'challenge':
    case 'welcome':
      break // once each, where the connection's own state is
    default:
      unreachable(message)
  }
}

/** Where a server's socket is. */
export function socketUrlOf(server: string): string {
  const url = new URL('/api/v1/agent/socket', server)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url.href
}

import { randomBytes, randomInt } from 'node:crypto'
import type { EventEmitter } from 'node:events'
import type { RawData } from 'ws'
import { type AgentMessage, CLOSE, PROTOCOL_VERSION } from '../../schema/protocol.ts'
import { unreachable } from '../../schema/unreachable.ts'
import type { Core, KnownHost } from '../core/core.ts'
import { CoreError } from '../core/core-error.ts'
import { isDatabaseGone } from '../core/database-gone.ts'
import { wireTime } from '../core/wire-time.ts'
import type { AgentSocket, KnownState } from './agent-socket.ts'
import { tellAssignment } from './assignment.ts'
import { limitKey } from './client-address.ts'
import { type Connections, hostOf } from './connections.ts'
import { readFrame } from './frame.ts'
import type { RateLimit } from './rate-limit.ts'

type Hello = AgentMessage & { readonly type: 'hello' }
type Reports = AgentMessage & { readonly type: 'reports' }

export interface ConversationOptions {
  /** Failed hellos, by address. */
  readonly failures: RateLimit
  readonly helloTimeoutMs: number
  /** When hosts look for releases if no hint comes. */
  readonly nextCheckAfterMs: number
}

/** Reports of one host that may wait to be stored before its socket is read no further. */
const MAX_WAITING_REPORTS = 400
/** The database keeps such versions as 32-bit integers. */
const MAX_TIMESTAMP_VERSION = 2 ** 31 - 1
/** Close codes of RFC 6455 and its registry. */
const UNEXPECTED = 1011
const TRY_AGAIN_LATER = 1013

/** What is said on one connection, from the challenge to the goodbye. The listeners are shared by all: `this` is the connection. */
export function buildConversation(core: Core, connections: Connections, options: ConversationOptions) {
  const { clock, log } = core

  /** A handshake is done. */
  function begin(ws: AgentSocket, address: string): void {
    const nonce = randomBytes(24).toString('hex')
    const deadlineMs = clock.monotonicMs() + options.helloTimeoutMs
    connections.add(ws, address, { kind: 'challenged', nonce, deadlineMs })
    const emitter: EventEmitter = ws
    emitter.on('message', onMessage).on('pong', onPong).on('close', onClose).on('error', onError)
    connections.say(ws, { type: 'challenge', nonce, server_time: wireTime(clock.now()) })
  }

  /** What is thrown here would end the process for all hosts, and anybody may send a frame. */
  function onMessage(this: AgentSocket, data: RawData, isBinary: boolean) {
    try {
      take(this, data, isBinary)
    } catch (error) {
      log('error', 'socket.message_failed', { address: this.address, ...hostOf(this), error: words(error) })
      connections.leave(this, UNEXPECTED, 'internal error')
    }
  }

  function take(ws: AgentSocket, data: RawData, isBinary: boolean) {
    const { state } = ws
    ws.alive = true
    if (state.kind === 'leaving') return
    if (isBinary) return refuse(ws, 'expected text frames')
    const frame = readFrame(String(data))
    if (frame.kind === 'malformed') return refuse(ws, `expected ${frame.expected}`)
    const message = frame.kind === 'message' ? frame.message : undefined
    switch (state.kind) {
      case 'challenged':
        return message?.type === 'hello' ? void check(ws, state.nonce, message) : refuse(ws, 'expected hello')
      case 'checking':
        return refuse(ws, 'expected nothing before welcome')
      case 'known':
        return message && hear(ws, state, message)
      default:
        return unreachable(state)
    }
  }

  async function check(ws: AgentSocket, nonce: string, hello: Hello): Promise<void> {
    ws.state = { kind: 'checking', hostId: hello.host_id }
    try {
      const host = await core.hosts.authenticateHello({ hostId: hello.host_id, nonce, signature: hello.signature })
      if (ws.readyState === ws.OPEN) welcome(ws, host)
    } catch (error) {
      refuseHello(ws, hello, error)
    }
  }

  function refuseHello(ws: AgentSocket, hello: Hello, error: unknown) {
    const foreseen = error instanceof CoreError && error.code === 'unauthenticated'
    const facts = { address: ws.address, host_id: hello.host_id, error: words(error) }
    log(foreseen ? 'info' : 'error', 'socket.hello_refused', facts)
    if (!foreseen) return connections.leave(ws, TRY_AGAIN_LATER, 'try again later')
    options.failures.take(limitKey(ws.address))
    connections.leave(ws, CLOSE.unauthenticated, 'unknown host or wrong signature')
  }

  function welcome(ws: AgentSocket, host: KnownHost): void {
    const older = connections.of(host.hostId)?.state
    // What an older connection is still storing comes first: reports of one host are never stored twice at once.
    const stored = older?.kind === 'known' ? older.stored : Promise.resolve()
    const presence = core.presence.open(host.hostId)
    connections.admit(ws, { kind: 'known', host, presence, stored, waiting: 0 })
    log('debug', 'socket.known', { host_id: host.hostId, address: ws.address })
    connections.say(ws, {
      type: 'welcome',
      protocol: PROTOCOL_VERSION,
      brake: core.fleet.brake(),
      stored_seq: host.storedSeq,
      timestamp_version: core.publication.published().timestampVersion,
      next_check_after_ms: jittered(options.nextCheckAfterMs),
    })
    void tellAssignment(core, connections, host.hostId)
  }

  function hear(ws: AgentSocket, state: KnownState, message: AgentMessage) {
    switch (message.type) {
      case 'hello':
        return refuse(ws, 'expected one hello only')
      case 'seen':
        return state.presence.seen(Math.min(message.timestamp_version, MAX_TIMESTAMP_VERSION))
      case 'reports':
        state.waiting += message.items.length
        if (state.waiting > MAX_WAITING_REPORTS) ws.pause()
        state.stored = state.stored.then(() => store(ws, state, message.items))
        return
      default:
        return unreachable(message)
    }
  }

  /** Never rejects: it is a link of a chain. A connection that is gone gets no receipt, so its host sends the same again. */
  async function store(ws: AgentSocket, state: KnownState, items: Reports['items']): Promise<void> {
    try {
      if (ws.state !== state) return
      const { storedSeq } = await core.reports.ingest(state.host, items)
      connections.say(ws, { type: 'ack', seq: storedSeq })
    } catch (error) {
      refuseReports(ws, state, error)
    } finally {
      state.waiting -= items.length
      if (state.waiting <= MAX_WAITING_REPORTS && ws.isPaused) ws.resume()
    }
  }

  function refuseReports(ws: AgentSocket, { host }: KnownState, error: unknown) {
    const code = error instanceof CoreError ? error.code : isDatabaseGone(error) ? 'unavailable' : 'internal'
    const foreseen = code !== 'internal' && code !== 'unavailable'
    log(foreseen ? 'warn' : 'error', 'socket.reports_refused', { host_id: host.hostId, code, error: words(error) })
    if (code === 'internal') return connections.leave(ws, UNEXPECTED, 'the server failed unexpectedly')
    if (code === 'unavailable') return connections.leave(ws, TRY_AGAIN_LATER, 'try again later')
    if (code === 'unauthenticated' || code === 'not-found') {
      return connections.leave(ws, CLOSE.unauthenticated, 'unknown host')
    }
    connections.say(ws, { type: 'refused', code, message: words(error).slice(0, 2000) })
    connections.leave(ws, CLOSE.malformed, 'reports refused')
  }

  function refuse(ws: AgentSocket, detail: string): void {
    log('info', 'socket.malformed', { address: ws.address, ...hostOf(ws), detail })
    connections.leave(ws, CLOSE.malformed, detail)
  }

  function onPong(this: AgentSocket): void {
    this.alive = true
    if (this.state.kind === 'known') this.state.presence.touch()
  }

  /** What ws itself refuses (too large, too many fragments, not UTF-8, unmasked): it closes with the RFC's own code right after. */
  function onError(this: AgentSocket, error: Error): void {
    log('info', 'socket.failed', { address: this.address, ...hostOf(this), error: error.message })
  }

  function onClose(this: AgentSocket, code: number): void {
    log('debug', 'socket.closed', { address: this.address, ...hostOf(this), code })
    connections.remove(this)
  }

  return { begin }
}

/** A tenth more or less, so that hosts that came together do not look together. */
function jittered(ms: number): number {
  const spread = Math.floor(ms / 10)
  return ms - spread + randomInt(2 * spread + 1)
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

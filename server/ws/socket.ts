// The agents' WebSocket (schema/protocol.ts): hints and the brake go out, reports come in. Nothing said here is ever trusted by a host, and a
// host that is not connected only learns things later.
//
//   upgrade -> challenged -> checking -> known -> leaving
//              5 s for the   signature   reports stored in order, acknowledged; pinged every 30 s
//              hello         in core     a second connection of the same host takes over
//
// Made for ten thousand connections in a process: shared listeners, one timer for all (wheel.ts), one frame for all, sent in slices between which
// the event loop does other things (connections.ts). What comes in is bounded everywhere (conversation.ts): frame size, fragments, time to the
// hello, connections that have not said who they are, reports that wait to be stored, bytes that wait to be sent.
//
// Gap: one connection a host holds for one process. Where a load balancer sends two connections of a host to two replicas, both stay open and
// both get hints; its reports are numbered, so nothing is stored twice.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { CLOSE, MAX_FRAME_BYTES } from '../../schema/protocol.ts'
import { unreachable } from '../../schema/unreachable.ts'
import type { Core, Ring } from '../core/core.ts'
import { AgentSocket } from './agent-socket.ts'
import { tellAssignment } from './assignment.ts'
import { clientAddress, limitKey, type TrustedProxies } from './client-address.ts'
import { buildConnections, type Connections } from './connections.ts'
import { buildConversation } from './conversation.ts'
import type { RateLimit } from './rate-limit.ts'
import { decideUpgrade, refuseUpgrade } from './upgrade.ts'
import { startWheel } from './wheel.ts'

export interface SocketOptions {
  readonly trustedProxies: TrustedProxies
  /** Failed hellos, by address. */
  readonly failures: RateLimit
  readonly helloTimeoutMs?: number
  /** Each connection is pinged once in this time, and closed if nothing came since the last ping. */
  readonly pingIntervalMs?: number
  readonly maxOpen?: number
  /** Connections from one address that have not shown yet who they are. */
  readonly maxAnonymous?: number
  /** Bytes that may wait for a slow peer before it is cut off. */
  readonly maxBufferedBytes?: number
  /** When hosts look for releases if no hint comes, a tenth more or less. */
  readonly nextCheckAfterMs?: number
}

export interface Sockets {
  /** For the HTTP server's `upgrade` event. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
  /** Connections here, known or not. */
  readonly open: number
  /** Takes no more connections and sends all agents elsewhere; resolves when they are gone, after `graceMs` at the latest. */
  drain(graceMs: number): Promise<void>
}

/** Of one message at most this many fragments (CVE-2026-48779: ws's default lets one connection hold 13 MB). */
const MAX_FRAGMENTS = 64
/** How long a peer has to answer a close. */
const CLOSE_TIMEOUT_MS = 5_000

export function buildSockets(core: Core, options: SocketOptions): Sockets {
  const {
    helloTimeoutMs = 5_000,
    pingIntervalMs = 30_000,
    maxOpen = 19_000,
    maxAnonymous = 1_024,
    maxBufferedBytes = 1_048_576,
    nextCheckAfterMs = 900_000,
    failures,
  } = options
  const server = buildServer()
  const connections = buildConnections(core, maxBufferedBytes)
  const conversation = buildConversation(core, connections, { failures, helloTimeoutMs, nextCheckAfterMs })
  const wheel = startWheel(connections, { clock: core.clock, log: core.log, helloTimeoutMs, pingIntervalMs })
  const unsubscribe = core.bell.subscribe((ring) => onRing(core, connections, ring))
  let draining = false

  return {
    upgrade: (request, socket, head) => {
      const address = clientAddress(request, options.trustedProxies)
      const refusal = decideUpgrade(request, {
        draining,
        open: connections.open.size,
        maxOpen,
        anonymous: connections.anonymousOf(address),
        maxAnonymous,
        waitMs: failures.waitMs(limitKey(address)),
      })
      if (refusal) {
        core.log('info', 'socket.refused', { address, status: refusal.status, detail: refusal.detail })
        return refuseUpgrade(socket, refusal)
      }
      server.handleUpgrade(request, socket, head, (ws) => {
        conversation.begin(ws, address)
        wheel.expectHello(ws)
      })
    },
    get open() {
      return connections.open.size
    },
    drain: async (graceMs) => {
      draining = true
      unsubscribe()
      const deadlineMs = core.clock.monotonicMs() + graceMs
      await connections.leaveAll(CLOSE.draining, 'the server is going down')
      while (connections.open.size > 0 && core.clock.monotonicMs() < deadlineMs) await core.clock.sleep(20)
      wheel.stop()
      for (const ws of connections.open) ws.terminate()
      server.close()
    },
  }
}

function buildServer() {
  const settings = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    maxFragments: MAX_FRAGMENTS,
    maxBufferedChunks: 4_096,
    closeTimeout: CLOSE_TIMEOUT_MS,
    WebSocket: AgentSocket,
  }
  return new WebSocketServer<typeof AgentSocket>(settings)
}

/** Something changed: those whom it concerns are told to look. */
function onRing(core: Core, connections: Connections, ring: Ring) {
  switch (ring.type) {
    case 'release':
    case 'root':
      return void connections.broadcast({ type: 'hint', cause: ring.type, timestamp_version: ring.timestampVersion })
    case 'brake':
      return void connections.broadcast({ type: 'brake', brake: ring.brake })
    case 'check_now': {
      const ws = connections.of(ring.hostId)
      if (ws) connections.say(ws, { type: 'hint', cause: 'check_now', timestamp_version: ring.timestampVersion })
      return
    }
    case 'assignment':
      return void tellAssignment(core, connections, ring.hostId)
    case 'forgotten':
      return connections.leaveHost(ring.hostId, CLOSE.unauthenticated, 'this host was forgotten')
    case 'fleet':
      return
    default:
      return unreachable(ring)
  }
}

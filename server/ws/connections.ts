import { setImmediate as nextTurn } from 'node:timers/promises'
import { CLOSE, type ServerMessage } from '../../schema/protocol.ts'
import type { Core } from '../core/core.ts'
import type { AgentSocket, KnownState, SocketState } from './agent-socket.ts'
import { limitKey } from './client-address.ts'
import { buildFrame } from './frame.ts'

/** Every connection here, which host is behind which, and how to say something to them. */
export interface Connections {
  /** All of them, oldest first. */
  readonly open: ReadonlySet<AgentSocket>
  /** How many of this address have not shown yet who they are. */
  anonymousOf(address: string): number
  /** A connection begins, as yet nobody's. */
  add(ws: AgentSocket, address: string, state: SocketState): void
  /** It turned out to be this host. An older connection of the same host is closed. */
  admit(ws: AgentSocket, state: KnownState): void
  /** The host's connection, if it has one here. */
  of(hostId: string): AgentSocket | undefined
  /** Says goodbye; nothing that still comes is read. */
  leave(ws: AgentSocket, code: number, reason: string): void
  /** Says goodbye to the host's connection, and to those that say they are this host and are still being checked. */
  leaveHost(hostId: string, code: number, reason: string): void
  /** The connection is closed. */
  remove(ws: AgentSocket): void
  say(ws: AgentSocket, message: ServerMessage): void
  /** To every known host: made into bytes once, sent in slices. */
  broadcast(message: ServerMessage): Promise<void>
  /** Closes all, slice by slice. */
  leaveAll(code: number, reason: string): Promise<void>
}

/** So many sends before the event loop may do something else: about 5 ms. */
const SLICE = 200
const TEXT = { binary: false }

export function buildConnections(core: Core, maxBufferedBytes: number): Connections {
  const { log } = core
  const open = new Set<AgentSocket>()
  const known = new Map<string, AgentSocket>()
  const anonymous = new Map<string, number>()

  function add(ws: AgentSocket, address: string, state: SocketState): void {
    ws.address = address
    ws.state = state
    ws.anonymous = true
    const key = limitKey(address)
    anonymous.set(key, (anonymous.get(key) ?? 0) + 1)
    open.add(ws)
  }

  function admit(ws: AgentSocket, state: KnownState): void {
    countOff(ws)
    const older = known.get(state.host.hostId)
    ws.state = state
    known.set(state.host.hostId, ws)
    if (!older) return
    // Two machines with one copied key would take turns here.
    const addresses = { address: ws.address, older_address: older.address }
    log('warn', 'socket.replaced', { host_id: state.host.hostId, ...addresses })
    leave(older, CLOSE.replaced, 'another connection of this host took over')
  }

  function leave(ws: AgentSocket, code: number, reason: string): void {
    depart(ws)
    // A paused socket would never read the peer's answer to the close.
    if (ws.isPaused) ws.resume()
    ws.close(code, reasonOf(reason))
  }

  function leaveHost(hostId: string, code: number, reason: string): void {
    const one = known.get(hostId)
    if (one) leave(one, code, reason)
    // A hello that was looked up before the host was forgotten would let it in right after.
    for (const ws of open) if (ws.state.kind === 'checking' && ws.state.hostId === hostId) leave(ws, code, reason)
  }

  function remove(ws: AgentSocket): void {
    countOff(ws)
    open.delete(ws)
    depart(ws)
  }

  /** The host is no longer here by this connection. */
  function depart(ws: AgentSocket): void {
    const { state } = ws
    ws.state = { kind: 'leaving' }
    if (state.kind !== 'known') return
    state.presence.close()
    if (known.get(state.host.hostId) === ws) known.delete(state.host.hostId)
  }

  /** It said who it is, or is gone: it counts no longer among the anonymous of its address. */
  function countOff(ws: AgentSocket): void {
    if (!ws.anonymous) return
    ws.anonymous = false
    const key = limitKey(ws.address)
    const left = (anonymous.get(key) ?? 1) - 1
    if (left > 0) anonymous.set(key, left)
    else anonymous.delete(key)
  }

  function send(ws: AgentSocket, frame: Buffer) {
    if (ws.readyState !== ws.OPEN) return
    if (ws.bufferedAmount <= maxBufferedBytes) return ws.send(frame, TEXT)
    log('warn', 'socket.too_slow', { address: ws.address, ...hostOf(ws), buffered_bytes: ws.bufferedAmount })
    ws.terminate()
  }

  async function broadcast(message: ServerMessage): Promise<void> {
    const frame = buildFrame(message)
    const hosts = await inSlices(known.values(), (ws) => send(ws, frame))
    log('info', 'socket.broadcast', { type: message.type, hosts })
  }

  return {
    open,
    anonymousOf: (address) => anonymous.get(limitKey(address)) ?? 0,
    add,
    admit,
    of: (hostId) => known.get(hostId),
    leave,
    leaveHost,
    remove,
    say: (ws, message) => send(ws, buildFrame(message)),
    broadcast,
    leaveAll: async (code, reason) => void (await inSlices([...open], (ws) => leave(ws, code, reason))),
  }
}

/** The host behind a connection, as a field of a log line. */
export function hostOf(ws: AgentSocket): { readonly host_id?: string } {
  return ws.state.kind === 'known' ? { host_id: ws.state.host.hostId } : {}
}

/** How many there were. In between, the event loop does what else there is to do. */
async function inSlices(sockets: Iterable<AgentSocket>, each: (ws: AgentSocket) => void): Promise<number> {
  let done = 0
  for (const ws of sockets) {
    each(ws)
    if (++done % SLICE === 0) await nextTurn()
  }
  return done
}

/** A close frame holds 123 bytes of reason. */
function reasonOf(text: string): string {
  return text.replace(/[^ -~]/g, '?').slice(0, 120)
}

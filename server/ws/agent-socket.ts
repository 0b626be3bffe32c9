import { WebSocket } from 'ws'
import type { KnownHost, PresenceHandle } from '../core/core.ts'

/** Where a connection stands. It only ever moves down this list. */
export type SocketState =
  /** The challenge is sent; the hello has until `deadlineMs`. */
  | { readonly kind: 'challenged'; readonly nonce: string; readonly deadlineMs: number }
  /** The signature of the hello, which names this host, is being checked. */
  | { readonly kind: 'checking'; readonly hostId: string }
  | KnownState
  /** We said goodbye, or the peer is gone: what still comes is not read. */
  | { readonly kind: 'leaving' }

export interface KnownState {
  readonly kind: 'known'
  readonly host: KnownHost
  readonly presence: PresenceHandle
  /** Reports of this host are stored one message after another: the end of that chain. */
  stored: Promise<void>
  /** Reports that wait in that chain. */
  waiting: number
}

const NOT_YET: SocketState = { kind: 'leaving' }

/** One agent's connection. Ten thousand of these are open: no closures, no timers, only what differs between them. */
export class AgentSocket extends WebSocket {
  state: SocketState = NOT_YET
  address = ''
  /** Something came since the last ping. */
  alive = true
  /** Counts among the connections of its address that have not shown yet who they are. */
  anonymous = false
}

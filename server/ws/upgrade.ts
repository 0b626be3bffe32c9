import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'

/** Where agents connect. */
export const SOCKET_PATH = '/api/v1/agent/socket'

/** Why a handshake is not answered with 101. */
export interface UpgradeRefusal {
  readonly status: 400 | 403 | 404 | 429 | 503
  readonly detail: string
  readonly retryAfterSeconds?: number
}

export interface UpgradeFacts {
  readonly draining: boolean
  readonly open: number
  readonly maxOpen: number
  /** Connections of this address that have not shown yet who they are. */
  readonly anonymous: number
  readonly maxAnonymous: number
  /** Until this address may try again after too many failed hellos. */
  readonly waitMs: number
}

/** Whether a request for an upgrade is one that this server would ever answer. Others are ordinary requests (`shouldUpgradeCallback`). */
export function isSocketRequest(request: IncomingMessage): boolean {
  return pathOf(request) === SOCKET_PATH && request.headers.upgrade?.toLowerCase() === 'websocket'
}

/** undefined: shake hands. */
export function decideUpgrade(request: IncomingMessage, facts: UpgradeFacts): UpgradeRefusal | undefined {
  if (pathOf(request) !== SOCKET_PATH) return { status: 404, detail: `expected ${SOCKET_PATH}` }
  // Browsers always send an origin and agents never do: no page can be made to open a socket in somebody's name.
  if ('origin' in request.headers || 'sec-websocket-origin' in request.headers) {
    return { status: 403, detail: 'this socket is for agents, not for pages' }
  }
  if (facts.draining) return { status: 503, detail: 'the server is going down', retryAfterSeconds: 5 }
  if (facts.open >= facts.maxOpen) return { status: 503, detail: 'too many connections', retryAfterSeconds: 30 }
  if (facts.waitMs > 0) {
    return { status: 429, detail: 'too many failed hellos', retryAfterSeconds: Math.ceil(facts.waitMs / 1000) }
  }
  if (facts.anonymous >= facts.maxAnonymous) {
    return { status: 429, detail: 'too many connections that have not said hello', retryAfterSeconds: 5 }
  }
  return undefined
}

/** Says no in HTTP and hangs up. */
export function refuseUpgrade(socket: Duplex, refusal: UpgradeRefusal): void {
  socket.on('error', () => socket.destroy())
  const body = `${refusal.detail}\n`
  const head = [
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}`,
    'connection: close',
    'content-type: text/plain; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    ...(refusal.retryAfterSeconds === undefined ? [] : [`retry-after: ${refusal.retryAfterSeconds}`]),
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

function pathOf(request: IncomingMessage): string {
  return request.url?.split('?')[0] ?? ''
}

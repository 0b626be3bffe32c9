// The HTTP server as it stands in a process: the app's answers, the agents' sockets on the same port, limits on slow peers, and an orderly end.
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { ListenOptions } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import type { Sockets } from '../ws/socket.ts'
import { isSocketRequest } from '../ws/upgrade.ts'

export interface HttpServer {
  /** Where it listens: `http://127.0.0.1:8400`. */
  readonly url: string
  /** Takes nothing new, sends the agents elsewhere, lets running requests end; after `graceMs` the rest is cut off. */
  close(graceMs: number): Promise<void>
}

export interface ListenRequest {
  readonly app: { readonly fetch: (request: Request, env: object) => Response | Promise<Response> }
  readonly sockets: Sockets
  /** `{host, port}`, or `{fd}` of a socket that systemd opened. Port 0: a free one. */
  readonly address: ListenOptions & { readonly fd?: number }
  /** PEM. Without, a proxy in front ends TLS. */
  readonly tls?: { readonly key: string; readonly cert: string }
}

const LIMITS = {
  /** A header that takes longer is somebody holding the line (slow loris). */
  headersTimeout: 10_000,
  /** A whole request, an artifact's chunk included; an upload that is cut off goes on where it stood. */
  requestTimeout: 600_000,
  connectionsCheckingInterval: 2_000,
  /** Longer than proxies keep idle connections, so that they hang up first. */
  keepAliveTimeout: 75_000,
} as const

/** Resolves once it listens; rejects with the system's error if it can't. */
export async function listen({ app, sockets, address, tls }: ListenRequest): Promise<HttpServer> {
  const serverOptions = { ...LIMITS, shouldUpgradeCallback: isSocketRequest, ...tls }
  const server = tls
    ? createAdaptorServer({ fetch: app.fetch, createServer: createTlsServer, serverOptions })
    : createAdaptorServer({ fetch: app.fetch, createServer, serverOptions })
  if (!('closeIdleConnections' in server)) throw new Error('expected an HTTP/1.1 server')
  server.on('upgrade', sockets.upgrade)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(address, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return {
    url: urlOf(tls ? 'https' : 'http', server.address()),
    close: async (graceMs) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      const cut = setTimeout(() => server.closeAllConnections(), graceMs)
      await sockets.drain(graceMs)
      server.closeIdleConnections()
      await closed
      clearTimeout(cut)
    },
  }
}

function urlOf(scheme: string, address: { family: string; address: string; port: number } | string | null): string {
  if (address === null || typeof address === 'string') return `${scheme}+unix:${address ?? ''}`
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `${scheme}://${host}:${address.port}`
}

// Real servers on loopback that lie, stall, break off or behave, for the tests of fetch and download.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import * as http from 'node:http'
import * as https from 'node:https'
import * as net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TestServer {
  readonly port: number
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** Connections it has seen. */
  readonly connections: () => number
  /** Connections that are open now. */
  readonly open: () => number
  /** `GET /path`, one a request. */
  readonly requests: string[]
  close(): Promise<void>
}

/** A server of HTTP, or of HTTPS with `tls`. */
export async function serve(handler: http.RequestListener, tls?: https.ServerOptions): Promise<TestServer> {
  const requests: string[] = []
  const listener: http.RequestListener = (request, response) => {
    requests.push(`${request.method} ${request.url}`)
    handler(request, response)
  }
  const server = tls ? https.createServer(tls, listener) : http.createServer(listener)
  return listen(server, tls ? 'https' : 'http', requests)
}

/** A server that says exactly these bytes, whatever it is asked, and then does what `then` says with the connection. */
export async function serveRaw(
  answer: (socket: net.Socket, request: string, turn: number) => void,
): Promise<TestServer> {
  const requests: string[] = []
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', (data) => {
      requests.push(data.toString('latin1'))
      answer(socket, data.toString('latin1'), requests.length)
    })
  })
  return listen(server, 'http', requests)
}

async function listen(server: net.Server, scheme: string, requests: string[]): Promise<TestServer> {
  const sockets = new Set<net.Socket>()
  let connections = 0
  server.on('connection', (socket: net.Socket) => {
    connections += 1
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  return {
    port,
    url: `${scheme}://127.0.0.1:${port}`,
    connections: () => connections,
    open: () => sockets.size,
    requests,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

/** A certificate of its own authority for 127.0.0.1, localhost and files.test. */
export function makeCertificate(): { readonly key: string; readonly cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'netlink-cert-'))
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'],
        ...['-subj', '/CN=netlink test', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:files.test'],
        ...['-keyout', key, '-out', cert],
      ],
      { stdio: 'ignore' },
    )
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export interface ProxyServer extends TestServer {
  /** `CONNECT host:port`, one a tunnel. */
  readonly tunnels: string[]
}

/** A proxy that knows CONNECT; it leads every name to 127.0.0.1. With `mute` it takes the request and says nothing. */
export async function serveProxy(manner: 'tunnel' | 'mute' = 'tunnel'): Promise<ProxyServer> {
  const tunnels: string[] = []
  const server = http.createServer((_, response) => response.writeHead(405).end())
  server.on('connect', (request: http.IncomingMessage, socket: net.Socket, head: Buffer) => {
    tunnels.push(`CONNECT ${request.url}`)
    socket.on('error', () => undefined)
    if (manner === 'mute') {
      socket.resume().once('end', () => socket.destroy())
      return
    }
    const port = Number(request.url?.split(':').at(-1))
    const target = net.connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      target.write(head)
      target.pipe(socket).pipe(target)
    })
    target.on('error', () => socket.destroy())
  })
  const listening = await listen(server, 'http', [])
  return { ...listening, tunnels }
}

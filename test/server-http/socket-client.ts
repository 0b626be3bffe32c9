// An agent's end of the socket, one message at a time.
import { WebSocket } from 'ws'
import type { ServerMessage } from '../../schema/protocol.ts'
import type { TestHost } from './world.ts'

export interface Closed {
  readonly code: number
  readonly reason: string
}

export class SocketClient {
  readonly ws: WebSocket
  readonly closed: Promise<Closed>
  readonly #received: ServerMessage[] = []
  #wake: () => void = () => undefined

  private constructor(ws: WebSocket) {
    this.ws = ws
    this.closed = new Promise((resolve) =>
      ws.once('close', (code, reason) => resolve({ code, reason: String(reason) })),
    )
    ws.on('message', (data) => {
      this.#received.push(JSON.parse(String(data)))
      this.#wake()
    })
    ws.on('error', () => undefined)
    ws.once('close', () => this.#wake())
  }

  /** Connects and waits for the handshake. Rejects with the status if it is refused. */
  static async connect(url: string, options: ConstructorParameters<typeof WebSocket>[2] = {}): Promise<SocketClient> {
    const ws = new WebSocket(`${url.replace(/^http/, 'ws')}/api/v1/agent/socket`, options)
    const client = new SocketClient(ws)
    await new Promise<void>((resolve, reject) => {
      ws.once('open', resolve)
      ws.once('unexpected-response', (_, answer) =>
        reject(
          Object.assign(new Error(`status ${answer.statusCode}`), {
            status: answer.statusCode,
            headers: answer.headers,
          }),
        ),
      )
      ws.once('error', reject)
    })
    return client
  }

  /** Connects as this host, up to the welcome. */
  static async live(url: string, host: TestHost): Promise<SocketClient> {
    const client = await SocketClient.connect(url)
    const challenge = await client.next('challenge')
    client.send(host.hello(challenge.nonce))
    await client.next('welcome')
    return client
  }

  send(message: unknown): void {
    this.ws.send(JSON.stringify(message))
  }

  /** The next message, which must be of this type. Rejects if the connection closes first. */
  async next<T extends ServerMessage['type']>(type: T): Promise<Extract<ServerMessage, { type: T }>> {
    while (this.#received.length === 0) {
      if (this.ws.readyState === WebSocket.CLOSED) throw new Error(`closed: ${JSON.stringify(await this.closed)}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const message = this.#received.shift()
    if (message?.type !== type) throw new Error(`expected ${type}, came ${JSON.stringify(message)}`)
    return message as Extract<ServerMessage, { type: T }>
  }

  /** What came and was not asked for yet. */
  get received(): readonly ServerMessage[] {
    return this.#received
  }

  /** Stops reading from the socket, as a peer that is stuck. */
  freeze(): void {
    this.ws.pause()
  }
}

/** The lines of a request for a socket, for whoever speaks HTTP by hand. */
export const handshake = [
  'GET /api/v1/agent/socket HTTP/1.1',
  'host: x',
  'connection: upgrade',
  'upgrade: websocket',
  'sec-websocket-version: 13',
  'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==',
]

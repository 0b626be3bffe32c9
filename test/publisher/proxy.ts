// A line between publisher and server that can be cut: real sockets, bytes passed on as they come.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface Line {
  readonly port: number
  /** Bytes that went up to the server so far. */
  readonly sent: number
  /** Cuts every connection once so many more bytes went up, `times` times. */
  cutAfter(bytes: number, times?: number): void
  /** Swallows whatever goes up once so many more bytes did; resolves when that happens. */
  stallAfter(bytes: number): Promise<void>
  /** Lets the next request that holds this text reach the server, and cuts the line before its answer comes back. */
  loseAnswerTo(text: string): void
  /** Resolves when a request with this text goes up. */
  sees(text: string): Promise<void>
  /** Cuts every connection before anything goes up. */
  cutAll(): void
  /** A good line again. */
  heal(): void
}

type Mode =
  | { readonly kind: 'open' | 'none' }
  | { readonly kind: 'cut'; readonly every: number; readonly at: number; readonly left: number }
  | { readonly kind: 'stall'; readonly at: number; readonly reached: () => void }

/** A proxy to this port of loopback, closed when the test is over. */
export async function openProxy(to: number): Promise<Line> {
  let sent = 0
  let mode: Mode = { kind: 'open' }
  let answerless: string | undefined
  let awaited: { readonly text: string; readonly seen: () => void } | undefined
  const sockets = new Set<Socket>()

  const server = createServer((client) => {
    const upstream = connect(to, '127.0.0.1')
    let isMute = false
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        upstream.destroy()
      })
    }
    client.on('data', (chunk) => {
      if (mode.kind === 'none') return void client.destroy()
      if (mode.kind === 'stall' && sent >= mode.at) return
      if (answerless !== undefined && chunk.includes(answerless)) {
        answerless = undefined
        isMute = true
      }
      if (awaited !== undefined && chunk.includes(awaited.text)) {
        awaited.seen()
        awaited = undefined
      }
      sent += chunk.length
      upstream.write(chunk)
      if (mode.kind === 'cut' && sent >= mode.at) {
        const { every, left } = mode
        mode = left > 1 ? { kind: 'cut', every, at: sent + every, left: left - 1 } : { kind: 'open' }
        client.destroy()
      } else if (mode.kind === 'stall' && sent >= mode.at) mode.reached()
    })
    upstream.on('data', (chunk) => {
      if (isMute) client.destroy()
      else client.write(chunk)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  return {
    port: (server.address() as AddressInfo).port,
    get sent() {
      return sent
    },
    cutAfter(bytes, times = 1) {
      mode = { kind: 'cut', every: bytes, at: sent + bytes, left: times }
    },
    stallAfter(bytes) {
      const at = sent + bytes
      return new Promise((resolve) => {
        mode = { kind: 'stall', at, reached: resolve }
      })
    },
    loseAnswerTo(text) {
      answerless = text
    },
    sees(text) {
      return new Promise((resolve) => {
        awaited = { text, seen: resolve }
      })
    },
    cutAll() {
      mode = { kind: 'none' }
    },
    heal() {
      mode = { kind: 'open' }
    },
  }
}

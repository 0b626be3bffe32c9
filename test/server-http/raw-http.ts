// HTTP as an attacker writes it: bytes on a socket, with nothing that tidies a path, joins headers or counts a length.
import { connect, type Socket } from 'node:net'

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Sends these bytes and reads until the other side hangs up, or the answer is whole by its content-length. */
export async function rawRequest(url: string, bytes: string | Uint8Array): Promise<RawAnswer> {
  const socket = await openSocket(url)
  socket.write(bytes)
  return readAnswer(socket)
}

export async function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  // The server may hang up on us while we still write: that is what many tests are about.
  socket.on('error', () => undefined)
  return socket
}

export function readAnswer(socket: Socket): Promise<RawAnswer> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0)
    const finish = () => {
      socket.destroy()
      resolve(parseAnswer(received.toString('latin1')))
    }
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      const text = received.toString('latin1')
      const end = text.indexOf('\r\n\r\n')
      const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1]
      if (end !== -1 && length !== undefined && received.length >= end + 4 + Number(length)) finish()
    })
    socket.on('close', finish)
  })
}

function parseAnswer(text: string): RawAnswer {
  const [head = '', ...body] = text.split('\r\n\r\n')
  const [first = '', ...lines] = head.split('\r\n')
  const headers = lines.map((line) => [
    line.slice(0, line.indexOf(':')).toLowerCase(),
    line.slice(line.indexOf(':') + 1).trim(),
  ])
  return { status: Number(first.split(' ')[1] ?? 0), headers: Object.fromEntries(headers), body: body.join('\r\n\r\n') }
}

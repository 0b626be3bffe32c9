// How a command asks the daemon of this host.
import { request } from 'node:http'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { findSocketPath } from '../../keys/platform/private-dir.ts'
import type { Machine } from '../machine.ts'
import { LOCAL_SOCKET } from './local-api.ts'

export interface LocalAnswer {
  readonly status: number
  readonly body: Readonly<{ [name: string]: unknown }>
}

const MAX_BYTES = 16 << 20
const TIMEOUT_MS = 180_000

/** One request over the local socket. Rejects with PlatformError: `not-found` or `unreachable` if no daemon listens, `not-permitted` if this user may not ask. */
export async function askDaemon(
  machine: Pick<Machine, 'disk' | 'files'>,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<LocalAnswer> {
  const socketPath = await findSocketPath(machine.disk, machine.files.run, LOCAL_SOCKET)
  const text = body === undefined ? '' : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const sent = request({
      socketPath,
      method,
      path,
      timeout: TIMEOUT_MS,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
    })
    sent.once('response', (response) => {
      const chunks: Buffer[] = []
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length > MAX_BYTES) sent.destroy(new Error('the answer has no end'))
        chunks.push(chunk)
      })
      response.once('error', (error) => reject(unreachable(socketPath, error)))
      response.once('end', () => {
        try {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) })
        } catch (cause) {
          reject(new PlatformError('http-status', `${socketPath}: expected JSON`, { path: socketPath }, { cause }))
        }
      })
    })
    sent.once('timeout', () => sent.destroy(new Error('no answer in time')))
    sent.once('error', (error) => reject(unreachable(socketPath, error)))
    sent.end(text)
  })
}

function unreachable(path: string, cause: Error): PlatformError {
  const code = 'code' in cause && cause.code === 'EACCES' ? 'not-permitted' : 'unreachable'
  return new PlatformError(code, `${path}: ${cause.message}`, { path }, { cause })
}

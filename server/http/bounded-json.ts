import type { MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { findUnstorable } from '../core/storable.ts'
import { HttpError } from './http-error.ts'

/** Longest JSON body unless a route says otherwise. */
export const MAX_JSON_BYTES = 1_048_576

/**
 * Reads the body, at most `maxBytes` of it, chunked or not, before anything else looks at it. Whatever cannot be stored (a NUL, half a
 * surrogate pair) is refused here once, and not in each query. What is no JSON at all is left to the validators.
 */
export function boundedJson(maxBytes: number): MiddlewareHandler {
  const limit = bodyLimit({
    maxSize: maxBytes,
    onError: () => {
      throw new HttpError('too-large', `expected a body of at most ${maxBytes} bytes`, { expected: String(maxBytes) })
    },
  })
  return async function boundedJson(c, next) {
    try {
      return await limit(c, async () => {
        if (c.req.raw.body) {
          await c.req.arrayBuffer() // kept by hono as it came: a host's signature is over these bytes
          refuseUnstorable(await c.req.text())
        }
        await next()
      })
    } catch (error) {
      // What later handlers throw does not come by here: hono has answered it by then.
      throw error instanceof HttpError ? error : brokenOff()
    }
  }
}

/** The client hung up in the middle of its body. Nobody is there to be told; the log is. */
export function brokenOff(): HttpError {
  return new HttpError('invalid', 'expected the whole body, the connection broke off', { reason: 'broken-off' })
}

function refuseUnstorable(text: string): void {
  const pointer = findUnstorable(text)
  if (pointer === undefined) return
  const message = 'expected text without NUL and without half surrogate pairs'
  throw new HttpError('invalid', `${pointer || '/'}: ${message}`, { issues: [{ pointer, message }] })
}

import type { MiddlewareHandler } from 'hono'
import type { Clock } from '../../keys/platform/clock.ts'
import { findOddLength } from '../../schema/read-shape.ts'
import { findUnstorable } from '../core/storable.ts'
import { boundedStream, tooLarge } from './bounded-stream.ts'
import { HttpError } from './http-error.ts'

/** Longest JSON body unless a route says otherwise. */
export const MAX_JSON_BYTES = 1_048_576
const STALL_MS = 10_000
/** Whoever sends slower than this holds the line on purpose. */
const LEAST_BYTES_PER_SECOND = 32_768

/**
 * Reads the body, at most `maxBytes` of it, chunked or not, before anything else looks at it. Whatever cannot be stored (a NUL, half a
 * surrogate pair) is refused here once, and not in each query. What is no JSON at all is left to the validators.
 */
export function boundedJson(clock: Clock, maxBytes: number): MiddlewareHandler {
  const totalMs = STALL_MS + (maxBytes / LEAST_BYTES_PER_SECOND) * 1000
  return async function boundedJson(c, next) {
    const { body } = c.req.raw
    if (Number(c.req.header('content-length') ?? 0) > maxBytes) throw tooLarge(maxBytes)
    if (body) {
      const parts: Uint8Array[] = []
      for await (const part of boundedStream(body, { maxBytes, stallMs: STALL_MS, totalMs, clock })) parts.push(part)
      const bytes = Buffer.concat(parts)
      const text = bytes.toString('utf8')
      refuseUnstorable(text)
      refuseOddLength(text)
      // The same bytes for whoever comes next: a host's signature is over them.
      c.req.raw = new Request(c.req.raw, { body: bytes })
    }
    await next()
  }
}

function refuseUnstorable(text: string): void {
  const pointer = findUnstorable(text)
  if (pointer !== undefined) throw invalid(pointer, 'expected text without NUL and without half surrogate pairs')
}

/** The validators would throw over it, and what they throw is a failure of the server's own (schema/read-shape.ts). */
function refuseOddLength(text: string): void {
  // An escape may spell any letter of the name. Most bodies have neither: then nothing is parsed.
  if (!/"length"\s*:\s*[[{]|\\u00[67]/i.test(text)) return
  const path = findOddLength(parseOrNothing(text))
  if (path !== undefined) throw invalid(`/${path.join('/')}`, 'expected no object as a length')
}

function invalid(pointer: string, message: string): HttpError {
  return new HttpError('invalid', `${pointer || '/'}: ${message}`, { issues: [{ pointer, message }] })
}

function parseOrNothing(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined // left to the validators, who say so
  }
}

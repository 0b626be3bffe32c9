import type { Clock } from '../../keys/platform/clock.ts'
import { HttpError } from './http-error.ts'

export interface StreamBounds {
  readonly maxBytes: number
  /** Longest time without a single byte. */
  readonly stallMs: number
  /** Longest time for all of it. */
  readonly totalMs?: number
  readonly clock: Pick<Clock, 'sleep' | 'monotonicMs'>
}

/** A body in the pieces it comes in, never held as a whole. Ends with HttpError 'too-large', 'too-slow' or 'invalid' (it broke off) whatever the sender goes on to do. */
export async function* boundedStream(
  body: ReadableStream<Uint8Array> | null,
  { maxBytes, stallMs, totalMs = Number.POSITIVE_INFINITY, clock }: StreamBounds,
): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader()
  const deadlineMs = clock.monotonicMs() + totalMs
  let received = 0
  try {
    while (reader) {
      const waitMs = Math.min(stallMs, deadlineMs - clock.monotonicMs())
      if (waitMs <= 0) throw tooSlow(totalMs)
      const { done, value } = await inTime(reader.read().catch(brokenOff), waitMs, clock)
      if (done) return
      received += value.length
      if (received > maxBytes) throw tooLarge(maxBytes)
      yield value
    }
  } finally {
    // Whoever stopped reading wants no more of it; that the sender broke off is told by the read itself.
    reader?.cancel().catch(() => undefined)
  }
}

/** The body is longer than this. */
export function tooLarge(maxBytes: number): HttpError {
  return new HttpError('too-large', `expected at most ${maxBytes} bytes, came more`, { expected: String(maxBytes) })
}

function tooSlow(ms: number): HttpError {
  return new HttpError('too-slow', `expected more of the body within ${Math.ceil(ms / 1000)} s`)
}

/** The client hung up in the middle of its body. Nobody is there to be told; the log is. */
function brokenOff(): never {
  throw new HttpError('invalid', 'expected the whole body, the connection broke off', { reason: 'broken-off' })
}

async function inTime<T>(reading: Promise<T>, waitMs: number, clock: Pick<Clock, 'sleep'>): Promise<T> {
  const stop = new AbortController()
  const stalled = clock.sleep(waitMs, stop.signal).then(
    () => {
      throw tooSlow(waitMs)
    },
    () => reading,
  )
  try {
    return await Promise.race([reading, stalled])
  } finally {
    stop.abort()
  }
}

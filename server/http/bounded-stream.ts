import type { Clock } from '../../keys/platform/clock.ts'
import { brokenOff } from './bounded-json.ts'
import { HttpError } from './http-error.ts'

export interface StreamBounds {
  readonly maxBytes: number
  /** Longest time without a single byte. */
  readonly stallMs: number
  readonly clock: Pick<Clock, 'sleep'>
}

/** A body in the pieces it comes in, never held as a whole. Ends with HttpError 'too-large' or 'too-slow' whatever the sender goes on to do. */
export async function* boundedStream(
  body: ReadableStream<Uint8Array> | null,
  { maxBytes, stallMs, clock }: StreamBounds,
): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader()
  let received = 0
  try {
    while (reader) {
      const reading = reader.read().catch(() => {
        throw brokenOff()
      })
      const { done, value } = await inTime(reading, stallMs, clock)
      if (done) return
      received += value.length
      if (received > maxBytes) {
        throw new HttpError('too-large', `expected at most ${maxBytes} bytes to the end of the artifact, came more`, {
          expected: String(maxBytes),
        })
      }
      yield value
    }
  } finally {
    // Whoever stopped reading wants no more of it; that the sender broke off is told by the read itself.
    reader?.cancel().catch(() => undefined)
  }
}

async function inTime<T>(reading: Promise<T>, stallMs: number, clock: Pick<Clock, 'sleep'>): Promise<T> {
  const stop = new AbortController()
  const stalled = clock.sleep(stallMs, stop.signal).then(
    () => {
      throw new HttpError('too-slow', `expected more of the body within ${stallMs / 1000} s`)
    },
    () => reading,
  )
  try {
    return await Promise.race([reading, stalled])
  } finally {
    stop.abort()
  }
}

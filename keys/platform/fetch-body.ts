import type { IncomingMessage } from 'node:http'
import type { Clock } from './clock.ts'
import type { Watch } from './fetch-watch.ts'
import { PlatformError } from './platform-error.ts'
import { transportError } from './transport-error.ts'

export interface BodyLimits {
  readonly maxBytes: number
  readonly minBytesPerSecond: number
  readonly rateWindowMs: number
}

/** How much is taken from the connection before somebody asks for it. */
const READ_AHEAD_BYTES = 1 << 20

/**
 * The chunks of an answer as the network brings them: not copied, not joined, at most `maxBytes` in all.
 *
 * Not `for await` over the message itself: that joins whatever has piled up into one new buffer, which costs a copy of every byte.
 */
export function bodyOf(
  message: IncomingMessage,
  limits: BodyLimits,
  watch: Watch,
  clock: Clock,
): AsyncGenerator<Uint8Array> {
  // Listening begins now, not with the first chunk that somebody asks for: an answer may break off before that.
  const arrivals = collect(message, limits.maxBytes, watch)
  return deliver(message, arrivals, watchRate(limits, watch, clock, arrivals), watch)
}

async function* deliver(
  message: IncomingMessage,
  arrivals: Arrivals,
  rate: Rate,
  watch: Watch,
): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const chunk = arrivals.take()
      if (chunk) yield chunk
      else if (arrivals.failure) throw arrivals.failure
      else if (arrivals.ended) return
      else await rate.waiting(arrivals.more())
    }
  } finally {
    watch.end()
    if (!arrivals.ended) message.destroy()
  }
}

interface Arrivals {
  readonly received: number
  readonly ended: boolean
  readonly failure: PlatformError | undefined
  take(): Uint8Array | undefined
  /** Resolves when there is a chunk, the end or a failure. */
  more(): Promise<void>
}

function collect(message: IncomingMessage, maxBytes: number, watch: Watch): Arrivals {
  const url = watch.url
  const chunks: Uint8Array[] = []
  let held = 0
  let received = 0
  let ended = false
  let failure: PlatformError | undefined
  let wake: (() => void) | undefined

  const fail = (error: PlatformError) => {
    failure ??= error
    message.destroy()
    wake?.()
  }
  message.on('data', (chunk: Uint8Array) => {
    received += chunk.length
    if (received > maxBytes) return fail(tooLarge(url, maxBytes))
    chunks.push(chunk)
    held += chunk.length
    if (held >= READ_AHEAD_BYTES) message.pause()
    wake?.()
  })
  message.once('end', () => {
    ended = true
    wake?.()
  })
  message.once('error', (error) => fail(transportError(url, error)))
  message.once('close', () => {
    if (!ended) fail(transportError(url, new Error('the connection was closed in the middle of the answer')))
  })
  watch.signal.addEventListener('abort', () => fail(watch.signal.reason), { once: true })
  if (watch.signal.aborted) fail(watch.signal.reason)

  return {
    get received() {
      return received
    },
    get ended() {
      return ended
    },
    get failure() {
      return failure
    },
    take() {
      const chunk = chunks.shift()
      held -= chunk?.length ?? 0
      if (held < READ_AHEAD_BYTES / 2 && message.isPaused()) message.resume()
      return chunk
    },
    more: () =>
      new Promise((resolve) => {
        wake = resolve
      }),
  }
}

interface Rate {
  /** Waits for the network, and counts how long. */
  waiting(more: Promise<void>): Promise<void>
}

/** Trips `too-slow`. Only time that we wait for the network counts: a slow disk on our side is not the sender's fault. */
function watchRate(limits: BodyLimits, watch: Watch, clock: Clock, arrivals: Arrivals): Rate {
  let waitedMs = 0
  let waitingSince: number | undefined
  let before = { waitedMs: 0, received: 0 }

  const check = () => {
    const now = {
      waitedMs: waitedMs + (waitingSince === undefined ? 0 : clock.monotonicMs() - waitingSince),
      received: arrivals.received,
    }
    const waited = now.waitedMs - before.waitedMs
    const bytes = now.received - before.received
    before = now
    // A window in which we hardly waited says nothing about the network.
    if (waited < limits.rateWindowMs / 2) return
    if (bytes < (limits.minBytesPerSecond * waited) / 1000) watch.trip(tooSlow(watch.url, bytes, waited, limits))
  }
  if (limits.minBytesPerSecond > 0) watch.every(limits.rateWindowMs, check)

  return {
    async waiting(more: Promise<void>): Promise<void> {
      waitingSince = clock.monotonicMs()
      await more
      waitedMs += clock.monotonicMs() - waitingSince
      waitingSince = undefined
    },
  }
}

/** The whole body in one piece. */
export async function readAll(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The body is longer than what was allowed. */
export function tooLarge(url: string, maxBytes: number): PlatformError {
  return new PlatformError('too-large', `${url}: more than ${maxBytes} bytes`, { url, limit: maxBytes })
}

function tooSlow(url: string, bytes: number, waitedMs: number, limits: BodyLimits): PlatformError {
  const words = `${bytes} bytes in ${Math.round(waitedMs)} ms, expected ${limits.minBytesPerSecond} a second`
  return new PlatformError('too-slow', `${url}: ${words}`, { url, limit: limits.minBytesPerSecond })
}

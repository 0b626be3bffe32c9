import type { Clock } from '../keys/platform/clock.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { PublishError } from './publish-error.ts'

const PAUSES_MS = [500, 1_000, 2_000, 4_000, 8_000]
const TRANSIENT = new Set<string>(['unreachable', 'timeout', 'too-slow'])
const BUSY = new Set([429, 502, 503, 504])

export interface RetryDeps {
  readonly clock: Clock
  readonly signal?: AbortSignal | undefined
  /** Told before each pause. */
  readonly onRetry?: ((error: Error, pauseMs: number) => void) | undefined
  /** 15 seconds altogether unless said otherwise. */
  readonly pausesMs?: readonly number[]
}

/**
 * Does it again after a growing pause while the network or the server is only busy. `attempt` must be harmless when repeated. Throws what the last attempt
 * threw; anything that a repetition would not mend at once.
 */
export async function withRetry<T>(deps: RetryDeps, attempt: () => Promise<T>): Promise<T> {
  for (const pauseMs of deps.pausesMs ?? PAUSES_MS) {
    try {
      return await attempt()
    } catch (error) {
      if (!isTransient(error)) throw error
      deps.onRetry?.(error, pauseMs)
      await deps.clock.sleep(pauseMs, deps.signal)
    }
  }
  return attempt()
}

function isTransient(error: unknown): error is Error {
  if (error instanceof PlatformError) return TRANSIENT.has(error.code)
  return error instanceof PublishError && error.code === 'server' && BUSY.has(error.facts.status ?? 0)
}

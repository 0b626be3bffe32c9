import type { Clock } from '../../keys/platform/clock.ts'

/** A limit for each key, in the memory of this replica: so many at once, then so many a minute (GCRA: one number a key). */
export interface RateLimit {
  /** Milliseconds until the key may go on; 0: now. Takes nothing. */
  waitMs(key: string): number
  /** Takes one. Milliseconds to wait if there was none left, else 0. */
  take(key: string): number
}

export interface RateLimitOptions {
  readonly clock: Pick<Clock, 'monotonicMs'>
  /** So many at once by a key that was quiet. */
  readonly burst: number
  readonly perMinute: number
  /** More keys than this are not remembered: the longest known are forgotten first. */
  readonly maxKeys?: number
}

export function buildRateLimit({ clock, burst, perMinute, maxKeys = 100_000 }: RateLimitOptions): RateLimit {
  const stepMs = 60_000 / perMinute
  const leewayMs = (burst - 1) * stepMs
  /** For each key: when all that it took will have been given back. */
  const fullAt = new Map<string, number>()

  const waitMs = (key: string): number => Math.max(0, (fullAt.get(key) ?? 0) - leewayMs - clock.monotonicMs())

  return {
    waitMs,
    take: (key) => {
      const wait = waitMs(key)
      if (wait > 0) return wait
      const now = clock.monotonicMs()
      const next = Math.max(now, fullAt.get(key) ?? 0) + stepMs
      fullAt.delete(key)
      fullAt.set(key, next)
      if (fullAt.size > maxKeys) forget(fullAt, now, maxKeys)
      return 0
    },
  }
}

/** Maps keep the order of insertion, so the first keys took theirs longest ago. */
function forget(fullAt: Map<string, number>, now: number, maxKeys: number): void {
  for (const [key, at] of fullAt) {
    if (at > now && fullAt.size <= maxKeys * 0.9) return
    fullAt.delete(key)
  }
}

// How soon the daemon looks because somebody else asked for it. A hint costs the server nothing and a look costs this host half a second of computing, so
// whoever holds the socket could keep a core busy. A quiet host looks at once, three times; then once in two seconds; and where such a host is pressed on and
// its looks find nothing, each pause is twice the one before. A hint is never lost, it only comes later.
import type { Clock } from '../../keys/platform/clock.ts'

export interface LookPace {
  /** Milliseconds until a look that was asked for may begin; 0: now. Takes nothing. */
  waitMs(): number
  /** Such a look begins. */
  take(): void
  /** A look is over, whoever asked for it: whether it found anything that concerns this host. */
  ended(found: 'news' | 'nothing'): void
}

const BURST = 3
const STEP_MS = { first: 2_000, most: 32_000 }

export function buildLookPace(clock: Pick<Clock, 'monotonicMs'>): LookPace {
  let stepMs = STEP_MS.first
  let left = BURST
  let countedMs = clock.monotonicMs()

  /** What time has given back. A host that was left in peace long enough starts afresh. */
  function count(): void {
    const now = clock.monotonicMs()
    left = Math.min(BURST, left + (now - countedMs) / stepMs)
    countedMs = now
    if (left === BURST) stepMs = STEP_MS.first
  }

  return {
    waitMs: () => {
      count()
      return left >= 1 ? 0 : Math.ceil((1 - left) * stepMs)
    },
    take: () => {
      count()
      left = Math.max(0, left - 1)
    },
    ended: (found) => {
      count()
      if (found === 'news') stepMs = STEP_MS.first
      else if (left < 1) stepMs = Math.min(STEP_MS.most, stepMs * 2)
    },
  }
}

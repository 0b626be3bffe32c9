import type { Clock } from '../../keys/platform/clock.ts'

/** A clock that jumps to the next sleeper as soon as nothing else is left to do: an hour passes in no time, and in the right order. */
export function createVirtualClock(start = new Date('2026-11-23T10:00:00Z')): Clock {
  let nowMs = 0
  let armed = false
  const sleepers: { readonly dueMs: number; readonly wake: () => void }[] = []

  function arm(): void {
    if (armed || sleepers.length === 0) return
    armed = true
    setImmediate(() => {
      armed = false
      sleepers.sort((a, b) => a.dueMs - b.dueMs)
      const next = sleepers.shift()
      if (!next) return
      nowMs = Math.max(nowMs, next.dueMs)
      next.wake()
      arm()
    })
  }

  return {
    now: () => new Date(start.getTime() + nowMs),
    monotonicMs: () => nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const sleeper = {
          dueMs: nowMs + ms,
          wake: () => {
            signal?.removeEventListener('abort', stop)
            resolve()
          },
        }
        const stop = () => {
          const index = sleepers.indexOf(sleeper)
          if (index !== -1) sleepers.splice(index, 1)
          reject(signal?.reason)
        }
        signal?.addEventListener('abort', stop, { once: true })
        sleepers.push(sleeper)
        arm()
      }),
  }
}

import type { Clock } from './clock.ts'
import { PlatformError } from './platform-error.ts'

/** Watches over one request: the first thing that goes wrong is the reason, and stops everything. */
export interface Watch {
  /** The address that is asked, as it may stand in a message. */
  readonly url: string
  /** Aborts with the PlatformError that stopped the request. */
  readonly signal: AbortSignal
  trip(error: PlatformError): void
  /** Trips with this error after `ms`, unless the function that comes back is called before. */
  after(ms: number, error: () => PlatformError): () => void
  /** Calls `check` every `ms` until the request is over. */
  every(ms: number, check: () => void): void
  /** The request is over, well or not: nothing trips any more. */
  end(): void
}

/** Nobody sees it; without one, every abort makes an exception with a stack. */
const STOPPED = 'stopped'

/** Starts watching: trips with `timeout` after `deadlineMs`, with `cancelled` when the caller's signal aborts. */
export function startWatch(clock: Clock, url: string, deadlineMs: number, signal: AbortSignal | undefined): Watch {
  const stopper = new AbortController()
  const timers = new Set<AbortController>()

  const trip = (error: PlatformError) => {
    stopper.abort(error)
    end()
  }
  const cancel = () => trip(new PlatformError('cancelled', `${url}: cancelled`, { url }, { cause: signal?.reason }))
  const end = () => {
    signal?.removeEventListener('abort', cancel)
    for (const timer of timers) timer.abort(STOPPED)
    timers.clear()
  }
  const start = (ms: number, then: () => void) => {
    const timer = new AbortController()
    timers.add(timer)
    clock.sleep(ms, timer.signal).then(
      () => timers.delete(timer) && then(),
      () => undefined, // stopped: nothing to do is what was wanted
    )
    return () => {
      timers.delete(timer)
      timer.abort(STOPPED)
    }
  }
  const every = (ms: number, check: () => void) => {
    start(ms, () => {
      check()
      if (!stopper.signal.aborted) every(ms, check)
    })
  }

  start(deadlineMs, () => trip(new PlatformError('timeout', `${url}: not done after ${deadlineMs} ms`, { url })))
  signal?.addEventListener('abort', cancel, { once: true })
  if (signal?.aborted) cancel()
  return { url, signal: stopper.signal, trip, after: (ms, error) => start(ms, () => trip(error())), every, end }
}

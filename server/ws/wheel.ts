import type { Clock } from '../../keys/platform/clock.ts'
import { CLOSE } from '../../schema/protocol.ts'
import type { Log } from '../core/ports.ts'
import type { AgentSocket } from './agent-socket.ts'
import { type Connections, hostOf } from './connections.ts'

export interface WheelOptions {
  readonly clock: Clock
  readonly log: Log
  readonly helloTimeoutMs: number
  /** Each connection is pinged once in this time, and closed if nothing came since the last ping. */
  readonly pingIntervalMs: number
}

/** The one timer of all connections. Each tick looks at as many of them as make a whole round in the ping interval. */
export interface Wheel {
  /** A connection was challenged. */
  expectHello(ws: AgentSocket): void
  stop(): void
}

export function startWheel(connections: Connections, options: WheelOptions): Wheel {
  const tickMs = Math.max(10, Math.min(options.pingIntervalMs / 30, options.helloTimeoutMs / 5))
  const ticksInRound = Math.max(1, Math.round(options.pingIntervalMs / tickMs))
  /** In order of arrival, so the first is the first to run out of time. */
  const challenged: AgentSocket[] = []
  let round = connections.open.values()
  let ticksLeft = 0

  function tick(): void {
    expireHellos()
    if (ticksLeft === 0) {
      round = connections.open.values()
      ticksLeft = ticksInRound
    }
    ticksLeft--
    for (let left = Math.ceil(connections.open.size / ticksInRound); left > 0; left--) {
      const next = round.next()
      if (next.done) return
      ping(next.value)
    }
  }

  function expireHellos(): void {
    const now = options.clock.monotonicMs()
    const inTime = challenged.findIndex(({ state }) => state.kind === 'challenged' && state.deadlineMs > now)
    for (const ws of challenged.splice(0, inTime === -1 ? challenged.length : inTime)) {
      if (ws.state.kind === 'challenged') connections.leave(ws, CLOSE.timeout, 'expected hello in time')
    }
  }

  function ping(ws: AgentSocket) {
    if (ws.readyState !== ws.OPEN) return
    if (ws.alive) {
      ws.alive = false
      return ws.ping()
    }
    options.log('debug', 'socket.dead', { address: ws.address, ...hostOf(ws) })
    ws.terminate()
  }

  const timer = setInterval(tick, tickMs)
  return { expectHello: (ws) => void challenged.push(ws), stop: () => clearInterval(timer) }
}

// What is said over the supervisor's socket: one line of JSON asked, one answered, then the connection is closed.
import type { ServiceErrorCode, ServiceStatus } from './control.ts'

export type SupervisorRequest =
  /** `update_id`: the update that is undecided and may start something all the same. */
  | { readonly op: 'start' | 'restart'; readonly generation: number; readonly update_id: string | null }
  | { readonly op: 'stop' }
  | { readonly op: 'status' }
  /** Ends the supervisor; `shutdown` stops the service first, `leave` lets it run. */
  | { readonly op: 'shutdown' | 'leave' }

export type SupervisorAnswer =
  | { readonly ok: true; readonly status: ServiceStatus }
  | { readonly ok: false; readonly code: ServiceErrorCode; readonly message: string }

export const SOCKET_NAME = 'supervisor.sock'
export const MAX_LINE_BYTES = 64 << 10

/** A request out of a line; undefined for anything else. */
export function parseRequest(line: string): SupervisorRequest | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || !('op' in value)) return undefined
  switch (value.op) {
    case 'stop':
    case 'status':
    case 'shutdown':
    case 'leave':
      return { op: value.op }
    case 'start':
    case 'restart': {
      const generation = 'generation' in value ? value.generation : undefined
      const updateId = 'update_id' in value ? value.update_id : null
      if (typeof generation !== 'number' || !Number.isSafeInteger(generation) || generation < 1) return undefined
      if (updateId !== null && typeof updateId !== 'string') return undefined
      return { op: value.op, generation, update_id: updateId }
    }
    default:
      return undefined
  }
}

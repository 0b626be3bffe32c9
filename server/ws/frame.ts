import { type AgentMessage, agentMessageShape, type ServerMessage } from '../../schema/protocol.ts'
import { readShape } from '../../schema/read-shape.ts'
import { findUnstorable } from '../core/storable.ts'

/** A message as bytes, made once for however many get it. */
export function buildFrame(message: ServerMessage): Buffer {
  return Buffer.from(JSON.stringify(message))
}

export type Frame =
  | { readonly kind: 'message'; readonly message: AgentMessage }
  /** Of a type that a newer agent knows and this server does not. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'malformed'; readonly expected: string }

const KNOWN_TYPES = new Set<unknown>(agentMessageShape.options.map((option) => option.shape.type.value))

/** What a text frame says. */
export function readFrame(text: string): Frame {
  const value = parseObject(text)
  if (value === undefined) return { kind: 'malformed', expected: 'one JSON object' }
  if (typeof value.type !== 'string') return { kind: 'malformed', expected: 'a message with a type' }
  if (!KNOWN_TYPES.has(value.type)) return { kind: 'unknown' }
  const unstorable = findUnstorable(text)
  if (unstorable !== undefined) return { kind: 'malformed', expected: `text without NUL at ${unstorable}` }
  const { data, error } = readShape(agentMessageShape, value)
  if (data) return { kind: 'message', message: data }
  const [issue] = error?.issues ?? []
  return { kind: 'malformed', expected: `/${issue?.path.join('/') ?? ''} ${issue?.message ?? ''}` }
}

function parseObject(text: string): { readonly type?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

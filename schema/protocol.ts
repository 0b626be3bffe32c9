// The agents' WebSocket, `/api/v1/agent/socket`. It carries hints and reports; nothing learned here changes what is trusted.
//
//   server  challenge {nonce}                          at once after the upgrade
//   agent   hello {protocol, host_id, signature, …}    within 5 s; signature over helloStatement()
//   server  welcome {…, brake, stored_seq}             or close 4401
//   server  hint {cause}                               "look at /repo/metadata/timestamp.json now"
//   agent   reports {items}      server  ack {seq}     all reports up to seq are stored
//   server  brake {…}                                  the fleet's pause; it can only delay
//   server  assignment {document}                      signed by the director; counts by its signature alone
//
// One JSON object a text frame, at most 256 KiB, no compression. Unknown message types and fields are ignored: a newer peer may say more.
import { z } from 'zod'
import { signedReportShape, storedSeqShape } from './report.ts'

/** Raised when an older peer could misunderstand a newer one. */
export const PROTOCOL_VERSION = 1
/** Longest frame in bytes, both ways. */
export const MAX_FRAME_BYTES = 262_144
/** Most reports in one message. */
export const MAX_REPORTS = 100

/** Close codes of our own (RFC 6455 7.4.2, private range). */
export const CLOSE = {
  /** Signature wrong, host unknown or forgotten. */
  unauthenticated: 4401,
  /** Another connection of the same host took over. */
  replaced: 4409,
  /** Not a frame of this protocol. */
  malformed: 4400,
  /** The server is going down: come back after a jittered pause. */
  draining: 1012,
  /** No hello in time. */
  timeout: 4408,
} as const

/** The fleet's brake: no automatic update starts while it is on. */
export const brakeShape = z.object({
  paused: z.boolean(),
  reason: z.string().max(2000).nullable(),
  since: z.string().nullable(),
})
export type Brake = z.infer<typeof brakeShape>

export const serverMessageShape = z.discriminatedUnion('type', [
  z.object({ type: z.literal('challenge'), nonce: z.string().min(32).max(128), server_time: z.string() }),
  z.object({
    type: z.literal('welcome'),
    protocol: z.int(),
    brake: brakeShape,
    stored_seq: storedSeqShape,
    timestamp_version: z.int().min(0),
    /** When to look for releases if no hint comes, in milliseconds. */
    next_check_after_ms: z.int().min(0),
  }),
  z.object({
    type: z.literal('hint'),
    cause: z.enum(['release', 'root', 'check_now']),
    timestamp_version: z.int().min(0),
  }),
  z.object({ type: z.literal('brake'), brake: brakeShape }),
  /** A signed assignment as text (schema/assignment.ts): sent after the welcome, and when it changes. It counts by its signature, not by this socket. */
  z.object({ type: z.literal('assignment'), document: z.string().max(65_536) }),
  z.object({ type: z.literal('ack'), seq: storedSeqShape }),
  z.object({ type: z.literal('refused'), code: z.string().max(64), message: z.string().max(2000) }),
])
export type ServerMessage = z.infer<typeof serverMessageShape>

export const agentMessageShape = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    protocol: z.int(),
    host_id: z.string().max(128),
    agent_version: z.string().max(64),
    /** Ed25519 over helloStatement(), hexadecimal. */
    signature: z.string().regex(/^[0-9a-f]{128}$/),
  }),
  z.object({ type: z.literal('reports'), items: z.array(signedReportShape).max(MAX_REPORTS) }),
  /** What the host has verified so far, sent after each refresh: "informed and acknowledged". */
  z.object({ type: z.literal('seen'), timestamp_version: z.int().min(0) }),
])
export type AgentMessage = z.infer<typeof agentMessageShape>

/** The bytes that a host signs to prove who it is: bound to this purpose, this server's nonce and this host. */
export function helloStatement(hostId: string, nonce: string): Uint8Array {
  return new TextEncoder().encode(`netlink-hello/v1\n${hostId}\n${nonce}\n`)
}

/** Headers by which a host signs a plain HTTP request: who, when (UTC seconds since 1970) and the signature over requestStatement(). */
export const HOST_HEADERS = { host: 'netlink-host', time: 'netlink-time', signature: 'netlink-signature' } as const

/** The bytes that a host signs for an HTTP request. `path` includes the query; `bodySha256` is hexadecimal, also of an empty body. */
export function requestStatement(request: {
  hostId: string
  time: number
  method: string
  path: string
  bodySha256: string
}): Uint8Array {
  return new TextEncoder().encode(
    `netlink-request/v1\n${request.hostId}\n${request.time}\n${request.method}\n${request.path}\n${request.bodySha256}\n`,
  )
}

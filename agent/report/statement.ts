// The bytes by which a host proves who it is. The same as in schema/protocol.ts and schema/report.ts, which bring zod along and would double the daemon; a
// test holds them together byte for byte.
import type { ReportStatement } from '../../schema/report.ts'

const encoder = new TextEncoder()

/** What a host signs to open its socket: bound to this purpose, this host and the server's nonce. */
export function helloBytes(hostId: string, nonce: string): Uint8Array {
  return encoder.encode(`netlink-hello/v1\n${hostId}\n${nonce}\n`)
}

export interface SignedRequest {
  readonly hostId: string
  /** Seconds since 1970. */
  readonly time: number
  readonly method: string
  /** With the query. */
  readonly path: string
  /** Hexadecimal, also of an empty body. */
  readonly bodySha256: string
}

/** What a host signs for one HTTP request. */
export function requestBytes({ hostId, time, method, path, bodySha256 }: SignedRequest): Uint8Array {
  return encoder.encode(`netlink-request/v1\n${hostId}\n${time}\n${method}\n${path}\n${bodySha256}\n`)
}

/** What a host signs for one report. */
export function reportBytes({ hostId, epoch, seq, at, previous, bodySha256 }: ReportStatement): Uint8Array {
  return encoder.encode(`netlink-report/v1\n${hostId}\n${epoch}\n${seq}\n${at}\n${previous ?? '-'}\n${bodySha256}\n`)
}

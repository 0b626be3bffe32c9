// What a host tells the server. Numbered and signed by the host, kept in its outbox until acknowledged; the same host and number twice is harmless.
//
// Each report names the hash of the one before it, so a host's reports are a chain, and its numbers have no holes. Two machines that use one key (a copied
// disk, a stolen key, a snapshot that was put back) can't both go on with it: sooner or later one number comes with two contents, or a report does not
// continue the one that the server has. The server stores both halves of what was signed, so that an auditor can check it without believing the server.
import { z } from 'zod'
import { attemptReportShape, waitingReasonShape } from './attempt.ts'
import { sha256Shape, timeShape } from './manifest.ts'
import { MAX_REPORT_SEQ, MAX_STORED_SEQ } from './report-number.ts'
import { channelShape, versionShape } from './version.ts'

/** What runs on the host now. Sent after every change and with every new connection. */
export const inventoryShape = z.object({
  version: versionShape.nullable(),
  since: timeShape.nullable(),
  channel: channelShape,
  database_version: z.string().max(4096).nullable(),
  config_version: z.string().max(4096).nullable(),
  generation: z.int().min(0).nullable(),
  platform: z.string().max(64),
  agent_version: z.string().max(64),
  /** Whether the service answers its health checks; `none` where the release has no service. */
  service: z.enum(['healthy', 'unhealthy', 'stopped', 'none', 'unknown']),
  /** The newest version that the host may install, and why it does not. */
  target: versionShape.nullable(),
  waiting: waitingReasonShape.nullable(),
  waiting_detail: z.string().max(2000).nullable(),
  /** Metadata that this host has verified and that has to be signed anew: within 30, 7 or 1 day, or expired (null). */
  expiring: z
    .object({ role: z.string().max(128), expires: timeShape, within_days: z.int().min(1).nullable() })
    .nullable()
    .optional(),
  /** Versions of the trusted metadata: what the host has verified. */
  root_version: z.int().min(1),
  timestamp_version: z.int().min(0),
})
export type Inventory = z.infer<typeof inventoryShape>

/** Something that the host refused because it did not verify. */
export const refusalShape = z.object({
  code: z.string().max(64),
  message: z.string().max(2000),
  version: versionShape.nullable(),
})

/** Somebody at the host put another root in the place of the one that it trusted. Fingerprints are of the files. */
export const trustResetShape = z.object({
  old_sha256: sha256Shape.nullable(),
  new_sha256: sha256Shape,
  root_version: z.int().min(1),
  product: z.string().max(128),
})

export const reportBodyShape = z.discriminatedUnion('type', [
  z.object({ type: z.literal('inventory'), inventory: inventoryShape }),
  z.object({ type: z.literal('attempt'), attempt: attemptReportShape }),
  z.object({ type: z.literal('refusal'), refusal: refusalShape }),
  z.object({ type: z.literal('trust_reset'), trust_reset: trustResetShape }),
])
export type ReportBody = z.infer<typeof reportBodyShape>

/** Counts from 1 for each host and never repeats. */
const reportSeqShape = z.int().min(1).max(MAX_REPORT_SEQ)
/** The greatest that a server has of a host, 0 if none. */
export const storedSeqShape = z.int().min(0).max(MAX_STORED_SEQ)

/** `at` is the host's own clock. */
export const reportShape = z.object({ seq: reportSeqShape, at: timeShape, body: reportBodyShape })
export type Report = z.infer<typeof reportShape>

/** Most characters of a report's body as it is signed and sent. */
export const MAX_REPORT_BODY = 32_768

/** Names one chain of reports: made at random when a host is enrolled. */
export const reportEpochShape = z.string().regex(/^[0-9a-f]{32}$/, 'expected 32 hexadecimal digits')

/**
 * A report as it travels. `body` is the very text that was hashed and signed: a `ReportBody` as JSON. `previous` is the SHA-256 of the statement of the
 * report before, null at the beginning of a chain. `signature`: Ed25519 by the host's key over `reportStatement`, hexadecimal.
 */
export const signedReportShape = z.object({
  epoch: reportEpochShape,
  seq: reportSeqShape,
  at: timeShape,
  previous: sha256Shape.nullable(),
  body: z.string().min(2).max(MAX_REPORT_BODY),
  signature: z.string().regex(/^[0-9a-f]{128}$/, 'expected a signature of 128 hexadecimal digits'),
})
export type SignedReport = z.infer<typeof signedReportShape>

/** What a report's statement is made of. `bodySha256` is hexadecimal, of the body's text in UTF-8. */
export interface ReportStatement extends Pick<SignedReport, 'epoch' | 'seq' | 'at' | 'previous'> {
  readonly hostId: string
  readonly bodySha256: string
}

/** The bytes that a host signs for one report, and whose hash the next report names. */
export function reportStatement({ hostId, epoch, seq, at, previous, bodySha256 }: ReportStatement): Uint8Array {
  const lines = ['netlink-report/v1', hostId, epoch, seq, at, previous ?? '-', bodySha256]
  return new TextEncoder().encode(`${lines.join('\n')}\n`)
}

/** How a copied identity showed. */
export const forkKinds = [
  'same_number', // one number came with two contents
  'broken_chain', // a report does not continue the one that is stored
  'another_chain', // a chain began although the host was not enrolled again
  'passed_number', // a number came late that the chain had left out
  'number_jump', // a number is further ahead than a host comes while its server is away
] as const
export type ForkKind = (typeof forkKinds)[number]

/** Whether one machine speaks for a host. `forked` stays until the host is enrolled again or forgotten. */
export const identityShape = z.discriminatedUnion('state', [
  z.object({ state: z.literal('single') }),
  z.object({
    state: z.literal('forked'),
    /** When the server saw it first. */
    since: timeShape,
    kind: z.enum(forkKinds),
    /** The number of the report that showed it. */
    seq: reportSeqShape,
    detail: z.string().max(2000),
  }),
])
export type Identity = z.infer<typeof identityShape>

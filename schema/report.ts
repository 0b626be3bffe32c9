// What a host tells the server. Numbered by the host, kept in its outbox until acknowledged; the same host and number twice is harmless.
import { z } from 'zod'
import { attemptReportShape, waitingReasonShape } from './attempt.ts'
import { timeShape } from './manifest.ts'
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

export const reportBodyShape = z.discriminatedUnion('type', [
  z.object({ type: z.literal('inventory'), inventory: inventoryShape }),
  z.object({ type: z.literal('attempt'), attempt: attemptReportShape }),
  z.object({ type: z.literal('refusal'), refusal: refusalShape }),
])
export type ReportBody = z.infer<typeof reportBodyShape>

/** `seq` counts from 1 for each host and never repeats; `at` is the host's own clock. */
export const reportShape = z.object({ seq: z.int().min(1), at: timeShape, body: reportBodyShape })
export type Report = z.infer<typeof reportShape>

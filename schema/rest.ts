// The shapes of the server's REST API (`/api/v1`). Messages are plain objects: unknown fields are dropped, a newer peer may say more.
// Field names are snake_case. Lists are `{items, next_cursor}` with an opaque cursor.
import { z } from 'zod'
import { attemptReportShape } from './attempt.ts'
import { changelogShape } from './changelog.ts'
import { platformShape, productShape, sha256Shape, timeShape } from './manifest.ts'
import { brakeShape } from './protocol.ts'
import { identityShape, inventoryShape, reportShape, signedReportShape, storedSeqShape } from './report.ts'
import { channelShape, versionShape } from './version.ts'

/** RFC 9457 problem document, with what to do next. */
export const problemShape = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.string().optional(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
  next: z.array(z.string()).optional(),
  request_id: z.string().optional(),
  /** A finer reason than `code`, where a program may want to tell cases apart. */
  reason: z.string().optional(),
  /** What was expected and what came, e.g. the offset at which an upload stands. */
  expected: z.string().optional(),
  actual: z.string().optional(),
})
export type Problem = z.infer<typeof problemShape>

/** A list's page. `limit` at most 500. */
export function pageShape<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), next_cursor: z.string().nullable() })
}

export const hostIdShape = z.string().regex(/^h_[0-9a-f]{32}$/, 'expected a host id such as h_0123…')
export const nameShape = z
  .string()
  .regex(/^[0-9A-Za-z._-]{1,128}$/, 'expected 1 to 128 of letters, digits, ".", "_" and "-"')
export const labelsShape = z.record(z.string().max(64), z.string().max(256))

// ---- enrolment -------------------------------------------------------------------------------------------------------------------

/** POST /agent/enroll. The token goes in the body, never in a URL. `host_id` = "h_" + first 32 hex digits of sha256(public key). */
export const enrollRequestShape = z.object({
  token: z.string().max(256),
  name: nameShape.refine((name) => !hostIdShape.safeParse(name).success, 'expected a name, found the id of a host'),
  public_key: z.string().regex(/^[0-9a-f]{64}$/),
  /** Ed25519 of the new key over `netlink-enroll/v1\n<sha256 hex of token>\n<name>\n`: whoever redeems the token holds the key. */
  proof: z.string().regex(/^[0-9a-f]{128}$/),
  platform: platformShape,
  channel: channelShape,
  group: nameShape.nullable().default(null),
  labels: labelsShape.default({}),
})
export type EnrollRequest = z.infer<typeof enrollRequestShape>
export const enrollAnswerShape = z.object({
  host_id: hostIdShape,
  product: productShape,
  group: nameShape.nullable(),
  brake: brakeShape,
  /** Greatest report number that the server has of this host: the chain that begins now goes on behind it. */
  stored_seq: storedSeqShape,
  /** The newest role of the host's channel as it was signed, its `minimum` included; null where there is none, or it is too long for an answer. */
  channel_role: z.string().nullable().default(null),
})
export type EnrollAnswer = z.infer<typeof enrollAnswerShape>

/** The bytes that the new host key signs when it redeems a token. */
export function enrollStatement(tokenSha256: string, name: string): Uint8Array {
  return new TextEncoder().encode(`netlink-enroll/v1\n${tokenSha256}\n${name}\n`)
}

/** POST /agent/reports: the same as over the socket. */
export const reportsRequestShape = z.object({ items: z.array(signedReportShape).max(100) })
export const reportsAnswerShape = z.object({
  stored_seq: storedSeqShape,
  brake: brakeShape,
  timestamp_version: z.int().min(0),
})

// ---- publishing ------------------------------------------------------------------------------------------------------------------

/** GET /publish/state: what the publisher has to know before it signs. */
export const publishStateShape = z.object({
  product: productShape.nullable(),
  root_version: z.int().min(0),
  timestamp_version: z.int().min(0),
  /** Public halves of the online keys as TUF key objects, per role. */
  online_keys: z.object({
    snapshot: z.array(z.unknown()),
    timestamp: z.array(z.unknown()),
    /** None where the server signs no assignments. */
    director: z.array(z.unknown()).default([]),
  }),
  public_url: z.string().nullable(),
})
export type PublishState = z.infer<typeof publishStateShape>

/** POST /publish/root: one or more consecutive root documents as text, oldest first; what they force to be signed again goes with them, all or none. */
export const publishRootShape = z.object({
  roots: z.array(z.string()).min(1).max(16),
  targets: z.string().nullable().default(null),
  /** Channel and line roles by name. */
  metadata: z.record(z.string().max(128), z.string()).default({}),
  /** Manifests of releases that those list and that the server has not got, by target path: where it was put back from a backup. */
  manifests: z.record(z.string().max(512), z.string()).default({}),
  /** Why, for the audit log. */
  reason: z.string().max(2000).nullable().default(null),
})
export type PublishRoot = z.input<typeof publishRootShape>

/** GET /publish/artifacts/{sha256}: how much of it is here. PUT …?offset=&length= appends a chunk (application/octet-stream). */
export const uploadStateShape = z.object({
  sha256: sha256Shape,
  length: z.int().min(0).nullable(),
  received: z.int().min(0),
  complete: z.boolean(),
})
export type UploadState = z.infer<typeof uploadStateShape>

/** POST /publish/releases: signed documents as text. `metadata` maps role names to documents, `manifests` target paths to manifests. */
export const publishReleasesShape = z.object({
  metadata: z.record(z.string().max(128), z.string()),
  manifests: z.record(z.string().max(512), z.string()),
  dry_run: z.boolean().default(false),
})
export type PublishReleases = z.infer<typeof publishReleasesShape>
export const publishAnswerShape = z.object({
  versions: z.array(versionShape),
  snapshot_version: z.int().min(1),
  timestamp_version: z.int().min(1),
  /** The same documents were already published: nothing was done. */
  unchanged: z.boolean(),
})
export type PublishAnswer = z.infer<typeof publishAnswerShape>

// ---- fleet -----------------------------------------------------------------------------------------------------------------------

/** `online`: its socket is open here or in another replica. `state`: of its newest attempt, else idle. */
export const hostShape = z.object({
  host_id: hostIdShape,
  name: nameShape,
  group: nameShape.nullable(),
  labels: labelsShape,
  platform: z.string(),
  channel: channelShape,
  online: z.boolean(),
  enrolled_at: timeShape,
  last_seen: timeShape.nullable(),
  /** Whether one machine speaks for it. */
  identity: identityShape,
  inventory: inventoryShape.nullable(),
  attempt: attemptReportShape.nullable(),
})
export type Host = z.infer<typeof hostShape>

/** One line of a host's history: a report as it was stored. `at` by the host's clock, `received_at` by the server's; `signed` is what the host signed. */
export const hostEventShape = z.object({
  ...reportShape.shape,
  received_at: timeShape,
  signed: signedReportShape,
})
export type HostEvent = z.infer<typeof hostEventShape>

const count = z.object({ key: z.string(), hosts: z.int().min(0) })
/** GET /fleet/summary: incrementally maintained counts. */
export const fleetSummaryShape = z.object({
  product: productShape.nullable(),
  hosts: z.int().min(0),
  online: z.int().min(0),
  by_version: z.array(count),
  by_channel: z.array(count),
  by_group: z.array(count),
  by_state: z.array(count),
  by_waiting: z.array(count),
  /** Hosts for which more than one machine speaks. */
  forked: z.int().min(0),
  newest: z.object({ alpha: versionShape.nullable(), beta: versionShape.nullable(), release: versionShape.nullable() }),
  /** Signed metadata that somebody has to sign anew: within 30, 7 or 1 day, or expired (null). The most urgent first. */
  expiring: z
    .array(z.object({ role: z.string(), expires: timeShape, within_days: z.int().min(1).nullable() }))
    .default([]),
  brake: brakeShape,
  at: timeShape,
})
export type FleetSummary = z.infer<typeof fleetSummaryShape>

/** PUT /fleet/brake {paused, reason}: an authenticated pause can only delay. */
export const brakeRequestShape = z.object({ paused: z.boolean(), reason: z.string().min(1).max(2000) })

/** POST /hosts/{host}/check-now. A host that is offline looks for releases by itself when it comes back. */
export const checkNowAnswerShape = z.object({ host_id: hostIdShape, name: nameShape, online: z.boolean() })

// ---- releases --------------------------------------------------------------------------------------------------------------------

export const releaseShape = z.object({
  version: versionShape,
  channel: channelShape,
  released_at: timeShape,
  promoted_from: versionShape.nullable(),
  platforms: z.array(z.string()),
  bytes: z.int().min(0),
  withdrawn: z.object({ reason: z.string(), severity: z.enum(['low', 'high', 'critical']) }).nullable(),
  summary: z.string(),
  /** Key ids that signed the channel role which lists it, and how many are needed. */
  signed_by: z.array(z.string()),
  threshold: z.int().min(1),
  hosts: z.int().min(0),
})
export type Release = z.infer<typeof releaseShape>
export const releaseDetailShape = z.object({
  ...releaseShape.shape,
  manifest_sha256: sha256Shape,
  changelog: changelogShape,
})

/** GET /channels: the newest version that hosts of each channel are offered. */
export const channelsShape = z.object({
  items: z.array(z.object({ channel: channelShape, newest: versionShape.nullable() })),
})

// ---- tokens ----------------------------------------------------------------------------------------------------------------------

/** What a token may do. `admin` may everything. */
export const tokenScopes = ['read', 'host-enroll', 'publish', 'rollout', 'admin'] as const
export const tokenScopeShape = z.enum(tokenScopes)
export type TokenScope = z.infer<typeof tokenScopeShape>

/** A token without its secret. */
export const tokenShape = z.object({
  id: z.string(),
  name: z.string(),
  scope: tokenScopeShape,
  group: nameShape.nullable(),
  created_at: timeShape,
  expires_at: timeShape.nullable(),
  revoked_at: timeShape.nullable(),
  last_used_at: timeShape.nullable(),
  /** Only of enrolment tokens. */
  uses_left: z.int().min(0).nullable(),
})
export type Token = z.infer<typeof tokenShape>

/** POST /tokens. `uses` only with scope host-enroll. */
export const newTokenShape = z.object({
  name: nameShape,
  scope: tokenScopeShape,
  group: nameShape.nullable().default(null),
  expires_at: timeShape.nullable().default(null),
  uses: z.int().min(1).max(1_000_000).nullable().default(null),
  reason: z.string().min(1).max(2000).nullable().default(null),
})
/** The secret is in this answer and nowhere else. */
export const createdTokenShape = z.object({ token: tokenShape, secret: z.string() })

// ---- audit -----------------------------------------------------------------------------------------------------------------------

/** Who did what, and why. `before` and `after` are what changed, as far as it fits into words. */
export const auditEntryShape = z.object({
  id: z.string(),
  at: timeShape,
  actor: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('token'), id: z.string(), name: z.string() }),
    z.object({ kind: z.literal('host'), id: z.string() }),
    z.object({ kind: z.literal('local'), user: z.string() }),
    z.object({ kind: z.literal('server') }),
  ]),
  action: z.string(),
  subject: z.string().nullable(),
  reason: z.string().nullable(),
  before: z.unknown(),
  after: z.unknown(),
  request_id: z.string().nullable(),
})

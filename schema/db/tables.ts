// The tables as drizzle sees them. The truth is in migrations/: a test holds the two together.
import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  customType,
  integer,
  json,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
} from 'drizzle-orm/pg-core'
import type { AttemptReport } from '../attempt.ts'
import type { ForkKind, Inventory, ReportBody } from '../report.ts'
import type { EventFacts, SigningEvent } from '../signing-event.ts'

const bytes = customType<{ data: Uint8Array; driverData: Uint8Array }>({ dataType: () => 'bytea' })
const time = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })
const count = (name: string) => bigint(name, { mode: 'number' })

export const repository = pgTable('repository', {
  id: integer().primaryKey(),
  product: text(),
  rootVersion: integer('root_version').notNull(),
  snapshotVersion: count('snapshot_version').notNull(),
  timestampVersion: count('timestamp_version').notNull(),
  publishedRoot: integer('published_root').notNull(),
  publishedSnapshot: count('published_snapshot').notNull(),
  publishedTimestamp: count('published_timestamp').notNull(),
  publishedChanges: integer('published_changes').notNull(),
  sealedAt: time('sealed_at'),
  snapshotExpires: time('snapshot_expires'),
  timestampExpires: time('timestamp_expires'),
})

export const roleDocuments = pgTable(
  'role_documents',
  {
    role: text().notNull(),
    version: count('version').notNull(),
    document: bytes().notNull(),
    sha256: text().notNull(),
    length: integer().notNull(),
    expires: time('expires').notNull(),
    signedBy: text('signed_by').array().notNull(),
    threshold: integer().notNull(),
    acceptedAt: time('accepted_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.role, table.version] })],
)

export const roles = pgTable('roles', { role: text().primaryKey(), version: count('version').notNull() })

export interface Withdrawal {
  readonly reason: string
  readonly severity: 'low' | 'high' | 'critical'
}

export const releases = pgTable('releases', {
  version: text().primaryKey(),
  versionOrder: text('version_order').notNull(),
  channel: text().$type<'alpha' | 'beta' | 'release'>().notNull(),
  path: text().notNull(),
  manifest: bytes().notNull(),
  manifestSha256: text('manifest_sha256').notNull(),
  releasedAt: time('released_at').notNull(),
  promotedFrom: text('promoted_from'),
  platforms: text().array().notNull(),
  bytes: count('bytes').notNull(),
  summary: text().notNull(),
  withdrawn: jsonb().$type<Withdrawal>(),
  acceptedAt: time('accepted_at').notNull(),
  published: boolean().notNull().default(false),
})

export const artifacts = pgTable('artifacts', {
  sha256: text().primaryKey(),
  sha512: text().notNull(),
  length: count('length').notNull(),
  storedAt: time('stored_at').notNull(),
})

export const tokens = pgTable('tokens', {
  id: text().primaryKey(),
  name: text().notNull(),
  scope: text().$type<'read' | 'host-enroll' | 'publish' | 'rollout' | 'admin'>().notNull(),
  secretSha256: bytes('secret_sha256').notNull(),
  group: text('group_name'),
  createdAt: time('created_at').notNull(),
  expiresAt: time('expires_at'),
  revokedAt: time('revoked_at'),
  lastUsedAt: time('last_used_at'),
  usesLeft: integer('uses_left'),
})

/** How a copied identity showed, and by which report. */
export interface StoredFork {
  readonly kind: ForkKind
  readonly seq: number
  readonly detail: string
}

export const hosts = pgTable('hosts', {
  hostId: text('host_id').primaryKey(),
  name: text().notNull(),
  publicKey: bytes('public_key').notNull(),
  group: text('group_name'),
  labels: jsonb().$type<Record<string, string>>().notNull().default(sql`'{}'`),
  platform: text().notNull(),
  channel: text().$type<'alpha' | 'beta' | 'release'>().notNull(),
  enrolledAt: time('enrolled_at').notNull(),
  enrolledWith: text('enrolled_with'),
  storedSeq: count('stored_seq').notNull().default(0),
  version: text(),
  versionOrder: text('version_order'),
  state: text().notNull().default('idle'),
  waiting: text(),
  inventory: jsonb().$type<Inventory>(),
  attempt: jsonb().$type<AttemptReport>(),
  epoch: text(),
  tip: text(),
  forkedAt: time('forked_at'),
  fork: jsonb().$type<StoredFork>(),
})

export const presence = pgTable('presence', {
  hostId: text('host_id').primaryKey(),
  lastSeen: time('last_seen').notNull(),
  replica: text(),
  timestampVersion: integer('timestamp_version').notNull().default(0),
})

export const hostEvents = pgTable(
  'host_events',
  {
    hostId: text('host_id').notNull(),
    seq: count('seq').notNull(),
    at: time('at').notNull(),
    receivedAt: time('received_at').notNull(),
    type: text().notNull(),
    body: json().$type<ReportBody>().notNull(),
    epoch: text().notNull(),
    previous: text(),
    signature: text().notNull(),
    sha256: text().notNull(),
  },
  (table) => [primaryKey({ columns: [table.hostId, table.seq] })],
)

export const attempts = pgTable(
  'attempts',
  {
    hostId: text('host_id').notNull(),
    updateId: text('update_id').notNull(),
    kind: text().notNull(),
    from: text('from_version'),
    to: text('to_version').notNull(),
    state: text().notNull(),
    code: text(),
    reason: text(),
    seq: count('seq').notNull(),
    startedAt: time('started_at').notNull(),
    updatedAt: time('updated_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.hostId, table.updateId] })],
)

export const signingEvents = pgTable('signing_events', {
  id: text().primaryKey(),
  facts: jsonb().$type<EventFacts>().notNull(),
  event: jsonb().$type<SigningEvent>().notNull(),
  roles: jsonb().$type<Record<string, number>>().notNull(),
  bytes: integer().notNull(),
  createdAt: time('created_at').notNull(),
  until: time('until').notNull(),
  abortedAt: time('aborted_at'),
  abortReason: text('abort_reason'),
})

export const signingEventSignatures = pgTable(
  'signing_event_signatures',
  {
    eventId: text('event_id').notNull(),
    role: text().notNull(),
    keyid: text().notNull(),
    sig: text().notNull(),
    addedAt: time('added_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.eventId, table.role, table.keyid] })],
)

export const counts = pgTable(
  'counts',
  { dimension: text().notNull(), key: text().notNull(), hosts: count('hosts').notNull() },
  (table) => [primaryKey({ columns: [table.dimension, table.key] })],
)

export const assignments = pgTable('assignments', {
  hostId: text('host_id').primaryKey(),
  sequence: count('sequence').notNull(),
  action: text().$type<'none' | 'update' | 'downgrade'>().notNull(),
  version: text(),
  expires: time('expires').notNull(),
  document: bytes().notNull(),
  signedAt: time('signed_at').notNull(),
})

export const brake = pgTable('brake', {
  id: integer().primaryKey(),
  paused: boolean().notNull(),
  reason: text(),
  since: time('since'),
})

export const audit = pgTable('audit', {
  id: count('id').primaryKey().generatedAlwaysAsIdentity(),
  at: time('at').notNull(),
  actor: jsonb().notNull(),
  action: text().notNull(),
  subject: text(),
  reason: text(),
  before: jsonb(),
  after: jsonb(),
  requestId: text('request_id'),
})

export const leases = pgTable('leases', {
  name: text().primaryKey(),
  holder: text().notNull(),
  expiresAt: time('expires_at').notNull(),
})

export const replicas = pgTable('replicas', {
  id: text().primaryKey(),
  startedAt: time('started_at').notNull(),
  heardAt: time('heard_at').notNull(),
  online: integer().notNull(),
})

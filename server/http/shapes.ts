// The shapes of schema/rest.ts under the names they have in openapi.json, and the parts of requests that only HTTP knows.
import { z } from '@hono/zod-openapi'
import * as assignments from '../../schema/assignment.ts'
import { changelogShape } from '../../schema/changelog.ts'
import { sha256Shape } from '../../schema/manifest.ts'
import { brakeShape } from '../../schema/protocol.ts'
import * as rest from '../../schema/rest.ts'
import * as events from '../../schema/signing-event.ts'
import { channelShape, versionShape } from '../../schema/version.ts'
import { hostSorts } from '../core/core.ts'
import { isStorable } from '../core/storable.ts'

export const problem = rest.problemShape.meta({ id: 'Problem' })
export const host = rest.hostShape.meta({ id: 'Host' })
export const hostEvent = rest.hostEventShape.meta({ id: 'HostEvent' })
export const checkNowAnswer = rest.checkNowAnswerShape.meta({ id: 'CheckNowAnswer' })
export const fleetSummary = rest.fleetSummaryShape.meta({ id: 'FleetSummary' })
export const brake = brakeShape.meta({ id: 'Brake' })
export const brakeRequest = rest.brakeRequestShape.meta({ id: 'BrakeRequest' })
export const release = rest.releaseShape.meta({ id: 'Release' })
export const releaseDetail = rest.releaseDetailShape.meta({ id: 'ReleaseDetail' })
export const changelog = changelogShape.meta({ id: 'Changelog' })
export const channels = rest.channelsShape.meta({ id: 'Channels' })
export const token = rest.tokenShape.meta({ id: 'Token' })
export const newToken = rest.newTokenShape.meta({ id: 'NewToken' })
export const createdToken = rest.createdTokenShape.meta({ id: 'CreatedToken' })
export const auditEntry = rest.auditEntryShape.meta({ id: 'AuditEntry' })
export const newAssignment = assignments.newAssignmentShape.meta({ id: 'NewAssignment' })
export const hostAssignment = assignments.hostAssignmentShape.meta({ id: 'HostAssignment' })
export const agentAssignment = assignments.agentAssignmentShape.meta({ id: 'AgentAssignment' })
export const enrollRequest = rest.enrollRequestShape.meta({ id: 'EnrollRequest' })
export const enrollAnswer = rest.enrollAnswerShape.meta({ id: 'EnrollAnswer' })
export const reportsRequest = rest.reportsRequestShape.meta({ id: 'ReportsRequest' })
export const reportsAnswer = rest.reportsAnswerShape.meta({ id: 'ReportsAnswer' })
export const publishState = rest.publishStateShape.meta({ id: 'PublishState' })
export const publishRoot = rest.publishRootShape.meta({ id: 'PublishRoot' })
export const uploadState = rest.uploadStateShape.meta({ id: 'UploadState' })
export const publishReleases = rest.publishReleasesShape.meta({ id: 'PublishReleases' })
export const publishAnswer = rest.publishAnswerShape.meta({ id: 'PublishAnswer' })
export const signingEvent = events.signingEventShape.meta({ id: 'SigningEvent' })
export const eventSummary = events.eventSummaryShape.meta({ id: 'SigningEventSummary' })
export const eventRecord = events.eventRecordShape.meta({ id: 'SigningEventRecord' })
export const eventSignatures = events.eventSignaturesShape.meta({ id: 'SigningEventSignatures' })
export const eventSignaturesAnswer = events.eventSignaturesAnswerShape.meta({ id: 'SigningEventSignaturesAnswer' })
export const abortEvent = events.abortEventShape.meta({ id: 'AbortSigningEvent' })

export const { pageShape: page } = rest

/** A query parameter without control characters: it goes to the database as it is. */
const text = (maxLength: number) =>
  z.string().max(maxLength).refine(isStorable, 'expected text without NUL and without half surrogate pairs')

/** A whole number as a query parameter. */
const whole = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, `expected a whole number from ${least} to ${most}`)
    .transform(Number)
    .refine((number) => number >= least && number <= most, `expected a whole number from ${least} to ${most}`)
    .openapi({ type: 'integer', minimum: least, maximum: most })

const pageQuery = {
  limit: whole(1, 500).optional().openapi({ description: 'At most so many items; 100 unless said.' }),
  cursor: text(1024).optional().openapi({ description: '`next_cursor` of the page before.' }),
}

export const pageRequest = z.object(pageQuery)
export const hostsRequest = z.object({
  ...pageQuery,
  sort: z
    .enum(hostSorts)
    .optional()
    .openapi({ description: 'By host id unless this says otherwise; a minus turns it round.' }),
  where: text(2000).optional().openapi({ description: 'A filter such as `version=0r1 and group in (eu,us)`.' }),
})
export const releasesRequest = z.object({ ...pageQuery, channel: channelShape.optional() })
export const auditRequest = z.object({
  ...pageQuery,
  since: z.iso
    .datetime({ error: 'expected a UTC time such as 2026-11-23T10:00:00Z' })
    .optional()
    .openapi({ description: 'Nothing older than this UTC time.' }),
  action: text(64).optional(),
})
export const dryRunRequest = z.object({
  dry_run: z.enum(['true', 'false']).optional().openapi({ description: 'Check everything and change nothing.' }),
})
export const reasonRequest = z.object({
  ...dryRunRequest.shape,
  reason: text(2000).optional().openapi({ description: 'Kept in the audit log.' }),
})

export const hostParam = z.object({ host: rest.nameShape.meta({ description: 'Id or name of a host.' }) })
export const versionParam = z.object({ version: versionShape })
export const tokenParam = z.object({ id: z.string().regex(/^[0-9A-Za-z_-]{1,64}$/, 'expected the id of a token') })
export const artifactParam = z.object({ sha256: sha256Shape })
export const chunkRequest = z.object({
  offset: whole(0, 1e15).openapi({ description: 'Where the chunk begins; it must be where the upload stands.' }),
  length: whole(1, 1e15).openapi({ description: 'Bytes of the whole artifact.' }),
})
export const eventParam = z.object({ id: events.eventIdShape })
export const octets = z.string().openapi({ format: 'binary' })

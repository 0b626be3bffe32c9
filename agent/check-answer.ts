import { changeTypes } from '../schema/changelog.ts'
import type { Channel, Version } from '../schema/version.ts'
import { type AssignmentRecord, buildAssignmentRecord } from './assignment-record.ts'
import type { CheckResult } from './check.ts'
import { decideExpiryFact, type ExpiryFact } from './expiry.ts'
import { artifactFor } from './plan-building.ts'
import { utcSecond } from './utc-second.ts'

/** A check as the command line's --json, the local REST API and the library answer it: the specification's fields first. */
export interface CheckAnswer {
  readonly updates_available: boolean
  readonly current_version: Version | null
  /** What would be installed; the current version where nothing would. */
  readonly latest_version: Version | null
  readonly channel: Channel
  /** Versions on the way, the last one is `latest_version`. */
  readonly hops: readonly Version[]
  /** Why nothing is offered although something newer exists. */
  readonly waiting: {
    readonly version: Version | null
    readonly reason: string
    readonly detail: string
    readonly until: string | null
  } | null
  readonly release: ReleaseFacts | null
  /** What the server directs this host to, and what of it was refused; null: nothing. */
  readonly assignment: AssignmentRecord | null
  /** What has to be signed anew within 30, 7 or 1 day; null: there is time. */
  readonly expiry: ExpiryFact | null
  readonly root_version: number
  readonly timestamp_version: number
}

/** What the signed manifest of the offered version says, and who signed. */
export interface ReleaseFacts {
  readonly version: Version
  readonly released_at: string
  /** Of the artifact for this platform. */
  readonly bytes: number | null
  readonly summary: string
  /** How many changes of each kind, those that there are. */
  readonly changes: Readonly<{ [type: string]: number }>
  readonly database_migration: boolean
  readonly restart: boolean
  readonly signed_by: readonly string[]
  readonly threshold: number
}

/** The answer that a check stands for. Pure. */
export function buildCheckAnswer(result: CheckResult, now: Date): CheckAnswer {
  const { decision, state } = result
  const isAvailable = decision.kind === 'available'
  return {
    updates_available: isAvailable,
    current_version: state.installed,
    latest_version: isAvailable ? decision.version : state.installed,
    channel: state.channel,
    hops: isAvailable ? decision.hops : [],
    waiting:
      decision.kind === 'waiting'
        ? {
            version: decision.version,
            reason: decision.reason,
            detail: decision.detail,
            until: decision.until && utcSecond(decision.until),
          }
        : null,
    release: isAvailable ? factsOf(result, decision.version) : null,
    assignment: buildAssignmentRecord(result.assignment),
    expiry: decideExpiryFact(result.expires, now),
    root_version: result.rootVersion,
    timestamp_version: result.timestampVersion,
  }
}

function factsOf(result: CheckResult, version: Version): ReleaseFacts | null {
  const manifest = result.manifests.get(version)?.value
  if (!manifest) return null
  const { entries, summary } = manifest.changelog
  const counts = changeTypes.map((type) => [type, entries.filter((entry) => entry.type === type).length] as const)
  return {
    version,
    released_at: manifest.released_at,
    bytes: artifactFor(manifest, result.state.platform)?.length ?? null,
    summary,
    changes: Object.fromEntries(counts.filter(([, count]) => count > 0)),
    database_migration: manifest.database_migrations.length > 0,
    restart: manifest.service !== null,
    signed_by: result.signers?.keyids ?? [],
    threshold: result.signers?.threshold ?? 0,
  }
}

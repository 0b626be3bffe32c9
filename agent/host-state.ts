// Small files in which this host remembers what its people, its server and its last check said: each replaced as a whole, each read back with care.
import type { Disk } from '../keys/platform/disk.ts'
import { removeDurable } from '../keys/platform/durable.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { type WaitingReason, waitingReasonShape } from '../schema/attempt.ts'
import { type RoleExpiry, roleExpiryShape } from '../schema/expiry.ts'
import { readShape } from '../schema/read-shape.ts'
import { ShapeError } from '../schema/shape-error.ts'
import { isVersion, type Version } from '../schema/version.ts'
import { type AssignmentRecord, readAssignmentRecord } from './assignment-record.ts'
import type { AgentFiles } from './config.ts'
import type { Hold } from './decide.ts'
import { countIn, optionalTextIn, type Record, recordOf, textIn } from './record.ts'
import { loadState, saveState } from './state-file.ts'
import { utcSecond } from './utc-second.ts'

// ---- hold ------------------------------------------------------------------------------------------------------------------------

/** The hold that somebody set, over or not; null if there is none. A file that can't be read is a hold: it was meant to keep updates away. */
export async function loadHold(disk: Disk, files: AgentFiles): Promise<Hold | null> {
  try {
    const value = await loadState(disk, files.hold)
    if (value === undefined) return null
    const record = recordOf(value, files.hold)
    const until = optionalTextIn(record, 'until')
    return { until: until === null ? null : dateIn(record, 'until', until), reason: optionalTextIn(record, 'reason') }
  } catch (error) {
    if (error instanceof PlatformError) throw error
    return { until: null, reason: `${files.hold} can't be read` }
  }
}

function dateIn(record: Record, name: string, text: string): Date {
  const date = new Date(text)
  return Number.isNaN(date.getTime()) ? record.wrong(name, 'expected a time') : date
}

export async function saveHold(disk: Disk, files: AgentFiles, hold: Hold): Promise<void> {
  await saveState(disk, files.hold, { until: hold.until === null ? null : utcSecond(hold.until), reason: hold.reason })
}

export async function removeHold(disk: Disk, files: AgentFiles): Promise<void> {
  await removeDurable(disk, files.hold)
}

// ---- first sights ----------------------------------------------------------------------------------------------------------------

const MOST_OFFERS = 20

/** When this host first saw each version that it was offered. */
export async function loadOffers(disk: Disk, files: AgentFiles): Promise<ReadonlyMap<Version, Date>> {
  const offers = new Map<Version, Date>()
  const value = await loadState(disk, files.offers).catch(readAsEmpty)
  if (typeof value !== 'object' || value === null) return offers
  for (const [version, text] of Object.entries(value)) {
    if (typeof text !== 'string') continue
    const seen = new Date(text)
    if (isVersion(version) && !Number.isNaN(seen.getTime())) offers.set(version, seen)
  }
  return offers
}

/** What is lost with it is only the pause before an update. */
function readAsEmpty(error: unknown): undefined {
  if (error instanceof SyntaxError) return undefined
  throw error
}

/** Remembers the first sight of a version; the oldest are forgotten. */
export async function saveOffer(disk: Disk, files: AgentFiles, version: Version, now: Date): Promise<void> {
  const offers = await loadOffers(disk, files)
  if (offers.has(version)) return
  const newest = [...offers, [version, now] as const].slice(-MOST_OFFERS)
  await saveState(disk, files.offers, Object.fromEntries(newest.map(([key, seen]) => [key, utcSecond(seen)])))
}

// ---- last check ------------------------------------------------------------------------------------------------------------------

/** What the last check found, for `status`, inventories and the next check. */
export interface CheckRecord {
  /** UTC, one second's resolution. */
  readonly at: string
  /** The newest version that this host may install, null if there is none. */
  readonly target: Version | null
  readonly waiting: WaitingReason | null
  readonly waiting_detail: string | null
  readonly root_version: number
  readonly timestamp_version: number
  /** The code of what was refused, so that the same refusal is reported once. */
  readonly refusal: string | null
  /** What the server directs this host to, null: nothing. */
  readonly assignment: AssignmentRecord | null
  /** Of the roles that people sign, the one that expires first; null where none was looked at. */
  readonly expires: RoleExpiry | null
}

/** undefined where there was none, or where it can't be read: the next check makes a new one. */
export async function loadCheck(disk: Disk, files: AgentFiles): Promise<CheckRecord | undefined> {
  const value = await loadState(disk, files.check).catch(readAsEmpty)
  try {
    return value === undefined ? undefined : readCheck(value, files.check)
  } catch (error) {
    if (error instanceof ShapeError) return undefined
    throw error
  }
}

function readCheck(value: unknown, file: string): CheckRecord {
  const record = recordOf(value, file)
  const target = optionalTextIn(record, 'target')
  const waiting = readShape(waitingReasonShape.nullable(), record.fields.waiting)
  return {
    at: textIn(record, 'at'),
    target: target !== null && isVersion(target) ? target : null,
    waiting: waiting.success ? waiting.data : null,
    waiting_detail: optionalTextIn(record, 'waiting_detail'),
    root_version: countIn(record, 'root_version'),
    timestamp_version: countIn(record, 'timestamp_version'),
    refusal: optionalTextIn(record, 'refusal'),
    expires: readShape(roleExpiryShape.nullable(), record.fields.expires).data ?? null,
    assignment: readAssignmentRecord(record.fields.assignment, file),
  }
}

export async function saveCheck(disk: Disk, files: AgentFiles, check: CheckRecord): Promise<void> {
  await saveState(disk, files.check, check)
}

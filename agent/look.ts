// A check that is remembered: what it found goes into the check record, and what was refused into the reports, whoever looked.
import { PlatformError } from '../keys/platform/platform-error.ts'
import { TrustError } from '../keys/trust-error.ts'
import type { WaitingReason } from '../schema/attempt.ts'
import { isVersion } from '../schema/version.ts'
import { type AssignmentRecord, buildAssignmentRecord, isToldBefore } from './assignment-record.ts'
import { type CheckRequest, type CheckResult, checkReleases } from './check.ts'
import type { Host } from './host.ts'
import { type CheckRecord, loadCheck, saveCheck, saveOffer } from './host-state.ts'
import { utcSecond } from './utc-second.ts'

/** As checkReleases. A look at the host's own channel and newest release leaves its record, also when it throws. */
export async function lookAndRemember(host: Host, request: CheckRequest): Promise<CheckResult> {
  const counts =
    request.how === 'refresh' &&
    // What a bundle says is not what the server offers.
    host.trust.carried === undefined &&
    request.goal.kind === 'latest' &&
    (request.channel ?? host.enrolment.channel) === host.enrolment.channel
  try {
    const result = await checkReleases(host, request)
    if (counts) await rememberFound(host, result)
    return result
  } catch (error) {
    const record = counts && (await refusedRecord(host, error))
    if (record) await remember(host, record)
    throw error
  }
}

async function rememberFound(host: Host, result: CheckResult): Promise<void> {
  const before = await loadCheck(host.disk, host.files)
  const record = recordOf(host, result, before?.assignment ?? null)
  const { assignment } = record
  const isNews = assignment?.refusal && result.assignment && !isToldBefore(assignment, before?.assignment ?? null)
  if (isNews) await reportAssignment(host, assignment)
  await remember(host, record)
}

/** What the director asked and this host refused: somebody should know, whoever sent it. */
async function reportAssignment(host: Host, { refusal, in_force }: AssignmentRecord): Promise<void> {
  if (!refusal) return
  const version = in_force && isVersion(in_force.version) ? in_force.version : null
  await host.outbox.append({ type: 'refusal', refusal: { ...refusal, version } })
}

function recordOf(
  host: Host,
  { decision, rootVersion, timestampVersion, expires, assignment }: CheckResult,
  before: AssignmentRecord | null,
): CheckRecord {
  return {
    at: utcSecond(host.clock.now()),
    target: decision.kind === 'up-to-date' ? null : decision.version,
    waiting: decision.kind === 'waiting' ? decision.reason : null,
    waiting_detail: decision.kind === 'waiting' ? decision.detail : null,
    root_version: rootVersion,
    timestamp_version: timestampVersion,
    refusal: null,
    expires,
    // A look that left assignments alone knows no more about them than the one before.
    assignment: assignment ? buildAssignmentRecord(assignment) : before,
  }
}

/** What stays true when a look fails: what was known before, and why nothing newer is. The refusal of signed data is reported, once. */
async function refusedRecord(host: Host, error: unknown): Promise<CheckRecord | undefined> {
  const waiting = waitingAfter(error)
  if (!waiting || !(error instanceof Error)) return undefined
  const before = await loadCheck(host.disk, host.files)
  const code = error instanceof TrustError ? error.code : null
  if (code !== null && before?.refusal !== code) {
    await host.outbox.append({
      type: 'refusal',
      refusal: { code, message: error.message.slice(0, 2_000), version: null },
    })
  }
  return {
    at: utcSecond(host.clock.now()),
    target: before?.target ?? null,
    waiting,
    waiting_detail: error.message.slice(0, 2_000),
    root_version: before?.root_version ?? 1,
    timestamp_version: before?.timestamp_version ?? 0,
    refusal: code,
    expires: before?.expires ?? null,
    assignment: before?.assignment ?? null,
  }
}

/** Keeps what was known, under another reason for waiting. */
export async function noteWaiting(host: Host, waiting: WaitingReason, detail: string): Promise<void> {
  const before = await loadCheck(host.disk, host.files)
  if (before) await remember(host, { ...before, waiting, waiting_detail: detail })
}

function waitingAfter(error: unknown): WaitingReason | undefined {
  if (error instanceof TrustError) return 'unverified'
  const isTransport =
    error instanceof PlatformError && !['cancelled', 'locked', 'no-space', 'not-permitted', 'io'].includes(error.code)
  return isTransport ? 'unreachable' : undefined
}

/** A reader without the right to write still gets its answer. */
async function remember(host: Host, record: CheckRecord): Promise<void> {
  try {
    await saveCheck(host.disk, host.files, record)
    if (record.target !== null) await saveOffer(host.disk, host.files, record.target, host.clock.now())
  } catch (error) {
    if (!(error instanceof PlatformError && error.code === 'not-permitted')) throw error
  }
}

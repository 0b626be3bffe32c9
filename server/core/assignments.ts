// What single hosts are directed to do. An assignment is checked as far as the server can see, signed, kept, rung out:
//
//   host -> release -> authorisation, if it leads down -> next sequence number -> signed -> one transaction -> bell
//
// Nothing here makes a host do anything: it checks signature, address and time, and then its own policy decides.
import { eq, sql } from 'drizzle-orm'
import { verifyAuthorized, verifyDowngradeAuthorization } from '../../keys/assignment.ts'
import { parseDocument } from '../../keys/document.ts'
import type { Clock } from '../../keys/platform/clock.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { type Assignment, assignmentShape, type HostAssignment, type NewAssignment } from '../../schema/assignment.ts'
import { assignments, hosts, releases } from '../../schema/db/tables.ts'
import { channelOf, channelOffers, compareVersions, isVersion, type Version } from '../../schema/version.ts'
import { writeAudit } from './audit.ts'
import { buildBatch } from './batch.ts'
import type { RingingBell } from './bell.ts'
import { unverified } from './candidate.ts'
import type { Assignments, Mutation } from './core.ts'
import { CoreError } from './core-error.ts'
import { type Director, openDirector } from './director.ts'
import { DAY_MS, type OnlineSigners } from './online-roles.ts'
import type { Db } from './ports.ts'
import { loadAccepted } from './role-documents.ts'
import { wireTime } from './wire-time.ts'

export interface AssignmentsDeps {
  readonly db: Db
  readonly clock: Clock
  readonly bell: RingingBell
  readonly signers: OnlineSigners
}

const DEFAULT_MS = 30 * DAY_MS
const LONGEST_MS = 366 * DAY_MS
/** A host's clock may stand behind ours: what begins now begins a little earlier. */
const SKEW_MS = 300_000
/** As often as others may come in between. */
const ATTEMPTS = 5
const LOOKUP_BATCH = 1_000

type HostRow = typeof hosts.$inferSelect
type Kept = typeof assignments.$inferSelect

/** What is signed, but for product, host and number. */
type Direction = Pick<Assignment, 'action' | 'version' | 'manifest_sha256' | 'rollout'> & {
  readonly authorization?: string
  readonly notBefore: Date
  readonly expires: Date
}

export function buildAssignments(deps: AssignmentsDeps): Assignments {
  const { db, clock, bell } = deps
  const lookUp = buildBatch<string, Kept | 'none'>((hostIds) => loadKept(db, hostIds), LOOKUP_BATCH)

  async function direct(host: HostRow, direction: Direction, director: Director, mutation: Mutation): Promise<Kept> {
    for (let tries = 0; tries < ATTEMPTS; tries++) {
      const before = await lookUp(host.hostId)
      const next = await signNext(deps, director, host, direction, before === 'none' ? undefined : before)
      if (mutation.dryRun || (await store(deps, host, before, next, mutation))) return next
    }
    throw new CoreError('conflict', 'others assign this host something at the same time', { reason: 'concurrent' })
  }

  async function finish(host: HostRow, kept: Kept, mutation: Mutation): Promise<HostAssignment> {
    if (!mutation.dryRun) await bell.ring({ type: 'assignment', hostId: host.hostId })
    return describe(host, kept)
  }

  return {
    show: async (hostId) => {
      const host = await loadHost(db, hostId)
      const kept = await lookUp(hostId)
      if (kept === 'none') throw notAssigned(host)
      return describe(host, kept)
    },
    document: async (hostId) => {
      const kept = await lookUp(hostId)
      return kept === 'none' ? null : Buffer.from(kept.document).toString('utf8')
    },
    assign: async (hostId, request, mutation) => {
      const host = await loadHost(db, hostId)
      const director = openDirector(await loadAccepted(db), deps.signers)
      const direction = await decideDirection(deps, host, director, request)
      return finish(host, await direct(host, direction, director, mutation), mutation)
    },
    withdraw: async (hostId, mutation) => {
      const host = await loadHost(db, hostId)
      const kept = await lookUp(hostId)
      if (kept === 'none') throw notAssigned(host)
      if (kept.action === 'none') return describe(host, kept)
      const director = openDirector(await loadAccepted(db), deps.signers)
      const now = clock.now().getTime()
      const none = { action: 'none', version: null, manifest_sha256: null, rollout: null } as const
      const times = { notBefore: new Date(now - SKEW_MS), expires: new Date(now + DEFAULT_MS) }
      return finish(host, await direct(host, { ...none, ...times }, director, mutation), mutation)
    },
  }
}

async function loadHost(db: Db, hostId: string): Promise<HostRow> {
  const [row] = await db.queries.select().from(hosts).where(eq(hosts.hostId, hostId))
  if (!row) throw new CoreError('not-found', `there is no host ${hostId}`)
  return row
}

async function loadKept(db: Db, hostIds: readonly string[]): Promise<(Kept | 'none')[]> {
  const wanted = sql`${assignments.hostId} = any(${sql.param([...new Set(hostIds)])}::text[])`
  const rows = await db.queries.select().from(assignments).where(wanted)
  const found = new Map(rows.map((row) => [row.hostId, row]))
  return hostIds.map((hostId) => found.get(hostId) ?? 'none')
}

function notAssigned({ name }: HostRow): CoreError {
  return new CoreError('not-found', `${name} was never assigned anything`)
}

// ---- what may be directed --------------------------------------------------------------------------------------------------------------

async function decideDirection(
  { db, clock, bell }: AssignmentsDeps,
  host: HostRow,
  director: Director,
  request: NewAssignment,
): Promise<Direction> {
  const { version, rollout, authorization } = request
  const release = await loadRelease(db, host, version)
  const now = clock.now()
  const times = decideTimes(now, request)
  const common = { version, manifest_sha256: release.manifestSha256, rollout, ...times }
  if (authorization === null) {
    checkNotOlder(host, version)
    return { ...common, action: 'update' }
  }
  // What is only to hold later has to be good by then.
  const at = new Date(Math.max(now.getTime(), times.notBefore.getTime()))
  const product = bell.remembered.published.product ?? ''
  checkAuthorization(director, host, { ...common, version, authorization, product, at })
  return { ...common, action: 'downgrade', authorization }
}

/** A release that this host could be offered at all. */
async function loadRelease(db: Db, host: HostRow, version: Version): Promise<typeof releases.$inferSelect> {
  const [release] = await db.queries.select().from(releases).where(eq(releases.version, version))
  if (!release) throw new CoreError('not-found', `no release ${version} is published here`)
  const refuse = (reason: string, message: string) => new CoreError('refused', message, { reason })
  if (release.withdrawn) throw refuse('withdrawn', `${version} was withdrawn: ${release.withdrawn.reason}`)
  if (!channelOffers(host.channel, version))
    throw refuse('channel', `${host.name} follows ${host.channel}, and ${version} is ${channelOf(version)}`)
  if (!release.platforms.includes(host.platform) && !release.platforms.includes('any'))
    throw refuse(
      'foreign',
      `${version} is made for ${release.platforms.join(', ')}, and ${host.name} is ${host.platform}`,
    )
  return release
}

function decideTimes(now: Date, request: NewAssignment): { notBefore: Date; expires: Date } {
  const notBefore = request.not_before === null ? new Date(now.getTime() - SKEW_MS) : new Date(request.not_before)
  const expires = new Date(request.expires ?? Math.max(now.getTime(), notBefore.getTime()) + DEFAULT_MS)
  const invalid = (pointer: string, message: string) =>
    new CoreError('invalid', `${pointer} ${message}`, { issues: [{ pointer, message }] })
  if (expires <= now || expires <= notBefore) throw invalid('/expires', 'expected a time to come, after not_before')
  if (expires.getTime() - now.getTime() > LONGEST_MS) throw invalid('/expires', 'expected at most a year from now')
  return { notBefore, expires }
}

/** What the host reported: it would refuse, and whoever asks should know at once. */
function checkNotOlder({ name, hostId, version: runs }: HostRow, to: Version): void {
  if (runs === null || !isVersion(runs) || compareVersions(to, runs) >= 0) return
  throw new CoreError('refused', `${name} runs ${runs}: a way down to ${to} has to be authorised offline`, {
    reason: 'rollback',
    expected: runs,
    actual: to,
    next: [
      `netlink-publish authorize-downgrade --host ${hostId} --from ${runs} --to ${to} --reason WHY --out FILE`,
      `netlink-admin hosts pin ${name} --to ${to} --authorization FILE`,
    ],
  })
}

function checkAuthorization(
  director: Director,
  host: HostRow,
  way: {
    readonly version: Version
    readonly manifest_sha256: string
    readonly authorization: string
    readonly product: string
    readonly at: Date
  },
): void {
  try {
    const bytes = Buffer.from(way.authorization, 'utf8')
    const verified = verifyDowngradeAuthorization(director.targets, way.version, bytes)
    const { value } = verified
    const refuse = (reason: string, message: string) => new CoreError('refused', message, { reason })
    if (!value.hosts.includes(host.hostId))
      throw refuse('foreign', `the authorisation is for ${value.hosts.join(', ')}, not for ${host.hostId}`)
    if (value.to.manifest_sha256 !== way.manifest_sha256)
      throw refuse('hash', `the authorisation is for another manifest of ${way.version} than the published one`)
    if (host.version !== null && host.version !== value.from.version && host.version !== value.to.version)
      throw refuse(
        'foreign',
        `the authorisation leads from ${value.from.version}, and ${host.name} runs ${host.version}`,
      )
    verifyAuthorized(verified, { product: way.product, hostId: host.hostId, at: way.at })
  } catch (error) {
    throw isIncomplete(error) ? incomplete(error) : unverified(error)
  }
}

function isIncomplete(error: unknown): error is TrustError {
  return error instanceof TrustError && error.code === 'unsigned'
}

/** It is on its way from holder to holder: whoever brings it too early is told where it goes next. */
function incomplete(error: TrustError): CoreError {
  const { expected = '', actual = '' } = error.facts
  return new CoreError(
    'unverified',
    `the authorisation is not complete: ${error.message}`,
    {
      reason: 'unsigned',
      expected,
      actual,
      next: ["netlink-publish sign FILE --signer NAME      (where the next holder's keys are)"],
    },
    { cause: error },
  )
}

// ---- signed and kept -------------------------------------------------------------------------------------------------------------------

/**
 * Numbers begin at the seconds since 1970 and rise by one where that is not enough: a database that was restored from yesterday, or a host that was forgotten
 * and came back, never gets a number that its host has seen.
 */
async function signNext(
  { clock, bell }: AssignmentsDeps,
  director: Director,
  host: HostRow,
  direction: Direction,
  before: Kept | undefined,
): Promise<Kept> {
  const now = clock.now()
  const sequence = Math.max((before?.sequence ?? 0) + 1, Math.floor(now.getTime() / 1000))
  const { notBefore, expires, ...what } = direction
  const document = await director.sign({
    _type: 'assignment',
    schema: 'netlink.assignment/v1',
    product: bell.remembered.published.product ?? '',
    host_id: host.hostId,
    ...what,
    not_before: wireTime(notBefore),
    expires: wireTime(expires),
    sequence,
  })
  const { action, version } = direction
  return { hostId: host.hostId, sequence, action, version, expires, document, signedAt: now }
}

/** Whether it was stored: false if another one came in between. */
async function store(
  { db, clock }: AssignmentsDeps,
  host: HostRow,
  before: Kept | 'none',
  next: Kept,
  mutation: Mutation,
): Promise<boolean> {
  return db.transaction(async (tx) => {
    const [known] = await tx.select({ id: hosts.hostId }).from(hosts).where(eq(hosts.hostId, host.hostId)).for('update')
    if (!known) throw new CoreError('not-found', `there is no host ${host.hostId}`)
    const [current] = await tx.select().from(assignments).where(eq(assignments.hostId, host.hostId))
    if ((current?.sequence ?? 0) !== (before === 'none' ? 0 : before.sequence)) return false
    await tx.insert(assignments).values(next).onConflictDoUpdate({ target: assignments.hostId, set: next })
    await writeAudit(tx, clock, mutation, {
      action: next.action === 'none' ? 'host.unassign' : 'host.assign',
      subject: host.hostId,
      before: current ? auditWords(current) : null,
      after: auditWords(next),
    })
    return true
  })
}

function auditWords({ sequence, action, version, expires }: Kept) {
  return { sequence, action, version, expires: wireTime(expires) }
}

function describe(host: HostRow, kept: Kept): HostAssignment {
  // Signed and verified here before it was stored.
  const said = assignmentShape.parse(parseDocument(kept.document, 'assignment').signed)
  const { action, version, manifest_sha256, rollout, not_before, expires, sequence } = said
  const { hostId: host_id, name } = host
  const times = { not_before: wireTime(not_before), expires: wireTime(expires) }
  return { host_id, name, action, version, manifest_sha256, rollout, ...times, sequence }
}

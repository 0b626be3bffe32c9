// What the server directs this host to do, as far as it may. A document goes through two doors:
//
//   accepted   signed by the director that targets names now, for this product and host, valid now, numbered above everything seen       or refused
//   obeyed     a release that this host's channel lists with this very manifest, above what is installed, within its own policy           or refused
//
// What is not accepted changes nothing: the one before stays in force. What is accepted and can't be obeyed keeps the host where it is, and says why. An
// assignment whose time is over, or whose key targets has taken away, is none: the host goes by its own policy again.
import {
  verifyAddressed,
  verifyAssignment,
  verifyAuthorized,
  verifyDowngradeAuthorization,
} from '../keys/assignment.ts'
import { TrustError } from '../keys/trust-error.ts'
import { roleKeysOf, type VerifiedRole } from '../keys/verified.ts'
import { type Assignment, DIRECTOR } from '../schema/assignment.ts'
import type { DowngradeAuthorization } from '../schema/downgrade-authorization.ts'
import { compareVersions, type Version } from '../schema/version.ts'
import { fetchAssignment, loadOffered } from './assignment-source.ts'
import {
  type AssignmentState,
  changeAssignmentState,
  documentHash,
  loadAssignmentState,
  type RefusedAssignment,
  usedBefore,
} from './assignment-state.ts'
import { sha256Of } from './engine/layout.ts'
import type { Generation } from './engine/plan.ts'
import type { Host } from './host.ts'
import type { TrustView } from './trust.ts'

/** An assignment that names a release. */
export type Directive = Exclude<Assignment, { action: 'none' }>

export interface TakenAssignment {
  /** What is in force, null: nothing is. */
  readonly directive: Directive | null
  /** What was refused last, until a good one comes. */
  readonly refused: RefusedAssignment | null
}

export interface TakeRequest {
  /** Every time is compared with this one. */
  readonly at: Date
  /** Whether the server is asked, besides what its socket said. */
  readonly asks: boolean
}

/** Takes in what was offered since, and says what is in force. Throws TrustError `malformed` where this host's own record of assignments is damaged, PlatformError. */
export async function takeAssignment(host: Host, view: TrustView, request: TakeRequest): Promise<TakenAssignment> {
  const before = await loadAssignmentState(host)
  const offered = await loadOffered(host)
  const fetched = request.asks ? await fetchAssignment(host) : undefined
  let state = before
  if (offered !== undefined && documentHash(offered) !== before.heard)
    state = await changeAssignmentState(host, (now) => hear(host, view, request.at, now, offered))
  if (fetched !== undefined && fetched !== state.document)
    state = await changeAssignmentState(host, (now) => admit(host, view, request.at, now, fetched))
  return { directive: inForce(host, view, request.at, state), refused: state.refused }
}

/** What the socket said is said once: it stays to be looked at while its time has not come. */
function hear(host: Host, view: TrustView, at: Date, state: AssignmentState, document: string): AssignmentState {
  const next = admit(host, view, at, state, document)
  const heard = documentHash(document)
  const isEarly = next.refused?.sha256 === heard && next.refused.code === 'not-yet-valid'
  return isEarly ? next : { ...next, heard }
}

function isSameRefusal(one: RefusedAssignment, other: RefusedAssignment | null): boolean {
  return one.sha256 === other?.sha256 && one.code === other.code
}

/** The state with this document accepted, or refused. The one that is known already changes nothing. */
function admit(host: Host, view: TrustView, at: Date, state: AssignmentState, document: string): AssignmentState {
  if (document === state.document) return state
  try {
    const assignment = verifyAssignment(view.targets, Buffer.from(document, 'utf8'))
    verifyAddressed(assignment, { product: host.enrolment.product, hostId: host.enrolment.host_id, at })
    const { sequence } = assignment.value
    verifyRising(floorOf(view, state), sequence)
    return { ...state, document, floor: { sequence, keyids: assignment.signedBy.valid }, refused: null }
  } catch (error) {
    if (!(error instanceof TrustError)) throw error
    const refused = { sha256: documentHash(document), code: error.code, message: error.message.slice(0, 2_000) }
    return isSameRefusal(refused, state.refused) ? state : { ...state, refused }
  }
}

/** The greatest number seen; 0 where of the keys that it rests on targets names fewer than the director needs. As of `keys/floors.ts`. */
function floorOf(view: TrustView, { floor }: AssignmentState): number {
  if (floor === null) return 0
  const { keys, threshold } = roleKeysOf(view.targets, DIRECTOR)
  const left = keys.filter(({ keyid }) => floor.keyids.includes(keyid)).length
  return left >= threshold ? floor.sequence : 0
}

function verifyRising(floor: number, sequence: number): void {
  if (sequence > floor) return
  throw new TrustError('rollback', `rollback: assignment went from number ${floor} to number ${sequence}`, {
    expected: `more than ${floor}`,
    actual: String(sequence),
  })
}

/** What was accepted last, if its keys are still named and its time is not over. */
function inForce(host: Host, view: TrustView, at: Date, { document }: AssignmentState): Directive | null {
  if (document === null) return null
  try {
    const assignment = verifyAssignment(view.targets, Buffer.from(document, 'utf8'))
    verifyAddressed(assignment, { product: host.enrolment.product, hostId: host.enrolment.host_id, at })
    return assignment.value.action === 'none' ? null : assignment.value
  } catch (error) {
    if (error instanceof TrustError) return null
    throw error
  }
}

/** Throws TrustError `not-delegated` unless a role that may speak for it lists the version for this host's channel, `hash` unless its manifest is the one that was assigned. */
export async function verifyListed(view: TrustView, directive: Directive, offered: readonly Version[]): Promise<void> {
  const { version, manifest_sha256: expected } = directive
  if (!offered.includes(version))
    throw new TrustError('not-delegated', `assignment: ${version} is not listed for this host's channel`)
  const actual = sha256Of((await view.loadManifest(version)).bytes)
  if (actual === expected) return
  const message = `assignment: expected a manifest of ${version} with SHA-256 ${expected}, the repository lists ${actual}`
  throw new TrustError('hash', message, { expected, actual })
}

/** Throws TrustError `rollback` for a version below the installed one, `hash` if the installed one was assigned with another manifest. */
export function verifyNotOlder({ version, manifest_sha256 }: Directive, installed: Generation | null): void {
  if (installed === null) return
  if (compareVersions(version, installed.version) < 0) {
    const message = `rollback: assignment went from ${installed.version} to ${version}, and a way down has to be authorised offline`
    throw new TrustError('rollback', message, { expected: `${installed.version} or later`, actual: version })
  }
  if (version === installed.version && manifest_sha256 !== installed.manifest_sha256) {
    const message = `assignment: expected ${version} with the manifest ${installed.manifest_sha256}, which is installed, found ${manifest_sha256}`
    throw new TrustError('hash', message, { expected: installed.manifest_sha256, actual: manifest_sha256 })
  }
}

/**
 * The authorisation of a way down from what is installed: signed offline by the channel of its target, for this host, from and to exactly these manifests,
 * valid now, and not used here. Throws TrustError.
 */
export async function verifyWayDown(
  host: Host,
  view: TrustView,
  directive: Extract<Directive, { action: 'downgrade' }>,
  installed: Generation | null,
  at: Date,
): Promise<VerifiedRole<DowngradeAuthorization>> {
  const { version, manifest_sha256, authorization: text } = directive
  const authorization = verifyDowngradeAuthorization(view.targets, version, Buffer.from(text, 'utf8'))
  verifyAuthorized(authorization, { product: host.enrolment.product, hostId: host.enrolment.host_id, at })
  const { from, to, nonce } = authorization.value
  const expected = `${from.version} ${from.manifest_sha256}`
  const actual = installed ? `${installed.version} ${installed.manifest_sha256}` : 'nothing'
  if (expected !== actual)
    throw new TrustError(
      'foreign',
      `downgrade authorisation: it leads from ${expected}, and this host runs ${actual}`,
      {
        expected,
        actual,
      },
    )
  if (to.manifest_sha256 !== manifest_sha256)
    throw new TrustError(
      'hash',
      `downgrade authorisation: it is for another manifest of ${version} than was assigned`,
      {
        expected: to.manifest_sha256,
        actual: manifest_sha256,
      },
    )
  if ((await loadAssignmentState(host)).used.includes(nonce)) throw usedBefore(nonce)
  return authorization
}

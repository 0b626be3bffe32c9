// Assignments and downgrade authorisations: statements outside the repository's metadata, signed by keys that the offline-signed targets role names. A
// statement is nothing but its signature count, its shape, and whom and when it is for; whether it may be obeyed is the host's own decision.
//
//   verifyAssignment(targets, bytes)                    by the keys of the delegation `director`
//   verifyDowngradeAuthorization(targets, to, bytes)    by the keys of the channel that lists `to`
//   verifyAddressed(statement, host)                    this product, this host, now
import { type Assignment, assignmentShape, DIRECTOR, MAX_ASSIGNMENT_BYTES } from '../schema/assignment.ts'
import {
  type DowngradeAuthorization,
  downgradeAuthorizationShape,
  MAX_AUTHORIZATION_BYTES,
} from '../schema/downgrade-authorization.ts'
import type { Targets } from '../schema/metadata.ts'
import { channelOf, type Version } from '../schema/version.ts'
import { TrustError } from './trust-error.ts'
import { type VerifiedRole, verifyRole } from './verified.ts'

/** An assignment signed by the keys that this targets role delegates to `director`. Throws TrustError `not-delegated` where it names none, `unsigned`, `too-large`, `malformed`, `wrong-role`. */
export function verifyAssignment(targets: VerifiedRole<Targets>, bytes: Uint8Array): VerifiedRole<Assignment> {
  verifySize('assignment', bytes, MAX_ASSIGNMENT_BYTES)
  return verifyRole(targets, DIRECTOR, { type: 'assignment', shape: assignmentShape }, bytes)
}

/** An authorisation for a way down to `to`, signed by a threshold of the keys of its channel. Throws as `verifyAssignment`, and `wrong-version` if it is for another version. */
export function verifyDowngradeAuthorization(
  targets: VerifiedRole<Targets>,
  to: Version,
  bytes: Uint8Array,
): VerifiedRole<DowngradeAuthorization> {
  verifySize('downgrade authorisation', bytes, MAX_AUTHORIZATION_BYTES)
  const type = { type: 'downgrade-authorization', shape: downgradeAuthorizationShape }
  const authorization = verifyRole(targets, channelOf(to), type, bytes)
  const { version } = authorization.value.to
  if (version === to) return authorization
  throw new TrustError('wrong-version', `downgrade authorisation: expected one for ${to}, found one for ${version}`, {
    expected: to,
    actual: version,
  })
}

/** Whom a statement has to be for, and when. */
export interface Addressee {
  readonly product: string
  readonly hostId: string
  /** The one moment that both times are compared with. */
  readonly at: Date
}

/** Throws TrustError `foreign` for another product's or host's assignment, `expired`, `not-yet-valid`. */
export function verifyAddressed(assignment: VerifiedRole<Assignment>, addressee: Addressee): void {
  const { product, host_id } = assignment.value
  verifyProduct('assignment', addressee.product, product)
  if (host_id !== addressee.hostId) {
    throw new TrustError('foreign', `assignment: expected one for ${addressee.hostId}, found one for ${host_id}`, {
      expected: addressee.hostId,
      actual: host_id,
    })
  }
  verifyInForce('assignment', assignment.value, addressee.at)
}

/** Throws TrustError `foreign` for another product's authorisation or one that does not name this host, `expired`, `not-yet-valid`. */
export function verifyAuthorized(authorization: VerifiedRole<DowngradeAuthorization>, addressee: Addressee): void {
  const { product, hosts } = authorization.value
  verifyProduct('downgrade authorisation', addressee.product, product)
  if (!hosts.includes(addressee.hostId)) {
    const actual = hosts.join(', ')
    throw new TrustError(
      'foreign',
      `downgrade authorisation: expected one for ${addressee.hostId}, found one for ${actual}`,
      {
        expected: addressee.hostId,
        actual,
      },
    )
  }
  verifyInForce('downgrade authorisation', authorization.value, addressee.at)
}

/** Throws TrustError `expired` or `not-yet-valid`. */
function verifyInForce(subject: string, { not_before, expires }: { not_before: Date; expires: Date }, at: Date): void {
  const now = seconds(at)
  if (at < not_before) {
    const expected = seconds(not_before)
    throw new TrustError('not-yet-valid', `${subject}: it is valid from ${expected} on, and now it is ${now}`, {
      expected,
      actual: now,
    })
  }
  if (at < expires) return
  throw new TrustError('expired', `${subject}: it expired at ${seconds(expires)}, and now it is ${now}`, {
    actual: seconds(expires),
  })
}

function verifyProduct(subject: string, expected: string, actual: string): void {
  if (actual === expected) return
  throw new TrustError('foreign', `${subject}: expected the product ${expected}, found ${actual}`, { expected, actual })
}

function verifySize(subject: string, bytes: Uint8Array, maxBytes: number): void {
  if (bytes.length <= maxBytes) return
  throw new TrustError('too-large', `${subject}: expected at most ${maxBytes} bytes, found ${bytes.length}`, {
    expected: `at most ${maxBytes} bytes`,
    actual: `${bytes.length} bytes`,
  })
}

function seconds(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}

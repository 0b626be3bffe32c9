// The director signs what this server directs its hosts to do. Its key is online, named in the offline-signed targets role, and good for nothing else: an
// assignment chooses among valid newer releases, and a way down needs an authorisation from elsewhere.
import { verifyAssignment } from '../../keys/assignment.ts'
import { signDocument } from '../../keys/document.ts'
import type { JsonObject } from '../../keys/json.ts'
import type { Signer } from '../../keys/signer.ts'
import { roleKeysOf, roleTypes, trustRoot, type VerifiedRole, verifyRole } from '../../keys/verified.ts'
import { DIRECTOR } from '../../schema/assignment.ts'
import type { Targets } from '../../schema/metadata.ts'
import { unverified } from './candidate.ts'
import { CoreError } from './core-error.ts'
import type { OnlineSigners } from './online-roles.ts'
import type { Accepted } from './role-documents.ts'

export interface Director {
  /** The targets role that is published: whose keys count for what. */
  readonly targets: VerifiedRole<Targets>
  /** The signed assignment, verified as its host will do. Throws CoreError 'unverified' where that fails: it would be too long. */
  sign(assignment: JsonObject): Promise<Uint8Array>
}

/**
 * The director as hosts know it now. Throws CoreError 'conflict' where nothing is published, 'refused' with reason `not-delegated` where targets names no
 * director, or `foreign-online-keys` where it names one whose key is not here.
 */
export function openDirector(accepted: Accepted, signers: OnlineSigners): Director {
  const { root, roles } = accepted
  const document = roles.get('targets')
  if (!root || !document)
    throw new CoreError('conflict', 'nothing is published here yet: there is nothing that a host could be assigned', {
      next: ['netlink-publish init'],
    })
  const targets = verifyRole(trustRoot(root.bytes), 'targets', roleTypes.targets, document.bytes)
  const ours = decideSigners(targets, signers.director ?? [])
  return {
    targets,
    sign: async (assignment) => {
      const bytes = await signDocument(assignment, ours)
      try {
        verifyAssignment(targets, bytes)
      } catch (error) {
        throw unverified(error)
      }
      return bytes
    },
  }
}

function decideSigners(targets: VerifiedRole<Targets>, signers: readonly Signer[]): readonly Signer[] {
  const isNamed = targets.value.delegations?.roles.some(({ name }) => name === DIRECTOR) ?? false
  if (!isNamed)
    throw new CoreError('refused', 'nobody is named to sign assignments: targets delegates to no director', {
      reason: 'not-delegated',
    })
  const { keys, threshold } = roleKeysOf(targets, DIRECTOR)
  const ours = signers.filter(({ publicKey }) => keys.some(({ keyid }) => keyid === publicKey.keyid))
  if (ours.length >= threshold) return ours
  const wanted = keys.map(({ keyid }) => keyid).join(', ')
  throw new CoreError(
    'refused',
    `targets names another director than this server: expected ${threshold} of ${wanted}`,
    {
      reason: 'foreign-online-keys',
      expected: wanted,
      actual: signers.map(({ publicKey }) => publicKey.keyid).join(', ') || 'none',
    },
  )
}

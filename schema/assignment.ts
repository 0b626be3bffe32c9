// An assignment: what the server directs one host to do, signed with its online director key in the envelope of TUF metadata.
//
//   update      install this release, or stay on it: one that the channel lists, above what is installed
//   downgrade   go down to this release: only with an authorisation that was signed offline (downgrade-authorization.ts)
//   none        nothing is directed: the host goes by its own policy again
//
// It chooses among valid newer releases within the host's own policy, and never more. `sequence` rises with every assignment of a host.
import { z } from 'zod'
import { MAX_AUTHORIZATION_BYTES } from './downgrade-authorization.ts'
import { productShape, sha256Shape, timeShape } from './manifest.ts'
import { expiresShape } from './metadata.ts'
import { hostIdShape, nameShape } from './rest.ts'
import { versionShape } from './version.ts'

/** The delegated role whose key signs assignments. It is never asked about releases. */
export const DIRECTOR = 'director'
/** What the director may speak for: nothing that a release's path could match. */
export const DIRECTOR_PATHS: readonly string[] = ['assignments/*']
/** Longest assignment in bytes, an authorisation included. */
export const MAX_ASSIGNMENT_BYTES = 65_536

const sequence = z.int().min(1)
const rollout = z.string().min(1).max(128).nullable()

const common = {
  _type: z.literal('assignment'),
  schema: z.literal('netlink.assignment/v1'),
  product: productShape,
  host_id: hostIdShape,
  /** The rollout that this belongs to, in the server's own words. */
  rollout,
  not_before: expiresShape,
  expires: expiresShape,
  sequence,
}

/** The signed part. Loose: what is not known here was signed too. */
export const assignmentShape = z
  .discriminatedUnion('action', [
    z.looseObject({ ...common, action: z.literal('none'), version: z.null(), manifest_sha256: z.null() }),
    z.looseObject({ ...common, action: z.literal('update'), version: versionShape, manifest_sha256: sha256Shape }),
    z.looseObject({
      ...common,
      action: z.literal('downgrade'),
      version: versionShape,
      manifest_sha256: sha256Shape,
      /** The signed authorisation as text, byte for byte. */
      authorization: z.string().min(1).max(MAX_AUTHORIZATION_BYTES),
    }),
  ])
  .refine(({ not_before, expires }) => not_before < expires, 'expected expires after not_before')
export type Assignment = z.infer<typeof assignmentShape>

/** POST /hosts/{host}/assignments: pins the host to a version. With an authorisation it is a downgrade, else an update. */
export const newAssignmentShape = z.object({
  version: versionShape,
  rollout: rollout.default(null),
  /** When it begins to hold; now unless said otherwise. */
  not_before: timeShape.nullable().default(null),
  /** When it ends to hold; 30 days from now unless said otherwise, a year at most. */
  expires: timeShape.nullable().default(null),
  /** The text of a file that `netlink-publish authorize-downgrade` wrote. */
  authorization: z.string().min(1).max(MAX_AUTHORIZATION_BYTES).nullable().default(null),
  reason: z.string().min(1).max(2000).nullable().default(null),
})
export type NewAssignment = z.infer<typeof newAssignmentShape>

/** A host's assignment as the server signed it last. */
export const hostAssignmentShape = z.object({
  host_id: hostIdShape,
  name: nameShape,
  action: z.enum(['none', 'update', 'downgrade']),
  version: versionShape.nullable(),
  manifest_sha256: sha256Shape.nullable(),
  rollout,
  not_before: timeShape,
  expires: timeShape,
  sequence,
})
export type HostAssignment = z.infer<typeof hostAssignmentShape>

/** GET /agent/assignment: the signed document as text, null where this host was never assigned anything. */
export const agentAssignmentShape = z.object({ document: z.string().max(MAX_ASSIGNMENT_BYTES).nullable() })

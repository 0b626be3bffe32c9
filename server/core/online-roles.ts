// The two roles whose keys this server holds. A snapshot lists every targets role with version, length and hash; a timestamp the snapshot. They say
// what is current, and nothing about what is good: that is signed elsewhere.
import { createHash } from 'node:crypto'
import { signDocument } from '../../keys/document.ts'
import type { JsonObject } from '../../keys/json.ts'
import type { Signer } from '../../keys/signer.ts'
import type { Root } from '../../schema/metadata.ts'
import { CoreError } from './core-error.ts'
import type { RoleDocument } from './role-documents.ts'
import { wireTime } from './wire-time.ts'

export type OnlineRole = 'snapshot' | 'timestamp'
export interface OnlineSigners extends Readonly<Record<OnlineRole, readonly Signer[]>> {
  /** Signs assignments, no metadata. Absent where a server has no key for it. */
  readonly director?: readonly Signer[]
}

const SPEC_VERSION = '1.0.34'
export const DAY_MS = 86_400_000
/** How long each is good, in milliseconds. They are renewed when half of it has passed. */
export type Lifetimes = Readonly<Record<OnlineRole, number>>
export const DEFAULT_LIFETIMES_MS: Lifetimes = { snapshot: 7 * DAY_MS, timestamp: DAY_MS }

/** Our signers that this root names for the role. Throws CoreError 'refused' with reason `foreign-online-keys` if they cannot meet its threshold. */
export function decideSigners(root: Root, signers: OnlineSigners, role: OnlineRole): readonly Signer[] {
  const named = root.roles.get(role)
  const ours = signers[role].filter((signer) => named?.keyids.includes(signer.publicKey.keyid))
  if (named && ours.length >= named.threshold) return ours
  const wanted = signers[role].map((signer) => signer.publicKey.keyid)
  throw new CoreError(
    'refused',
    `root names other keys for ${role} than this server holds, and it could not sign: expected ${named?.threshold ?? 1} of ${wanted.join(', ')}`,
    {
      reason: 'foreign-online-keys',
      expected: wanted.join(', '),
      actual: named?.keyids.join(', ') ?? 'none',
    },
  )
}

/** The entries of a snapshot over these roles, by file name. */
export function snapshotMeta(roles: ReadonlyMap<string, RoleDocument>): JsonObject {
  const names = [...roles.keys()].sort()
  return Object.fromEntries(
    names.flatMap((name) => {
      const document = roles.get(name)
      return document
        ? [
            [
              `${name}.json`,
              { version: document.version, length: document.bytes.length, hashes: { sha256: document.sha256 } },
            ],
          ]
        : []
    }),
  )
}

export async function signSnapshot(
  signers: readonly Signer[],
  version: number,
  meta: JsonObject,
  expires: Date,
): Promise<Uint8Array> {
  return signDocument(
    { _type: 'snapshot', spec_version: SPEC_VERSION, version, expires: wireTime(expires), meta },
    signers,
  )
}

export async function signTimestamp(
  signers: readonly Signer[],
  version: number,
  snapshot: { version: number; bytes: Uint8Array },
  expires: Date,
): Promise<Uint8Array> {
  const meta = {
    'snapshot.json': {
      version: snapshot.version,
      length: snapshot.bytes.length,
      hashes: { sha256: sha256(snapshot.bytes) },
    },
  }
  return signDocument(
    { _type: 'timestamp', spec_version: SPEC_VERSION, version, expires: wireTime(expires), meta },
    signers,
  )
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

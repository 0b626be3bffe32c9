// The server's own keys, and what root and targets say of each. A planned rotation is slow on purpose: the new key is made, root names old and new, both sign
// for a while, root names the new one alone, and only then the old one goes. Hosts keep their floors, because the new key has vouched for them.
//
//   waiting   nobody names it yet
//   named     root, or targets for the director, names it: it signs
//   retired   it was named and is no longer, or a newer key of its role is: it never goes to a publisher again
//   unknown   nobody names it, and not every targets that may have named it is here: it is treated as retired, and kept
import { parseDocument } from '../../keys/document.ts'
import type { JsonObject } from '../../keys/json.ts'
import { roleKeysOf, roleTypes, trustRoot, verifyRole } from '../../keys/verified.ts'
import { DIRECTOR } from '../../schema/assignment.ts'
import { targetsShape } from '../../schema/metadata.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import type { OnlineSigners } from './online-roles.ts'
import type { Db } from './ports.ts'
import { loadAccepted, loadVersions, type RoleDocument } from './role-documents.ts'

export const onlineKeyRoles = ['timestamp', 'snapshot', DIRECTOR] as const
export type OnlineKeyRole = (typeof onlineKeyRoles)[number]

/** One key of this server. */
export interface OnlineKey {
  readonly role: OnlineKeyRole
  readonly keyid: string
  readonly state: 'waiting' | 'named' | 'retired' | 'unknown'
  /** The public half as a TUF key object. */
  readonly key: JsonObject
}

/** Every key of this server, oldest first. Without a root all of them wait. */
export async function loadOnlineKeys(db: Db, signers: OnlineSigners): Promise<readonly OnlineKey[]> {
  const known = { named: await namedNow(db), ...(await namedEver(db)) }
  return onlineKeyRoles.flatMap((role) => {
    const held = signers[role] ?? []
    const keyids = held.map(({ publicKey }) => publicKey.keyid)
    return held.map(({ publicKey: { keyid, object } }): OnlineKey => {
      return { role, keyid, state: decideState(role, keyid, keyids, known), key: object }
    })
  })
}

interface Known {
  /** `role keyid` of every key that root and targets name now. */
  readonly named: ReadonlySet<string>
  /** The same of every root and targets that is here. */
  readonly ever: ReadonlySet<string>
  /** Roles that somebody may have been named for in a document which is not here. */
  readonly gaps: ReadonlySet<OnlineKeyRole>
}

/** `held`: the keys of this role, oldest first. */
function decideState(
  role: OnlineKeyRole,
  keyid: string,
  held: readonly string[],
  { named, ever, gaps }: Known,
): OnlineKey['state'] {
  if (named.has(`${role} ${keyid}`)) return 'named'
  if (ever.has(`${role} ${keyid}`)) return 'retired'
  // Whatever the documents of old said: a key that waits to be named is newer than those that are.
  if (held.slice(held.indexOf(keyid)).some((newer) => named.has(`${role} ${newer}`))) return 'retired'
  return gaps.has(role) ? 'unknown' : 'waiting'
}

async function namedNow(db: Db): Promise<ReadonlySet<string>> {
  const { root, roles } = await loadAccepted(db)
  if (!root) return new Set()
  const trusted = trustRoot(root.bytes)
  const targets = roles.get('targets')
  const verified = targets && verifyRole(trusted, 'targets', roleTypes.targets, targets.bytes)
  const isDelegated = verified?.value.delegations?.roles.some(({ name }) => name === DIRECTOR) ?? false
  const directors = verified && isDelegated ? roleKeysOf(verified, DIRECTOR).keys.map(({ keyid }) => keyid) : []
  return new Set([...namedByRoot(root), ...directors.map((keyid) => `${DIRECTOR} ${keyid}`)])
}

/**
 * What every accepted root and targets has named. Roots are here in a row; of targets a server that was put back from a backup has only the newest, and what
 * was verified under a root of then is only read here.
 */
async function namedEver(db: Db): Promise<Pick<Known, 'ever' | 'gaps'>> {
  const [roots, targets] = [await loadVersions(db, 'root'), await loadVersions(db, 'targets')]
  const hasGap = targets.length < (targets.at(-1)?.version ?? 0)
  return {
    ever: new Set([...roots.flatMap(namedByRoot), ...targets.flatMap(namedByTargets)]),
    gaps: new Set(hasGap ? [DIRECTOR] : []),
  }
}

function namedByRoot({ bytes }: RoleDocument): string[] {
  const root = trustRoot(bytes)
  return (['timestamp', 'snapshot'] as const).flatMap((role) =>
    roleKeysOf(root, role).keys.map(({ keyid }) => `${role} ${keyid}`),
  )
}

function namedByTargets({ bytes }: RoleDocument): string[] {
  const { delegations } = parseShape(targetsShape, parseDocument(bytes, 'targets').signed, 'targets')
  const directors = delegations?.roles.filter(({ name }) => name === DIRECTOR) ?? []
  return directors.flatMap(({ keyids }) => keyids.map((keyid) => `${DIRECTOR} ${keyid}`))
}

// The server's own keys, and what root says of each. A planned rotation is slow on purpose: the new key is made, root names old and new, both sign for a
// while, root names the new one alone, and only then the old one goes. Hosts keep their floors, because the new key has vouched for them.
//
//   waiting   root does not name it yet
//   named     root names it: it signs
//   retired   root has named it and does not any more
import type { JsonObject } from '../../keys/json.ts'
import { roleKeysOf, roleTypes, trustRoot, verifyRole } from '../../keys/verified.ts'
import { DIRECTOR } from '../../schema/assignment.ts'
import type { OnlineSigners } from './online-roles.ts'
import type { Db } from './ports.ts'
import { loadAccepted, loadVersions } from './role-documents.ts'

export const onlineKeyRoles = ['timestamp', 'snapshot', DIRECTOR] as const
export type OnlineKeyRole = (typeof onlineKeyRoles)[number]

/** One key of this server. */
export interface OnlineKey {
  readonly role: OnlineKeyRole
  readonly keyid: string
  readonly state: 'waiting' | 'named' | 'retired'
  /** The public half as a TUF key object. */
  readonly key: JsonObject
}

/** Every key of this server, oldest first. Without a root all of them wait. */
export async function loadOnlineKeys(db: Db, signers: OnlineSigners): Promise<readonly OnlineKey[]> {
  const named = await namedKeys(db, 'now')
  const before = await namedKeys(db, 'ever')
  return onlineKeyRoles.flatMap((role) =>
    (signers[role] ?? []).map(({ publicKey: { keyid, object } }): OnlineKey => {
      const isNamed = named.has(`${role} ${keyid}`)
      const state = isNamed ? 'named' : before.has(`${role} ${keyid}`) ? 'retired' : 'waiting'
      return { role, keyid, state, key: object }
    }),
  )
}

/** `role keyid` of every key that the present root and targets name, or that any accepted one has named. */
async function namedKeys(db: Db, when: 'now' | 'ever'): Promise<ReadonlySet<string>> {
  const accepted = await loadAccepted(db)
  const roots = when === 'ever' ? await loadVersions(db, 'root') : accepted.root ? [accepted.root] : []
  const found = new Set<string>()
  for (const { bytes } of roots) {
    const root = trustRoot(bytes)
    for (const role of ['timestamp', 'snapshot'] as const)
      for (const { keyid } of roleKeysOf(root, role).keys) found.add(`${role} ${keyid}`)
  }
  const targets = accepted.roles.get('targets')
  if (accepted.root && targets) {
    const verified = verifyRole(trustRoot(accepted.root.bytes), 'targets', roleTypes.targets, targets.bytes)
    const isDelegated = verified.value.delegations?.roles.some(({ name }) => name === DIRECTOR)
    if (isDelegated) for (const { keyid } of roleKeysOf(verified, DIRECTOR).keys) found.add(`${DIRECTOR} ${keyid}`)
  }
  return found
}

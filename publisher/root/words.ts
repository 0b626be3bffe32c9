// Who may sign, in words: as it is, as it would be, and who still has to sign.
import { DIRECTOR } from '../../schema/assignment.ts'
import type { JsonObject } from '../../schema/json-value.ts'
import type { HolderRole } from '../config.ts'
import { missingWords } from '../signing.ts'
import type { Forced, RootStanding } from './change.ts'
import { holderRoles, keysNamedFor, roleKeysInRoot, roleKeysInTargets } from './edit.ts'

interface Signed {
  readonly root: JsonObject
  readonly targets: JsonObject
}

type NameOf = (keyid: string) => string

/** Who may sign for a role: their names, the beginnings of their key ids, how many are needed. */
export interface RoleHolders {
  readonly role: string
  readonly threshold: number
  readonly keys: readonly { readonly keyid: string; readonly name: string }[]
}

/** Every role that people sign, then those of the server; the director where targets names one. */
export function describeRoles(document: Signed, nameOf: NameOf): readonly RoleHolders[] {
  const people = holderRoles.map((role): RoleHolders => {
    const keys = keysNamedFor(document, role).map(({ keyid }) => ({ keyid, name: nameOf(keyid) }))
    return { role, threshold: thresholdOf(document, role), keys }
  })
  const online = (['snapshot', 'timestamp'] as const).map((role): RoleHolders => {
    const { keys, threshold } = roleKeysInRoot(document.root, role)
    return { role, threshold, keys: keys.map(({ keyid }) => ({ keyid, name: 'server' })) }
  })
  const director = roleKeysInTargets(document.targets, DIRECTOR)
  const named = director && {
    role: DIRECTOR,
    threshold: director.threshold,
    keys: director.keys.map(({ keyid }) => ({ keyid, name: 'server' })),
  }
  return [...people, ...online, ...(named ? [named] : [])]
}

function thresholdOf(document: Signed, role: HolderRole): number {
  if (role === 'root') return roleKeysInRoot(document.root, 'root').threshold
  return roleKeysInTargets(document.targets, role)?.threshold ?? 0
}

/** As much of a key id as people compare; the server's `keys list` shows as much. Half of it could be made to match. */
function shortId(keyid: string): string {
  return keyid.slice(0, 16)
}

/** A line for each role: `root      2 of 3   alice 1a2b3c4d5e6f7081, bob …`. */
export function rolesWords(roles: readonly RoleHolders[]): string {
  return roles
    .map(({ role, threshold, keys }) => {
      const who = keys.map(({ keyid, name }) => `${name} ${shortId(keyid)}`).join(', ')
      return `${role.padEnd(10)} ${`${threshold} of ${keys.length}`.padEnd(8)} ${who}`
    })
    .join('\n')
}

/** What a change does, a line each: `root: + dave 1a2b3c4d5e6f7081`, `alpha: threshold 1 -> 2`. */
export function changeWords(before: Signed, after: Signed, nameOf: NameOf): readonly string[] {
  const [then, now] = [describeRoles(before, nameOf), describeRoles(after, nameOf)]
  const names = new Set([...then, ...now].map(({ role }) => role))
  return [...names].flatMap((role) => {
    const [was, is] = [then, now].map((roles) => roles.find((one) => one.role === role))
    const keysOf = (one: RoleHolders | undefined) => one?.keys ?? []
    const added = keysOf(is).filter(({ keyid }) => !keysOf(was).some((key) => key.keyid === keyid))
    const gone = keysOf(was).filter(({ keyid }) => !keysOf(is).some((key) => key.keyid === keyid))
    return [
      ...(is === undefined ? [`${role}: nobody signs for it any more`] : []),
      ...added.map(({ keyid, name }) => `${role}: + ${name} ${shortId(keyid)}`),
      ...gone.map(({ keyid, name }) => `${role}: - ${name} ${shortId(keyid)}`),
      ...(was && is && was.threshold !== is.threshold
        ? [`${role}: threshold ${was.threshold} -> ${is.threshold}`]
        : []),
    ]
  })
}

/** Roles that nobody edited and that must be signed all the same. */
export function forcedWords(forced: readonly Forced[]): readonly string[] {
  return forced.map(({ role, reason }) => `${role} has to be signed again: ${reason}`)
}

/** Who has signed what: `root v2 by present keys   1 of 2, have alice, missing one of bob, carol`. */
export function standingLines(standings: readonly RootStanding[]): readonly string[] {
  return standings.map(({ role, version, by, have, missing, threshold, complete }) => {
    const what = `${role} v${version}${by === null ? '' : ` by ${by}`}`
    const left = complete ? '' : `, missing ${missingWords(threshold - have.length, missing)}`
    const who = have.length === 0 ? 'signed by nobody yet' : `have ${have.join(', ')}`
    return `${what}: ${have.length} of ${threshold}, ${who}${left}`
  })
}

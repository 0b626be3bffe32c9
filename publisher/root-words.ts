// Who may sign, in words: as it is, as it would be, and who still has to sign.
import type { JsonObject } from '../schema/json-value.ts'
import type { HolderRole } from './config.ts'
import type { Forced, RootStanding } from './root-change.ts'
import { holderRoles, keysNamedFor, roleKeysInRoot, roleKeysInTargets } from './root-edit.ts'

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

/** Every role that people sign, then those of the server. */
export function describeRoles(document: Signed, nameOf: NameOf): readonly RoleHolders[] {
  const people = holderRoles.map((role): RoleHolders => {
    const keys = keysNamedFor(document, role).map(({ keyid }) => ({ keyid, name: nameOf(keyid) }))
    return { role, threshold: thresholdOf(document, role), keys }
  })
  const online = (['snapshot', 'timestamp'] as const).map((role): RoleHolders => {
    const { keys, threshold } = roleKeysInRoot(document.root, role)
    return { role, threshold, keys: keys.map(({ keyid }) => ({ keyid, name: 'server' })) }
  })
  return [...people, ...online]
}

function thresholdOf(document: Signed, role: HolderRole): number {
  if (role === 'root') return roleKeysInRoot(document.root, 'root').threshold
  return roleKeysInTargets(document.targets, role)?.threshold ?? 0
}

/** A line for each role: `root      2 of 3   alice 1a2b3c4d, bob …`. */
export function rolesWords(roles: readonly RoleHolders[]): string {
  return roles
    .map(({ role, threshold, keys }) => {
      const who = keys.map(({ keyid, name }) => `${name} ${keyid.slice(0, 8)}`).join(', ')
      return `${role.padEnd(10)} ${`${threshold} of ${keys.length}`.padEnd(8)} ${who}`
    })
    .join('\n')
}

/** What a change does, a line each: `root: + dave 1a2b3c4d`, `alpha: threshold 1 -> 2`. */
export function changeWords(before: Signed, after: Signed, nameOf: NameOf): readonly string[] {
  const now = describeRoles(after, nameOf)
  return describeRoles(before, nameOf).flatMap(({ role, threshold, keys }) => {
    const next = now.find((one) => one.role === role)
    if (next === undefined) return [`${role}: nobody signs for it any more`]
    const added = next.keys.filter(({ keyid }) => !keys.some((key) => key.keyid === keyid))
    const gone = keys.filter(({ keyid }) => !next.keys.some((key) => key.keyid === keyid))
    return [
      ...added.map(({ keyid, name }) => `${role}: + ${name} ${keyid.slice(0, 8)}`),
      ...gone.map(({ keyid, name }) => `${role}: - ${name} ${keyid.slice(0, 8)}`),
      ...(threshold === next.threshold ? [] : [`${role}: threshold ${threshold} -> ${next.threshold}`]),
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
    return `${what}: ${have.length} of ${threshold}, have ${have.join(', ') || 'none'}${left}`
  })
}

function missingWords(left: number, missing: readonly string[]): string {
  return left >= missing.length ? missing.join(' and ') : `${left} of ${missing.join(', ')}`
}

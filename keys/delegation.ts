import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import type { DelegatedRole } from '../schema/metadata.ts'
import { matchesPattern } from './path-pattern.ts'
import { TrustError } from './trust-error.ts'

export interface DelegationDecision {
  /** The roles that may speak for the path, in the order to ask them. */
  readonly names: readonly string[]
  /** Nobody else may be asked afterwards, not even roles that are waiting already. */
  readonly terminating: boolean
}

/** Whom a targets role sends us to for a path (TUF 5.6.7.2): the matching delegations in their order, up to the first terminating one. */
export function decideDelegations(roles: readonly DelegatedRole[], path: string): DelegationDecision {
  const matching = roles.filter((role) => maySpeakFor(role, path))
  const last = matching.findIndex((role) => role.terminating)
  const asked = last < 0 ? matching : matching.slice(0, last + 1)
  return { names: asked.map((role) => role.name), terminating: last >= 0 }
}

function maySpeakFor({ paths, path_hash_prefixes: prefixes }: DelegatedRole, path: string): boolean {
  if (paths) return paths.some((pattern) => matchesPattern(pattern, path))
  const digest = bytesToHex(sha256(new TextEncoder().encode(path)))
  return prefixes?.some((prefix) => digest.startsWith(prefix)) ?? false
}

/**
 * Throws TrustError `malformed` unless this is a plain relative path: no empty, `.` or `..` segment (percent-encoded neither), no backslash, no control
 * character. Nobody derives a file name from anything else.
 */
export function verifyTargetPath(path: string): void {
  const bad = (segment: string) => segment === '' || /^(\.|%2e){1,2}$/i.test(segment) || /[\\\p{Cc}]/u.test(segment)
  if (path.split('/').some(bad)) {
    throw new TrustError('malformed', `expected a plain relative target path, found ${JSON.stringify(path)}`, { path })
  }
}

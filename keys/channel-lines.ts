// What a channel role may delegate: older releases of its own, to line roles that are at least as hard to sign for as the channel itself. TUF lets a role
// delegate whatever it may speak for to whomever it names, by a threshold of its own choosing. In a channel that would be a way round its threshold: one
// delegation that nobody noticed when it was signed, `alpha-9` to one holder's key for `alpha/*/manifest.json`, and that key alone releases from then on.
//
//   verifyLines   every delegation of a channel role is a line of this channel, as publishers make them
//   verifyLine    a line role lists releases of its block and delegates nothing
//
// The rule is ours, not TUF's: it is asked wherever a channel's role is read (Trusted.loadChannel) and a release is looked up (Trusted.findRelease).
import type { DelegatedRole, Targets } from '../schema/metadata.ts'
import { lineRolePatterns, parseLineRoleName } from '../schema/release-path.ts'
import { ShapeError } from '../schema/shape-error.ts'
import type { RoleKeys } from './threshold.ts'
import { TrustError } from './trust-error.ts'
import { roleKeysOf, type VerifiedRole } from './verified.ts'

/**
 * Throws TrustError `bad-delegation` unless everything that this channel role delegates is a line of its channel: named `<channel>-<major>-<block>`, for the
 * paths of that block, terminating, signed by keys of the channel alone and by no fewer than the channel needs. `targets` is the role above it, which says whose
 * keys those are. Fewer keys or a higher threshold than the channel's are no harm, and are there between adding a holder and the channel's next edit.
 */
export function verifyLines(targets: VerifiedRole<Targets>, channelRole: VerifiedRole<Targets>): void {
  const { role: channel, value } = channelRole
  const keys = roleKeysOf(targets, channel)
  for (const line of value.delegations?.roles ?? []) {
    const wrong = wrongWith(channel, keys, line)
    if (wrong !== undefined) throw badDelegation(channel, line.name, wrong)
  }
}

/** Throws TrustError `bad-delegation` if a line role delegates anything. */
export function verifyLine({ role, value }: VerifiedRole<Targets>): void {
  const [first] = value.delegations?.roles ?? []
  if (first !== undefined) throw badDelegation(role, first.name, 'a line of releases delegates nothing')
}

function wrongWith(channel: string, keys: RoleKeys, line: DelegatedRole): string | undefined {
  if (channelOfLine(line.name) !== channel) return `expected a line of ${channel}, as in ${channel}-0-50`
  if (line.paths === undefined || !isSame(line.paths, lineRolePatterns(line.name)))
    return 'it is for other paths than those of its block'
  if (!line.terminating) return 'it is not terminating'
  const known = keys.keys.map(({ keyid }) => keyid)
  if (line.keyids.some((keyid) => !known.includes(keyid))) return `keys may sign for it that are not keys of ${channel}`
  if (line.threshold < keys.threshold)
    return `${line.threshold} of its keys are enough, and ${channel} needs ${keys.threshold}`
  return undefined
}

function channelOfLine(name: string): string | undefined {
  try {
    return parseLineRoleName(name).channel
  } catch (error) {
    if (error instanceof ShapeError) return undefined
    throw error
  }
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((pattern, index) => pattern === other[index])
}

function badDelegation(role: string, name: string, wrong: string): TrustError {
  const message = `${role} delegates to ${JSON.stringify(name)}: ${wrong}`
  return new TrustError('bad-delegation', message, { role, actual: name })
}

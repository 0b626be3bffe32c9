// Who says what about a file: from a verified targets role down to the role that lists it. Roles are loaded on the way, verified by whoever loads them.
//
//   findRelease   a version's manifest: its channel by name, then that channel's line          what is installed
//   findTarget    any path: the search of TUF 5.6.7, in any repository                         what other TUF clients see
import { type ChannelRole, channelRoleShape, type Root, type Targets } from '../schema/metadata.ts'
import { lineRoleName, manifestPath } from '../schema/release-path.ts'
import { type Channel, channelOf, type Version } from '../schema/version.ts'
import { verifyLine, verifyLines } from './channel-lines.ts'
import { decideDelegations, verifyTargetPath } from './delegation.ts'
import { TrustError } from './trust-error.ts'
import {
  type Delegator,
  readRole,
  targetIn,
  type Verified,
  type VerifiedRole,
  type VerifiedTarget,
} from './verified.ts'

/** The role of this name as it is now, verified with the keys that this delegator names for it; targets, as any other, by root. */
export type LoadRole = (name: string, delegator: Delegator) => Promise<VerifiedRole<Targets>>

/** The channel's own role. Throws TrustError as Trusted.loadChannel. */
export async function loadChannel(
  load: LoadRole,
  targets: VerifiedRole<Targets>,
  channel: Channel,
): Promise<Verified<ChannelRole>> {
  return readChannel(await loadChannelRole(load, targets, channel), channel)
}

/** The role as it delegates, and nothing but its lines. */
async function loadChannelRole(
  load: LoadRole,
  targets: VerifiedRole<Targets>,
  channel: Channel,
): Promise<VerifiedRole<Targets>> {
  const role = await load(channel, targets)
  verifyLines(targets, role)
  return role
}

function readChannel(verified: VerifiedRole<Targets>, channel: Channel): VerifiedRole<ChannelRole> {
  const role = readRole(verified, channelRoleShape)
  const { name } = role.value.channel
  if (name === channel) return role
  throw new TrustError('wrong-role', `${channel}: expected the channel ${channel}, found ${name}`, {
    role: channel,
    expected: channel,
    actual: name,
  })
}

/**
 * Down from targets by name, never by a search: its channel, then the one line that may hold it. Each may speak for no other path than it was given. Throws
 * TrustError as Trusted.findRelease.
 */
export async function findRelease(
  load: LoadRole,
  targets: VerifiedRole<Targets>,
  version: Version,
): Promise<VerifiedTarget> {
  const path = manifestPath(version)
  const channel = channelOf(version)
  requireDelegated(targets, channel, path)
  const role = await loadChannelRole(load, targets, channel)
  readChannel(role, channel)
  const listed = targetIn(role, path)
  if (listed) return listed
  const name = lineRoleName(version)
  requireDelegated(role, name, path)
  const line = await load(name, role)
  verifyLine(line)
  const held = targetIn(line, path)
  if (held) return held
  throw notListed(path, `by ${channel} or ${name}`)
}

function requireDelegated({ role, value }: VerifiedRole<Targets>, name: string, path: string): void {
  const named = value.delegations?.roles.find((candidate) => candidate.name === name)
  if (named === undefined || decideDelegations([named], path).names.length === 0)
    throw notListed(path, `by ${role}, nor delegated to ${name}`)
}

/** TUF 5.6.7: pre-order, depth first, each role once, at most `most` of them. A role that can't be verified ends the search; it is not passed over. */
export async function findTarget(
  load: LoadRole,
  { root, most }: { root: VerifiedRole<Root>; most: number },
  path: string,
): Promise<VerifiedTarget> {
  verifyTargetPath(path)
  const visited = new Set<string>()
  const pending: { readonly name: string; readonly delegator: Delegator }[] = [{ name: 'targets', delegator: root }]
  for (let step = pending.pop(); step !== undefined; step = pending.pop()) {
    if (visited.has(step.name)) continue
    if (visited.size === most) throw notListed(path, `in the first ${visited.size} roles`)
    const role = await load(step.name, step.delegator)
    const target = targetIn(role, path)
    if (target) return target
    visited.add(step.name)
    const { names, terminating } = decideDelegations(role.value.delegations?.roles ?? [], path)
    if (terminating) pending.length = 0
    pending.push(...names.map((name) => ({ name, delegator: role })).reverse())
  }
  throw notListed(path, 'by any role that may speak for it')
}

function notListed(path: string, where: string): TrustError {
  return new TrustError('not-delegated', `${path} is not listed ${where}`, { path })
}

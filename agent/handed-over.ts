// How new the repository has to be that a host enrols with. A new host has no floors yet, so whoever stands between it and its server with a stolen snapshot and
// timestamp key could show it yesterday's repository. Against the newest role of its channel, signed offline, it has to be at least as new. The server hands one over
// with the enrolment; and whoever brings the token may bring one too, from the holders, which holds against the server as well.
// Gap: a server that is itself in an attacker's hands hands over an old one. A host that was given none then begins with what was newest at any time since root, targets
// and the channel's role of that time were signed and until one of them expires. From the first enrolment on the floors of its trust hold.
import { buildHttpSource } from '../keys/http-source.ts'
import { DEFAULT_LIMITS } from '../keys/limits.ts'
import type { Fetcher } from '../keys/platform/fetch.ts'
import { refresh, type Trusted } from '../keys/refresh.ts'
import { TrustError } from '../keys/trust-error.ts'
import { readRole, roleTypes, verifyRole } from '../keys/verified.ts'
import { type ChannelRole, channelRoleShape } from '../schema/metadata.ts'
import type { Channel, Version } from '../schema/version.ts'
import { verifyGiven } from './given-file.ts'
import type { Machine } from './machine.ts'
import { repositoryUrl } from './trust.ts'
import { buildHostTrustStore } from './trust-folder.ts'

/** What was accepted at this very moment is published in the next one. */
const PUBLISHING_MS = 2_000

/** A signed document of this channel's role, and who brought it. */
export interface HandedRole {
  readonly channel: Channel
  readonly role: string
  readonly by: 'the server' | '--minimum-role'
  /** Where it lies, as whoever brought it said. */
  readonly file?: string
}

/**
 * Refuses a server that hands over nothing although its own repository has a role of this channel. Throws TrustError `missing`. A role too long for the answer
 * is not handed over by any server.
 */
export async function refuseWithheld(trusted: Trusted, channel: Channel): Promise<void> {
  const here = await trusted.loadChannel(channel).catch((error: unknown) => {
    if (error instanceof TrustError && (error.code === 'not-delegated' || error.code === 'missing')) return undefined
    throw error
  })
  if (here === undefined || here.bytes.length > MAX_HANDED_BYTES) return
  throw new TrustError('missing', `${channel}: the server handed over no role although its repository has one`, {
    role: channel,
  })
}

/** As the server has it: longer ones would not fit into its answer. */
const MAX_HANDED_BYTES = 524_288

/**
 * The signed minimum of the channel, once the repository proved to be as new as what was handed over. Throws TrustError `rollback` where it is older, and
 * whatever is wrong with the document. What it saw becomes the floors of the trust in this folder, whose lock the caller holds.
 */
export async function verifyHandedOver(
  { disk, clock }: Machine,
  fetcher: Fetcher,
  { server, folder }: { readonly server: string; readonly folder: string },
  handed: HandedRole,
): Promise<Version | null> {
  const store = buildHostTrustStore(disk, folder)
  const source = buildHttpSource(fetcher, repositoryUrl(server, 'metadata'))
  const look = async () => compare(await refresh({ source, store, startedAt: clock.now() }), handed)
  return look().catch(async (error: unknown) => {
    if (!(error instanceof TrustError && error.code === 'rollback')) throw error
    await clock.sleep(PUBLISHING_MS)
    return look()
  })
}

async function compare(trusted: Trusted, document: HandedRole): Promise<Version | null> {
  const { channel, by } = document
  const handed = verifyDocument(trusted, document)
  const here = (await trusted.loadChannel(channel)).value
  if (here.version >= handed.version) return here.channel.minimum
  const message = `rollback: ${channel} went from v${handed.version}, which ${by} handed over, to v${here.version}`
  throw new TrustError('rollback', message, {
    role: channel,
    expected: `v${handed.version} or later`,
    actual: `v${here.version}`,
  })
}

function verifyDocument(trusted: Trusted, { channel, role, by, file }: HandedRole): ChannelRole {
  const bytes = Buffer.from(role, 'utf8')
  const verify = () => {
    if (bytes.length > DEFAULT_LIMITS.targetsBytes)
      throw new TrustError('too-large', `${channel}: ${by} handed over ${bytes.length} bytes`, { role: channel })
    return readRole(verifyRole(trusted.targets, channel, roleTypes.targets, bytes), channelRoleShape).value
  }
  if (file === undefined) return verify()
  const expected = `the role of channel ${channel} of ${trusted.product ?? 'this product'}, as in the publisher's repository/${channel}.json`
  return verifyGiven({ words: `${by} ${file}`, expected }, bytes, verify)
}

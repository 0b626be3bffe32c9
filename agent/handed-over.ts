// What the server hands over when a host enrols: the newest role of its channel, signed offline. A new host has no floors yet, so whoever stands between, with
// a stolen snapshot and timestamp key, could show it yesterday's repository; against this document it has to be at least as new. Its `minimum` counts from then on.
// Gap: a server that is itself in an attacker's hands hands over an old one. Then the root that was brought to the host, and the roles' expiry, are what is left.
import { buildHttpSource } from '../keys/http-source.ts'
import { DEFAULT_LIMITS } from '../keys/limits.ts'
import type { Fetcher } from '../keys/platform/fetch.ts'
import { refresh, type Trusted } from '../keys/refresh.ts'
import { TrustError } from '../keys/trust-error.ts'
import { readRole, roleTypes, verifyRole } from '../keys/verified.ts'
import { channelRoleShape } from '../schema/metadata.ts'
import type { Channel, Version } from '../schema/version.ts'
import type { Machine } from './machine.ts'
import { repositoryUrl } from './trust.ts'
import { buildHostTrustStore } from './trust-folder.ts'

/** What was accepted at this very moment is published in the next one. */
const PUBLISHING_MS = 2_000

/**
 * The signed minimum of the channel, once the repository proved to be as new as what was handed over. Throws TrustError `rollback` where it is older, and
 * whatever is wrong with the document. What it saw becomes the floors of the trust in this folder, whose lock the caller holds.
 */
export async function verifyHandedOver(
  { disk, clock }: Machine,
  fetcher: Fetcher,
  { server, folder }: { readonly server: string; readonly folder: string },
  handed: { readonly channel: Channel; readonly role: string },
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

async function compare(
  trusted: Trusted,
  { channel, role }: { channel: Channel; role: string },
): Promise<Version | null> {
  const bytes = Buffer.from(role, 'utf8')
  if (bytes.length > DEFAULT_LIMITS.targetsBytes)
    throw new TrustError('too-large', `${channel}: the server handed over ${bytes.length} bytes`, { role: channel })
  const handed = readRole(verifyRole(trusted.targets, channel, roleTypes.targets, bytes), channelRoleShape).value
  const here = (await trusted.loadChannel(channel)).value
  if (here.version >= handed.version) return here.channel.minimum
  const message = `rollback: ${channel} went from v${handed.version}, which the server handed over, to v${here.version}`
  throw new TrustError('rollback', message, {
    role: channel,
    expected: `v${handed.version} or later`,
    actual: `v${here.version}`,
  })
}

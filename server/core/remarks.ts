// What a channel says of its releases beyond listing them: that one is a barrier, or a dead end. Publishers write it when they list a release whose manifest
// says so, and no command takes it back: whoever signed for a channel once could otherwise keep every host where it is, for good.
import { parseDocument } from '../../keys/document.ts'
import type { Manifest } from '../../schema/manifest.ts'
import { type ChannelRole, channelRoleShape } from '../../schema/metadata.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import type { Channel } from '../../schema/version.ts'
import { CoreError } from './core-error.ts'
import type { Accepted } from './role-documents.ts'

const LISTS = [
  { list: 'barriers', fact: 'barrier' },
  { list: 'dead_ends', fact: 'dead_end' },
] as const

/** Throws CoreError 'refused' for a remark that was not there before and that no manifest which comes along says. */
export function checkRemarks(
  accepted: Accepted,
  channelRoles: ReadonlyMap<Channel, ChannelRole>,
  manifests: readonly Manifest[],
): void {
  for (const [channel, role] of channelRoles) {
    const before = remarksBefore(accepted, channel)
    for (const { list, fact } of LISTS)
      for (const { version } of role.channel[list]) {
        const isOld = before?.[list].some((one) => one.version === version)
        if (isOld || manifests.some((one) => one.version === version && one.compatibility[fact] !== null)) continue
        throw new CoreError(
          'refused',
          `${channel} lists ${version} under ${list}, and its manifest says nothing of it`,
          {
            reason: 'wrong-remark',
            actual: version,
          },
        )
      }
  }
}

function remarksBefore(accepted: Accepted, channel: Channel): ChannelRole['channel'] | undefined {
  const bytes = accepted.roles.get(channel)?.bytes
  return bytes && parseShape(channelRoleShape, parseDocument(bytes, channel).signed, channel).channel
}

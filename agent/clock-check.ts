// A clock that was set back makes what has expired look good again. How far the repository has come is known by its versions (floors), so what is shown is at least
// as new as what this host saw last, and with it come times that the channel's holders signed: when each release was made. A clock far before the latest of them is
// wrong, and nothing that depends on it is believed.
//
// The holders' clock may have been the wrong one. A release that they withdraw does not count, so that one wrong time does not stop hosts for good.
import { TrustError } from '../keys/trust-error.ts'
import type { ChannelRole } from '../schema/metadata.ts'
import { utcSecond } from './utc-second.ts'

/** Clocks of different machines are never quite the same, and one that is set to the wrong zone is hours away. */
const TOLERANCE_MS = 86_400_000

/** Throws TrustError `not-yet-valid` where this role was signed later than this machine thinks it is. */
export function verifyClock({ channel, targets }: ChannelRole, now: Date): void {
  const withdrawn = new Set(channel.withdrawn.map(({ version }) => version))
  for (const { custom } of targets.values()) {
    const { version, released_at } = custom
    if (withdrawn.has(version) || Date.parse(released_at) - now.getTime() <= TOLERANCE_MS) continue
    const actual = utcSecond(now)
    const message =
      `${channel.name} has had ${version} since ${released_at}, and this machine's clock says ${actual}: the clock is behind, or its holders' was ahead and they ` +
      'have to withdraw that release'
    throw new TrustError('not-yet-valid', message, { role: channel.name, expected: `${released_at} or later`, actual })
  }
}

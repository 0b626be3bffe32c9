import { saveBrake } from '../brake.ts'
import type { Host } from '../host.ts'
import { saveStanding } from '../standing.ts'
import { HostForgotten, sendReports } from './http.ts'

const DEADLINE_MS = 3_000

/**
 * Sends what waits in the outbox, if the server answers at once. Never rejects: what could not be sent stays there for the daemon or the next command.
 * `forgotten`: the server does not know this host any more, which is remembered for `agent status`; a person has to enrol it again.
 */
export async function flushReports(host: Host): Promise<'sent' | 'kept' | 'forgotten'> {
  const { fetcher, clock, enrolment, key, outbox } = host
  try {
    const brake = await sendReports(
      { fetcher, clock, server: enrolment.server, hostId: enrolment.host_id, key, outbox },
      DEADLINE_MS,
    )
    if (brake) await saveBrake(host.disk, host.files, enrolment, brake)
    await saveStanding(host, enrolment, 'known')
    return 'sent'
  } catch (error) {
    if (!(error instanceof HostForgotten)) return 'kept' // the outbox is what makes this harmless
    await saveStanding(host, enrolment, 'forgotten').catch(() => undefined) // it is told now, and found out again
    return 'forgotten'
  }
}

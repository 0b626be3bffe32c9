import { saveBrake } from '../brake.ts'
import type { Host } from '../host.ts'
import { sendReports } from './http.ts'

const DEADLINE_MS = 3_000

/** Sends what waits in the outbox, if the server answers at once. Never rejects: what could not be sent stays there for the daemon or the next command. */
export async function flushReports(host: Host): Promise<'sent' | 'kept'> {
  const { fetcher, clock, enrolment, key, outbox } = host
  try {
    const brake = await sendReports(
      { fetcher, clock, server: enrolment.server, hostId: enrolment.host_id, key, outbox },
      DEADLINE_MS,
    )
    if (brake) await saveBrake(host.disk, host.files, brake)
    return 'sent'
  } catch {
    return 'kept' // the outbox is what makes this harmless
  }
}

// Whether the server still knows this host. It may forget hosts, and a host learns that from being refused: over the socket, or with its reports. Nothing
// that is installed depends on it, but a person has to enrol the host again before anything of it is heard.
import { removeDurable } from '../keys/platform/durable.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import type { Enrolment } from './enrolment.ts'
import type { Machine } from './machine.ts'
import { optionalTextIn, recordOf } from './record.ts'
import { loadState, saveState } from './state-file.ts'
import { utcSecond } from './utc-second.ts'

type Place = Pick<Machine, 'disk' | 'files'>
type Who = Pick<Enrolment, 'host_id' | 'enrolled_at'>

/** Since when the server says that it does not know this host (UTC, one second's resolution), null if it does not say so. */
export async function loadForgotten({ disk, files }: Place, who: Who): Promise<string | null> {
  try {
    const value = await loadState(disk, files.standing)
    if (value === undefined) return null
    const record = recordOf(value, files.standing)
    // What was said of another enrolment says nothing of this one.
    const isOurs = record.fields.host_id === who.host_id && record.fields.enrolled_at === who.enrolled_at
    return isOurs ? optionalTextIn(record, 'forgotten_at') : null
  } catch (error) {
    if (error instanceof PlatformError) throw error
    return null // the server says it again
  }
}

/** Remembers what the server said; written only where that is news. */
export async function saveStanding(
  machine: Place & Pick<Machine, 'clock'>,
  { host_id, enrolled_at }: Who,
  standing: 'known' | 'forgotten',
): Promise<void> {
  const { disk, files, clock } = machine
  const before = await loadForgotten(machine, { host_id, enrolled_at })
  if (standing === 'known') {
    if (before !== null) await removeDurable(disk, files.standing)
  } else if (before === null) {
    await saveState(disk, files.standing, { host_id, enrolled_at, forgotten_at: utcSecond(clock.now()) })
  }
}

/** How a forgotten host comes back. It keeps its key, so to the server it is the same host again. */
export function enrolAgain(server: string): string {
  return `netlink agent enroll --force --server ${server} --token-file FILE --trust-root FILE`
}

export const FORGOTTEN_WORDS = 'the server has forgotten this host'

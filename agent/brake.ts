import type { Disk } from '../keys/platform/disk.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import type { Brake } from '../schema/protocol.ts'
import type { AgentFiles } from './config.ts'
import { type Enrolment, partiesOf } from './enrolment.ts'
import { booleanIn, optionalTextIn, recordOf } from './record.ts'
import { loadState, saveState } from './state-file.ts'

type Who = Pick<Enrolment, 'host_id' | 'server'>

const RELEASED: Brake = { paused: false, reason: null, since: null }

/**
 * What the server last said to this host about the fleet's brake. It can only delay, so a file that can't be read counts as no brake: the server says it
 * again. What another server said, or this one to another host, does not count.
 */
export async function loadBrake(disk: Disk, files: AgentFiles, who: Who | undefined): Promise<Brake> {
  try {
    const value = await loadState(disk, files.brake)
    if (value === undefined) return RELEASED
    const record = recordOf(value, files.brake)
    if (!who || record.fields.parties !== partiesOf(who)) return RELEASED
    return {
      paused: booleanIn(record, 'paused'),
      reason: optionalTextIn(record, 'reason'),
      since: optionalTextIn(record, 'since'),
    }
  } catch (error) {
    if (error instanceof PlatformError) throw error
    return RELEASED
  }
}

export async function saveBrake(disk: Disk, files: AgentFiles, who: Who, brake: Brake): Promise<void> {
  await saveState(disk, files.brake, { parties: partiesOf(who), ...brake })
}

import type { Disk } from '../keys/platform/disk.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import type { Brake } from '../schema/protocol.ts'
import type { AgentFiles } from './config.ts'
import { booleanIn, optionalTextIn, recordOf } from './record.ts'
import { loadState, saveState } from './state-file.ts'

const RELEASED: Brake = { paused: false, reason: null, since: null }

/** What the server last said about the fleet's brake. It can only delay, so a file that can't be read counts as no brake: the server says it again. */
export async function loadBrake(disk: Disk, files: AgentFiles): Promise<Brake> {
  try {
    const value = await loadState(disk, files.brake)
    if (value === undefined) return RELEASED
    const record = recordOf(value, files.brake)
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

export async function saveBrake(disk: Disk, files: AgentFiles, brake: Brake): Promise<void> {
  await saveState(disk, files.brake, brake)
}

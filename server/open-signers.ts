import { openKeyring } from '../keys/key-file.ts'
import { buildKeyFileDisk } from '../keys/key-file-disk.ts'
import type { Disk } from '../keys/platform/disk.ts'
import { DIRECTOR } from '../schema/assignment.ts'
import type { ServerConfig } from './config.ts'
import type { OnlineSigners } from './core/online-roles.ts'

/** The server's own keys. Throws KeyFileError. */
export async function openSigners(config: ServerConfig, disk: Disk): Promise<OnlineSigners> {
  const keyring = await openKeyring({ disk: buildKeyFileDisk(disk) }, config.paths.onlineKeys, undefined)
  return {
    snapshot: keyring.signersFor('snapshot'),
    timestamp: keyring.signersFor('timestamp'),
    director: keyring.signersFor(DIRECTOR),
  }
}

import { type Keyring, openKeyring } from '../keys/key-file.ts'
import { buildKeyFileDisk } from '../keys/key-file-disk.ts'
import type { Disk } from '../keys/platform/disk.ts'
import { DIRECTOR } from '../schema/assignment.ts'
import type { ServerConfig } from './config.ts'
import type { OnlineSigners } from './core/online-roles.ts'

/** The server's own keys, which may be others after a rotation while it runs. */
export interface LiveSigners extends OnlineSigners {
  /** Reads the file again. Throws KeyFileError, and keeps what it had. */
  reload(): Promise<void>
}

/** The server's own keys. Throws KeyFileError. */
export async function openSigners(config: ServerConfig, disk: Disk): Promise<LiveSigners> {
  const open = () => openKeyring({ disk: buildKeyFileDisk(disk) }, config.paths.onlineKeys, undefined)
  let keyring: Keyring = await open()
  return {
    get snapshot() {
      return keyring.signersFor('snapshot')
    },
    get timestamp() {
      return keyring.signersFor('timestamp')
    },
    get director() {
      return keyring.signersFor(DIRECTOR)
    },
    reload: async () => {
      keyring = await open()
    },
  }
}

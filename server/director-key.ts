import { addKey, type Keyring, openKeyring } from '../keys/key-file.ts'
import { buildKeyFileDisk } from '../keys/key-file-disk.ts'
import type { Disk } from '../keys/platform/disk.ts'
import { DIRECTOR } from '../schema/assignment.ts'

/** The server's keyring, with a director key if it had none: servers of an earlier version are given one along with the table of assignments. Throws KeyFileError. */
export async function ensureDirectorKey(disk: Disk, path: string): Promise<Keyring> {
  const deps = { disk: buildKeyFileDisk(disk) }
  const keyring = await openKeyring(deps, path, undefined)
  if (keyring.signersFor(DIRECTOR).length > 0) return keyring
  return addKey(deps, path, { name: DIRECTOR, role: DIRECTOR }, undefined)
}

import type { KeyFileDisk } from './key-file.ts'
import type { Disk } from './platform/disk.ts'
import { createFileDurable, replaceFile } from './platform/durable.ts'

const MAX_BYTES = 1_000_000

/** Key files on this disk. */
export function buildKeyFileDisk(disk: Disk): KeyFileDisk {
  return {
    readFile: (path) => disk.readFile(path, MAX_BYTES),
    createExclusive: (path, bytes, mode) => createFileDurable(disk, path, bytes, mode),
    replace: (path, bytes, mode) => replaceFile(disk, path, bytes, mode),
    stat: (path) => disk.stat(path),
  }
}

// How small files of state are read and replaced. Without shapes: the daemon reads this way too.
import type { Disk } from '../keys/platform/disk.ts'
import { replaceFile } from '../keys/platform/durable.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'

const MAX_BYTES = 1 << 20

/** The file's JSON, undefined where there is no file. Throws SyntaxError for what is no JSON, PlatformError for what can't be read. */
export async function loadState(disk: Disk, file: string): Promise<unknown> {
  try {
    return JSON.parse(Buffer.from(await disk.readFile(file, MAX_BYTES)).toString('utf8'))
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') return undefined
    throw error
  }
}

/** Replaces the file, durably. */
export async function saveState(disk: Disk, file: string, value: object): Promise<void> {
  await replaceFile(disk, file, Buffer.from(`${JSON.stringify(value, null, 2)}\n`), 0o600)
}

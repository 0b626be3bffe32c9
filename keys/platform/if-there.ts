// What may be absent, and that is an answer. Whatever else keeps a file from being looked at is thrown: a folder that is closed holds no file and lacks none.
import type { Disk } from './disk.ts'
import { PlatformError } from './platform-error.ts'

/** Whether something lies at the path, through symlinks. Throws PlatformError where that can't be told. */
export async function isThere(disk: Disk, path: string): Promise<boolean> {
  return (await unlessMissing(() => disk.stat(path))) !== undefined
}

/** The file, undefined if there is none. Throws PlatformError as Disk.readFile. */
export function readIfThere(disk: Disk, path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  return unlessMissing(() => disk.readFile(path, maxBytes))
}

/** What `look` finds, undefined if there is nothing. */
export async function unlessMissing<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look()
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') return undefined
    throw error
  }
}

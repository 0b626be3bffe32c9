// Every root that the trusted copy went through, in `roots/N.root.json` beside it: a server that was put back from a backup lacks the newer ones, and takes them
// only in a row. Nobody trusts by them: root.json alone says what is trusted.
import { join } from 'node:path'
import { parseDocument } from '../../keys/document.ts'
import { DEFAULT_LIMITS } from '../../keys/limits.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { makeDirDurable, replaceFile } from '../../keys/platform/durable.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'

/** Keeps a verified root of the trusted copy in `folder`. */
export async function keepRoot(disk: Disk, folder: string, bytes: Uint8Array): Promise<void> {
  await makeDirDurable(disk, join(folder, 'roots'), 0o700)
  await replaceFile(disk, rootFile(folder, Number(parseDocument(bytes, 'root').signed.version)), bytes, 0o600)
}

/** The root of this version as it was kept, unverified; undefined if it never was. */
export async function loadKeptRoot(disk: Disk, folder: string, version: number): Promise<Uint8Array | undefined> {
  try {
    return await disk.readFile(rootFile(folder, version), DEFAULT_LIMITS.rootBytes)
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') return undefined
    throw error
  }
}

function rootFile(folder: string, version: number): string {
  return join(folder, 'roots', `${version}.root.json`)
}

// Every root that the trusted copy went through, in `roots/N.root.json` beside it: a server that was put back from a backup lacks the newer ones, and takes them
// only in a row. Nobody trusts by them: root.json alone says what is trusted.
import { join } from 'node:path'
import { parseDocument } from '../../keys/document.ts'
import { DEFAULT_LIMITS } from '../../keys/limits.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { makeDirDurable, replaceFile } from '../../keys/platform/durable.ts'
import { readIfThere } from '../../keys/platform/if-there.ts'
import type { MetadataSource } from '../../keys/refresh.ts'
import { trustRoot, verifyNextRoot } from '../../keys/verified.ts'
import { equalBytes } from '../equal-bytes.ts'

/** Keeps a verified root of the trusted copy in `folder`. */
export async function keepRoot(disk: Disk, folder: string, bytes: Uint8Array): Promise<void> {
  const version = Number(parseDocument(bytes, 'root').signed.version)
  const kept = await loadKeptRoot(disk, folder, version)
  if (kept !== undefined && equalBytes(kept, bytes)) return
  await makeDirDurable(disk, join(folder, 'roots'), 0o700)
  await replaceFile(disk, rootFile(folder, version), bytes, 0o600)
}

/**
 * Keeps those between `first` and the newest that are not here yet, as folders of earlier versions have none, if `source` shows them and they follow each
 * other. What does not is left alone: it is missed only by whoever hands roots on.
 */
export async function keepEarlierRoots(
  { disk, folder }: { readonly disk: Disk; readonly folder: string },
  { first, newest }: { readonly first: Uint8Array; readonly newest: number },
  source: MetadataSource,
): Promise<void> {
  let last = trustRoot(first)
  await keepRoot(disk, folder, first)
  for (let version = last.value.version + 1; version < newest; version++) {
    const kept = await loadKeptRoot(disk, folder, version)
    const bytes = kept ?? (await source.load(`${version}.root.json`, DEFAULT_LIMITS.rootBytes))
    if (bytes === 'missing') return
    last = verifyNextRoot(last, bytes)
    if (kept === undefined) await keepRoot(disk, folder, bytes)
  }
}

/** The root of this version as it was kept, unverified; undefined if it never was. */
export function loadKeptRoot(disk: Disk, folder: string, version: number): Promise<Uint8Array | undefined> {
  return readIfThere(disk, rootFile(folder, version), DEFAULT_LIMITS.rootBytes)
}

function rootFile(folder: string, version: number): string {
  return join(folder, 'roots', `${version}.root.json`)
}

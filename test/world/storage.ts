// The server's storage in an attacker's hands: files are changed behind its back and put back afterwards.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Where a published file lies when the server keeps its blobs as files. `path` as below `/repo/`. */
export function publishedFile(folder: string, path: string): string {
  return join(folder, 'srv', 'storage', 'repo', path)
}

/** Replaces a published file's bytes; returns the way back. */
export async function changePublished(
  folder: string,
  path: string,
  change: (bytes: Buffer) => Uint8Array,
): Promise<() => Promise<void>> {
  const file = publishedFile(folder, path)
  const before = await readFile(file)
  await writeFile(file, change(Buffer.from(before)))
  return () => writeFile(file, before)
}

/** The newest published version of a role: `12.alpha.json` for `alpha`. */
export async function newestOf(folder: string, role: string): Promise<string> {
  const names = await readdir(publishedFile(folder, 'metadata'))
  const versions = names.flatMap((name) => {
    const match = new RegExp(`^(\\d+)\\.${role}\\.json$`).exec(name)
    return match ? [Number(match[1])] : []
  })
  return `metadata/${Math.max(...versions)}.${role}.json`
}

/** The bytes with one of them turned over. */
export function flipped(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ 0xff
  return bytes
}

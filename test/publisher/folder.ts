import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A folder of its own for this test, gone when the test is over. */
export async function tempFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'netlink-publisher-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A file in a tree: its content, or content and mode. */
export type TreeFile = string | Uint8Array | { readonly content: string | Uint8Array; readonly mode: number }

/** Writes these files below a folder, in the order in which they are named. */
export async function writeTree(folder: string, files: Readonly<Record<string, TreeFile>>): Promise<void> {
  for (const [path, file] of Object.entries(files)) {
    const { content, mode } = typeof file === 'object' && 'content' in file ? file : { content: file, mode: 0o644 }
    const target = join(folder, path)
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, content)
    await chmod(target, mode)
  }
}

// Short words for what is on a simulated disk.
import type { Disk } from '../../keys/platform/disk.ts'

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()
/** What is in the file; undefined if it is not there. */
export const read = async (disk: Disk, path: string) => {
  try {
    return text(await disk.readFile(path))
  } catch {
    return undefined
  }
}

/** Makes a file, its bytes safe or not. */
export const put = async (disk: Disk, path: string, content: string, sync: 'sync' | 'no sync') => {
  const writer = await disk.createFile(path, 0o644)
  await writer.write(Buffer.from(content))
  if (sync === 'sync') await writer.sync()
  await writer.close()
}

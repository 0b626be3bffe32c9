import { ArchiveError, type ArchiveErrorCode } from './archive-error.ts'
import { type ArchiveEntry, checkEntry, comparePaths, quoteName } from './entry.ts'

/** What a tree may cost. `maxBytes` is the sum of the files' sizes. */
export interface TreeLimits {
  readonly maxEntries: number
  readonly maxBytes: number
}

/**
 * The rules that the entries of one tree obey together. The returned function takes one entry after the other and throws ArchiveError at the first that
 * breaks one: limits, ascending order, no duplicates, no collisions, folders before what they hold. Writer, reader and tree digest use the same.
 */
export function createTreeRules(limits: TreeLimits): (entry: ArchiveEntry) => void {
  const names = new Set<string>()
  const directories = new Set<string>()
  let last = ''
  let bytes = 0

  return (entry) => {
    const { path } = entry
    checkEntry(entry)
    // 1. Limits, before anything is remembered.
    if (names.size >= limits.maxEntries) fail('too-many-entries', `more than ${limits.maxEntries} entries`, path)
    if (entry.size > limits.maxBytes - bytes) fail('too-many-bytes', `more than ${limits.maxBytes} bytes`, path)
    // 2. Order. It makes duplicates neighbours.
    const order = comparePaths(last, path)
    if (order === 0) fail('duplicate', 'the same path twice', path)
    if (order > 0) fail('unsorted', `${quoteName(last)} before it`, path)
    // 3. One name on every file system.
    const name = foldName(path)
    if (names.has(name)) fail('collision', 'differs only in case or spelling from an earlier path', path)
    // 4. Its folder.
    const slash = path.lastIndexOf('/')
    if (slash !== -1 && !directories.has(path.slice(0, slash)))
      fail('orphan', 'its folder is not an entry before it', path)

    names.add(name)
    if (entry.type === 'directory') directories.add(path)
    bytes += entry.size
    last = path
  }
}

/** One spelling for all that a file system may take for the same name: `A` and `a`, `ß`, `ẞ` and `ss`, composed and decomposed letters. */
function foldName(path: string): string {
  const lower = path.toLowerCase()
  // Upper case is reached through lower case: ẞ has no other way to SS.
  return ASCII.test(path) ? lower : lower.toUpperCase().toLowerCase().normalize('NFC')
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const ASCII = /^[\u0000-\u007f]*$/

function fail(code: ArchiveErrorCode, what: string, path: string): never {
  throw new ArchiveError(code, `${what}: ${quoteName(path)}`, { path })
}

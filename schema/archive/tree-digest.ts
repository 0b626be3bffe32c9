// One digest over an unpacked tree, to check it again where it lies: names, kinds, rights, sizes and contents, nothing else.
//
//   netlink.tree/v1
//   directory 0755 bin
//   file 0755 8 9f86d081884c7d65…0f00a08 bin/app
//
// One line an entry in ascending order of path bytes, each ended by LF. A path holds no control character, so no line can pass for two.
import { ArchiveError } from './archive-error.ts'
import type { ArchiveEntry } from './entry.ts'
import { createTreeRules } from './tree-rules.ts'

/** A file with the SHA-256 of its content in hexadecimal, or a folder with null. */
export interface TreeEntry extends ArchiveEntry {
  readonly sha256: string | null
}

/** A running hash, as `createHash('sha256')` and `sha256.create()` give it. */
export interface RunningHash {
  update(bytes: Uint8Array): unknown
  digest(): Uint8Array
}

/** The digest in hexadecimal. Throws ArchiveError if the entries are not an archive's: sorted, whole and of allowed names and modes. */
export function treeDigest(entries: Iterable<TreeEntry>, hash: RunningHash): string {
  const accept = createTreeRules({ maxEntries: Number.POSITIVE_INFINITY, maxBytes: Number.POSITIVE_INFINITY })
  hash.update(encoder.encode('netlink.tree/v1\n'))
  for (const entry of entries) {
    accept(entry)
    hash.update(encoder.encode(`${describe(entry)}\n`))
  }
  return toHex(hash.digest())
}

function describe({ path, type, mode, size, sha256 }: TreeEntry): string {
  const rights = mode.toString(8).padStart(4, '0')
  if (type === 'directory') return `directory ${rights} ${path}`
  if (sha256 === null || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new ArchiveError('bad-header', `the SHA-256 of ${JSON.stringify(path)} is not known`, { path })
  }
  return `file ${rights} ${size} ${sha256} ${path}`
}

const encoder = new TextEncoder()

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

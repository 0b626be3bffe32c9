// What lies inside a release, for people who have the signing event and not the archive: a listing in the words of tree-digest.ts. Its SHA-256 is the tree
// digest that the signed manifest names, and hosts refuse an archive that unpacks to anything else.
import { createHash } from 'node:crypto'
import { ArchiveError } from '../../schema/archive/archive-error.ts'
import { type TreeEntry, treeDigest } from '../../schema/archive/tree-digest.ts'
import { PublishError } from '../publish-error.ts'

/** The listing of a tree, as its digest is counted over it. */
export function treeText(entries: readonly TreeEntry[]): string {
  const parts: Uint8Array[] = []
  treeDigest(entries, { update: (bytes) => parts.push(bytes), digest: () => new Uint8Array() })
  return Buffer.concat(parts).toString('utf8')
}

/** The listing of a tree beside its digest. */
export function listingOf(entries: readonly TreeEntry[]): { readonly digest: string; readonly text: string } {
  const text = treeText(entries)
  return { digest: createHash('sha256').update(text).digest('hex'), text }
}

/** What a listing lists. Throws PublishError `altered` unless it is the one with this digest, and one of an archive's tree. */
export function parseTree(text: string, digest: string): readonly TreeEntry[] {
  const entries = text.split('\n').slice(1, -1).map(parseLine)
  try {
    const isWhole = !entries.includes(undefined) && createHash('sha256').update(text).digest('hex') === digest
    if (isWhole && treeDigest(entries.filter(isEntry), createHash('sha256')) === digest) return entries.filter(isEntry)
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error
  }
  throw new PublishError('altered', `the list of files that came along is not that of the tree ${digest.slice(0, 12)}`)
}

function parseLine(line: string): TreeEntry | undefined {
  const [, folder] = /^directory 0755 (.+)$/.exec(line) ?? []
  if (folder !== undefined) return { path: folder, type: 'directory', mode: 0o755, size: 0, sha256: null }
  const [, mode, size, sha256, path] = /^file (0644|0755) (0|[1-9]\d{0,15}) ([0-9a-f]{64}) (.+)$/.exec(line) ?? []
  if (mode === undefined || sha256 === undefined || path === undefined) return undefined
  return { path, type: 'file', mode: Number.parseInt(mode, 8), size: Number(size), sha256 }
}

function isEntry(entry: TreeEntry | undefined): entry is TreeEntry {
  return entry !== undefined
}

/** What differs between two trees, by path; folders that only hold files are told by these. */
export interface TreeChange {
  readonly added: readonly TreeEntry[]
  readonly removed: readonly TreeEntry[]
  readonly changed: readonly { readonly before: TreeEntry; readonly after: TreeEntry }[]
}

export function compareTrees(before: readonly TreeEntry[], after: readonly TreeEntry[]): TreeChange {
  const old = new Map(before.map((entry) => [entry.path, entry]))
  const now = new Map(after.map((entry) => [entry.path, entry]))
  const isSame = (a: TreeEntry, b: TreeEntry) => a.type === b.type && a.sha256 === b.sha256 && a.mode === b.mode
  return {
    added: after.filter(({ path }) => !old.has(path)),
    removed: before.filter(({ path }) => !now.has(path)),
    changed: after.flatMap((entry) => {
      const earlier = old.get(entry.path)
      return earlier === undefined || isSame(earlier, entry) ? [] : [{ before: earlier, after: entry }]
    }),
  }
}

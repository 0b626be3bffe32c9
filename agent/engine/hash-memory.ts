// Hashes of files that can't have changed since they were read, so that the last look before the flip, while nobody is served, reads only what may have.
//
// A file is taken for unchanged where device, inode, size, mode, mtime and ctime are what its open handle said before it was read, and its ctime is older than
// a mark that was made on the same filesystem before that reading began. Sound against whoever may write to the files but is not root:
//
//   nobody but the kernel sets a ctime, and every change of content or rights sets it to now; going back needs root's hold on the clock or the bare disk
//   a change after the mark has a ctime of the mark or later, however coarse the filesystem's clock: it can't look like one from before the mark
//   the handle that was read is the one that was asked, so that two files which took turns under one name don't pass for one
//   the tree was synced between mark and reading, which write-protects what was mapped: a page that is written through an old mapping sets the ctime too
//
// Everything else is read again: a file that is too young, a filesystem that is another one than the mark's. Gap: tmpfs keeps no ctime of what is written
// through a mapping. It loses everything with the power anyway; no host belongs there.
import type { FileFacts } from '../../keys/platform/disk.ts'

export interface HashMemory {
  /** The SHA-256 of this file if it can't have changed since. */
  find(path: string, facts: FileFacts): string | undefined
  /** What was read from a handle that said these facts before. */
  note(path: string, facts: FileFacts, sha256: string): void
}

/** An empty memory. The tree is synced after the mark and before anything of it is read. */
export function createHashMemory(mark: FileFacts): HashMemory {
  const known = new Map<string, { readonly facts: FileFacts; readonly sha256: string }>()
  return {
    find(path, facts) {
      const then = known.get(path)
      return then && isSame(then.facts, facts) ? then.sha256 : undefined
    },
    note(path, facts, sha256) {
      if (facts.device === mark.device && facts.changedNs < mark.changedNs) known.set(path, { facts, sha256 })
      else known.delete(path)
    },
  }
}

function isSame(one: FileFacts, other: FileFacts): boolean {
  return (
    one.kind === other.kind &&
    one.device === other.device &&
    one.inode === other.inode &&
    one.size === other.size &&
    one.mode === other.mode &&
    one.modifiedMs === other.modifiedMs &&
    one.changedNs === other.changedNs
  )
}

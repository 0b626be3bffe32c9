// Paths over an image: as the kernel walks them, symlinks and all.
import { basename, dirname, join, resolve } from 'node:path'
import type { FileFacts } from '../../keys/platform/disk.ts'
import { diskError } from '../../keys/platform/disk-error.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { changedNs, type Image, ROOT } from './image.ts'

/** The node that a path leads to; with `stay` a symlink at its end is the answer. PlatformError as a disk would say it, naming `asked`. */
export function lookup(image: Image, path: string, last: 'follow' | 'stay', asked = path): number {
  let here = ROOT
  let walked = '/'
  let left = partsOf(path)
  for (let symlinks = 0; left.length > 0; ) {
    const [name = '', ...rest] = left
    const folder = image.get(here)
    if (folder?.kind !== 'directory') throw refuse('ENOTDIR', asked)
    const found = folder.entries.get(name)
    const node = found === undefined ? undefined : image.get(found)
    if (found === undefined || node === undefined) throw refuse('ENOENT', asked)
    if (node.kind === 'symlink' && (rest.length > 0 || last === 'follow')) {
      if (++symlinks > 40) throw refuse('ELOOP', asked)
      left = [...partsOf(resolve(walked, node.target)), ...rest]
      here = ROOT
      walked = '/'
      continue
    }
    here = found
    walked = join(walked, name)
    left = rest
  }
  return here
}

/** The folder that a path's last name is in, and that name. */
export function parentOf(image: Image, path: string): { folder: number; name: string } {
  const whole = resolve('/', path)
  if (whole === '/') throw refuse('EBUSY', path)
  const folder = lookup(image, dirname(whole), 'follow', path)
  if (image.get(folder)?.kind !== 'directory') throw refuse('ENOTDIR', path)
  return { folder, name: basename(whole) }
}

/** Whether there is anything of that name, a dangling symlink too. */
export function exists(image: Image, path: string): boolean {
  try {
    lookup(image, path, 'stay')
    return true
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') return false
    throw error
  }
}

/** The names in a folder; none if it is not one. */
export function entriesOf(image: Image, folder: number): ReadonlyMap<string, number> {
  const node = image.get(folder)
  return node?.kind === 'directory' ? node.entries : new Map()
}

function partsOf(path: string): string[] {
  return resolve('/', path).split('/').filter(Boolean)
}

/** What a disk says with this error number. */
export function refuse(errno: string, path: string): PlatformError {
  return diskError(path, Object.assign(new Error(errno), { code: errno }))
}

/** Refuses what rename(2) refuses: a folder onto a file, a file onto a folder, anything onto a folder that holds something. */
export function refuseReplacement(image: Image, moved: number, replaced: number | undefined, path: string): void {
  const [from, to] = [image.get(moved), replaced === undefined ? undefined : image.get(replaced)]
  if (!from || !to || moved === replaced) return
  if (to.kind === 'directory' && from.kind !== 'directory') throw refuse('EISDIR', path)
  if (to.kind !== 'directory' && from.kind === 'directory') throw refuse('ENOTDIR', path)
  if (to.kind === 'directory' && to.entries.size > 0) throw refuse('ENOTEMPTY', path)
}

/** What stat(2) says of a node. */
export function factsOf(image: Image, number: number, uid: number): FileFacts {
  const node = image.get(number)
  const size = node?.kind === 'file' ? node.data.length : 0
  return {
    kind: node?.kind ?? 'other',
    size,
    mode: node?.mode ?? 0,
    uid,
    gid: uid,
    device: 1,
    inode: number,
    modifiedMs: 0,
    changedNs: node ? changedNs(node) : 0n,
  }
}

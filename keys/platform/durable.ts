// Files that are wholly old or wholly new after any power cut, made of a Disk's bare effects. The order is the whole point:
//
//   new file at a temporary name -> all bytes -> fsync -> close -> rename over the old one -> fsync of the folder
//
// When a function here resolves, its effect survives a power cut. When it rejects, the old state stands or the new one does, never a mixture,
// and what it left at a temporary name is gone or will be removed by `removeLeftovers`. A failed sync is never tried again.
import { randomBytes } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import type { Appender, Disk } from './disk.ts'
import { PlatformError } from './platform-error.ts'

const TEMPORARY = /^\.(.+)\.[0-9a-f]{16}\.tmp$/

/** Puts `bytes` in the place of whatever file was at `path`, or makes it, with exactly this mode. */
export async function replaceFile(disk: Disk, path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const temporary = temporaryOf(path)
  await writeNew(disk, temporary, bytes, mode)
  await orRemove(disk, temporary, () => disk.rename(temporary, path))
  await disk.syncDir(dirname(path))
}

/** Makes the file at `path`, whole or not at all; PlatformError `exists` if there is anything of that name. The filesystem must know hard links. */
export async function createFileDurable(disk: Disk, path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const temporary = temporaryOf(path)
  await writeNew(disk, temporary, bytes, mode)
  // Unlike rename, link never takes an existing name away from another file.
  await orRemove(disk, temporary, () => disk.link(temporary, path))
  await disk.unlink(temporary)
  await disk.syncDir(dirname(path))
}

/**
 * The folder at `path` with its missing parents, each of this mode and durable. A folder that is there already keeps its mode; `exists` if a file is in the way,
 * `not-found` where nobody can make a folder, as below `/proc`.
 */
export async function makeDirDurable(disk: Disk, path: string, mode: number): Promise<void> {
  const parent = dirname(path)
  let made = await makeDir(disk, path, mode)
  if (made === 'no parent') {
    await makeDirDurable(disk, parent, mode)
    made = await makeDir(disk, path, mode)
  }
  // Once and not again: /proc is there and says for ever that it is not.
  if (made === 'no parent') throw new PlatformError('not-found', noFolderWords(path), { path })
  try {
    await disk.syncDir(parent)
  } catch (error) {
    // Also when it was there, because whoever made it may have been cut off before this; but not every parent is ours to open (`/home`).
    if (made === 'done' || !(error instanceof PlatformError && error.code === 'not-permitted')) throw error
  }
}

/** Makes the symlink at `path` say `target`, in the place of a symlink or file that was there. The commit point of an update. */
export async function replaceSymlink(disk: Disk, path: string, target: string): Promise<void> {
  const temporary = temporaryOf(path)
  await disk.symlink(target, temporary)
  await orRemove(disk, temporary, () => disk.rename(temporary, path))
  await disk.syncDir(dirname(path))
}

/** Moves a file or folder to another name on the same filesystem, replacing a file of that name; both folders durable. What it holds must be durable already. */
export async function renameDurable(disk: Disk, from: string, to: string): Promise<void> {
  await disk.rename(from, to)
  // The new name first: a cut between the two must not leave it nowhere.
  await disk.syncDir(dirname(to))
  if (dirname(from) !== dirname(to)) await disk.syncDir(dirname(from))
}

/** Removes a file, symlink or folder with all it holds. Nothing there is fine. A cut may leave a folder half empty. */
export async function removeDurable(disk: Disk, path: string): Promise<void> {
  await disk.removeTree(path)
  await unlessMissing(() => disk.syncDir(dirname(path)))
}

/** Adds one record to a journal: true on disk when this resolves. If it rejects the record may be there, partly or wholly: close the journal and read it again. */
export async function appendRecord(appender: Appender, bytes: Uint8Array): Promise<void> {
  await appender.append(bytes)
  await appender.sync()
}

/** Opens a journal, or a download that goes on, so that its name and what it already holds are durable: whoever wrote that may have been killed before the sync. */
export async function openJournal(disk: Disk, path: string, mode: number): Promise<Appender> {
  const appender = await disk.openAppend(path, mode)
  try {
    await appender.sync()
    await disk.syncDir(dirname(path))
  } catch (error) {
    await appender.close()
    throw error
  }
  return appender
}

/** Removes what functions of this file left in `folder` when they were cut off; resolves with the names. Only under the lock that guards the folder. */
export async function removeLeftovers(disk: Disk, folder: string): Promise<readonly string[]> {
  const left = (await disk.list(folder)).map((entry) => entry.name).filter((name) => TEMPORARY.test(name))
  for (const name of left) await disk.unlink(join(folder, name))
  return left
}

/** A name in the same folder (rename can't leave a filesystem) that nothing else uses; short enough whatever the file is called. */
function temporaryOf(path: string): string {
  return join(dirname(path), `.${shortened(basename(path))}.${randomBytes(8).toString('hex')}.tmp`)
}

/** File names hold 255 bytes at most, and what a temporary name adds is 22. */
function shortened(name: string): string {
  return Buffer.byteLength(name) <= 200 ? name : 'long-name'
}

async function writeNew(disk: Disk, path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const writer = await disk.createFile(path, mode)
  await orRemove(disk, path, async () => {
    try {
      await writer.write(bytes)
      await writer.sync()
    } finally {
      await writer.close()
    }
  })
}

/** The first failure is the one to tell: that the temporary file could not be removed either adds nothing, and `removeLeftovers` finds it. */
async function orRemove(disk: Disk, temporary: string, effect: () => Promise<void>): Promise<void> {
  try {
    await effect()
  } catch (error) {
    await disk.unlink(temporary).catch(() => undefined)
    throw error
  }
}

async function makeDir(disk: Disk, path: string, mode: number): Promise<'done' | 'there' | 'no parent'> {
  try {
    await disk.makeDir(path, mode)
    return 'done'
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error
    if (error.code === 'not-found' && dirname(path) !== path) return 'no parent'
    if (error.code === 'exists' && (await disk.stat(path)).kind === 'directory') return 'there'
    throw error
  }
}

function noFolderWords(path: string): string {
  return `${path}: expected a place for a folder, and ${dirname(path)} takes none`
}

async function unlessMissing(effect: () => Promise<void>): Promise<void> {
  try {
    await effect()
  } catch (error) {
    if (!(error instanceof PlatformError && error.code === 'not-found')) throw error
  }
}

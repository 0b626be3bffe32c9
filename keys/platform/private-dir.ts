import { randomBytes } from 'node:crypto'
import { isAbsolute, join, parse, resolve } from 'node:path'
import type { Disk, FileFacts } from './disk.ts'
import { removeDurable, replaceFile } from './durable.ts'
import { PlatformError } from './platform-error.ts'

const MAX_SYMLINKS = 40

/**
 * Resolves if nobody but root and the user `uid` can change what lies at `path`: it and every folder and symlink on the way to it belong to one of the
 * two, and no group and no stranger may write there. On the way a sticky folder (`/tmp`) will do, because there only the owner can take a name away;
 * at the end it will not. `groups` may be trusted where they are the users' own. PlatformError `not-permitted` with the offending path, `not-found`.
 */
export async function assertPrivate(
  disk: Disk,
  path: string,
  uid: number,
  groups: 'refused' | 'trusted' = 'refused',
): Promise<void> {
  const forbidden = groups === 'refused' ? 0o022 : 0o002
  const { root } = parse(resolve(path))
  await check(disk, root, { uid, forbidden, isEnd: false })
  let real = root
  let left = partsOf(resolve(path))
  for (let symlinks = 0; left.length > 0; ) {
    const [name = '', ...rest] = left
    const here = join(real, name)
    const facts = await check(disk, here, { uid, forbidden, isEnd: rest.length === 0 })
    if (facts.kind !== 'symlink') {
      real = here
      left = rest
      continue
    }
    if (++symlinks > MAX_SYMLINKS) throw notPrivate(here, 'is a symlink that goes round in circles')
    const target = await disk.readLink(here)
    left = [...partsOf(resolve(real, target)), ...rest]
    real = root
  }
}

/** Where sockets live when their own folder's path is too long for the kernel. */
export interface RuntimeFolder {
  readonly disk: Disk
  /** A short path where this user may make a folder: `$XDG_RUNTIME_DIR`, `/run/netlink` or `/tmp`. */
  readonly runtimeRoot: string
  /** The user that listens. */
  readonly uid: number
}

/** sockaddr_un holds 108 bytes on Linux and 104 elsewhere, the last one zero. */
const MAX_SOCKET_BYTES = 100
const MAX_RECORD_BYTES = 4096

/**
 * The path at which to listen for `name` in `dir`: there if it is short enough, else in a folder under `runtimeRoot` that only `uid` can enter,
 * recorded in `dir/name.path`. A recorded folder is used again while it is still there and still private.
 */
export async function makeSocketPath(runtime: RuntimeFolder, dir: string, name: string): Promise<string> {
  const direct = join(dir, name)
  if (fits(direct)) return direct
  const recorded = await recordedFolder(runtime.disk, direct).catch(ifGone)
  if (recorded) return join(recorded, name)
  const folder = join(runtime.runtimeRoot, `netlink-${randomBytes(8).toString('hex')}`)
  const path = join(folder, name)
  if (!fits(path)) throw new PlatformError('io', `${path}: more than ${MAX_SOCKET_BYTES} bytes`, { path })
  await runtime.disk.makeDir(folder, 0o700)
  await assertPrivate(runtime.disk, folder, runtime.uid)
  await replaceFile(runtime.disk, recordOf(direct), Buffer.from(`${folder}\n`), 0o644)
  return path
}

/**
 * The path at which somebody listens for `name` in `dir`. `not-found` if nobody ever did or the recorded folder is gone (a reboot empties `/run`);
 * `not-permitted` if a stranger could have put a socket of his own there.
 */
export async function findSocketPath(disk: Disk, dir: string, name: string): Promise<string> {
  const direct = join(dir, name)
  return fits(direct) ? direct : join(await recordedFolder(disk, direct), name)
}

/** Removes the folder that `makeSocketPath` recorded, and the record. */
export async function removeSocketPath(disk: Disk, dir: string, name: string): Promise<void> {
  const direct = join(dir, name)
  const recorded = fits(direct) ? undefined : await recordedFolder(disk, direct).catch(ifGone)
  if (recorded) await removeDurable(disk, recorded)
  await removeDurable(disk, fits(direct) ? direct : recordOf(direct))
}

async function recordedFolder(disk: Disk, direct: string): Promise<string> {
  const record = recordOf(direct)
  const folder = Buffer.from(await disk.readFile(record, MAX_RECORD_BYTES))
    .toString('utf8')
    .trimEnd()
  if (!isAbsolute(folder)) throw new PlatformError('io', `${record}: expected an absolute path`, { path: record })
  // Whoever wrote the record may own the folder: the caller is often root, and the daemon is not.
  await assertPrivate(disk, folder, (await disk.lstat(record)).uid)
  return folder
}

function ifGone(error: unknown): undefined {
  // Not there any more, or no longer only ours: make another. Anything else is a failure of the disk.
  if (error instanceof PlatformError && (error.code === 'not-found' || error.code === 'not-permitted')) return undefined
  throw error
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) <= MAX_SOCKET_BYTES
}

function recordOf(direct: string): string {
  return `${direct}.path`
}

interface Rule {
  readonly uid: number
  /** Permission bits that others must not have. */
  readonly forbidden: number
  readonly isEnd: boolean
}

async function check(disk: Disk, path: string, { uid, forbidden, isEnd }: Rule): Promise<FileFacts> {
  const facts = await disk.lstat(path)
  if (facts.uid !== 0 && facts.uid !== uid) throw notPrivate(path, `belongs to user ${facts.uid}`)
  if (facts.kind === 'symlink') return facts
  const sticky = (facts.mode & 0o1000) !== 0
  if ((facts.mode & forbidden) !== 0 && (isEnd || !sticky)) {
    throw notPrivate(path, `is writable by others (mode ${facts.mode.toString(8)}); chmod go-w would help`)
  }
  return facts
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '')
}

function notPrivate(path: string, why: string): PlatformError {
  return new PlatformError('not-permitted', `${path}: ${why}`, { path })
}

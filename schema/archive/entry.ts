import { ArchiveError, type ArchiveErrorCode } from './archive-error.ts'

/** One file or folder of a release. */
export interface ArchiveEntry {
  /** Relative, `/` between its parts, none at the end: `bin/app`. */
  readonly path: string
  readonly type: 'file' | 'directory'
  /** Of a file 0644 or 0755, of a folder 0755. */
  readonly mode: number
  /** Bytes; 0 for a folder. */
  readonly size: number
}

export const FILE_MODE = 0o644
export const PROGRAM_MODE = 0o755
export const DIRECTORY_MODE = 0o755

const MAX_PATH_BYTES = 4096
const MAX_SEGMENT_BYTES = 255

/** Throws ArchiveError unless an archive may hold this entry by itself: name, mode and size. What its neighbours say is in tree-rules.ts. */
export function checkEntry(entry: ArchiveEntry): void {
  checkPath(entry.path)
  checkMode(entry)
  const sizeIsRight =
    entry.type === 'directory' ? entry.size === 0 : Number.isSafeInteger(entry.size) && entry.size >= 0
  if (!sizeIsRight) refuse('bad-header', entry.path, `a ${entry.type} of ${entry.size} bytes`)
}

/** Throws ArchiveError (`absolute`, `traversal`, `bad-name`) unless the path is one that means the same on every file system. */
export function checkPath(path: string): void {
  if (path === '') refuse('bad-name', path, 'an empty path')
  if (path.startsWith('/')) refuse('absolute', path, 'an absolute path')
  if (PLAIN_PATH.test(path) && path.length <= MAX_SEGMENT_BYTES) return // nearly every path; what follows is for the others
  if (!path.isWellFormed()) refuse('bad-name', path, 'a path that is not valid Unicode')
  for (const segment of path.split('/')) checkSegment(segment, path)
  if (utf8Length(path) > MAX_PATH_BYTES) refuse('bad-name', path, `a path of more than ${MAX_PATH_BYTES} bytes`)
  if (path.normalize('NFC') !== path) refuse('bad-name', path, 'a path that is not in normalization form C')
}

// Parts that begin with a letter, digit, `_` or `@` and go on without anything that could need a second look.
const PLAIN_PATH = /^[0-9A-Za-z_@][0-9A-Za-z_@.+-]*(?:\/[0-9A-Za-z_@][0-9A-Za-z_@.+-]*)*$/
/** C0, DEL and C1. */
const CONTROL = /\p{Cc}/u

function checkSegment(segment: string, path: string): void {
  if (segment === '.' || segment === '..') refuse('traversal', path, `a path with "${segment}"`)
  if (/^[A-Za-z]:/.test(segment)) refuse('absolute', path, 'a path with a drive letter')
  if (segment === '') refuse('bad-name', path, 'a path with an empty part')
  if (segment.includes('\\'))
    refuse(/(^|\\)\.\.?(\\|$)/.test(segment) ? 'traversal' : 'bad-name', path, 'a path with a backslash')
  if (CONTROL.test(segment)) refuse('bad-name', path, 'a path with a control character')
  if (utf8Length(segment) > MAX_SEGMENT_BYTES)
    refuse('bad-name', path, `a name of more than ${MAX_SEGMENT_BYTES} bytes`)
}

function checkMode(entry: ArchiveEntry): void {
  const allowed =
    entry.type === 'directory' ? entry.mode === DIRECTORY_MODE : entry.mode === FILE_MODE || entry.mode === PROGRAM_MODE
  if (allowed) return
  const expected = entry.type === 'directory' ? '0755' : '0644 or 0755'
  throw new ArchiveError('mode', `${quoteName(entry.path)} has mode 0${entry.mode.toString(8)}, expected ${expected}`, {
    path: entry.path,
  })
}

function refuse(code: ArchiveErrorCode, path: string, what: string): never {
  throw new ArchiveError(code, `${what}: ${quoteName(path)}`, {
    path,
  })
}

/** A name as error messages quote it: at most 200 characters of it. */
export function quoteName(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name)
}

/** The order of paths in an archive: that of their UTF-8 bytes. (JavaScript's own order differs above U+FFFF.) */
export function comparePaths(a: string, b: string): -1 | 0 | 1 {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i)
    const right = b.charCodeAt(i)
    if (left !== right) return byteRank(left) < byteRank(right) ? -1 : 1
  }
  return a.length < b.length ? -1 : a.length > b.length ? 1 : 0
}

/** Moves the halves of surrogate pairs behind all other code units: what they stand for is longer in UTF-8. */
function byteRank(unit: number): number {
  return unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}

const encoder = new TextEncoder()

function utf8Length(text: string): number {
  return encoder.encode(text).length
}

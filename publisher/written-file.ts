// Files that a person wrote, and what is said when one of them cannot be read: the file, the line, what was expected there.
import { randomBytes } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import type { z } from 'zod'
import { parseJson } from '../keys/json.ts'
import type { Disk } from '../keys/platform/disk.ts'
import { unlessMissing } from '../keys/platform/if-there.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { TrustError } from '../keys/trust-error.ts'
import { shellWord } from '../schema/cli/shell-word.ts'
import { ShapeError } from '../schema/shape-error.ts'
import { parseStrict } from '../schema/strict-shape.ts'
import { PublishError } from './publish-error.ts'

const MAX_BYTES = 4 * 1024 ** 2

/** The JSON file as the shape describes it. Throws ShapeError naming file, line and key, PlatformError `not-found` and the like. */
export async function loadWrittenJson<T>(disk: Disk, path: string, shape: z.ZodType<T>): Promise<T> {
  const bytes = await disk.readFile(path, MAX_BYTES)
  return parseStrict(shape, parseWith(bytes, path), path)
}

/** As `loadWrittenJson`; undefined if there is no such file. */
export function loadWrittenJsonIfThere<T>(disk: Disk, path: string, shape: z.ZodType<T>): Promise<T | undefined> {
  return unlessMissing(() => loadWrittenJson(disk, path, shape))
}

function parseWith(bytes: Uint8Array, path: string): unknown {
  try {
    return parseJson(bytes)
  } catch (cause) {
    if (!(cause instanceof TrustError)) throw cause
    throw new ShapeError(`${path}${lineOf(bytes, cause.message)}`, [{ pointer: '', message: cause.message }], { cause })
  }
}

function lineOf(bytes: Uint8Array, message: string): string {
  const offset = /at byte (\d+)$/.exec(message)?.[1]
  if (offset === undefined) return ''
  let line = 1
  for (const byte of bytes.subarray(0, Number(offset))) if (byte === 0x0a) line += 1
  return `, line ${line}`
}

/** Tries whether a file can be put there before hours of work and somebody's signature go into it. Throws PublishError `usage` naming the file. */
export async function requireWritable(disk: Disk, file: string): Promise<void> {
  const probe = join(dirname(file), `.${basename(file).slice(0, 50)}.${randomBytes(8).toString('hex')}.tmp`)
  try {
    await (await disk.createFile(probe, 0o600)).close()
    await disk.unlink(probe)
  } catch (cause) {
    if (!(cause instanceof PlatformError)) throw cause
    const why = cause.code === 'not-found' ? 'its folder is not there' : 'its folder takes no file of this user'
    throw new PublishError(
      'usage',
      `${file} can't be written: ${why}`,
      { next: [`ls -ld ${shellWord(dirname(file))}`, 'the same command with another --out FILE'] },
      { cause },
    )
  }
}

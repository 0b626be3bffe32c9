// `logs/update.log`: what updates did here, a line each, for people with `tail -f`. Rotated; a disk that is full costs lines, never an update.
import { appendFile, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { nodeDisk } from '../keys/platform/disk.ts'
import { errnoOf } from '../keys/platform/disk-error.ts'
import { makeDirDurable } from '../keys/platform/durable.ts'
import { plainLine } from '../schema/cli/plain-text.ts'

const MAX_BYTES = 1 << 20
const KEPT_FILES = 3

export interface UpdateLog {
  /** Queues one line; `at` UTC, one second's resolution. */
  write(at: string, updateId: string | null, text: string): void
  /** Resolves when everything queued was written or given up. Never rejects. */
  flush(): Promise<void>
}

/** The log at this path: `update.log`, and `update.log.1` to `.3` once it has grown to a mebibyte. */
export function openUpdateLog(file: string): UpdateLog {
  let queue: Promise<void> = Promise.resolve()
  return {
    write: (at, updateId, text) => {
      const line = `${at} ${updateId === null ? '' : `${updateId} `}${plainLine(text, 2_000)}\n`
      // The log tells, the journal decides: a line that can't be written must not stop what it speaks of.
      queue = queue.then(() => append(file, line)).catch(() => undefined)
    },
    flush: () => queue,
  }
}

async function append(file: string, line: string): Promise<void> {
  if ((await sizeOf(file)) > MAX_BYTES) await rotate(file)
  const add = () => appendFile(file, line, { mode: 0o640 })
  await add().catch(async (error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error
    await makeDirDurable(nodeDisk, dirname(file), 0o755)
    await add()
  })
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch {
    return 0 // not there yet
  }
}

async function rotate(file: string): Promise<void> {
  for (let number = KEPT_FILES; number > 1; number--) {
    await rename(`${file}.${number - 1}`, `${file}.${number}`).catch(() => undefined)
  }
  await rename(file, `${file}.1`)
}

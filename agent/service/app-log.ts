// `<root>/logs/app.log`: what the service writes. The service holds the file itself, opened for appending, so that it goes on writing when the supervisor
// dies. That is why a full file is copied and cut rather than renamed; a line written between the two is lost.
import { closeSync, copyFileSync, fstatSync, ftruncateSync, openSync, readSync, renameSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { makeDirDurable } from '../../keys/platform/durable.ts'
import { lastLines } from './tail.ts'

const MAX_BYTES = 10 << 20
const KEPT_FILES = 3
const TAIL_BYTES = 8 << 10

/** Opens the log for a process to append to; close it when the process has it. */
export async function openAppLog(file: string): Promise<{ readonly fd: number; readonly offset: number }> {
  await makeDirDurable(nodeDisk, dirname(file), 0o755)
  rotateAppLog(file)
  const fd = openSync(file, 'a', 0o640)
  return { fd, offset: fstatSync(fd).size }
}

/** Moves the log's content on when there is more than 10 MiB of it: `app.log.1` is the newest of three. */
export function rotateAppLog(file: string): void {
  if (sizeOf(file) <= MAX_BYTES) return
  for (let number = KEPT_FILES - 1; number >= 1; number--) {
    if (sizeOf(`${file}.${number}`) > 0) renameSync(`${file}.${number}`, `${file}.${number + 1}`)
  }
  copyFileSync(file, `${file}.1`)
  const fd = openSync(file, 'r+')
  try {
    ftruncateSync(fd, 0)
  } finally {
    closeSync(fd)
  }
}

/** The last lines that were written after `offset`. A log that was cut since is read from its start. */
export function tailOfAppLog(file: string, offset: number): string[] {
  const size = sizeOf(file)
  const from = Math.max(size < offset ? 0 : offset, size - TAIL_BYTES)
  if (size <= from) return []
  const fd = openSync(file, 'r')
  try {
    const bytes = Buffer.alloc(size - from)
    return lastLines(bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, from)))
  } finally {
    closeSync(fd)
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

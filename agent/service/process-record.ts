// `<state>/service/process.json`: which process runs and whether one should. It outlives the supervisor, and says nothing true after a reboot but `wanted`.
import { join } from 'node:path'
import type { Disk } from '../../keys/platform/disk.ts'
import { replaceFile } from '../../keys/platform/durable.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import type { Paths } from '../paths.ts'
import type { ServiceIdentity } from './control.ts'

export interface ProcessRecord {
  readonly wanted: 'running' | 'stopped'
  /** The last process that was started; null before the first. */
  readonly process: {
    readonly generation: number
    readonly version: string
    readonly identity: ServiceIdentity
    /** ISO 8601, UTC. */
    readonly startedAt: string
    /** Where its lines begin in app.log. */
    readonly logOffset: number
    readonly restarts: number
    readonly stopSignal: NodeJS.Signals
    readonly stopTimeoutMs: number
  } | null
}

export const NEVER_RAN: ProcessRecord = { wanted: 'stopped', process: null }
const MAX_BYTES = 64 << 10
const STOP_SIGNALS: readonly unknown[] = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP']

/** The record, or that nothing ever ran. A file that can't be understood counts the same: it was written by a machine that lost it. */
export async function loadProcessRecord(disk: Disk, paths: Paths): Promise<ProcessRecord> {
  try {
    const value: unknown = JSON.parse(Buffer.from(await disk.readFile(fileOf(paths), MAX_BYTES)).toString('utf8'))
    return isRecord(value) && bytesOf(value).length <= MAX_BYTES ? value : NEVER_RAN
  } catch (error) {
    const isNone = error instanceof PlatformError && (error.code === 'not-found' || error.code === 'too-large')
    if (error instanceof SyntaxError || isNone) return NEVER_RAN
    throw error
  }
}

/** As it is written; what would be too long then was not written here. */
function bytesOf(record: ProcessRecord): Uint8Array {
  return Buffer.from(`${JSON.stringify(record)}\n`)
}

/** Replaces the record for whoever comes after a `kill -9`, without waiting for the disk. After a power cut no process is left that it could name. */
export async function noteProcessRecord(disk: Disk, paths: Paths, record: ProcessRecord): Promise<void> {
  const temporary = `${fileOf(paths)}.new`
  await disk.removeTree(temporary)
  const writer = await disk.createFile(temporary, 0o600)
  try {
    await writer.write(bytesOf(record))
  } finally {
    await writer.close()
  }
  await disk.rename(temporary, fileOf(paths))
}

/** Durable when it resolves. */
export async function saveProcessRecord(disk: Disk, paths: Paths, record: ProcessRecord): Promise<void> {
  await replaceFile(disk, fileOf(paths), bytesOf(record), 0o600)
}

function fileOf(paths: Paths): string {
  return join(paths.service, 'process.json')
}

/** By hand: the supervisor does without packages. */
function isRecord(value: unknown): value is ProcessRecord {
  if (typeof value !== 'object' || value === null || !('wanted' in value && 'process' in value)) return false
  const { wanted, process } = value
  if (wanted !== 'running' && wanted !== 'stopped') return false
  if (process === null) return true
  if (
    typeof process !== 'object' ||
    process === undefined ||
    !('identity' in process && 'generation' in process && 'version' in process)
  )
    return false
  const { identity, generation, version } = process
  if (!isRun(process)) return false
  if (
    typeof identity !== 'object' ||
    identity === null ||
    !('pid' in identity && 'startTime' in identity && 'bootId' in identity)
  )
    return false
  return (
    Number.isSafeInteger(identity.pid) &&
    typeof identity.startTime === 'string' &&
    Number.isSafeInteger(generation) &&
    typeof version === 'string'
  )
}

/** What stopping it and starting it again need. */
function isRun(process: object): boolean {
  const { startedAt, logOffset, restarts, stopSignal, stopTimeoutMs } = process as { [name: string]: unknown }
  const isTime = typeof startedAt === 'string' && !Number.isNaN(Date.parse(startedAt))
  const areCounts = [logOffset, restarts, stopTimeoutMs].every(
    (count) => Number.isSafeInteger(count) && Number(count) >= 0,
  )
  return isTime && areCounts && STOP_SIGNALS.includes(stopSignal)
}

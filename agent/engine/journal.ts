// The journal of one update: one line a record, appended and made durable before the next thing happens.
//
//   3f0c9a51d2e4b768 {"seq":1,"boot":"…","at":"2026-11-23T10:00:00Z","phase":"DECIDE","decision":"begin",…}
//   ^ first 16 digits of SHA-256 over the rest of the line
//
// Write-ahead: INTENT is durable before the effect begins, DONE or FAIL after it is over. An INTENT without either means that somebody died there.
// A DONE goes to the disk together with the INTENT that follows at once: while the service is down every sync counts, and a lost DONE of an effect that
// is durable itself only makes a recovery look again.
// A torn last record was never acknowledged and is cut off. A bad record with a good one behind it is a damaged disk: a person has to look.
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Clock } from '../../keys/platform/clock.ts'
import type { Appender, Disk } from '../../keys/platform/disk.ts'
import { appendRecord, openJournal as openFile, replaceFile } from '../../keys/platform/durable.ts'
import { outcomeShape, reasonShape } from './outcome.ts'
import { stepNameShape } from './plan.ts'

/** What a step found out and a later one, or a recovery, needs. */
export const stepFactsShape = z.strictObject({
  /** stage: folder name in the store. */
  tree: z.string().optional(),
  /** baseline: what the old service did. */
  service: z.enum(['running', 'stopped', 'crashed', 'none']).optional(),
  /** baseline and ready: names of checks that failed. */
  failing: z.array(z.string()).optional(),
  /** ready: from stop to the first time that every required check passed. Null where a crash lies in between. */
  unreachable_ms: z.int().min(0).nullable().optional(),
  warnings: z.array(z.string()).optional(),
})
export type StepFacts = z.infer<typeof stepFactsShape>

const attempt = z.int().min(1)
export const entryShape = z.discriminatedUnion('phase', [
  z.strictObject({ phase: z.literal('INTENT'), step: stepNameShape, attempt }),
  z.strictObject({ phase: z.literal('DONE'), step: stepNameShape, attempt, facts: stepFactsShape }),
  z.strictObject({ phase: z.literal('FAIL'), step: stepNameShape, attempt, reason: reasonShape }),
  z.strictObject({
    phase: z.literal('DECIDE'),
    decision: z.discriminatedUnion('to', [
      /** The first record: binds the journal to its plan. */
      z.strictObject({ to: z.literal('begin'), plan_sha256: z.string() }),
      /** Somebody found this journal open and goes on with it. */
      z.strictObject({ to: z.literal('recover') }),
      /** One-way: after it nothing goes forward. */
      z.strictObject({ to: z.literal('go-back'), reason: reasonShape }),
      /** The last record. */
      z.strictObject({ to: z.literal('end'), outcome: outcomeShape }),
    ]),
  }),
])
export type JournalEntry = z.infer<typeof entryShape>

const headShape = z.object({ seq: z.int().min(1), boot: z.string(), at: z.string() })
/** An entry with what every record carries: its number from 1, the boot id of the machine and its wall time. */
export type JournalRecord = z.infer<typeof headShape> & { readonly entry: JournalEntry }

export type JournalText =
  /** `goodBytes`: where the torn tail begins, or the length. */
  | { readonly kind: 'whole' | 'torn'; readonly records: readonly JournalRecord[]; readonly goodBytes: number }
  | { readonly kind: 'damaged'; readonly line: number }

const CHECK_DIGITS = 16
const FILE_MODE = 0o600

/** One line, newline included. */
export function formatRecord({ entry, ...head }: JournalRecord): string {
  const json = JSON.stringify({ ...head, ...entry })
  return `${checkOf(json)} ${json}\n`
}

/** Reads what a journal file holds. Never throws: every byte string is whole, torn or damaged. */
export function parseJournal(bytes: Uint8Array): JournalText {
  const records: JournalRecord[] = []
  let goodBytes = 0
  for (let start = 0, line = 1; start < bytes.length; line++) {
    const newline = bytes.indexOf(0x0a, start)
    const end = newline === -1 ? bytes.length : newline
    const record = newline === -1 ? undefined : parseLine(bytes.subarray(start, end))
    if (record?.seq !== records.length + 1) {
      return isRecordIn(bytes, end + 1) ? { kind: 'damaged', line } : { kind: 'torn', records, goodBytes }
    }
    records.push(record)
    start = goodBytes = end + 1
  }
  return { kind: 'whole', records, goodBytes }
}

/** Whether any readable record lies behind `start`. */
function isRecordIn(bytes: Uint8Array, start: number): boolean {
  for (let at = start; at < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, at)
    if (newline === -1) return false
    if (parseLine(bytes.subarray(at, newline))) return true
    at = newline + 1
  }
  return false
}

function parseLine(line: Uint8Array): JournalRecord | undefined {
  const text = Buffer.from(line.buffer, line.byteOffset, line.length).toString('utf8')
  const json = text.slice(CHECK_DIGITS + 1)
  if (text.slice(0, CHECK_DIGITS + 1) !== `${checkOf(json)} `) return undefined
  try {
    const { seq, boot, at, ...entry } = JSON.parse(json)
    return { ...headShape.parse({ seq, boot, at }), entry: entryShape.parse(entry) }
  } catch {
    return undefined // its sum is right and its words are not: written by a program that this one does not understand
  }
}

function checkOf(json: string): string {
  return createHash('sha256').update(json).digest('hex').slice(0, CHECK_DIGITS)
}

/** An open journal. One process at a time: the update lock is held. */
export interface Journal {
  readonly records: readonly JournalRecord[]
  /** Why records no longer reach the disk; null while they do. */
  readonly lost: Error | null
  /** Adds a record that becomes durable with the next one. */
  note(entry: JournalEntry): void
  /** Durable when it resolves with true, with all that was noted before. With false it is kept in memory only, and `lost` says why. Never rejects. */
  append(entry: JournalEntry): Promise<boolean>
  close(): Promise<void>
}

export class JournalError extends Error {
  override readonly name = 'JournalError'
}

export interface JournalDeps {
  readonly disk: Disk
  readonly clock: Clock
  readonly bootId: string
}

/** Opens a journal, making the file if it is not there and cutting a torn tail off. Rejects with JournalError if it is damaged, PlatformError if the disk fails. */
export async function openJournal(deps: JournalDeps, path: string): Promise<Journal> {
  const { disk, clock, bootId } = deps
  let appender: Appender | undefined = await openFile(disk, path, FILE_MODE)
  const text = parseJournal(await readAll(appender))
  if (text.kind === 'damaged') {
    await appender.close()
    throw new JournalError(`${path}: line ${text.line} is damaged and good lines follow it`)
  }
  if (text.kind === 'torn') {
    await appender.truncate(text.goodBytes)
    await appender.sync()
  }
  const records = [...text.records]
  let lost: Error | null = null

  async function write(lines: string): Promise<void> {
    if (!appender) throw new JournalError(`${path} is closed`)
    await appendRecord(appender, Buffer.from(lines))
  }

  /** A failed sync must not be believed when it is repeated: everything is written again under a new name. */
  async function rewrite(): Promise<void> {
    await appender?.close().catch(() => undefined)
    appender = undefined
    await replaceFile(disk, path, Buffer.from(records.map(formatRecord).join('')), FILE_MODE)
    appender = await openFile(disk, path, FILE_MODE)
  }

  let noted = ''

  function add(entry: JournalEntry): void {
    const record: JournalRecord = { seq: records.length + 1, boot: bootId, at: timeText(clock.now()), entry }
    records.push(record)
    noted += formatRecord(record)
  }

  return {
    records,
    get lost() {
      return lost
    },
    note: add,
    append: async (entry) => {
      add(entry)
      const lines = noted
      noted = ''
      if (lost) return false
      try {
        await write(lines).catch(rewrite)
        return true
      } catch (error) {
        lost = error instanceof Error ? error : new JournalError(String(error))
        return false
      }
    },
    close: async () => {
      await appender?.close().catch(() => undefined)
      appender = undefined
    },
  }
}

/** Reads a journal without opening it for writing: for history and for commands that only look. */
export async function readJournal(disk: Disk, path: string): Promise<JournalText> {
  return parseJournal(await disk.readFile(path, MAX_JOURNAL_BYTES))
}

/** Budgets keep a journal far below this. */
const MAX_JOURNAL_BYTES = 16 << 20

async function readAll(appender: Appender): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of appender.readChunks()) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** `2026-11-23T10:00:00Z` */
export function timeText(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`
}

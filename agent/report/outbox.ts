// The outbox on disk: `<state>/outbox.json`, shared by the daemon and every command. Each change is read, changed and durably replaced under a lock of
// its own, so that two processes never give one number twice and a power cut leaves the backlog before or after a change. Signatures are not kept: the
// same report has the same one each time (RFC 8032).
//
// It belongs to one host and one server. A process that still acts for an enrolment that ended finds it to be another's: it is told so and changes nothing.
import { createHash, randomBytes } from 'node:crypto'
import type { Clock } from '../../keys/platform/clock.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { replaceFile } from '../../keys/platform/durable.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import type { AttemptState } from '../../schema/attempt.ts'
import type { Report, ReportBody, SignedReport } from '../../schema/report.ts'
import { MAX_STORED_SEQ } from '../../schema/report-number.ts'
import { utcSecond } from '../utc-second.ts'
import {
  appendReport,
  type Backlog,
  beginChain,
  type Chain,
  emptyBacklog,
  type LinkHash,
  numberReports,
  resumeAfter,
} from './backlog.ts'
import { reportBytes } from './statement.ts'

export interface OutboxDeps {
  readonly disk: Disk
  readonly clock: Clock
  readonly file: string
  readonly hostId: string
  /** Whose reports these are, and for whom: `partiesOf`. */
  readonly parties: string
  /** Ed25519 by the host's key, hexadecimal. */
  readonly sign: (statement: Uint8Array) => string
  /** Takes the outbox's lock, waiting for whoever holds it, up to some seconds. Rejects with PlatformError `locked`. */
  readonly lock: () => Promise<{ release(): Promise<void> }>
}

/** Every method but `begin` rejects with OutboxTaken where the host has been enrolled as another, or elsewhere. */
export interface Outbox {
  /** Makes the report durable. It gets its number when it is first sent. */
  append(body: ReportBody): Promise<void>
  /** The first `limit` reports to be sent, ascending, numbered for good and signed. */
  take(limit: number): Promise<readonly SignedReport[]>
  /** How many the server has not acknowledged. */
  count(): Promise<number>
  /** The server says the greatest number that it has of this host: what it stored is done, and what comes next has the next numbers. */
  resumeAfter(storedSeq: number): Promise<'moved' | 'same'>
  /** Whether it was told a number that it never gave, so that a server is heard before it is told anything: perhaps it was another that said so. */
  strayed(): Promise<boolean>
  /** The host was enrolled; the server has reports of it up to this number. What waited for another server, or of another host, is not told to this one. */
  begin(storedSeq: number): Promise<void>
  /** The last state that was reported of an attempt, undefined if none was. */
  toldOf(updateId: string): Promise<AttemptState | undefined>
}

/** The outbox is of another enrolment by now. */
export class OutboxTaken extends Error {
  override readonly name = 'OutboxTaken'
}

const MAX_BYTES = 16 * 1024 * 1024

export function buildOutbox(deps: OutboxDeps): Outbox {
  const hash: LinkHash = (report, epoch, previous) => sha256Of(statementOf(deps.hostId, report, epoch, previous))
  return {
    append: async (body) => {
      await change(deps, (backlog) => appendReport(backlog, utcSecond(deps.clock.now()), body))
    },
    take: async (limit) => {
      const { numbered, waiting } = await load(deps)
      if (numbered.length === 0 && waiting.length === 0) return []
      const { after } = await change(deps, (backlog) => numberReports(backlog, limit, newEpoch()))
      return signAll(deps, after, limit)
    },
    count: async () => {
      const { numbered, waiting } = await load(deps)
      return numbered.length + waiting.length
    },
    resumeAfter: async (storedSeq) => {
      const { before, after } = await change(deps, (backlog) => resumeAfter(backlog, storedSeq, hash))
      return after.stored.seq === before.stored.seq ? 'same' : 'moved'
    },
    strayed: async () => (await load(deps)).left !== null,
    begin: async (storedSeq) => {
      await change(deps, (backlog) => beginChain(backlog, newEpoch(), storedSeq), 'take')
    },
    toldOf: async (updateId) => (await load(deps)).told.find(([id]) => id === updateId)?.[1],
  }
}

function newEpoch(): string {
  return randomBytes(16).toString('hex')
}

function signAll({ hostId, sign }: OutboxDeps, backlog: Backlog, limit: number): SignedReport[] {
  const { epoch, stored, numbered } = backlog
  if (epoch === null) return []
  let previous = stored.sha256
  return numbered.slice(0, limit).map((report) => {
    const statement = statementOf(hostId, report, epoch, previous)
    const signed = {
      epoch,
      seq: report.seq,
      at: report.at,
      previous,
      body: JSON.stringify(report.body),
      signature: sign(statement),
    }
    previous = sha256Of(statement)
    return signed
  })
}

function statementOf(hostId: string, { seq, at, body }: Report, epoch: string, previous: string | null): Uint8Array {
  return reportBytes({ hostId, epoch, seq, at, previous, bodySha256: sha256Of(JSON.stringify(body)) })
}

function sha256Of(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

async function change(
  deps: OutboxDeps,
  step: (backlog: Backlog) => Backlog,
  ofAnother: 'refuse' | 'take' = 'refuse',
): Promise<{ readonly before: Backlog; readonly after: Backlog }> {
  const lock = await deps.lock()
  try {
    const before = await load(deps, ofAnother)
    const after = step(before)
    if (JSON.stringify(after) !== JSON.stringify(before)) await save(deps, after)
    return { before, after }
  } finally {
    await lock.release()
  }
}

function save({ disk, file, parties }: OutboxDeps, backlog: Backlog): Promise<void> {
  const document = { schema: 'netlink.outbox/v2', parties, ...backlog }
  return replaceFile(disk, file, Buffer.from(`${JSON.stringify(document)}\n`), 0o600)
}

async function load(deps: OutboxDeps, ofAnother: 'refuse' | 'take' = 'refuse'): Promise<Backlog> {
  let bytes: Uint8Array
  try {
    bytes = await deps.disk.readFile(deps.file, MAX_BYTES)
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') return emptyBacklog
    // Nothing of it can be used: what waited is lost, and so is the chain. The server sees that another begins, and marks the host.
    if (error instanceof PlatformError && error.code === 'too-large') return emptyBacklog
    throw error
  }
  const found = readBacklog(bytes)
  if (!found) return emptyBacklog
  if (found.parties === deps.parties) return found.backlog
  if (ofAnother === 'take') return emptyBacklog
  throw new OutboxTaken(`${deps.file}: expected reports of ${deps.parties}, found those of ${found.parties}`)
}

/** Our own file, replaced as a whole: a look at each entry tells whether it is what was written, so that whoever takes it falls over none. */
function readBacklog(bytes: Uint8Array): { readonly parties: string; readonly backlog: Backlog } | undefined {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { parties, waiting, told, left } = value as Partial<Backlog & { parties: string }>
  if (typeof parties !== 'string') return undefined
  const chain = readChain(value)
  const before = left ? readChain(left) : null
  if (!chain || before === undefined) return undefined
  if (!isListOf(waiting, isDraft) || !isListOf(told, isTold)) return undefined
  return { parties, backlog: { ...chain, waiting, told, left: before } }
}

function readChain(value: Partial<Chain>): Chain | undefined {
  const { epoch, stored, numbered } = value
  if (epoch !== null && typeof epoch !== 'string') return undefined
  if (!stored || !isStoredSeq(stored.seq)) return undefined
  const { seq, sha256 = null } = stored
  if (sha256 !== null && typeof sha256 !== 'string') return undefined
  if (!isListOf(numbered, isDraft)) return undefined
  if (numbered.some((report, index) => report.seq !== seq + 1 + index)) return undefined
  return { epoch, stored: { seq, sha256 }, numbered }
}

function isStoredSeq(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= MAX_STORED_SEQ
}

function isListOf<T>(list: readonly T[] | undefined, isOne: (one: unknown) => boolean): list is readonly T[] {
  return Array.isArray(list) && list.every(isOne)
}

function isDraft(one: unknown): boolean {
  return isObject(one) && typeof one.at === 'string' && isObject(one.body) && isBody(one.body)
}

/** What the backlog's rules look at: a report that says less than this was not made here. */
function isBody({ type, attempt }: Fields): boolean {
  if (type === 'attempt') return isObject(attempt) && typeof attempt.update_id === 'string'
  return typeof type === 'string'
}

function isTold(one: unknown): boolean {
  return Array.isArray(one) && one.length === 2 && one.every((part) => typeof part === 'string')
}

type Fields = { readonly [name: string]: unknown }

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

// Whether reports continue what one machine said before. Each names the hash of the one before it and numbers have no holes, so whoever speaks for a host
// without having said all of its reports shows:
//
//   stored   … 19 ── 20
//   machine A          └─ 21              continues: stored
//   machine B    └─ 20'                   `same_number`: a copy that went on by itself
//   machine B          ┊  21' (after 19)  `broken_chain`: a copy that learned the number from the server, but not what was said under it
//   machine C          ┊  21  (after -)   `another_chain`: the key without the memory
//
// A hole is no fork: the host said it and this server lost it, as after a backup was put back. Whoever makes up a hole breaks the chain for the other:
//
//   stored   … 19 ── 20 ┄┄ 500            a hole: stored
//   machine A          └─ 21              `passed_number`; told that it is 500, it goes on with 501 (after 20): `broken_chain`
//   machine B          ┄┄ 9…9             `number_jump`: no hole is as long. Not stored, so that nobody uses up the numbers of the other
import { createHash } from 'node:crypto'
import type { StoredFork } from '../../schema/db/tables.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { type Report, reportBodyShape, reportStatement, type SignedReport } from '../../schema/report.ts'
import { isHole, MAX_STORED_SEQ } from '../../schema/report-number.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { unreachable } from '../../schema/unreachable.ts'
import type { KnownHost } from './core.ts'
import { CoreError } from './core-error.ts'
import { loadHostKey, verifyHostSignature } from './host-key.ts'
import { findUnstorable } from './storable.ts'

/** A report whose host signed it, and what it says. */
export interface VerifiedReport {
  readonly report: Report
  readonly signed: SignedReport
  /** SHA-256 of the statement, hexadecimal: what the next report names. */
  readonly sha256: string
}

/** Where a host's chain stands. */
export interface Chain {
  /** Which chain, and the hash of its last report; null: none since the host was enrolled. */
  readonly epoch: string | null
  readonly tip: string | null
  /** Greatest number stored. */
  readonly storedSeq: number
}

/** What new reports come to. */
export interface Followed {
  readonly chain: Chain
  /** To be stored: in order of their numbers, each once, none too far ahead. */
  readonly fresh: readonly VerifiedReport[]
  /** The first that does not fit, null: one machine may have said all this. */
  readonly fork: StoredFork | null
}

/**
 * The reports, verified first and read after. Throws CoreError 'unverified' (reason `report-signature`) for one that this host did not sign, 'invalid' for a
 * body that can't be read.
 */
export function verifyReports(
  { hostId, publicKey }: Pick<KnownHost, 'hostId' | 'publicKey'>,
  items: readonly SignedReport[],
): VerifiedReport[] {
  if (items.length === 0) return []
  const key = loadHostKey(publicKey)
  return items.map((signed) => {
    const { epoch, seq, at, previous, body, signature } = signed
    const statement = reportStatement({ hostId, epoch, seq, at, previous, bodySha256: sha256Of(body) })
    if (!verifyHostSignature(key, statement, signature)) {
      throw new CoreError('unverified', `report ${seq} was not signed by host ${hostId}`, {
        reason: 'report-signature',
      })
    }
    return { signed, sha256: sha256Of(statement), report: { seq, at, body: readBody(signed) } }
  })
}

function sha256Of(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

function readBody({ seq, body }: SignedReport): Report['body'] {
  const subject = `body of report ${seq}`
  try {
    const unstorable = findUnstorable(body)
    if (unstorable !== undefined)
      throw new ShapeError(subject, [{ pointer: unstorable, message: 'expected text without NUL' }])
    return parseShape(reportBodyShape, JSON.parse(body), subject)
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new CoreError('invalid', `${subject}: expected JSON`, {}, { cause })
    if (cause instanceof ShapeError) throw new CoreError('invalid', cause.message, { issues: cause.issues }, { cause })
    throw cause
  }
}

/** What is stored of a host, as far as reports came again under numbers that are not new. */
export interface Kept {
  /** Hashes of those that are stored, by number. */
  readonly hashes: ReadonlyMap<number, string>
  /** Smallest number of the host that is still kept: what is missing below it was swept. */
  readonly oldest: number
}

const NOTHING_KEPT: Kept = { hashes: new Map(), oldest: Number.POSITIVE_INFINITY }

/** Pure. Of two reports under one number the first counts. */
export function followChain(start: Chain, items: readonly VerifiedReport[], kept = NOTHING_KEPT): Followed {
  const hashes = new Map(kept.hashes)
  const fresh: VerifiedReport[] = []
  let chain = start
  let fork: StoredFork | null = null
  for (const item of items.toSorted((a, b) => a.report.seq - b.report.seq)) {
    const { epoch, seq } = item.signed
    const kind = forkBy(chain, { hash: hashes.get(seq), oldest: kept.oldest }, item)
    if (kind) fork ??= { kind, seq, detail: detailOf(kind, seq, chain) }
    if (seq <= chain.storedSeq || isJump(chain, seq)) continue
    fresh.push(item)
    hashes.set(seq, item.sha256)
    chain = { epoch, tip: item.sha256, storedSeq: seq }
  }
  return { chain, fresh, fork }
}

function forkBy(
  chain: Chain,
  stored: { readonly hash: string | undefined; readonly oldest: number },
  { signed, sha256 }: VerifiedReport,
): StoredFork['kind'] | null {
  const { epoch, seq, previous } = signed
  if (stored.hash === sha256) return null
  if (isJump(chain, seq)) return 'number_jump'
  if (chain.epoch === null) return null
  if (epoch !== chain.epoch) return 'another_chain'
  if (stored.hash !== undefined) return 'same_number'
  if (seq <= chain.storedSeq) return seq > stored.oldest ? 'passed_number' : null
  return seq === chain.storedSeq + 1 && previous !== chain.tip ? 'broken_chain' : null
}

/** A host never comes there: it goes on behind what this server has, and back to that if it was told otherwise. */
function isJump({ storedSeq }: Chain, seq: number): boolean {
  return seq > MAX_STORED_SEQ || !isHole(storedSeq, seq)
}

function detailOf(kind: StoredFork['kind'], seq: number, { storedSeq }: Chain): string {
  const machines = 'two machines speak with one key: a copied disk, a snapshot that was put back, or a stolen key'
  switch (kind) {
    case 'same_number':
      return `report ${seq} came with two contents; ${machines}`
    case 'broken_chain':
      return `report ${seq} does not continue report ${storedSeq} as it was stored; ${machines}`
    case 'another_chain':
      return `report ${seq} is of another chain than report ${storedSeq}, and the host was not enrolled again; ${machines}`
    case 'passed_number':
      return `report ${seq} was left out when report ${storedSeq} was stored, and came after it; ${machines}`
    case 'number_jump':
      return `report ${seq} is too far ahead of report ${storedSeq}, and was not stored; ${machines}, or a server that was not ours told the host a false number`
    default:
      return unreachable(kind)
  }
}

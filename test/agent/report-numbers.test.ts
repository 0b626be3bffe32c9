// A host's numbers and the server's rules over them, side by side: the agent's own backlog against the server's own chain, through everything that can happen
// to either. Whatever it was, the host is heard again; what is honest never looks like a fork; and as soon as two machines have spoken, it does.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  appendReport,
  type Backlog,
  beginChain,
  emptyBacklog,
  type LinkHash,
  numberReports,
  resumeAfter,
} from '../../agent/report/backlog.ts'
import { type Report, type ReportBody, reportStatement, type SignedReport } from '../../schema/report.ts'
import { MAX_HOLE, MAX_REPORT_SEQ, MAX_STORED_SEQ } from '../../schema/report-number.ts'
import { type Chain, followChain, type VerifiedReport } from '../../server/core/report-chain.ts'

const AT = '2026-11-23T10:00:00Z'
const HOST = 'h_1'
const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex')
const statementOf = ({ seq, at, body }: Report, epoch: string, previous: string | null) =>
  reportStatement({ hostId: HOST, epoch, seq, at, previous, bodySha256: sha256(JSON.stringify(body)) })
const hash: LinkHash = (report, epoch, previous) => sha256(statementOf(report, epoch, previous))

let serial = 0
const words = (): ReportBody => {
  serial += 1
  return { type: 'refusal', refusal: { code: 'E-HASH', message: `no. ${serial}`, version: null } }
}
const epoch = () => {
  serial += 1
  return sha256(`epoch ${serial}`).slice(0, 32)
}

/** What a server knows of the host. Its rules are the real ones; what it keeps is in memory. */
class Server {
  chain: Chain = { epoch: null, tip: null, storedSeq: 0 }
  readonly texts = new Map<number, string>()
  readonly hashes = new Map<number, string>()
  forks: string[] = []

  ingest(items: readonly VerifiedReport[]): void {
    const oldest = Math.min(...this.hashes.keys())
    const { chain, fresh, fork } = followChain(this.chain, items, { hashes: this.hashes, oldest })
    this.chain = chain
    for (const item of fresh) {
      this.texts.set(item.report.seq, item.signed.body)
      this.hashes.set(item.report.seq, item.sha256)
    }
    if (fork) this.forks.push(fork.kind)
  }

  /** As `enroll` does it: the next report begins a chain, and what was said of another machine is over. */
  enrolAgain(): number {
    this.chain = { ...this.chain, epoch: null, tip: null }
    this.forks = []
    return this.chain.storedSeq
  }

  copy(): Server {
    const other = new Server()
    other.chain = this.chain
    for (const [seq, text] of this.texts) other.texts.set(seq, text)
    for (const [seq, one] of this.hashes) other.hashes.set(seq, one)
    other.forks = [...this.forks]
    return other
  }
}

/** A machine with the host's key. */
class Machine {
  backlog: Backlog

  constructor(backlog: Backlog) {
    this.backlog = backlog
  }

  hears(storedSeq: number): void {
    this.backlog = resumeAfter(this.backlog, storedSeq, hash)
  }

  says(limit = 100): VerifiedReport[] {
    this.backlog = numberReports(this.backlog, limit, epoch())
    const { epoch: chain, stored, numbered } = this.backlog
    let previous = stored.sha256
    return numbered.slice(0, limit).map((report) => {
      const signed: SignedReport = {
        ...{ epoch: String(chain), seq: report.seq, at: report.at, previous },
        ...{ body: JSON.stringify(report.body), signature: '0'.repeat(128) },
      }
      previous = hash(report, String(chain), previous)
      return { report, signed, sha256: previous }
    })
  }

  notes(): string {
    const body = words()
    this.backlog = appendReport(this.backlog, AT, body)
    return JSON.stringify(body)
  }

  /** One connection: the welcome, what waits, and the receipt. */
  connects(server: Server, isReceiptLost = false): void {
    this.hears(server.chain.storedSeq)
    server.ingest(this.says())
    if (!isReceiptLost) this.hears(server.chain.storedSeq)
  }

  enrols(server: Server): void {
    this.backlog = beginChain(this.backlog, epoch(), server.enrolAgain())
  }
}

/** An enrolled host whose first reports are stored. */
function begun(): { server: Server; host: Machine } {
  const server = new Server()
  const host = new Machine(emptyBacklog)
  host.enrols(server)
  for (let round = 0; round < 3; round++) {
    host.notes()
    host.connects(server)
  }
  return { server, host }
}

/** A copy that makes up its own number, as far as its key allows. */
function jumped(host: Machine, seq: number): Machine {
  const { stored } = host.backlog
  return new Machine({ ...host.backlog, stored: { seq: seq - 1, sha256: stored.sha256 }, numbered: [] })
}

const told = (server: Server) => [...server.texts.values()]

describe('a copy that makes up a number', () => {
  test.each([
    ['the next but one', (last: number) => last + 2, 'broken_chain'],
    ['as far ahead as a hole can be', (last: number) => last + 1 + MAX_HOLE, 'broken_chain'],
    ['further ahead than that', (last: number) => last + 2 + MAX_HOLE, 'number_jump'],
    ['the greatest that a server stores', () => MAX_STORED_SEQ, 'number_jump'],
    ['the greatest that there is', () => MAX_REPORT_SEQ, 'number_jump'],
  ])('%s: it shows at the latest when the host speaks, and the host is heard as before', (_, seqAfter, kind) => {
    const { server, host } = begun()
    const copy = jumped(host, seqAfter(server.chain.storedSeq))
    copy.notes()
    server.ingest(copy.says())
    const mine = host.notes()
    host.connects(server)
    expect(server.forks).toContain(kind)
    expect(told(server)).toContain(mine)
    expect(server.chain.storedSeq).toBeLessThan(2 * MAX_HOLE)
  })

  test('shows at once to a host that is connected and has not heard of it, and that host is heard with its next breath', () => {
    const { server, host } = begun()
    const copy = jumped(host, server.chain.storedSeq + 500)
    copy.notes()
    server.ingest(copy.says())
    expect(server.forks).toEqual([])
    const mine = host.notes()
    server.ingest(host.says())
    expect(server.forks).toEqual(['passed_number'])
    host.hears(server.chain.storedSeq)
    server.ingest(host.says())
    expect(told(server)).toContain(mine)
  })

  test('is over with another enrolment, also where it never stopped, and numbers begin at 1 when the host was forgotten', () => {
    const { server, host } = begun()
    for (let jump = 1; jump <= 5; jump++) {
      const copy = jumped(host, server.chain.storedSeq + MAX_HOLE)
      copy.notes()
      server.ingest(copy.says())
    }
    host.enrols(server)
    host.notes()
    host.connects(server)
    expect(server.forks).toEqual([])
    const forgotten = new Server()
    host.enrols(forgotten)
    host.notes()
    host.connects(forgotten)
    expect([...forgotten.texts.keys()][0]).toBe(1)
    expect(forgotten.forks).toEqual([])
  })
})

describe('whatever happens to a host and its server', () => {
  const lie = fc.oneof(
    fc.integer({ min: 0, max: 40 }),
    fc.integer({ min: MAX_HOLE - 5, max: 3 * MAX_HOLE }),
    fc.integer({ min: MAX_STORED_SEQ - 3, max: MAX_STORED_SEQ }),
  )
  const only = <Kind extends string>(kind: Kind) => fc.record({ kind: fc.constant(kind) })
  const honest = fc.oneof(
    { weight: 4, arbitrary: only('note') },
    { weight: 4, arbitrary: only('connect') },
    fc.record({ kind: fc.constant('lose receipt' as const) }),
    only('back up server'),
    only('put server back'),
    fc.record({ kind: fc.constant('captured' as const), claims: fc.array(lie, { minLength: 1, maxLength: 4 }) }),
    only('enrol again'),
  )
  const foul = fc.oneof(
    fc.record({ kind: fc.constant('copy' as const), ahead: lie }),
    only('snapshot'),
    only('put host back'),
    only('lose outbox'),
  )
  type Step =
    | (typeof honest extends fc.Arbitrary<infer T> ? T : never)
    | (typeof foul extends fc.Arbitrary<infer T> ? T : never)

  function play(steps: readonly Step[]): { server: Server; host: Machine } {
    let { server, host } = begun()
    let backup = server.copy()
    let snapshot = host.backlog
    for (const step of steps) {
      if (step.kind === 'note') host.notes()
      else if (step.kind === 'connect') host.connects(server)
      else if (step.kind === 'lose receipt') host.connects(server, true)
      else if (step.kind === 'back up server') backup = server.copy()
      else if (step.kind === 'put server back') server = backup.copy()
      else if (step.kind === 'enrol again') {
        host.enrols(server)
        // What was kept of the time before knows another chain: whoever puts it back enrols the host again.
        backup = server.copy()
        snapshot = host.backlog
      } else if (step.kind === 'captured') {
        // It claims what it likes, and acknowledges or not.
        for (const claim of step.claims) {
          host.hears(claim)
          const items = host.says()
          for (const { report } of items) expect(report.seq).toBeLessThanOrEqual(MAX_REPORT_SEQ)
          if (claim % 2 === 0) host.hears(Math.min(items.at(-1)?.report.seq ?? claim, MAX_STORED_SEQ))
        }
      } else if (step.kind === 'copy') {
        const copy = jumped(host, server.chain.storedSeq + 1 + step.ahead)
        copy.notes()
        server.ingest(copy.says())
      } else if (step.kind === 'snapshot') snapshot = host.backlog
      else if (step.kind === 'put host back') host = new Machine(snapshot)
      else host = new Machine(emptyBacklog)
    }
    return { server, host }
  }

  test('its next connection tells everything that waits, and its numbers stay far from their end', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(honest, foul), { maxLength: 40 }), (steps) => {
        const { server, host } = play(steps)
        const mine = host.notes()
        host.connects(server)
        expect(told(server)).toContain(mine)
        expect(server.chain.storedSeq).toBeLessThan(1_000 * MAX_HOLE)
      }),
      { numRuns: 500 },
    )
  })

  test('one machine that was told the truth and lies, by servers that were put back and captured, never shows as two', () => {
    fc.assert(
      fc.property(fc.array(honest, { maxLength: 40 }), (steps) => {
        const { server, host } = play(steps)
        host.notes()
        host.connects(server)
        expect(server.forks).toEqual([])
      }),
      { numRuns: 500 },
    )
  })

  test('two machines that both spoke show, whatever number the second made up', () => {
    fc.assert(
      fc.property(fc.array(honest, { maxLength: 20 }), lie, (steps, ahead) => {
        const { server, host } = play(steps)
        host.connects(server)
        const copy = jumped(host, server.chain.storedSeq + 1 + ahead)
        copy.notes()
        server.ingest(copy.says())
        host.notes()
        host.connects(server)
        expect(server.forks).not.toEqual([])
      }),
      { numRuns: 500 },
    )
  })
})

import { createHash, generateKeyPairSync, sign, verify } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  appendReport,
  type Backlog,
  beginChain,
  emptyBacklog,
  MAX_WAITING,
  numberReports,
  resumeAfter,
} from '../../agent/report/backlog.ts'
import { buildOutbox, type Outbox, OutboxTaken } from '../../agent/report/outbox.ts'
import { helloBytes, reportBytes, requestBytes } from '../../agent/report/statement.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { makeDirDurable } from '../../keys/platform/durable.ts'
import type { AttemptState } from '../../schema/attempt.ts'
import { helloStatement, requestStatement } from '../../schema/protocol.ts'
import {
  type Inventory,
  type Report,
  type ReportBody,
  reportShape,
  reportStatement,
  type SignedReport,
  signedReportShape,
} from '../../schema/report.ts'
import { MAX_HOLE, MAX_STORED_SEQ } from '../../schema/report-number.ts'
import { parseVersion } from '../../schema/version.ts'
import { runWithCuts } from '../sim/cuts.ts'
import { createSimDisk } from '../sim/disk.ts'

const at = '2026-11-23T10:00:00Z'

const inventory: Inventory = {
  version: parseVersion('0a1'),
  since: at,
  channel: 'alpha',
  database_version: null,
  config_version: null,
  generation: 1,
  platform: 'linux-x64',
  agent_version: '0.1.0',
  service: 'healthy',
  target: null,
  waiting: null,
  waiting_detail: null,
  root_version: 1,
  timestamp_version: 1,
}

const inventoryBody: ReportBody = { type: 'inventory', inventory }

function attempt(second: number, state: AttemptState): ReportBody {
  const update_id = `update_0a1_0a2_20261123_1000${String(second).padStart(2, '0')}`
  return {
    type: 'attempt',
    attempt: {
      update_id,
      kind: 'upgrade',
      from: parseVersion('0a1'),
      to: parseVersion('0a2'),
      state,
      code: null,
      reason: null,
    },
  }
}

function fill(bodies: readonly ReportBody[], start: Backlog = emptyBacklog): Backlog {
  return bodies.reduce((backlog, body) => appendReport(backlog, at, body), start)
}

const EPOCH = 'e'.repeat(32)
const hash = (report: Report, epoch: string, previous: string | null) =>
  createHash('sha256')
    .update(`${JSON.stringify(report)} ${epoch} ${previous}`)
    .digest('hex')
const seqs = (backlog: Backlog) => backlog.numbered.map((report) => report.seq)
const taken = (backlog: Backlog, limit = 100) => numberReports(backlog, limit, EPOCH)

describe('the backlog', () => {
  test('keeps the newest inventory only, as long as none of them was sent', () => {
    const inventories = fill([
      { type: 'inventory', inventory },
      attempt(1, 'offered'),
      { type: 'inventory', inventory },
    ])
    expect(inventories.waiting.map(({ body }) => body.type)).toEqual(['attempt', 'inventory'])
    const sent = fill([{ type: 'inventory', inventory }], taken(inventories))
    expect(seqs(sent)).toEqual([1, 2])
    expect(sent.waiting).toHaveLength(1)
    for (const report of sent.numbered) expect(reportShape.parse(report)).toEqual(report)
  })

  test('gives numbers from 1 without holes, and what has one stays as it is', () => {
    const first = taken(fill([attempt(1, 'offered'), attempt(1, 'staged'), attempt(1, 'succeeded')]), 2)
    expect(seqs(first)).toEqual([1, 2])
    const more = taken(fill([attempt(2, 'offered')], first), 4)
    expect(seqs(more)).toEqual([1, 2, 3, 4])
    expect(more.numbered.slice(0, 2)).toEqual(first.numbered)
    expect(taken(more, 2)).toEqual(more)
  })

  test('what the server has stored is taken out, and its end remembered', () => {
    const backlog = taken(fill([attempt(1, 'offered'), attempt(1, 'staged'), attempt(1, 'succeeded')]))
    const [one, two] = backlog.numbered
    if (!one || !two) return expect.fail()
    const stored = resumeAfter(backlog, 2, hash)
    expect(seqs(stored)).toEqual([3])
    expect(stored.stored).toEqual({ seq: 2, sha256: hash(two, EPOCH, hash(one, EPOCH, null)) })
    expect(resumeAfter(resumeAfter(backlog, 1, hash), 2, hash)).toEqual(stored)
    expect(seqs(resumeAfter(backlog, 3, hash))).toEqual([])
  })

  test('is bounded: states on the way go first, ends stay', () => {
    const ends = Array.from({ length: 60 }, (_, index) => attempt(index, 'succeeded'))
    const ways = Array.from({ length: 60 }, (_, index) => attempt(index, 'staged'))
    let backlog = fill([...ways, ...ends])
    for (let round = 0; round < 40; round++) backlog = fill([...ways, ...ends], backlog)
    expect(backlog.waiting).toHaveLength(MAX_WAITING)
    const last = backlog.waiting
      .slice(-60)
      .map((report) => (report.body.type === 'attempt' ? report.body.attempt.state : ''))
    expect(new Set(last)).toEqual(new Set(['succeeded']))
  })

  test('a server that knows of more numbers than this host gave: what is not stored gets new ones, behind what this host said last', () => {
    const backlog = resumeAfter(taken(fill([attempt(1, 'offered'), attempt(1, 'staged')])), 1, hash)
    const resumed = taken(resumeAfter(fill([attempt(2, 'offered')], backlog), 70, hash))
    expect(seqs(resumed)).toEqual([71, 72])
    expect(resumed.stored).toEqual({ seq: 70, sha256: backlog.stored.sha256 })
    expect(seqs(resumeAfter(backlog, 1, hash))).toEqual([2])
  })

  test.each([
    ['a little', 7],
    ['far', 5_000_000],
    ['as far as there is', MAX_STORED_SEQ],
  ])('a server that says %s too much, and one after it that knows what is so: the host goes on as it was', (_, lie) => {
    // given: two reports are stored, a third may have been sent
    const three = taken(fill([attempt(1, 'offered'), attempt(1, 'staged'), attempt(1, 'succeeded')]))
    const before = resumeAfter(three, 2, hash)

    // when
    const astray = taken(fill([attempt(2, 'offered')], resumeAfter(before, lie, hash)))
    const further = taken(
      fill([attempt(2, 'staged')], resumeAfter(astray, lie + 1 > MAX_STORED_SEQ ? 9 : lie + 1, hash)),
    )
    const back = taken(resumeAfter(further, 2, hash))

    // then: everything is still told, and what was numbered before has its number and its content
    expect(seqs(astray)).toEqual([lie + 1, lie + 2])
    expect(back.stored).toEqual(before.stored)
    expect(back.numbered[0]).toEqual(before.numbered[0])
    expect(back.numbered.map((one) => one.body)).toEqual(
      expect.arrayContaining(further.numbered.map((one) => one.body)),
    )
    expect(back.left).toBeNull()
    // Whoever has all that was said is no reason to go back: the server of a host that came from a snapshot does.
    expect(seqs(resumeAfter(astray, lie, hash))).toEqual([lie + 1, lie + 2])
  })

  test('a server that has far less than the longest hole gets new numbers; one with a hole gets the next', () => {
    const long = { ...taken(fill([attempt(1, 'offered')])), stored: { seq: MAX_HOLE + 40, sha256: null }, numbered: [] }
    const next = (storedSeq: number) => seqs(taken(resumeAfter(fill([attempt(2, 'offered')], long), storedSeq, hash)))
    expect(next(40)).toEqual([MAX_HOLE + 41])
    expect(next(39)).toEqual([40])
  })

  test('enrolled again: a new chain begins behind what the server has, and tells what was not acknowledged', () => {
    const begun = taken(beginChain(taken(fill([attempt(1, 'offered'), attempt(1, 'staged')])), 'f'.repeat(32), 40))
    expect(begun).toMatchObject({ epoch: 'f'.repeat(32), stored: { seq: 40, sha256: null } })
    expect(seqs(begun)).toEqual([41, 42])
  })

  test('whatever happens, numbers ascend without holes and none is given twice for two contents', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('append' as const), second: fc.integer({ min: 0, max: 5 }) }),
      fc.record({ kind: fc.constant('take' as const), limit: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant('ack' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
      fc.record({ kind: fc.constant('resume' as const), ahead: fc.integer({ min: -5, max: 5 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let backlog = emptyBacklog
        const contents = new Map<number, string>()
        const last = () => backlog.numbered.at(-1)?.seq ?? backlog.stored.seq
        for (const one of steps) {
          if (one.kind === 'append') backlog = appendReport(backlog, at, attempt(one.second, 'staged'))
          else if (one.kind === 'take') backlog = taken(backlog, one.limit)
          else if (one.kind === 'ack') backlog = resumeAfter(backlog, Math.floor(one.share * last()), hash)
          else {
            const storedSeq = Math.max(0, last() + one.ahead)
            const { left } = backlog
            backlog = resumeAfter(backlog, storedSeq, hash)
            // What the server has under numbers above ours was never ours; or it lost what we said there.
            if (backlog.left !== left) contents.clear()
          }
          for (const [index, report] of backlog.numbered.entries()) {
            expect(report.seq).toBe(backlog.stored.seq + 1 + index)
            const content = JSON.stringify(report)
            expect(contents.get(report.seq) ?? content).toBe(content)
            contents.set(report.seq, content)
          }
        }
      }),
    )
  })
})

describe('the outbox on disk', () => {
  const FILE = '/state/outbox.json'
  const pair = generateKeyPairSync('ed25519')
  const open = (disk: Disk, parties = 'h_1 https://updates.example'): Outbox =>
    buildOutbox({
      disk,
      clock: systemClock,
      file: FILE,
      hostId: 'h_1',
      parties,
      sign: (statement) => sign(null, statement, pair.privateKey).toString('hex'),
      lock: async () => ({ release: async () => undefined }),
    })

  test('signs each report over the one before it, the same each time it is sent', async () => {
    const disk = createSimDisk()
    await makeDirDurable(disk, '/state', 0o700)
    for (const second of [1, 2, 3]) await open(disk).append(attempt(second, 'succeeded'))
    const reports = await open(disk).take(100)
    let previous: string | null = null
    for (const report of reports) {
      expect(signedReportShape.parse(report)).toEqual(report)
      expect(report.previous).toBe(previous)
      const bodySha256 = createHash('sha256').update(report.body).digest('hex')
      const statement = reportStatement({ ...report, hostId: 'h_1', bodySha256 })
      expect(verify(null, statement, pair.publicKey, Buffer.from(report.signature, 'hex'))).toBe(true)
      previous = createHash('sha256').update(statement).digest('hex')
    }
    expect(await open(disk).take(100)).toEqual(reports)
    await open(disk).resumeAfter(2)
    expect(await open(disk).take(100)).toEqual(reports.slice(2))
    await open(disk).resumeAfter(3)
    await open(disk).append(attempt(4, 'succeeded'))
    expect(await open(disk).take(100)).toMatchObject([{ seq: 4, previous, epoch: reports[0]?.epoch }])
  })

  test('a power cut at any effect: what was acknowledged to the caller is there, in order, and no number comes with two contents', async () => {
    const start = createSimDisk()
    await makeDirDurable(start, '/state', 0o700)
    let done: number[] = []
    let sent: readonly SignedReport[] = []
    const { cuts } = await runWithCuts(
      {
        scenario: async (disk) => {
          done = []
          sent = []
          const outbox = open(disk)
          for (let second = 1; second <= 3; second++) {
            await outbox.append(attempt(second, 'succeeded'))
            done.push(second)
          }
          sent = await outbox.take(2)
          await outbox.resumeAfter(1)
          done.push(99)
        },
        recover: async (disk) => {
          await open(disk).append(attempt(50, 'succeeded'))
        },
        check: async (disk) => {
          const reports = await open(disk).take(100)
          const numbers = reports.map((report) => report.seq)
          expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index))
          for (const one of sent) {
            const again = reports.find((report) => report.seq === one.seq)
            if (again || one.seq > 1) expect(again).toEqual(one)
          }
          const seconds = reports.map((report) => {
            const body: ReportBody = JSON.parse(report.body)
            return body.type === 'attempt' ? Number(body.attempt.update_id.slice(-2)) : 0
          })
          for (const second of done.filter((one) => one !== 99)) {
            const isAcknowledged = second === 1
            if (!isAcknowledged) expect(seconds).toContain(second)
          }
          expect(seconds).toContain(50)
        },
      },
      { start },
    )
    expect(cuts).toBeGreaterThan(10)
  })

  test('a file that nobody can read loses what waited, and another chain begins', async () => {
    const whole = createSimDisk({
      files: {
        [FILE]:
          '{"schema":"netlink.outbox/v2","parties":"h_1 https://updates.example","epoch":"aa","stored":{"seq":39,"sha256":"bb"},"numbered":[],"waiting":[],"told":[]}',
      },
    })
    await open(whole).append(attempt(1, 'succeeded'))
    expect(await open(whole).take(10)).toMatchObject([{ seq: 40, epoch: 'aa', previous: 'bb' }])
    const torn = createSimDisk({ files: { [FILE]: '{"schema":"netlink.outbox/v2","epoch":"aa","stor' } })
    await open(torn).append(attempt(1, 'succeeded'))
    const [report] = await open(torn).take(10)
    expect(report).toMatchObject({ seq: 1, previous: null })
    expect(report?.epoch).not.toBe('aa')
  })

  test.each([
    ['a report that is none', { numbered: [null] }],
    ['a number out of order', { numbered: [{ seq: 7, at, body: inventoryBody }] }],
    ['a draft without a body', { waiting: [{ at }] }],
    ['an attempt without an id', { waiting: [{ at, body: { type: 'attempt' } }] }],
    ['a state that was told of nothing', { told: [null] }],
    ['a negative number', { stored: { seq: -1, sha256: null } }],
    ['a number that leaves none to go on with', { stored: { seq: MAX_STORED_SEQ + 1, sha256: null }, numbered: [] }],
    ['a way back that is none', { left: { epoch: 'aa', stored: { seq: 'x' }, numbered: [] } }],
  ])('%s in the file is as good as no file: the next report is told all the same', async (_, damage) => {
    const stored = {
      ...{ schema: 'netlink.outbox/v2', parties: 'h_1 https://updates.example', epoch: 'aa' },
      ...{ stored: { seq: 4, sha256: 'bb' }, numbered: [{ seq: 5, at, body: inventoryBody }], waiting: [], told: [] },
    }
    const numbersAfter = async (file: object) => {
      const disk = createSimDisk({ files: { [FILE]: JSON.stringify(file) } })
      await open(disk).append(attempt(1, 'succeeded'))
      await open(disk).toldOf('update_0a1_0a2_20261123_100001')
      return (await open(disk).take(10)).map(({ seq }) => seq)
    }
    expect(await numbersAfter({ ...stored, ...damage })).toEqual([1])
    expect(await numbersAfter(stored)).toEqual([5, 6])
  })

  test('what one host stored for one server is never told by another, or elsewhere', async () => {
    const disk = createSimDisk()
    await makeDirDurable(disk, '/state', 0o700)
    const before = open(disk)
    await before.begin(0)
    await before.append(attempt(1, 'succeeded'))
    for (const other of ['h_2 https://updates.example', 'h_1 https://elsewhere.example']) {
      const after = open(disk, other)
      await expect(after.take(10)).rejects.toBeInstanceOf(OutboxTaken)
      await expect(after.append(attempt(2, 'succeeded'))).rejects.toBeInstanceOf(OutboxTaken)
    }
    expect(await before.take(10)).toHaveLength(1)

    const enrolledAgain = open(disk)
    await enrolledAgain.begin(1)
    expect(await enrolledAgain.take(10)).toHaveLength(1)

    const next = open(disk, 'h_2 https://updates.example')
    await next.begin(0)
    await next.append(attempt(3, 'succeeded'))
    await expect(before.append(attempt(4, 'succeeded'))).rejects.toBeInstanceOf(OutboxTaken)
    await expect(before.resumeAfter(1)).rejects.toBeInstanceOf(OutboxTaken)
    expect((await next.take(10)).map(({ seq, body }) => [seq, JSON.parse(body).attempt.update_id])).toEqual([
      [1, expect.stringContaining('_100003')],
    ])
  })

  test('remembers what was told of each attempt', async () => {
    const disk = createSimDisk()
    await makeDirDurable(disk, '/state', 0o700)
    await open(disk).append(attempt(1, 'staged'))
    await open(disk).append(attempt(1, 'reverted'))
    expect(await open(disk).toldOf('update_0a1_0a2_20261123_100001')).toBe('reverted')
    expect(await open(disk).toldOf('update_0a1_0a2_20261123_100009')).toBeUndefined()
  })
})

test('what the daemon signs is what the protocol says, byte for byte', () => {
  const request = {
    hostId: 'h_1',
    time: 1_764_000_000,
    method: 'POST',
    path: '/api/v1/agent/reports?x=1',
    bodySha256: 'ab'.repeat(32),
  }
  expect(helloBytes('h_1', 'n'.repeat(32))).toEqual(helloStatement('h_1', 'n'.repeat(32)))
  expect(requestBytes(request)).toEqual(requestStatement(request))
  const report = { hostId: 'h_1', epoch: EPOCH, seq: 7, at, bodySha256: 'cd'.repeat(32) }
  for (const previous of [null, 'ef'.repeat(32)])
    expect(reportBytes({ ...report, previous })).toEqual(reportStatement({ ...report, previous }))
})

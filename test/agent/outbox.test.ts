import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  acknowledge,
  appendReport,
  type Backlog,
  emptyBacklog,
  MAX_WAITING,
  resumeAfter,
} from '../../agent/report/backlog.ts'
import { buildOutbox, type Outbox } from '../../agent/report/outbox.ts'
import { helloBytes, requestBytes } from '../../agent/report/statement.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { makeDirDurable } from '../../keys/platform/durable.ts'
import type { AttemptState } from '../../schema/attempt.ts'
import { helloStatement, requestStatement } from '../../schema/protocol.ts'
import { type Inventory, type ReportBody, reportShape } from '../../schema/report.ts'
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

const seqs = (backlog: Backlog) => backlog.reports.map((report) => report.seq)

describe('the backlog', () => {
  test('numbers from 1, keeps the newest inventory only, and every report is one of the protocol', () => {
    const backlog = fill([{ type: 'inventory', inventory }, attempt(1, 'offered'), { type: 'inventory', inventory }])
    expect(seqs(backlog)).toEqual([2, 3])
    for (const report of backlog.reports) expect(reportShape.parse(report)).toEqual(report)
  })

  test('acknowledging takes out what is stored, and a number never given is not believed', () => {
    const backlog = fill([attempt(1, 'offered'), attempt(1, 'staged'), attempt(1, 'succeeded')])
    expect(seqs(acknowledge(backlog, 2))).toEqual([3])
    expect(seqs(acknowledge(backlog, 3))).toEqual([])
    expect(seqs(acknowledge(backlog, 99))).toEqual([1, 2, 3])
  })

  test('is bounded: states on the way go first, ends stay', () => {
    const ends = Array.from({ length: 60 }, (_, index) => attempt(index, 'succeeded'))
    const ways = Array.from({ length: 60 }, (_, index) => attempt(index, 'staged'))
    let backlog = fill([...ways, ...ends])
    for (let round = 0; round < 40; round++) backlog = fill([...ways, ...ends], backlog)
    expect(backlog.reports).toHaveLength(MAX_WAITING)
    const last = backlog.reports
      .slice(-60)
      .map((report) => (report.body.type === 'attempt' ? report.body.attempt.state : ''))
    expect(new Set(last)).toEqual(new Set(['succeeded']))
  })

  test('a server that knows of more numbers than this host gave: what waits gets new ones behind them', () => {
    const backlog = fill([attempt(1, 'offered'), attempt(1, 'staged')])
    const resumed = resumeAfter(backlog, 70)
    expect(seqs(resumed)).toEqual([71, 72])
    expect(resumed.next_seq).toBe(73)
    expect(seqs(resumeAfter(backlog, 1))).toEqual([2])
  })

  test('whatever happens, numbers ascend and none is given twice', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('append' as const), second: fc.integer({ min: 0, max: 5 }) }),
      fc.record({ kind: fc.constant('ack' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
      fc.record({ kind: fc.constant('resume' as const), ahead: fc.integer({ min: -5, max: 5 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let backlog = emptyBacklog
        let greatest = 0
        for (const one of steps) {
          if (one.kind === 'append') {
            backlog = appendReport(backlog, at, attempt(one.second, 'staged'))
            const given = backlog.reports.at(-1)?.seq ?? 0
            expect(given).toBeGreaterThan(greatest)
            greatest = given
          } else if (one.kind === 'ack') backlog = acknowledge(backlog, Math.floor(one.share * backlog.next_seq))
          else {
            backlog = resumeAfter(backlog, Math.max(0, backlog.next_seq + one.ahead))
            greatest = Math.max(greatest, backlog.next_seq - 1)
          }
          expect(seqs(backlog)).toEqual([...seqs(backlog)].sort((a, b) => a - b))
          expect(backlog.next_seq).toBeGreaterThan(Math.max(0, ...seqs(backlog)))
        }
      }),
    )
  })
})

describe('the outbox on disk', () => {
  const FILE = '/state/outbox.json'
  const open = (disk: Disk): Outbox =>
    buildOutbox({ disk, clock: systemClock, file: FILE, lock: async () => ({ release: async () => undefined }) })

  test('a power cut at any effect: what was acknowledged to the caller is there, in order, and no number comes twice', async () => {
    const start = createSimDisk()
    await makeDirDurable(start, '/state', 0o700)
    let done: number[] = []
    const { cuts } = await runWithCuts(
      {
        scenario: async (disk) => {
          done = []
          const outbox = open(disk)
          for (let second = 1; second <= 3; second++) {
            await outbox.append(attempt(second, 'succeeded'))
            done.push(second)
          }
          await outbox.acknowledge(1)
          done.push(99)
        },
        recover: async (disk) => {
          await open(disk).append(attempt(50, 'succeeded'))
        },
        check: async (disk) => {
          const waiting = await open(disk).waiting(100)
          const numbers = waiting.map((report) => report.seq)
          expect(new Set(numbers).size).toBe(numbers.length)
          expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
          const seconds = waiting.map((report) =>
            report.body.type === 'attempt' ? Number(report.body.attempt.update_id.slice(-2)) : 0,
          )
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

  test('a file that nobody can read loses what waited, and no number comes twice', async () => {
    const disk = createSimDisk({ files: { [FILE]: '{"next_seq": 40, "rep' } })
    await open(disk).append(attempt(1, 'succeeded'))
    const [report] = await open(disk).waiting(10)
    expect(report?.seq).toBeGreaterThan(1_000_000_000)
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
})

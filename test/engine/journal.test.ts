import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  formatRecord,
  type JournalEntry,
  JournalError,
  type JournalRecord,
  openJournal,
  parseJournal,
} from '../../agent/engine/journal.ts'
import { createSimDisk } from '../sim/disk.ts'
import { createVirtualClock } from './virtual-clock.ts'

const path = '/state/journal.jsonl'
const entries: JournalEntry[] = [
  { phase: 'DECIDE', decision: { to: 'begin', plan_sha256: 'a'.repeat(64) } },
  { phase: 'INTENT', step: 'download', attempt: 1 },
  { phase: 'DONE', step: 'download', attempt: 1, facts: { warnings: ['a\nb'] } },
  {
    phase: 'FAIL',
    step: 'unpack',
    attempt: 1,
    reason: { code: 'archive', message: 'no', step: 'unpack', details: [] },
  },
]

function recordsOf(list: readonly JournalEntry[]): JournalRecord[] {
  return list.map((entry, index) => ({ seq: index + 1, boot: 'b', at: '2026-11-23T10:00:00Z', entry }))
}
const textOf = (list: readonly JournalEntry[]) => recordsOf(list).map(formatRecord).join('')
const whole = Buffer.from(textOf(entries))

function openOn(disk: ReturnType<typeof createSimDisk>) {
  return openJournal({ disk, clock: createVirtualClock(), bootId: 'b' }, path)
}
const emptyDisk = () => createSimDisk({ files: { '/state/x': '' } })

describe('a journal', () => {
  test('is read as it was written', async () => {
    const disk = emptyDisk()
    const journal = await openOn(disk)
    for (const entry of entries) expect(await journal.append(entry)).toBe(true)
    await journal.close()
    expect(parseJournal(await disk.readFile(path))).toEqual({
      kind: 'whole',
      records: recordsOf(entries),
      goodBytes: whole.length,
    })
  })

  test('has one line a record, each with its sum', () => {
    expect(textOf(entries.slice(0, 2))).toBe(
      `4e62d7febf2d15d4 {"seq":1,"boot":"b","at":"2026-11-23T10:00:00Z","phase":"DECIDE","decision":{"to":"begin","plan_sha256":"${'a'.repeat(64)}"}}\n` +
        '901df46ef443278e {"seq":2,"boot":"b","at":"2026-11-23T10:00:00Z","phase":"INTENT","step":"download","attempt":1}\n',
    )
  })

  test('loses at most its last record wherever it is cut', () => {
    for (let length = 0; length <= whole.length; length++) {
      const text = parseJournal(whole.subarray(0, length))
      expect(text.kind).not.toBe('damaged')
      if (text.kind === 'damaged') continue
      const complete = whole.subarray(0, length).filter((byte) => byte === 0x0a).length
      expect(text.records).toEqual(recordsOf(entries).slice(0, complete))
    }
  })

  test('with its last record torn is cut back and goes on', async () => {
    const disk = createSimDisk({ files: { [path]: whole.subarray(0, whole.length - 5) } })
    const journal = await openOn(disk)
    expect(journal.records).toHaveLength(3)
    await journal.append({ phase: 'INTENT', step: 'verify', attempt: 1 })
    const text = parseJournal(await disk.readFile(path))
    expect(text).toMatchObject({ kind: 'whole' })
    expect(text.kind === 'damaged' ? 0 : text.records.length).toBe(4)
  })

  test('is damaged where a flipped bit has a good record behind it, and torn where it has none', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: whole.length - 1 }), fc.integer({ min: 0, max: 7 }), (at, bit) => {
        const bytes = Buffer.from(whole)
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
        const lastLine = whole.lastIndexOf(0x0a, whole.length - 2) + 1
        const text = parseJournal(bytes)
        // The newline between the last two lines belongs to both.
        if (at < lastLine - 1) expect(text.kind).toBe('damaged')
        else expect(text.kind).toBe('torn')
      }),
    )
  })

  test('that is damaged is not opened', async () => {
    const bytes = Buffer.from(whole)
    bytes[30] = (bytes[30] ?? 0) ^ 1
    await expect(openOn(createSimDisk({ files: { [path]: bytes } }))).rejects.toBeInstanceOf(JournalError)
  })

  test('with a record missing in the middle is damaged', () => {
    const lines = textOf(entries).split('\n')
    const text = parseJournal(Buffer.from([lines[0], lines[2], ''].join('\n')))
    expect(text.kind).toBe('torn')
    const more = parseJournal(Buffer.from([lines[0], lines[2], lines[3], ''].join('\n')))
    expect(more.kind).toBe('damaged')
  })

  test('any bytes at all are whole, torn or damaged', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void parseJournal(bytes)))
  })
})

describe('a record is durable when append says so', () => {
  test('whatever a power cut leaves', async () => {
    const disk = emptyDisk()
    const journal = await openOn(disk)
    for (const entry of entries) await journal.append(entry)
    for (const after of disk.afterCut({ seed: 1, samples: 20 })) {
      const text = parseJournal(await after.disk.readFile(path))
      expect(text.kind === 'damaged' ? [] : text.records).toEqual(recordsOf(entries))
    }
  })

  test('and when a sync fails it is written anew under another name', async () => {
    const disk = emptyDisk()
    const journal = await openOn(disk)
    await journal.append(entries[0]!)
    disk.failAt(disk.effects + 2, { errno: 'EIO' })
    expect(await journal.append(entries[1]!)).toBe(true)
    expect(disk.log).toContain('sync /state/journal.jsonl')
    for (const after of disk.afterCut({ seed: 1, samples: 20 })) {
      const text = parseJournal(await after.disk.readFile(path))
      expect(text.kind === 'damaged' ? [] : text.records).toEqual(recordsOf(entries.slice(0, 2)))
    }
  })

  test('and not when the disk says no for good', async () => {
    const disk = emptyDisk()
    const journal = await openOn(disk)
    disk.failAt(disk.effects + 1, { errno: 'EROFS', lasting: true })
    expect(await journal.append(entries[0]!)).toBe(false)
    expect(journal.lost).toBeInstanceOf(Error)
    expect(journal.records).toHaveLength(1)
  })
})

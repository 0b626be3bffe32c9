import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { errorEnvelope, okEnvelope, renderEvent, renderJson, resultEvent } from '../../../schema/cli/envelope.ts'
import { EXIT } from '../../../schema/cli/exit-code.ts'
import type { FailureFacts } from '../../../schema/cli/failure.ts'
import { renderFailure } from '../../../schema/cli/failure-text.ts'
import { formatAgo, formatBytes, formatDuration } from '../../../schema/cli/format.ts'
import { createPaint, decideColor } from '../../../schema/cli/paint.ts'
import { renderProgress } from '../../../schema/cli/progress.ts'
import { renderFields, renderTable } from '../../../schema/cli/table.ts'
import { displayWidth, pad, truncate, wrap } from '../../../schema/cli/text-width.ts'
import { suggest, unknownWord } from '../../../schema/cli/usage.ts'

const failure: FailureFacts = {
  code: 'E-SIG-THRESHOLD',
  exit: EXIT.unverified,
  title: 'release 0r2 has 1 valid signature, 2 are needed',
  detail: 'have: release-1 (key 7c1e…)   missing one of: release-2, release-3',
  state: 'Nothing was changed; this host stays on 0r1.',
  next: ['ask a signer to run   netlink-publish sign 0r2'],
}

describe('a failure', () => {
  it('reads as the interface shows it', () => {
    expect(
      renderFailure(failure, { color: false, width: 89 }),
    ).toBe(`error E-SIG-THRESHOLD: release 0r2 has 1 valid signature, 2 are needed.
  have: release-1 (key 7c1e…)   missing one of: release-2, release-3
  Nothing was changed; this host stays on 0r1.
  Next: ask a signer to run   netlink-publish sign 0r2
  More: netlink help E-SIG-THRESHOLD                                             (exit 7)
`)
  })

  it('fits a narrow terminal, but never breaks a command', () => {
    const command = 'netlink update upgrade --to 0r2 --yes --timeout 30m --allow-channel-change'
    const lines = renderFailure(
      { ...failure, next: [command, 'netlink update status'] },
      { color: false, width: 40 },
    ).split('\n')
    expect(lines).toEqual([
      'error E-SIG-THRESHOLD: release 0r2 has 1',
      '  valid signature, 2 are needed.',
      '  have: release-1 (key 7c1e…) missing',
      '  one of: release-2, release-3',
      '  Nothing was changed; this host stays',
      '  on 0r1.',
      `  Next: ${command}`,
      '        netlink update status',
      '  More: netlink help E-SIG-THRESHOLD   (exit 7)',
      '',
    ])
  })

  it('puts what is said about a command below it where both are too wide, and keeps the command whole', () => {
    const command = 'netlink agent trust reset --root FILE --expect-sha256 HASH'
    const next = ['netlink agent status', `${command}      (where its holders began anew; enrol after it)`]
    const shown = (width: number | null) => renderFailure({ ...failure, next }, { color: false, width })
    expect(shown(80)).toContain(`        ${command}\n          (where its holders began anew; enrol after it)\n`)
    expect(shown(200)).toContain(`        ${command}      (where its holders began anew; enrol after it)\n`)
    expect(shown(null)).toContain(`        ${command}      (where its holders began anew; enrol after it)\n`)
  })

  it('is not wrapped in a pipe', () => {
    const text = renderFailure({ ...failure, detail: 'x '.repeat(200).trim() }, { color: false, width: null })
    expect(text.split('\n')).toHaveLength(6)
    expect(text).toContain('  More: netlink help E-SIG-THRESHOLD   (exit 7)\n')
  })

  it('leaves out what there is nothing to say about', () => {
    expect(
      renderFailure({ ...failure, detail: '', state: '', next: [] }, { color: false, width: null }).split('\n'),
    ).toHaveLength(3)
  })

  it('has colour only around its own words', () => {
    const text = renderFailure({ ...failure, detail: '\x1b[2Jgone', next: ['run\nthis'] }, { color: true, width: 80 })
    expect(text.split('\n').slice(0, 2)).toEqual([
      '\x1b[31merror\x1b[39m \x1b[1mE-SIG-THRESHOLD\x1b[22m: release 0r2 has 1 valid signature, 2 are needed.',
      '  gone',
    ])
    expect(text).toContain('Next: \x1b[36mrun this\x1b[39m\n')
  })
})

describe('the envelope', () => {
  it('of an answer and of a failure', () => {
    expect(okEnvelope('netlink.update.check/v1', { updates_available: true })).toEqual({
      schema: 'netlink.update.check/v1',
      ok: true,
      updates_available: true,
    })
    expect(errorEnvelope(failure)).toEqual({
      ok: false,
      error: {
        code: failure.code,
        title: failure.title,
        detail: failure.detail,
        state: failure.state,
        next: failure.next,
      },
    })
  })

  it('is JSON that holds the same data and nothing that a terminal obeys', () => {
    const document = { text: 'a\x1b[2J\u009b31m\u202e\u2028\ufeff é 日' }
    const json = renderJson(document)
    expect(json).not.toMatch(/(?!\n)[\p{Cc}\u202e\u2028\ufeff]/u)
    expect(json).toContain(' é 日')
    expect(JSON.parse(json)).toEqual(document)
  })

  it('is one line an event, the result last', () => {
    expect(renderEvent({ type: 'progress', phase: 'download', done: 1, total: null, unit: 'bytes' })).toBe(
      '{"type":"progress","phase":"download","done":1,"total":null,"unit":"bytes"}\n',
    )
    expect(JSON.parse(renderEvent(resultEvent(okEnvelope('x/v1', { a: '1\n2' }))))).toEqual({
      type: 'result',
      schema: 'x/v1',
      ok: true,
      a: '1\n2',
    })
    expect(renderEvent(resultEvent(errorEnvelope(failure))).match(/\n/g)).toHaveLength(1)
  })
})

describe('a table', () => {
  const columns = [
    { title: 'HOST', shrinkTo: 6 },
    { title: 'VERSION' },
    { title: 'SIZE', align: 'right' as const },
    { title: 'REASON', shrinkTo: 8 },
  ]
  const rows = [
    ['web-03', '0r1', '14.2 MB', 'window closed'],
    ['database-with-a-long-name-01.example.org', '0r2+hotfix.3', '3.1 MB', ''],
    ['日本', '0a1', '1 kB', 'barrier 0r3 has to be installed first, and it was withdrawn this morning'],
  ]

  it('is whole in a pipe', () => {
    expect(
      renderTable(columns, rows, { color: false, width: null }),
    ).toBe(`HOST                                      VERSION          SIZE  REASON
web-03                                    0r1           14.2 MB  window closed
database-with-a-long-name-01.example.org  0r2+hotfix.3   3.1 MB
日本                                      0a1              1 kB  barrier 0r3 has to be installed first, and it was withdrawn this morning
`)
  })

  it('fits 80 columns', () => {
    const text = renderTable(columns, rows, { color: false, width: 80 })
    expect(text).toBe(`HOST                         VERSION          SIZE  REASON
web-03                       0r1           14.2 MB  window closed
database-with-a-long-name-…  0r2+hotfix.3   3.1 MB
日本                         0a1              1 kB  barrier 0r3 has to be insta…
`)
  })

  it('never is wider than asked for, as long as its columns may shrink', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 3, maxLength: 3 }), { minLength: 1 }),
        fc.integer({ min: 12, max: 100 }),
        (cells, width) => {
          const flexible = ['A', 'B', 'C'].map((title) => ({ title, shrinkTo: 2 }))
          for (const line of renderTable(flexible, cells, { color: false, width }).split('\n'))
            expect(displayWidth(line)).toBeLessThanOrEqual(width)
        },
      ),
    )
  })

  it('shows no foreign control, and nothing at all without rows', () => {
    expect(renderTable([{ title: 'A' }], [['x\x1b[2J\ny']], { color: false, width: null })).toBe('A\nx y\n')
    expect(renderTable(columns, [], { color: true, width: 80 })).toBe('')
  })

  it('has fields as well', () => {
    expect(
      renderFields(
        [
          ['current', '0r1'],
          ['database version', '7'],
        ],
        { color: false },
      ),
    ).toBe('current           0r1\ndatabase version  7\n')
  })
})

describe('widths', () => {
  test.each([
    ['abc', 3],
    ['', 0],
    ['日本', 4],
    ['é', 1],
    ['e\u0301', 1],
    ['👩‍👩‍👧', 2],
    ['❤️', 2],
    ['…', 1],
    ['█░', 2],
    ['한글', 4],
    ['ｆｕ', 4],
    ['\u200b', 0],
  ])('of %s is %i', (text, width) => {
    expect(displayWidth(text)).toBe(width)
  })

  it('cut, fill and wrap', () => {
    expect(truncate('abcdef', 4)).toBe('abc…')
    expect(truncate('abcd', 4)).toBe('abcd')
    expect(truncate('日本語', 5)).toBe('日本…')
    expect(truncate('日本語', 4)).toBe('日…')
    expect(truncate('abc', 0)).toBe('')
    expect(pad('日', 4, 'right')).toBe('  日')
    expect(wrap('one two three', 8)).toEqual(['one two', 'three'])
    expect(wrap('https://example.org/long x', 8)).toEqual(['https://example.org/long', 'x'])
    expect(wrap('a\n\nb', 8)).toEqual(['a', '', 'b'])
  })
})

describe('formats', () => {
  test.each([
    [0, '0 B'],
    [1, '1 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [3_100_000, '3.1 MB'],
    [14_200_000, '14.2 MB'],
    [99_949, '99.9 kB'],
    [99_950, '100 kB'],
    [412_345_678, '412 MB'],
    [999_499, '999 kB'],
    [999_500, '1.0 MB'],
    [999_999_999, '1.0 GB'],
    [1e18, '1000 PB'],
  ])('%i bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })

  test.each([
    [0, '0ms'],
    [999, '999ms'],
    [1_000, '1.0s'],
    [4_250, '4.2s'],
    [9_999, '9.9s'],
    [10_000, '10s'],
    [59_999, '59s'],
    [60_000, '1m 00s'],
    [65_000, '1m 05s'],
    [3_599_999, '59m 59s'],
    [7_500_000, '2h 05m'],
    [86_399_999, '23h 59m'],
    [273_600_000, '3d 4h'],
  ])('%i ms are %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })

  test.each([
    ['2026-11-23T12:00:00Z', 'just now'],
    ['2026-11-23T11:59:18Z', '42s ago'],
    ['2026-11-23T10:00:00Z', '2h ago'],
    ['2026-11-22T00:00:01Z', '35h ago'],
    ['2026-11-20T12:00:00Z', '3d ago'],
    ['2026-11-23T12:05:00Z', 'in 5m'],
    ['2026-11-23T12:00:04Z', 'just now'],
  ])('%s is %s at noon', (time, text) => {
    expect(formatAgo(new Date(time), new Date('2026-11-23T12:00:00Z'))).toBe(text)
  })
})

describe('colour', () => {
  const terminal = { isTerminal: true, noColorFlag: false, environment: {} }
  it('is for terminals that can and may', () => {
    expect(decideColor(terminal)).toBe(true)
    expect(decideColor({ ...terminal, isTerminal: false })).toBe(false)
    expect(decideColor({ ...terminal, noColorFlag: true })).toBe(false)
    expect(decideColor({ ...terminal, environment: { NO_COLOR: '1' } })).toBe(false)
    expect(decideColor({ ...terminal, environment: { NO_COLOR: '' } })).toBe(true)
    expect(decideColor({ ...terminal, environment: { TERM: 'dumb' } })).toBe(false)
  })

  it('is nothing where there is none', () => {
    expect(createPaint(false)('error', 'x')).toBe('x')
    expect(createPaint(true)('error', 'x')).toBe('\x1b[31mx\x1b[39m')
  })
})

describe('a progress line', () => {
  const progress = { label: 'download', done: 7_400_000, total: 14_200_000, unit: 'bytes' as const, rate: 3_100_000 }

  test.each([
    [100, 'download      ████████████░░░░░░░░░░░░   52%  7.4 MB of 14.2 MB  3.1 MB/s  2.1s left'],
    [70, 'download      █████░░░░░   52%  7.4 MB of 14.2 MB  3.1 MB/s  2.1s left'],
    [60, 'download       52%  7.4 MB of 14.2 MB  3.1 MB/s  2.1s left'],
    [50, 'download       52%  7.4 MB of 14.2 MB  3.1 MB/s'],
    [38, 'download       52%  7.4 MB of 14.2 MB'],
    [20, 'download       52%'],
    [10, 'download…'],
  ])('fits %i columns', (width, line) => {
    expect(renderProgress(progress, { color: false, width })).toBe(line)
  })

  it('without a total says how much', () => {
    expect(renderProgress({ ...progress, total: null, rate: null }, { color: false, width: 80 })).toBe(
      'download      7.4 MB',
    )
    expect(
      renderProgress(
        { ...progress, label: 'unpack', done: 3, total: 12, unit: 'items', rate: null },
        { color: false, width: 37 },
      ),
    ).toBe('unpack        ██░░░░░░   25%  3 of 12')
  })

  it('shows 100 only when all is there', () => {
    const percent = (done: number, total: number) =>
      /(\d+)%/.exec(renderProgress({ ...progress, done, total }, { color: false, width: 80 }))?.[1]
    expect(percent(999_999, 1_000_000)).toBe('99')
    expect(percent(1_000_000, 1_000_000)).toBe('100')
    expect(percent(0, 0)).toBe('100')
    expect(percent(2, 1)).toBe('100')
  })

  it('never is wider than the terminal', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.nat(2e9),
        fc.option(fc.nat(2e9), { nil: null }),
        fc.option(fc.nat(1e8), { nil: null }),
        fc.integer({ min: 1, max: 120 }),
        (label, done, total, rate, width) => {
          expect(
            displayWidth(renderProgress({ label, done, total, unit: 'bytes', rate }, { color: false, width })),
          ).toBeLessThanOrEqual(width)
        },
      ),
    )
  })
})

describe('a word that is not known', () => {
  it('is answered with the one that was meant', () => {
    expect(suggest('upgrad', ['check', 'upgrade', 'downgrade'])).toBe('upgrade')
    expect(
      unknownWord({ kind: 'option', word: '--jsno', known: ['--json', '--yes'], command: 'netlink update check' }),
    ).toEqual({
      code: 'E-UNKNOWN-OPTION',
      exit: 2,
      title: 'unknown option "--jsno"',
      detail: 'did you mean "--json"?',
      state: 'Nothing was done.',
      next: ['netlink update check --help'],
    })
  })

  it('is answered with all there are where none is near', () => {
    expect(
      unknownWord({ kind: 'command', word: 'frobnicate', known: ['check', 'upgrade'], command: 'netlink update' }),
    ).toMatchObject({ code: 'E-UNKNOWN-COMMAND', detail: 'possible here: check, upgrade' })
    expect(unknownWord({ kind: 'option', word: '--x', known: [], command: 'netlink' })).toMatchObject({
      detail: 'there are no options here',
    })
  })
})

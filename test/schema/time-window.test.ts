import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { ShapeError } from '../../schema/shape-error.ts'
import { decideWindow, parseTimeWindow, timeWindowShape } from '../../schema/time-window.ts'

const decide = (text: string, at: string, minRemainingMs = 0) => {
  const decision = decideWindow(parseTimeWindow(text), new Date(at), minRemainingMs)
  if (decision.kind === 'open') return `open until ${decision.until?.toISOString().slice(0, 16)}Z`
  return `closed until ${decision.opens.toISOString().slice(0, 16)}Z`
}

describe('a time window', () => {
  test.each([
    'always',
    'Mon-Fri 22:00-04:00 Europe/Prague',
    'Sat,Sun 00:00-24:00',
    '03:00-05:00',
    'mon,wed-fri 03:00-05:00 UTC',
    'Sat-Mon 01:00-02:00 America/Argentina/Buenos_Aires',
    'Mon 01:00-02:00 Etc/GMT+5',
    'Mon-Fri 22:00-04:00 Europe/Prague; Sat 00:00-24:00 Europe/Prague',
  ])('is read: %s', (text) => {
    expect(timeWindowShape.parse(text)).toBe(text)
    parseTimeWindow(text)
  })

  test.each([
    ['', /expected "always" or spans/],
    ['never', /expected "always"/],
    ['always; 03:00-05:00', /expected "always" or spans/],
    ['3:00-5:00', /expected "always"/],
    ['Mon-Fri', /expected "always"/],
    ['Mon-Fri 22:00', /expected "always"/],
    ['03:00-05:00;', /expected "always"/],
    ['Mon-Fry 03:00-05:00', /unknown day in "Mon-Fry"/],
    ['Mon-Wed-Fri 03:00-05:00', /unknown day/],
    ['Mon, 03:00-05:00', /unknown day/],
    ['24:00-05:00', /times from 00:00 to 24:00/],
    ['03:00-24:01', /times from 00:00 to 24:00/],
    ['03:60-05:00', /times from 00:00 to 24:00/],
    ['03:00-03:00', /begins when it ends; write 00:00-24:00/],
    ['03:00-05:00 Europe/Praha', /unknown time zone "Europe\/Praha"/],
    ['03:00-05:00 +02:00', /expected "always"/],
  ])('is refused with the reason: %j', (text, reason) => {
    expect(timeWindowShape.safeParse(text).success).toBe(false)
    expect(() => parseTimeWindow(text)).toThrow(ShapeError)
    expect(() => parseTimeWindow(text)).toThrow(reason)
  })
})

describe('the decision', () => {
  // 2026-11-23 is a Monday. In winter Prague is one hour ahead of UTC.
  test.each([
    ['always', '2026-11-23T12:00Z', 'open until undefinedZ'],
    ['00:00-24:00', '2026-11-23T12:00Z', 'open until undefinedZ'],
    ['Mon-Sun 00:00-12:00; 12:00-24:00', '2026-11-23T12:00Z', 'open until undefinedZ'],
    ['03:00-05:00', '2026-11-23T02:59:59.999Z', 'closed until 2026-11-23T03:00Z'],
    ['03:00-05:00', '2026-11-23T03:00Z', 'open until 2026-11-23T05:00Z'],
    ['03:00-05:00', '2026-11-23T04:59:59.999Z', 'open until 2026-11-23T05:00Z'],
    ['03:00-05:00', '2026-11-23T05:00Z', 'closed until 2026-11-24T03:00Z'],
    ['Mon-Fri 22:00-04:00 Europe/Prague', '2026-11-23T12:00Z', 'closed until 2026-11-23T21:00Z'],
    ['Mon-Fri 22:00-04:00 Europe/Prague', '2026-11-27T21:00Z', 'open until 2026-11-28T03:00Z'],
    ['Mon-Fri 22:00-04:00 Europe/Prague', '2026-11-28T02:59Z', 'open until 2026-11-28T03:00Z'],
    ['Mon-Fri 22:00-04:00 Europe/Prague', '2026-11-28T22:00Z', 'closed until 2026-11-30T21:00Z'],
    ['Mon-Fri 22:00-04:00 Europe/Prague', '2026-11-23T02:00Z', 'closed until 2026-11-23T21:00Z'],
    ['Sun 23:00-01:00', '2026-11-23T00:30Z', 'open until 2026-11-23T01:00Z'],
    ['Sat-Mon 10:00-11:00', '2026-11-23T11:00Z', 'closed until 2026-11-28T10:00Z'],
    ['Mon 00:00-24:00; Tue 00:00-02:00', '2026-11-23T12:00Z', 'open until 2026-11-24T02:00Z'],
    ['03:00-05:00 Asia/Kathmandu', '2026-11-23T12:00Z', 'closed until 2026-11-23T21:15Z'],
  ])('of %s at %s is %s', (text, at, expected) => {
    expect(decide(text, at)).toBe(expected)
  })

  // Clocks in Prague: 2026-03-29 02:00 -> 03:00 (01:00Z), 2026-10-25 03:00 -> 02:00 (01:00Z). In New York: 2026-03-08 02:00 -> 03:00 (07:00Z).
  test.each([
    [
      'a start that is left out opens with the new time',
      '02:30-05:00 Europe/Prague',
      '2026-03-29T00:00Z',
      'closed until 2026-03-29T01:00Z',
    ],
    ['and ends by the new time', '02:30-05:00 Europe/Prague', '2026-03-29T01:00Z', 'open until 2026-03-29T03:00Z'],
    ['the same in New York', 'Sun 02:30-05:00 America/New_York', '2026-03-08T05:00Z', 'closed until 2026-03-08T07:00Z'],
    [
      'an end that is left out closes with the old time',
      'Sun 01:00-02:30 Europe/Prague',
      '2026-03-29T00:00Z',
      'open until 2026-03-29T01:00Z',
    ],
    [
      'a window that is left out waits a week',
      'Sun 02:10-02:50 Europe/Prague',
      '2026-03-28T12:00Z',
      'closed until 2026-04-05T00:10Z',
    ],
    [
      'a night across the gap is an hour shorter',
      'Sat 22:00-04:00 Europe/Prague',
      '2026-03-28T21:00Z',
      'open until 2026-03-29T02:00Z',
    ],
    [
      'an hour that comes twice counts twice',
      'Sun 02:00-03:00 Europe/Prague',
      '2026-10-25T00:00Z',
      'open until 2026-10-25T02:00Z',
    ],
    ['half of it: first time', 'Sun 02:30-03:30 Europe/Prague', '2026-10-25T00:45Z', 'open until 2026-10-25T01:00Z'],
    ['half of it: between', 'Sun 02:30-03:30 Europe/Prague', '2026-10-25T01:00Z', 'closed until 2026-10-25T01:30Z'],
    ['half of it: second time', 'Sun 02:30-03:30 Europe/Prague', '2026-10-25T01:30Z', 'open until 2026-10-25T02:30Z'],
    ['an end in it: first time', 'Sat 22:00-02:30 Europe/Prague', '2026-10-24T22:00Z', 'open until 2026-10-25T00:30Z'],
    [
      'an end in it: opens once more',
      'Sat 22:00-02:30 Europe/Prague',
      '2026-10-25T00:30Z',
      'closed until 2026-10-25T01:00Z',
    ],
    [
      'a night across it is an hour longer',
      'Sat 22:00-04:00 Europe/Prague',
      '2026-10-24T20:00Z',
      'open until 2026-10-25T03:00Z',
    ],
  ])('where clocks change: %s', (_what, text, at, expected) => {
    expect(decide(text, at)).toBe(expected)
  })

  it('does not start anything shortly before the end', () => {
    expect(decide('03:00-05:00', '2026-11-23T04:30Z', 30 * 60_000)).toBe('open until 2026-11-23T05:00Z')
    expect(decide('03:00-05:00', '2026-11-23T04:31Z', 30 * 60_000)).toBe('closed until 2026-11-24T03:00Z')
    expect(decide('03:00-03:10; 12:00-14:00', '2026-11-23T00:00Z', 30 * 60_000)).toBe('closed until 2026-11-23T12:00Z')
    expect(() => decide('03:00-05:00', '2026-11-23T00:00Z', 3 * 3_600_000)).toThrow(RangeError)
  })

  it('agrees with looking at the clock on the wall every minute', () => {
    const windows = fc.constantFrom(
      'Sat 22:00-02:30 Europe/Prague',
      'Sun 02:30-03:30 Europe/Prague',
      '01:15-02:45 America/New_York',
      'Sun 00:00-24:00 Australia/Lord_Howe',
      'Sat,Sun 23:30-00:30 Asia/Kathmandu',
    )
    // The nights in which clocks change somewhere.
    const nights = [
      '2026-03-07T20:00Z',
      '2026-03-28T18:00Z',
      '2026-10-24T18:00Z',
      '2026-10-31T18:00Z',
      '2026-04-04T00:00Z',
      '2026-10-03T00:00Z',
    ]
    fc.assert(
      fc.property(windows, fc.constantFrom(...nights), fc.nat(2 * 24 * 60), (text, night, minutes) => {
        const from = Date.parse(night) + minutes * 60_000
        const decision = decideWindow(parseTimeWindow(text), new Date(from))
        expect(decision.kind === 'open').toBe(isOnTheWall(text, from))
        const change = (decision.kind === 'open' ? decision.until : decision.opens)?.getTime() ?? from
        for (let at = from; at < Math.min(change, from + 300 * 60_000); at += 60_000)
          expect(isOnTheWall(text, at)).toBe(decision.kind === 'open')
        expect(isOnTheWall(text, change)).toBe(decision.kind === 'closed')
      }),
      { numRuns: 60 },
    )
  })
})

/** Reads the same rule off a formatted date. */
function isOnTheWall(window: string, at: number): boolean {
  const [, dayText, start = '', end = '', timeZone] = /^(?:([A-Za-z,]+) )?([\d:]+)-([\d:]+) (\S+)$/.exec(window) ?? []
  const time = new Intl.DateTimeFormat('sv-SE', { timeZone, hour: '2-digit', minute: '2-digit' }).format(at)
  const weekday = (instant: number) => new Intl.DateTimeFormat('en-GB', { timeZone, weekday: 'short' }).format(instant)
  const begins = (day: string) => dayText === undefined || dayText.split(',').includes(day)
  const names = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
  const today = weekday(at)
  const yesterday = names[(names.indexOf(today) + 6) % 7] ?? ''
  if (end > start) return begins(today) && time >= start && time < end
  return (begins(today) && time >= start) || (begins(yesterday) && time < end)
}

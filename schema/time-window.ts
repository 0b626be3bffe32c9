// When automatic updates may start: `always`, or spans of the week separated by `;`.
//
//   Mon-Fri 22:00-04:00 Europe/Prague        the days on which a span begins; it may end on the day after
//   Sat,Sun 00:00-24:00                      UTC if no zone is named
//   03:00-05:00 America/New_York             every day
//
// The rule is the clock on the wall of that zone: a window is open at every instant at which that clock shows a time inside it. So where clocks
// go forward, a window that begins in the hour that is left out opens with the new time, and one that lies wholly in it is left out that day; where
// clocks go back, the hour that comes twice counts twice.
import { z } from 'zod'
import { ShapeError } from './shape-error.ts'

export type TimeWindow = { readonly kind: 'always' } | { readonly kind: 'weekly'; readonly spans: readonly Span[] }

export interface Span {
  /** Days on which the span begins, 0 = Monday. */
  readonly days: readonly number[]
  /** Minutes since midnight. An end that is not behind the start lies on the next day. */
  readonly startMinute: number
  readonly endMinute: number
  /** IANA name. */
  readonly zone: string
}

/** `until` is null for a window that does not close in the time that is looked at (40 days). */
export type WindowDecision =
  | { readonly kind: 'open'; readonly until: Date | null }
  | { readonly kind: 'closed'; readonly opens: Date }

const SPAN = /^(?:([A-Za-z][A-Za-z,-]*) +)?(\d\d):(\d\d)-(\d\d):(\d\d)(?: +([A-Za-z][A-Za-z0-9_+/-]*))?$/
const EXPECTED = 'expected "always" or spans such as "Mon-Fri 22:00-04:00 Europe/Prague"'
const DAY_NAMES = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
const DAY_MS = 86_400_000
const HORIZON_MS = 40 * DAY_MS

/** A window as text; `parseTimeWindow` makes it usable. */
export const timeWindowShape = z
  .string()
  .max(1024)
  .superRefine((text, context) => {
    const window = readWindow(text)
    if (typeof window === 'string') context.addIssue({ code: 'custom', message: window })
  })

/** The window that the text describes. Throws ShapeError with what is wrong about it. */
export function parseTimeWindow(text: string): TimeWindow {
  const window = readWindow(text)
  if (typeof window === 'string')
    throw new ShapeError(`time window ${JSON.stringify(text)}`, [{ pointer: '', message: window }])
  return window
}

/** The window, or what is wrong with the text. */
function readWindow(text: string): TimeWindow | string {
  if (text.trim() === 'always') return { kind: 'always' }
  const spans: Span[] = []
  for (const part of text.split(';')) {
    const span = readSpan(part.trim())
    if (typeof span === 'string') return span
    spans.push(span)
  }
  return { kind: 'weekly', spans }
}

function readSpan(text: string): Span | string {
  const [matched, dayText, startHour, startMinutes, endHour, endMinutes, zone = 'UTC'] = SPAN.exec(text) ?? []
  if (matched === undefined) return EXPECTED
  const days = dayText === undefined ? [0, 1, 2, 3, 4, 5, 6] : readDays(dayText)
  if (days === undefined)
    return `unknown day in ${JSON.stringify(dayText)}: expected Mon, Tue, Wed, Thu, Fri, Sat or Sun, as in Mon-Fri or Sat,Sun`
  const startMinute = Number(startHour) * 60 + Number(startMinutes)
  const endMinute = Number(endHour) * 60 + Number(endMinutes)
  if (Number(startMinutes) > 59 || Number(endMinutes) > 59 || startMinute >= 1440 || endMinute > 1440)
    return 'expected times from 00:00 to 24:00'
  if (startMinute === endMinute) return 'a span that begins when it ends; write 00:00-24:00 for the whole day'
  if (!isZone(zone)) return `unknown time zone ${JSON.stringify(zone)}: expected an IANA name such as Europe/Prague`
  return { days, startMinute, endMinute, zone }
}

function readDays(text: string): number[] | undefined {
  const days = new Set<number>()
  for (const part of text.toLowerCase().split(',')) {
    const [first = '', last = first, ...more] = part.split('-')
    const from = DAY_NAMES.indexOf(first)
    const to = DAY_NAMES.indexOf(last)
    if (from === -1 || to === -1 || more.length > 0) return undefined
    for (let day = from; ; day = (day + 1) % 7) {
      days.add(day)
      if (day === to) break
    }
  }
  return [...days].sort()
}

function isZone(zone: string): boolean {
  try {
    clockOf(zone)
    return true
  } catch {
    return false // RangeError is how Intl says that it does not know the name
  }
}

/**
 * Whether the window is open at an instant and when that changes. With `minRemainingMs` it counts as closed while less than that is left, so that nothing
 * starts shortly before the end. Throws RangeError if it never opens for that long.
 */
export function decideWindow(window: TimeWindow, at: Date, minRemainingMs = 0): WindowDecision {
  if (window.kind === 'always') return { kind: 'open', until: null }
  const changes = changesAfter(window.spans, at.getTime())
  let opened = isInside(window.spans, at.getTime()) ? at.getTime() : undefined
  for (const change of [...changes, null]) {
    if (opened === undefined) {
      if (change !== null) opened = change
      continue
    }
    if (change === null || change - opened >= Math.max(1, minRemainingMs)) {
      return opened === at.getTime()
        ? { kind: 'open', until: change === null ? null : new Date(change) }
        : { kind: 'closed', opens: new Date(opened) }
    }
    opened = undefined
  }
  throw new RangeError(`the window is never open for ${minRemainingMs} ms`)
}

/** The instants after `from` at which the window opens or closes, in turn, as far as the horizon. */
function changesAfter(spans: readonly Span[], from: number): number[] {
  const candidates = new Set(
    spans.flatMap((span) => [...edgesAfter(span, from), ...clockChangesAfter(span.zone, from)]),
  )
  const changes: number[] = []
  let inside = isInside(spans, from)
  for (const instant of [...candidates].sort((a, b) => a - b)) {
    if (instant <= from || isInside(spans, instant) === inside) continue
    inside = !inside
    changes.push(instant)
  }
  return changes
}

function isInside(spans: readonly Span[], instant: number): boolean {
  return spans.some((span) => {
    const wall = wallTime(span.zone, instant)
    const day = Math.floor(wall / DAY_MS)
    const minute = (wall - day * DAY_MS) / 60_000
    const beginsToday = span.days.includes(weekday(day))
    if (span.endMinute > span.startMinute) return beginsToday && minute >= span.startMinute && minute < span.endMinute
    return (
      (beginsToday && minute >= span.startMinute) || (span.days.includes(weekday(day - 1)) && minute < span.endMinute)
    )
  })
}

/** 0 = Monday, of a day counted from 1970-01-01, which was a Thursday. */
function weekday(day: number): number {
  return (((day + 3) % 7) + 7) % 7
}

/** All instants at which the wall clock shows one of the span's two times: none in a left-out hour, two in a repeated one. */
function edgesAfter(span: Span, from: number): number[] {
  const firstDay = Math.floor(wallTime(span.zone, from) / DAY_MS) - 1
  const edges: number[] = []
  for (let day = firstDay; day <= firstDay + HORIZON_MS / DAY_MS; day++) {
    for (const minute of [span.startMinute, span.endMinute])
      edges.push(...instantsOf(span.zone, day * DAY_MS + minute * 60_000))
  }
  return edges
}

function instantsOf(zone: string, wall: number): number[] {
  const offsets = new Set([wall - DAY_MS, wall + DAY_MS].map((near) => wallTime(zone, near) - near))
  return [...offsets].map((offset) => wall - offset).filter((instant) => wallTime(zone, instant) === wall)
}

/** The instants at which the zone's clocks are set forward or back. */
function clockChangesAfter(zone: string, from: number): number[] {
  const changes: number[] = []
  const offsetAt = (instant: number) => wallTime(zone, instant) - instant
  // Whole minutes: wallTime leaves smaller units as they are, so that offsets compare exactly.
  const first = Math.floor(from / 60_000) * 60_000
  for (let low = first; low < first + HORIZON_MS; low += DAY_MS / 2) {
    let [before, after] = [low, low + DAY_MS / 2]
    if (offsetAt(before) === offsetAt(after)) continue
    while (after - before > 60_000) {
      const middle = before + Math.floor((after - before) / 120_000) * 60_000
      if (offsetAt(middle) === offsetAt(low)) before = middle
      else after = middle
    }
    changes.push(after)
  }
  return changes
}

/** What the wall clock of a zone shows at an instant, as if it were UTC: milliseconds since 1970-01-01T00:00. */
function wallTime(zone: string, instant: number): number {
  if (zone === 'UTC') return instant
  const fields: Record<string, number> = {}
  for (const { type, value } of clockOf(zone).formatToParts(instant)) fields[type] = Number(value)
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = fields
  return Date.UTC(year, month - 1, day, hour, minute, second) + (((instant % 1000) + 1000) % 1000)
}

const clocks = new Map<string, Intl.DateTimeFormat>()

/** Kept, since making one is slow. Throws RangeError for an unknown zone. */
function clockOf(zone: string): Intl.DateTimeFormat {
  const known = clocks.get(zone)
  if (known !== undefined) return known
  const clock = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'iso8601',
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  })
  clocks.set(zone, clock)
  return clock
}

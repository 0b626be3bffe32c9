import { z } from 'zod'
import { ShapeError } from './shape-error.ts'

const DURATION = /^(0|[1-9]\d{0,8})(ms|s|m|h|d)$/
const EXPECTED = 'expected a duration such as 30s, 5m, 24h or 7d'
const TOO_LONG = 'expected a duration of at most 36500d'
const msOfUnit: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A hundred years: with more than that added, a date soon is none. */
const MAX_MS = 36_500 * 86_400_000

/** A duration as people write it: a whole number and one of ms, s, m, h, d. It stays text; `parseDuration` gives its milliseconds. */
export const durationShape = z.string().superRefine((text, context) => {
  const ms = readDuration(text)
  if (typeof ms === 'string') context.addIssue({ code: 'custom', message: ms })
})

/** Milliseconds of a duration, at most a hundred years. Throws ShapeError if the text is none. */
export function parseDuration(text: string): number {
  const ms = readDuration(text)
  if (typeof ms === 'string') throw new ShapeError(`duration ${JSON.stringify(text)}`, [{ pointer: '', message: ms }])
  return ms
}

/** Its milliseconds, or what is wrong with the text. */
function readDuration(text: string): number | string {
  const [, count, unit = ''] = DURATION.exec(text) ?? []
  const unitMs = msOfUnit[unit]
  if (unitMs === undefined) return EXPECTED
  const ms = Number(count) * unitMs
  return ms <= MAX_MS ? ms : TOO_LONG
}

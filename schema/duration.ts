import { z } from 'zod'
import { ShapeError } from './shape-error.ts'

const DURATION = /^(0|[1-9]\d{0,8})(ms|s|m|h|d)$/
const EXPECTED = 'expected a duration such as 30s, 5m, 24h or 7d'
const msOfUnit: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A duration as people write it: a whole number and one of ms, s, m, h, d. It stays text; `parseDuration` gives its milliseconds. */
export const durationShape = z.string().regex(DURATION, EXPECTED)

/** Milliseconds of a duration. Throws ShapeError if the text is none. */
export function parseDuration(text: string): number {
  const [, count, unit = ''] = DURATION.exec(text) ?? []
  const unitMs = msOfUnit[unit]
  if (unitMs === undefined)
    throw new ShapeError(`duration ${JSON.stringify(text)}`, [{ pointer: '', message: EXPECTED }])
  return Number(count) * unitMs
}

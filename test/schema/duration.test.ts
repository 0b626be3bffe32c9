import { describe, expect, test } from 'vitest'
import { parseDuration } from '../../schema/duration.ts'
import { ShapeError } from '../../schema/shape-error.ts'

describe('a duration', () => {
  test.each([
    ['30s', 30_000],
    ['5m', 300_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['250ms', 250],
    ['0s', 0],
    ['36500d', 3_153_600_000_000],
  ])('%s is %i ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test.each(['36501d', '999999999d', '876001h'])('is refused for being longer than any clock: %s', (text) => {
    expect(() => parseDuration(text)).toThrow(ShapeError)
    expect(() => parseDuration(text)).toThrow(/expected a duration of at most 36500d/)
  })

  test.each(['', '5', 'm', '5 m', '-5m', '1.5h', '5M', '1h30m', '05m', '5w', '5m\n', '9999999999d', 'toString'])(
    'is refused: %j',
    (text) => {
      expect(() => parseDuration(text)).toThrow(ShapeError)
      expect(() => parseDuration(text)).toThrow(/expected a duration such as 30s, 5m, 24h or 7d/)
    },
  )
})

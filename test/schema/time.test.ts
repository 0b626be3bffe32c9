import { describe, expect, test } from 'vitest'
import { updateIdShape } from '../../schema/attempt.ts'
import { timeShape } from '../../schema/manifest.ts'

describe('times', () => {
  test.each(['2026-11-23T10:00:00Z', '2024-02-29T23:59:59Z', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z'])(
    '%s is one',
    (text) => {
      expect(timeShape.safeParse(text).success).toBe(true)
    },
  )

  test.each([
    ['a day that the month has not', '2026-02-30T00:00:00Z'],
    ['a leap day in a common year', '2026-02-29T00:00:00Z'],
    ['the second spelling of midnight', '2026-01-01T24:00:00Z'],
    ['a month that the year has not', '2026-13-01T00:00:00Z'],
    ['a year that no calendar has', '0000-01-01T00:00:00Z'],
    ['another zone', '2026-11-23T10:00:00+01:00'],
    ['a fraction of a second', '2026-11-23T10:00:00.5Z'],
    ['nothing at all', ''],
  ])('%s is none', (_, text) => {
    expect(timeShape.safeParse(text).success).toBe(false)
  })
})

describe('update ids', () => {
  test('may be as long as two versions with builds, and no longer than an index can hold', () => {
    const version = (letters: number) => `0a1+${'x'.repeat(letters)}`
    const id = (letters: number) => `update_${version(letters)}_${version(letters)}_20241219_120000`
    expect(updateIdShape.safeParse(id(64)).success).toBe(true)
    expect(updateIdShape.safeParse(id(3000)).success).toBe(false)
  })
})

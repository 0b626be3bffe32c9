import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decideRange, isKnown, rangeHolds } from '../../server/http/byte-range.ts'

describe('a range of a file of 100 bytes', () => {
  test.each([
    ['bytes=0-9', { kind: 'part', start: 0, end: 9 }],
    ['bytes=90-', { kind: 'part', start: 90, end: 99 }],
    ['bytes=-10', { kind: 'part', start: 90, end: 99 }],
    ['bytes=-1000', { kind: 'part', start: 0, end: 99 }],
    ['bytes=0-1000', { kind: 'part', start: 0, end: 99 }],
    ['bytes=99-99', { kind: 'part', start: 99, end: 99 }],
    [' bytes=0-9 ', { kind: 'part', start: 0, end: 9 }],
    ['bytes=100-', { kind: 'unsatisfiable' }],
    ['bytes=100-200', { kind: 'unsatisfiable' }],
    ['bytes=-0', { kind: 'unsatisfiable' }],
    [undefined, { kind: 'whole' }],
    ['bytes=9-0', { kind: 'whole' }],
    ['bytes=-', { kind: 'whole' }],
    ['bytes=0-1,5-6', { kind: 'whole' }],
    ['lines=0-9', { kind: 'whole' }],
    ['bytes=0x0-9', { kind: 'whole' }],
    ['bytes=0-99999999999999999999', { kind: 'whole' }],
    ['', { kind: 'whole' }],
  ])('%s', (header, decision) => {
    expect(decideRange(header, 100)).toEqual(decision)
  })

  test('of an empty file there is no part', () => {
    expect(decideRange('bytes=0-', 0)).toEqual({ kind: 'unsatisfiable' })
    expect(decideRange('bytes=-5', 0)).toEqual({ kind: 'unsatisfiable' })
  })

  test('whatever is asked for, a part lies inside the file', () => {
    const headers = fc.oneof(
      fc.string(),
      fc.tuple(fc.nat(), fc.nat()).map(([a, b]) => `bytes=${a}-${b}`),
      fc.nat().map((a) => `bytes=-${a}`),
    )
    fc.assert(
      fc.property(headers, fc.nat(), (header, size) => {
        const decision = decideRange(header, size)
        if (decision.kind !== 'part') return
        expect(decision.start).toBeGreaterThanOrEqual(0)
        expect(decision.end).toBeGreaterThanOrEqual(decision.start)
        expect(decision.end).toBeLessThan(size)
      }),
    )
  })
})

test.each([
  ['"a"', true],
  ['W/"a"', true],
  ['"b", "a"', true],
  ['*', true],
  ['"b"', false],
  ['a', false],
  [undefined, false],
])('if-none-match %s of a file with the etag "a"', (header, known) => {
  expect(isKnown(header, '"a"')).toBe(known)
})

test.each([
  [undefined, true],
  ['"a"', true],
  ['"b"', false],
  ['W/"a"', false],
  ['Mon, 23 Nov 2026 10:00:00 GMT', false],
])('if-range %s of a file with the etag "a"', (header, holds) => {
  expect(rangeHolds(header, '"a"')).toBe(holds)
})

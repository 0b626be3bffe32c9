import { describe, expect, test } from 'vitest'
import { decideAlarms, decideExpiry, expiryWords } from '../../schema/expiry.ts'

const NOW = new Date('2026-11-23T10:00:00Z')
const inSeconds = (seconds: number) => new Date(NOW.getTime() + seconds * 1000)
const DAY = 86_400

describe('what people sign', () => {
  test.each([
    [31 * DAY, { kind: 'ok' }],
    [30 * DAY + 1, { kind: 'ok' }],
    [30 * DAY, { kind: 'soon', days: 30 }],
    [7 * DAY + 1, { kind: 'soon', days: 30 }],
    [7 * DAY, { kind: 'soon', days: 7 }],
    [DAY + 1, { kind: 'soon', days: 7 }],
    [DAY, { kind: 'soon', days: 1 }],
    [1, { kind: 'soon', days: 1 }],
    [0, { kind: 'expired' }],
    [-DAY, { kind: 'expired' }],
  ])('%i seconds before: %j', (seconds, expected) => {
    for (const role of ['root', 'targets', 'alpha', 'release-1-0'])
      expect(decideExpiry(role, inSeconds(seconds), NOW)).toEqual(expected)
  })
})

test.each(['timestamp', 'snapshot'])('%s is renewed by the server: it is well until it has expired', (role) => {
  expect(decideExpiry(role, inSeconds(1), NOW)).toEqual({ kind: 'ok' })
  expect(decideExpiry(role, inSeconds(0), NOW)).toEqual({ kind: 'expired' })
})

test('alarms are those that need somebody, the most urgent first', () => {
  const roles = [
    { role: 'root', expires: '2027-11-23T10:00:00Z' },
    { role: 'alpha', expires: '2026-12-01T10:00:00Z' },
    { role: 'beta', expires: '2026-11-22T10:00:00Z' },
    { role: 'timestamp', expires: '2026-11-23T20:00:00Z' },
  ]
  expect(decideAlarms(roles, NOW)).toEqual([
    { role: 'beta', expires: '2026-11-22T10:00:00Z', expiry: { kind: 'expired' } },
    { role: 'alpha', expires: '2026-12-01T10:00:00Z', expiry: { kind: 'soon', days: 30 } },
  ])
  expect(decideAlarms([], NOW)).toEqual([])
})

test.each([
  [6 * DAY + 5, 'alpha expires in 6 days'],
  [DAY, 'alpha expires in 1 day'],
  [DAY - 1, 'alpha expires within a day'],
  [0, 'alpha has expired today'],
  [-DAY, 'alpha expired 1 day ago'],
  [-9 * DAY, 'alpha expired 9 days ago'],
])('%i seconds: %s', (seconds, words) => {
  expect(expiryWords('alpha', inSeconds(seconds), NOW)).toBe(words)
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareVersions, parseVersion } from '../../schema/version.ts'
import { versionOrder } from '../../server/core/version-order.ts'
import { version } from '../schema/arbitraries.ts'

/** As a database with collation "C" compares. */
const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

test('the texts sort as their versions do', () => {
  fc.assert(
    fc.property(version, version, (a, b) => {
      expect(byBytes(versionOrder(a), versionOrder(b))).toBe(compareVersions(a, b))
    }),
    { numRuns: 3_000 },
  )
})

test.each([
  ['0a1', '0b1'],
  ['0r1', '0a2'],
  ['0r9', '0a10'],
  ['0r2', '1a1'],
  ['0b1', '0b1+hotfix'],
  ['0b1+hotfix', '0b1+hotfix.1'],
  ['0b1+2', '0b1+10'],
  ['0b1+9999', '0b1+a'],
  ['0b1+a-b', '0b1+a.b'],
  ['0b1+1', '0b1+01'],
])('%s comes before %s', (earlier, later) => {
  const [a, b] = [parseVersion(earlier), parseVersion(later)]
  expect(byBytes(versionOrder(a), versionOrder(b))).toBe(compareVersions(a, b))
})

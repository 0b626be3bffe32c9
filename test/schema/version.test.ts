import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { ShapeError } from '../../schema/shape-error.ts'
import {
  buildVersion,
  type Channel,
  channelOf,
  channelOffers,
  compareStability,
  compareVersions,
  isVersion,
  maxVersion,
  nextVersion,
  parseVersion,
  promoteVersion,
  statusOf,
  type Version,
  versionParts,
  versionShape,
} from '../../schema/version.ts'
import * as arbitrary from './arbitraries.ts'

const v = parseVersion

describe('a version', () => {
  test.each([
    '0a1',
    '0b1',
    '0r1',
    '1r12',
    '10a100',
    '0b1+hotfix.3',
    '0a1+0',
    '0a1+a-b.C.01',
    `0a1+${'x'.repeat(64)}`,
    '999999999999999r999999999999999',
  ])('is read: %s', (text) => {
    expect(v(text)).toBe(text)
    expect(versionShape.parse(text)).toBe(text)
  })

  test.each([
    ['empty', ''],
    ['a SemVer version', '1.2.3'],
    ['minor 0', '0a0'],
    ['a leading zero in major', '00a1'],
    ['a leading zero in minor', '0a01'],
    ['an unknown letter', '0c1'],
    ['a capital letter', '0A1'],
    ['no minor', '0a'],
    ['no major', 'a1'],
    ['an empty build', '0a1+'],
    ['an empty identifier', '0a1+a..b'],
    ['a trailing dot', '0a1+a.'],
    ['two builds', '0a1+a+b'],
    ['a build of 65 characters', `0a1+${'x'.repeat(65)}`],
    ['a foreign character in the build', '0a1+ä'],
    ['a path in the build', '0a1+../x'],
    ['space before', ' 0a1'],
    ['a line end behind', '0a1\n'],
    ['a line end behind the build', '0a1+a\n'],
    ['a sign', '-1a1'],
    ['digits of another script', '٠a1'],
    ['sixteen digits', '0a1000000000000000'],
  ])('is refused with %s', (_what, text) => {
    expect(isVersion(text)).toBe(false)
    expect(versionShape.safeParse(text).success).toBe(false)
    expect(() => v(text)).toThrow(ShapeError)
    expect(() => v(text)).toThrow(/expected a version such as 0a1/)
  })

  it('names what was read and what was expected', () => {
    const expected =
      'expected a version such as 0a1, 1b12 or 0r3+hotfix.1: major, then a, b or r, then minor from 1, no leading zeros'
    const read = () => v('1.2.3 "x"')
    expect(read).toThrow(new ShapeError('version "1.2.3 \\"x\\""', [{ pointer: '', message: expected }]))
    expect(read).toThrow(expect.objectContaining({ issues: [{ pointer: '', message: expected }] }))
  })

  it('has no parts if it was never read', () => {
    expect(versionParts(v('1b2'))).toEqual({ major: 1, letter: 'b', minor: 2, build: null })
    expect(() => versionParts('1.2.3' as Version)).toThrow('not a version: "1.2.3"')
  })

  it('round-trips through its parts', () => {
    fc.assert(
      fc.property(arbitrary.version, (version) => {
        expect(buildVersion(versionParts(version))).toBe(version)
      }),
    )
  })

  it('cannot be built from parts that are none', () => {
    const good = { major: 0, letter: 'a', minor: 1, build: null } as const
    expect(buildVersion(good)).toBe('0a1')
    for (const bad of [
      { minor: 0 },
      { minor: 1.5 },
      { major: -1 },
      { minor: 1e21 },
      { minor: Number.NaN },
      { build: '' },
      { build: 'a b' },
    ]) {
      expect(() => buildVersion({ ...good, ...bad })).toThrow(ShapeError)
    }
  })
})

describe('the order of versions', () => {
  // Each line ascends: the lifecycle of the user's specification, then the example chain of SemVer 2.0 §11.4.4 as build ids.
  test.each([
    ['0a1 0b1 0r1 0a2 0b2 0r2 1a1 1b1 1r1'],
    ['0a9 0a10 0a11 9r1 10a1'],
    ['1r1 1r1+alpha 1r1+alpha.1 1r1+alpha.beta 1r1+beta 1r1+beta.2 1r1+beta.11 1r1+rc.1'],
    ['0a1 0a1+1 0a1+01 0a1+2 0a1+10 0a1+-1 0a1+A 0a1+a 0a1+a-b 0b1'],
    ['0a1+18446744073709551615 0a1+18446744073709551616 0a1+99999999999999999999'],
    ['0a1+1.1 0a1+01.1 0a1+1.2 0a1+01.2'],
    ['0a1+1 0a1+001 0a1+0001 0a1+1.1 0a1+2 0a1+002 0a1+10'],
    ['0a1+0 0a1+000 0a1+1 0a1+0000001 0a1+2'],
    ['0a1+1.01 0a1+01.1'].map((line) => line.split(' ').reverse().join(' ')),
  ])('ascends in %s', (line) => {
    const versions = line.split(' ').map(v)
    for (const [i, a] of versions.entries()) {
      for (const [j, b] of versions.entries()) expect(compareVersions(a, b), `${a} ${b}`).toBe(Math.sign(i - j))
    }
  })

  it('is total: antisymmetric, transitive, 0 for equal strings only', () => {
    fc.assert(
      fc.property(arbitrary.version, arbitrary.version, arbitrary.version, (a, b, c) => {
        const ab = compareVersions(a, b)
        expect(compareVersions(b, a)).toBe(ab === 0 ? 0 : -ab)
        expect(ab === 0).toBe(a === b)
        if (ab <= 0 && compareVersions(b, c) <= 0) expect(compareVersions(a, c)).toBeLessThanOrEqual(0)
      }),
      { numRuns: 2000 },
    )
  })

  it('agrees with an independent reading of SemVer §11.4 wherever SemVer knows an order', () => {
    fc.assert(
      fc.property(arbitrary.build, arbitrary.build, (a, b) => {
        const oracle = semverOrder(a, b)
        if (oracle !== 0) expect(compareVersions(v(`3b7+${a}`), v(`3b7+${b}`))).toBe(oracle)
      }),
      { numRuns: 2000 },
    )
  })

  it('has the greatest of a list, and none of an empty one', () => {
    expect(maxVersion(['0a2', '0r1+x', '0r1', '0b1'].map(v))).toBe('0a2')
    expect(maxVersion(['0b1', '0r1', '0a2', '0r1+x'].map(v))).toBe('0a2')
    expect(maxVersion(['0b1', '0r1', '0a2'].map(v))).toBe('0a2')
    expect(maxVersion([])).toBeUndefined()
  })
})

/** The rule as sort keys instead of comparisons: numbers padded below all words, the end of the list below everything. */
function semverOrder(a: string, b: string): number {
  const key = (build: string) =>
    [
      ...build
        .split('.')
        .map((word) => (/^\d+$/.test(word) ? `1${BigInt(word).toString().padStart(64, '0')}` : `2${word}`)),
      '0',
    ].join('\0')
  return key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0
}

describe('channels', () => {
  const offers: [Channel, string][] = [
    ['alpha', 'a b r'],
    ['beta', 'b r'],
    ['release', 'r'],
  ]
  test.each(offers)('%s is offered %s', (channel, letters) => {
    for (const letter of ['a', 'b', 'r'])
      expect(channelOffers(channel, v(`4${letter}2+x`))).toBe(letters.includes(letter))
  })

  test.each([
    ['0a1', 'alpha', 'development'],
    ['0b1', 'beta', 'testing'],
    ['0r1+x', 'release', 'stable'],
  ])('%s is of channel %s and %s', (text, channel, status) => {
    expect(channelOf(v(text))).toBe(channel)
    expect(statusOf(v(text))).toBe(status)
  })

  it('are ordered by stability', () => {
    expect(compareStability('alpha', 'beta')).toBe(-1)
    expect(compareStability('release', 'beta')).toBe(1)
    expect(compareStability('beta', 'beta')).toBe(0)
  })
})

describe('promotion', () => {
  it('changes only the letter and never goes back', () => {
    expect(promoteVersion(v('0a3'), 'beta')).toBe('0b3')
    expect(promoteVersion(v('0b3+x.1'), 'release')).toBe('0r3+x.1')
    fc.assert(
      fc.property(arbitrary.version, arbitrary.channel, (version, to) => {
        if (compareStability(to, channelOf(version)) > 0)
          expect(compareVersions(promoteVersion(version, to), version)).toBe(1)
        else expect(() => promoteVersion(version, to)).toThrow(ShapeError)
      }),
    )
  })
})

describe('a promotion that is none', () => {
  test.each<[string, Channel, string]>([
    ['0b3+x', 'beta', 'promotion of 0b3+x: / expected a channel more stable than beta, not beta'],
    ['0r3', 'alpha', 'promotion of 0r3: / expected a channel more stable than release, not alpha'],
  ])('of %s to %s is refused in words', (version, to, message) => {
    const promote = () => promoteVersion(v(version), to)
    expect(promote).toThrow(ShapeError)
    expect(promote).toThrow(expect.objectContaining({ message, issues: [expect.objectContaining({ pointer: '' })] }))
  })
})

describe('the next version', () => {
  test.each([
    ['0a1', 'minor', '0a2'],
    ['0r9+x', 'minor', '0r10'],
    ['0r7', 'major', '1a1'],
    ['1a1', 'major', '2a1'],
  ] as const)('after %s by %s is %s', (from, step, to) => {
    expect(nextVersion(v(from), step)).toBe(to)
  })

  it('is refused where the numbers end', () => {
    expect(() => nextVersion(v('0a999999999999999'), 'minor')).toThrow(ShapeError)
  })
})

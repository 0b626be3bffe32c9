import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import {
  decideListing,
  lineRoleName,
  lineRolePatterns,
  manifestPath,
  parseLineRoleName,
  parseManifestPath,
} from '../../schema/release-path.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { parseVersion } from '../../schema/version.ts'
import * as arbitrary from './arbitraries.ts'

const v = parseVersion

describe('the path of a manifest', () => {
  it('stands in the folder of its channel', () => {
    expect(manifestPath(v('0a1'))).toBe('alpha/0a1/manifest.json')
    expect(manifestPath(v('1b12+x.1'))).toBe('beta/1b12+x.1/manifest.json')
    expect(manifestPath(v('0r3'))).toBe('release/0r3/manifest.json')
  })

  it('round-trips', () => {
    fc.assert(
      fc.property(arbitrary.version, (version) => {
        expect(parseManifestPath(manifestPath(version))).toBe(version)
      }),
    )
  })

  test.each([
    'beta/0a1/manifest.json',
    'alpha/0a1',
    'alpha/0a1/manifest.json/',
    '/alpha/0a1/manifest.json',
    'alpha/../manifest.json',
    'gamma/0a1/manifest.json',
    'alpha/0a0/manifest.json',
    'alpha/0a1/MANIFEST.json',
    'alpha/0a1%2Bx/manifest.json',
    'alpha/0a1/x/manifest.json',
    'x/alpha/0a1/manifest.json',
    '../alpha/0a1/manifest.json',
    'alpha//0a1/manifest.json',
    'alpha/0a1/manifest.json.sig',
    'alpha/0a1/manifest.json\n',
    'alpha/undefined/manifest.json',
    '0a1',
    '',
  ])('is refused: %s', (path) => {
    const issues = [{ pointer: '', message: 'expected <channel>/<version>/manifest.json' }]
    expect(() => parseManifestPath(path)).toThrow(new ShapeError(`target path ${JSON.stringify(path)}`, issues))
    expect(() => parseManifestPath(path)).toThrow(expect.objectContaining({ name: 'ShapeError', issues }))
  })
})

describe('line roles', () => {
  test.each([
    ['0a1', 'alpha-0-0'],
    ['0a49', 'alpha-0-0'],
    ['0a50', 'alpha-0-50'],
    ['0a99', 'alpha-0-50'],
    ['0a100', 'alpha-0-100'],
    ['2b149+x', 'beta-2-100'],
    ['1r150', 'release-1-150'],
  ])('%s belongs to %s', (version, name) => {
    expect(lineRoleName(v(version))).toBe(name)
  })

  it('are read from their names', () => {
    expect(parseLineRoleName('beta-2-100')).toEqual({ channel: 'beta', major: 2, startMinor: 100 })
  })

  test.each([
    ...['alpha', 'alpha-0', 'alpha-0-49', 'gamma-0-50', 'alpha-00-50', 'alpha-0-050', 'alpha-0-50-', 'root', ''],
    ...['x-alpha-0-50', '../alpha-0-50', ' alpha-0-50', 'Xalpha-0-50', 'alpha-0-50.json', 'alpha-0-50\n'],
  ])('are refused: %j', (name) => {
    const message = 'expected <channel>-<major>-<minor divisible by 50>, as in alpha-0-50'
    const issues = [{ pointer: '', message }]
    for (const read of [parseLineRoleName, lineRolePatterns]) {
      expect(() => read(name)).toThrow(new ShapeError(`role ${JSON.stringify(name)}`, issues))
      expect(() => read(name)).toThrow(expect.objectContaining({ name: 'ShapeError', issues }))
    }
  })

  it('have at most twenty patterns', () => {
    expect(lineRolePatterns('alpha-0-0')).toEqual([
      'alpha/0a?/manifest.json',
      'alpha/0a?+*/manifest.json',
      'alpha/0a1?/manifest.json',
      'alpha/0a1?+*/manifest.json',
      'alpha/0a2?/manifest.json',
      'alpha/0a2?+*/manifest.json',
      'alpha/0a3?/manifest.json',
      'alpha/0a3?+*/manifest.json',
      'alpha/0a4?/manifest.json',
      'alpha/0a4?+*/manifest.json',
    ])
    expect(lineRolePatterns('release-1-1000')[0]).toBe('release/1r100?/manifest.json')
    fc.assert(
      fc.property(arbitrary.version, (version) => {
        expect(lineRolePatterns(lineRoleName(version)).length).toBeLessThanOrEqual(20)
      }),
    )
  })

  it('match every version of their own block, of every block up to 1,200, and no other', () => {
    const lines = ['alpha', 'beta', 'release'].flatMap((channel) =>
      [0, 1, 10].flatMap((major) => Array.from({ length: 25 }, (_, block) => `${channel}-${major}-${block * 50}`)),
    )
    const patterns = new Map(lines.map((name) => [name, new RegExp(lineRolePatterns(name).map(tufPattern).join('|'))]))
    for (const letter of ['a', 'b', 'r']) {
      for (const major of [0, 1, 10]) {
        for (let minor = 1; minor < 1250; minor++) {
          for (const build of ['', '+x', '+1', '+0a1.x-y']) {
            const path = manifestPath(v(`${major}${letter}${minor}${build}`))
            const start = Math.floor(minor / 50) * 50
            const own = `${{ a: 'alpha', b: 'beta', r: 'release' }[letter]}-${major}-${start}`
            expect(patterns.get(own)?.test(path), `${path} ${own}`).toBe(true)
            // Asserted in one go to keep the test quick: nobody else matches.
            if (minor % 10 < 2 && lines.some((name) => name !== own && patterns.get(name)?.test(path)))
              expect.unreachable(path)
          }
        }
      }
    }
  })

  it('match exactly the versions whose role they are, wherever the numbers lie', () => {
    fc.assert(
      fc.property(arbitrary.version, arbitrary.version, (version, other) => {
        const matches = lineRolePatterns(lineRoleName(other)).filter((pattern) =>
          new RegExp(tufPattern(pattern)).test(manifestPath(version)),
        )
        expect(matches).toHaveLength(lineRoleName(version) === lineRoleName(other) ? 1 : 0)
      }),
      { numRuns: 3000 },
    )
  })
})

/** TUF 4.5: `?` is one character, `*` any number of characters, neither is a slash. */
function tufPattern(pattern: string): string {
  return `^${pattern.replace(/[.+]/g, '\\$&').replaceAll('?', '[^/]').replaceAll('*', '[^/]*')}$`
}

describe('a listing', () => {
  it('keeps the newest twenty in the channel role and sends the rest to their lines', () => {
    const versions = Array.from({ length: 60 }, (_, index) => v(`0a${index + 1}`))
    const { newest, lines } = decideListing([...versions].reverse())
    expect(newest).toHaveLength(20)
    expect(newest[0]).toBe('0a60')
    expect(newest.at(-1)).toBe('0a41')
    expect([...lines.keys()]).toEqual(['alpha-0-0'])
    expect(lines.get('alpha-0-0')?.[0]).toBe('0a40')
    expect(lines.get('alpha-0-0')).toHaveLength(40)
  })

  it('goes newest first, however the versions come, and counts one that comes twice once', () => {
    const ascending = Array.from({ length: 22 }, (_, index) => v(`0a${index + 48}`))
    const shuffled = [...ascending.filter((_, index) => index % 2 === 0), ...ascending, v('0a48')]
    for (const versions of [ascending, shuffled]) {
      const { newest, lines } = decideListing(versions)
      expect(newest).toEqual(Array.from({ length: 20 }, (_, index) => `0a${69 - index}`))
      expect([...lines]).toEqual([['alpha-0-0', ['0a49', '0a48']]])
    }
  })

  it('needs no line for twenty versions', () => {
    expect(decideListing(Array.from({ length: 20 }, (_, index) => v(`0r${index + 1}`))).lines.size).toBe(0)
  })

  it('lists every version once', () => {
    fc.assert(
      fc.property(fc.uniqueArray(arbitrary.version, { maxLength: 60 }), (versions) => {
        const { newest, lines } = decideListing(versions)
        expect([...newest, ...[...lines.values()].flat()].sort()).toEqual([...versions].sort())
        for (const [name, listed] of lines) for (const version of listed) expect(lineRoleName(version)).toBe(name)
      }),
    )
  })
})

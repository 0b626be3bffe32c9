import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matchesPattern } from '../../keys/path-pattern.ts'

describe('a delegation pattern', () => {
  const rows: [pattern: string, path: string, matches: boolean][] = [
    ['a.tgz', 'a.tgz', true],
    ['*', 'a.tgz', true],
    ['*', '', true],
    ['*', '.hidden', true],
    ['*', 'a/b', false],
    ['*/*', 'a/b', true],
    ['*/b', 'a/b', true],
    ['a/*', 'a/', true],
    ['a*', 'a', true],
    ['*.tgz', 'a.tgz', true],
    ['*.tgz', 'a.tgz.sig', false],
    ['*a*b*', 'xxaxxbxx', true],
    ['*a*b*', 'xxbxxaxx', false],
    ['*ab', 'aab', true],
    ['?', 'a', true],
    ['?', '', false],
    ['?', 'ab', false],
    ['?', '/', false],
    ['?', '😀', true],
    ['a?c', 'abc', true],
    ['releases/**', 'releases/stable', true],
    ['releases/**', 'releases/stable/x', false],
    ['**/x', 'a/b/x', false],
    ['alpha/*/manifest.json', 'alpha/0a1+fix.1/manifest.json', true],
    ['alpha/*/manifest.json', 'alpha/0a1/x/manifest.json', false],
    ['Foo/*', 'foo/x', false],
    ['foo/*', 'Foo/x', false],
    ['!foo', 'bar', false],
    ['!foo', '!foo', true],
    ['{a,b}', 'a', false],
    ['{a,b}', '{a,b}', true],
    ['[ab].tgz', 'a.tgz', false],
    ['[ab].tgz', '[ab].tgz', true],
    ['+(a|b)', 'a', false],
    ['\\*', 'a', false],
    ['\\*', '\\a', true],
    ['a.c', 'abc', false],
    ['', '', true],
    ['', 'a', false],
    ['/a', 'a', false],
  ]
  it.each(rows)('%s and %s: %s', (pattern, path, matches) => {
    expect(matchesPattern(pattern, path)).toBe(matches)
  })

  it('agrees with the regular expression that says the same', () => {
    const piece = fc.constantFrom('a', 'b', '*', '?', '/', '.')
    const letters = fc.constantFrom('a', 'b', '/', '.')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.array(letters, { maxLength: 8 }), (pattern, path) => {
        const words: Record<string, string> = { '*': '[^/]*', '?': '[^/]', '.': '\\.' }
        const oracle = new RegExp(`^${pattern.map((one) => words[one] ?? one).join('')}$`)
        expect(matchesPattern(pattern.join(''), path.join(''))).toBe(oracle.test(path.join('')))
      }),
      { numRuns: 2_000 },
    )
  })

  it.each([
    ['64 kB of stars', '*'.repeat(65_536), 'alpha/0a1/manifest.json'],
    ['stars and letters in turn', '*a'.repeat(32_768), 'a'.repeat(100)],
    ['the case that makes backtracking explode', `${'*a'.repeat(40)}b`, 'a'.repeat(200)],
  ])('takes no time over %s', (_, pattern, path) => {
    const started = performance.now()
    expect(matchesPattern(pattern, path)).toBe(false)
    expect(performance.now() - started).toBeLessThan(500)
  })
})

import { describe, expect, it, test } from 'vitest'
import { ShapeError } from '../../schema/shape-error.ts'
import { parseVersion } from '../../schema/version.ts'
import { parseRange, rangeIncludes, rangeShape } from '../../schema/version-range.ts'

describe('a range of versions', () => {
  test.each([
    ['*', '0a1 0r1+x 9r9', ''],
    ['0a1', '0a1', '0a1+x 0a2 0b1'],
    ['=0a1', '0a1', '0b1'],
    ['0a1+x', '0a1+x', '0a1'],
    ['>=0a1 <1a1', '0a1 0a1+x 0r99', '1a1 1b1'],
    ['>0a1 <=0r2', '0a1+x 0b1 0r2', '0a1 0r2+x 0a3'],
    ['0a1 || >=0b2', '0a1 0b2 1a1', '0b1 0a2'],
    ['<0a1 || *', '5r5', ''],
    ['  >=0a1   <0a3  ', '0a2', '0a3'],
    ['>0a5 <0a2', '', '0a1 0a3 0a9'],
  ])('%s includes %s and not %s', (range, inside, outside) => {
    expect(rangeShape.parse(range)).toBe(range)
    const parsed = parseRange(range)
    for (const text of inside.split(' ').filter(Boolean))
      expect(rangeIncludes(parsed, parseVersion(text)), text).toBe(true)
    for (const text of outside.split(' ').filter(Boolean))
      expect(rangeIncludes(parsed, parseVersion(text)), text).toBe(false)
  })

  test.each([
    '',
    ' ',
    '||',
    '0a1 ||',
    '|| 0a1',
    '0a1 | 0a2',
    '>= 0a1',
    '^0a1',
    '~0a1',
    '>=1.2.3',
    '* 0a1',
    '>=*',
    '0a0',
    '=>0a1',
    '0a1,0a2',
    '0a1\n0a2',
    'a'.repeat(2000),
    '0a1 '.repeat(400),
  ])('is refused: %j', (text) => {
    expect(rangeShape.safeParse(text).success).toBe(false)
    expect(() => parseRange(text)).toThrow(ShapeError)
  })

  it('may have 1,024 characters and no more', () => {
    const widest = `${' '.repeat(1021)}0a1`
    expect(rangeShape.safeParse(widest).success).toBe(true)
    expect(rangeIncludes(parseRange(widest), parseVersion('0a1'))).toBe(true)
    expect(rangeShape.safeParse(` ${widest}`).success).toBe(false)
    expect(() => parseRange(` ${widest}`)).toThrow(ShapeError)
  })

  it('names what was expected', () => {
    expect(() => parseRange('latest')).toThrow('version range "latest": / expected a range such as "*"')
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CoreError } from '../../server/core/core-error.ts'
import { parseFilter } from '../../server/core/filter.ts'

const words = (filter: ReturnType<typeof parseFilter>): unknown => {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return [filter.kind, ...filter.parts.map(words)]
    case 'not':
      return ['not', words(filter.part)]
    case 'in':
      return [filter.field, 'in', ...filter.values]
    case 'compare':
      return `${filter.field}${filter.operator}${filter.value}`
  }
}

describe('the filter of host lists', () => {
  test.each<[string, unknown]>([
    ['version=0r1', 'version=0r1'],
    ['version = 0b1+hotfix.3', 'version=0b1+hotfix.3'],
    [
      'version=0r1 and group in (eu,us) and last_seen<1h',
      ['and', 'version=0r1', ['group', 'in', 'eu', 'us'], 'last_seen<1h'],
    ],
    ['group=a or group=b and online=true', ['or', 'group=a', ['and', 'group=b', 'online=true']]],
    ['(group=a or group=b) and not online=true', ['and', ['or', 'group=a', 'group=b'], ['not', 'online=true']]],
    ['NOT NOT state=failed', ['not', ['not', 'state=failed']]],
    ['group not in (eu)', ['not', ['group', 'in', 'eu']]],
    ['label.rack="12 \\"b\\""', 'label.rack=12 "b"'],
    ['name~web-*', 'name~web-*'],
    ['  state  !=  succeeded  ', 'state!=succeeded'],
    ['name=and', 'name=and'],
  ])('%s', (text, parsed) => {
    expect(words(parseFilter(text))).toEqual(parsed)
  })

  test.each([
    ['', 1],
    ['colour=red', 1],
    ['version', 8],
    ['version=', 9],
    ['version=0r1 version=0r2', 13],
    ['group in ()', 11],
    ['group in (a', 12],
    ['(group=a', 9],
    ['group=a)', 8],
    ['group=a; drop table hosts', 8],
    ["group='a'", 7],
    ['group="a', 7],
    ['not', 4],
    ['group not = a', 11],
    ['label.=x', 1],
  ])('%j is refused, and the place is named', (text, place) => {
    expect(() => parseFilter(text)).toThrow(
      expect.objectContaining({ code: 'invalid', message: expect.stringContaining(`character ${place}:`) }),
    )
  })

  test('depth and length are bounded', () => {
    expect(() => parseFilter(`${'('.repeat(500)}group=a${')'.repeat(500)}`)).toThrow(/nested/)
    expect(() => parseFilter(`${'not '.repeat(100)}group=a`)).toThrow(/nested/)
    expect(() => parseFilter(`name=${'x'.repeat(3_000)}`)).toThrow(/2000/)
    expect(() => parseFilter(`${'('.repeat(20)}group=a${')'.repeat(20)}`)).not.toThrow()
  })

  test('whatever is typed is read or refused, never anything else', () => {
    const piece = fc.constantFrom(
      'version',
      'group',
      '=',
      '<',
      '(',
      ')',
      ',',
      'and',
      'or',
      'not',
      'in',
      '"',
      '\\',
      '0r1',
      '1h',
      ' ',
      "'",
      ';',
      'é',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece, { maxLength: 20 }).map((parts) => parts.join(' ')),
        ),
        (text) => {
          try {
            parseFilter(text)
          } catch (error) {
            expect(error).toBeInstanceOf(CoreError)
          }
        },
      ),
      { numRuns: 1_000 },
    )
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalBytes, compareCodePoints } from '../../keys/canonical.ts'
import { type JsonValue, parseJson } from '../../keys/json.ts'
import { TrustError } from '../../keys/trust-error.ts'

const text = (value: JsonValue) => new TextDecoder().decode(canonicalBytes(value))
const utf8 = (value: string) => new TextEncoder().encode(value)

const leaf = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.maxSafeInteger().map((n) => n + 0 || 0),
  fc.string({ unit: 'binary' }).filter((s) => s.isWellFormed()),
)
const name = fc.string({ unit: 'binary' }).filter((s) => s.isWellFormed())
const tree: fc.Arbitrary<JsonValue> = fc.letrec<{ node: JsonValue }>((tie) => ({
  node: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('node')), fc.dictionary(name, tie('node'))),
})).node

describe('canonical JSON', () => {
  const rows: [what: string, value: JsonValue, expected: string][] = [
    ['sorts names', { b: 1, a: 2 }, '{"a":2,"b":1}'],
    ['keeps the order of arrays', [3, 1, 2], '[3,1,2]'],
    ['escapes quote and backslash only', 'a"b\\c/\n\u0000é', '"a\\"b\\\\c/\n\u0000é"'],
    ['sorts by code point, not by UTF-16 unit', { '😀': 1, '～': 2 }, '{"～":2,"😀":1}'],
    ['sorts a name before its own extension', { ab: 1, a: 2, '': 3 }, '{"":3,"a":2,"ab":1}'],
    ['sorts integer-like names as text', { 2: 1, 10: 2, beta: 3 }, '{"10":2,"2":1,"beta":3}'],
    ['writes words', [true, false, null], '[true,false,null]'],
    ['writes the greatest integer', 9007199254740991, '9007199254740991'],
  ]
  it.each(rows)('%s', (_, value, expected) => expect(text(value)).toBe(expected))

  const refused: [what: string, value: JsonValue][] = [
    ['a fraction', 1.5],
    ['an unsafe integer', 2 ** 53],
    ['-0', -0],
    ['NaN', Number.NaN],
    ['a lone surrogate', '\ud800'],
    ['a lone surrogate in a name', { '\udc00': 1 }],
  ]
  it.each(refused)('refuses %s', (_, value) => {
    expect(() => canonicalBytes([value])).toThrow(TrustError)
  })

  it('says the same of a tree and of any spelling of it', () => {
    fc.assert(
      fc.property(tree, fc.integer({ min: 0, max: 4 }), (value, indent) => {
        const spelled = parseJson(utf8(JSON.stringify(value, null, indent)))
        expect(text(spelled)).toBe(text(value))
      }),
    )
  })

  it('does not depend on the order in which names were added', () => {
    fc.assert(
      fc.property(fc.dictionary(name, leaf), (object) => {
        expect(text(Object.fromEntries(Object.entries(object).reverse()))).toBe(text(object))
      }),
    )
  })

  it('gives two different trees two different texts', () => {
    fc.assert(
      fc.property(tree, tree, (a, b) => {
        const same = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
        expect(text(a) === text(b)).toBe(same)
      }),
    )
  })

  it('orders strings as their UTF-8 bytes are ordered', () => {
    fc.assert(
      fc.property(name, name, (a, b) => {
        expect(Math.sign(compareCodePoints(a, b))).toBe(Math.sign(Buffer.compare(utf8(a), utf8(b))))
      }),
    )
  })
})

/** The same value with every object as a sorted list of pairs, for comparing by meaning. */
function sorted(value: JsonValue): unknown {
  if (Array.isArray(value)) return ['array', ...value.map(sorted)]
  if (typeof value !== 'object' || value === null) return value
  const pairs = Object.entries(value).map(([key, item]) => [key, sorted(item)])
  return ['object', ...pairs.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1))]
}

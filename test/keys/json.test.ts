import { describe, expect, it } from 'vitest'
import { isJsonObject, parseJson } from '../../keys/json.ts'
import { TrustError } from '../../keys/trust-error.ts'

const parse = (text: string) => parseJson(new TextEncoder().encode(text))

function refusal(bytes: Uint8Array): TrustError {
  try {
    parseJson(bytes)
  } catch (error) {
    if (error instanceof TrustError) return error
    throw error
  }
  throw new Error('expected a refusal, and it was accepted')
}

describe('what the strict parser accepts', () => {
  const rows: [what: string, text: string, value: unknown][] = [
    ['an empty object', '{}', {}],
    ['an empty array between white space', ' \t\r\n[ ]\n', []],
    ['words', '[true,false,null]', [true, false, null]],
    [
      'the greatest and the least integer',
      '[9007199254740991,-9007199254740991]',
      [9007199254740991, -9007199254740991],
    ],
    ['zero', '0', 0],
    ['every escape', String.raw`"\"\\\/\b\f\n\r\t\u0041"`, '"\\/\b\f\n\r\tA'],
    ['a surrogate pair in escapes', String.raw`"\ud83d\ude00"`, '😀'],
    ['raw characters outside the basic plane', '"😀～"', '😀～'],
    ['DEL and U+2028, which only look like control characters', '"\u007f\u2028"', '\u007f\u2028'],
    ['an empty name', '{"":1}', { '': 1 }],
    ['nesting', '{"a":[{"b":[1,"x"]}]}', { a: [{ b: [1, 'x'] }] }],
  ]
  it.each(rows)('%s', (_, text, value) => {
    expect(JSON.stringify(parse(text))).toBe(JSON.stringify(value))
  })

  it('32 nested arrays', () => {
    expect(JSON.stringify(parse('['.repeat(32) + ']'.repeat(32)))).toBe('['.repeat(32) + ']'.repeat(32))
  })

  it('names of Object.prototype, as names like any other', () => {
    const value = parse('{"__proto__":{"polluted":1},"constructor":2,"toString":3}')
    if (!isJsonObject(value)) throw new Error('expected an object')
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor', 'toString'])
    expect(Object.getPrototypeOf(value)).toBe(null)
    expect(value.polluted).toBe(undefined)
    expect(value.hasOwnProperty).toBe(undefined)
  })
})

describe('what the strict parser refuses, naming the byte', () => {
  const rows: [what: string, text: string, at: number][] = [
    ['nothing', '', 0],
    ['only white space', '  ', 2],
    ['a byte order mark', '\ufeff{}', 0],
    ['bytes after the value', '{} x', 3],
    ['two values', '1 2', 2],
    ['a NUL after the value', '{}\0', 2],
    ['the same name twice', '{"version":1,"version":2}', 13],
    ['the same name twice, once escaped', String.raw`{"a":1,"\u0061":2}`, 7],
    ['__proto__ twice', '{"__proto__":1,"__proto__":2}', 15],
    ['an integer past 2^53-1', '[9007199254740993]', 1],
    ['an integer below -(2^53-1)', '-9007199254740992', 0],
    ['1.0', '1.0', 0],
    ['1e3', '1e3', 0],
    ['1E3', '1E3', 0],
    ['-0', '[0,-0]', 3],
    ['a leading zero', '01', 1],
    ['a plus sign', '+1', 0],
    ['a bare minus', '-', 0],
    ['NaN', 'NaN', 0],
    ['hexadecimal', '0x10', 1],
    ['a lone high surrogate', String.raw`["\ud800"]`, 1],
    ['a lone low surrogate', String.raw`"\udc00"`, 0],
    ['surrogates the wrong way round', String.raw`"\ude00\ud83d"`, 0],
    ['a raw line break in a string', '"a\nb"', 2],
    ['an unknown escape', String.raw`"\x41"`, 1],
    ['a short escape', String.raw`"\u00g0"`, 1],
    ['an open string', '"abc', 4],
    ['an open array', '[1', 2],
    ['an open object', '{"a":1', 6],
    ['a trailing comma in an array', '[1,]', 3],
    ['a trailing comma in an object', '{"a":1,}', 7],
    ['a missing colon', '{"a" 1}', 5],
    ['single quotes', "{'a':1}", 1],
    ['a name without quotes', '{a:1}', 1],
    ['a comment', '/**/1', 0],
    ['half a word', 'tru', 0],
    ['a word with a tail', 'nullx', 4],
    ['no-break space as white space', '\u00a01', 0],
    ['an offset counted in bytes, not characters', '"😀～" x', 10],
  ]
  it.each(rows)('%s', (_, text, at) => {
    const error = refusal(new TextEncoder().encode(text))
    expect(error.code).toBe('malformed')
    expect(error.message).toMatch(new RegExp(`at byte ${at}$`))
  })

  const bytes: [what: string, bytes: number[], at: number][] = [
    ['a byte that UTF-8 never has', [0x22, 0xff, 0x22], 1],
    ['an overlong slash', [0x22, 0xc0, 0xaf, 0x22], 1],
    ['an encoded surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22], 2],
    ['a cut-off character', [0x22, 0xf0, 0x9f], 3],
    ['a code point past U+10FFFF', [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22], 2],
  ]
  it.each(bytes)('%s', (_, raw, at) => {
    const error = refusal(Uint8Array.from(raw))
    expect(error.code).toBe('malformed')
    expect(error.message).toMatch(new RegExp(`at byte ${at}$`))
  })

  it.each([33, 10_000, 1_000_000])('%i nested arrays, without using up the stack', (depth) => {
    const error = refusal(new TextEncoder().encode('['.repeat(depth)))
    expect(error.code).toBe('too-large')
    expect(error.message).toContain('at byte 32')
  })
})

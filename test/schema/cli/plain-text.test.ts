import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { plainLine, plainText } from '../../../schema/cli/plain-text.ts'

describe('foreign text on a terminal', () => {
  test.each([
    ['a colour', '\x1b[31mred\x1b[0m', 'red'],
    ['a colour of many parameters', 'a\x1b[38;2;1;2;3mb', 'ab'],
    ['a cleared screen', 'a\x1b[2J\x1b[1;1Hb', 'ab'],
    ['a cursor that goes up to write over what stands there', 'evil\x1b[1A\x1b[2K', 'evil'],
    ['a window title', 'a\x1b]0;title\x07b', 'ab'],
    ['a window title with the other end', 'a\x1b]0;title\x1b\\b', 'ab'],
    ['the clipboard', 'a\x1b]52;c;ZXZpbA==\x07b', 'ab'],
    ['a link of a terminal', '\x1b]8;;https://evil.example\x07text\x1b]8;;\x07', 'text'],
    ['a device control string', 'a\x1bP+q544e\x1b\\b', 'ab'],
    ['sequences in eight bits', 'a\u009b31mb\u009d0;t\u009cc', 'abc'],
    ['a reset', 'a\x1bcb', 'ab'],
    ['a string without end, which must not hide what follows', 'a\x1b]0;visible', 'a0;visible'],
    ['a sequence around a sequence', '\x1b\x1b[31m[31mx', '31mx'],
    ['backspaces', 'safe\b\b\b\bevil', 'safeevil'],
    ['a carriage return that overwrites', 'evil\rsafe', 'evil\nsafe'],
    ['a bell and a NUL', 'a\x07\x00b', 'ab'],
    ['letters that run backwards', 'a\u202egnp.exe', 'agnp.exe'],
    ['isolates and marks', '\u2066a\u2069\u200eb\u200f\u061c', 'ab'],
    ['invisible tags', 'a\u{e0041}\u{e0042}b', 'ab'],
    ['a byte order mark', '\ufeffa', 'a'],
    ['zero-width spaces and joiners', 'a\u200bb\u200cc\u200dd\u2060e', 'abcde'],
    ['soft hyphens and joiners of graphemes', 'a\u00adb\u034fc', 'abc'],
    ['fillers that are blank letters', 'a\u3164b\uffa0c\u115f\u1160d\u2800e', 'abcde'],
    ['variation selectors', 'a\ufe0fb\u{e0100}c\u180ed', 'abcd'],
    ['what holds a family together, but not its members', '👩\u200d👩\u200d👧 family', '👩👩👧 family'],
    ['half a character', 'a\ud800b', 'a\ufffdb'],
    ['line separators', 'a\u2028b\u2029c\u0085d', 'a\nb\nc\nd'],
    ['tabs', 'a\tb', 'a  b'],
  ])('loses %s', (_what, text, expected) => {
    expect(plainText(text)).toBe(expected)
  })

  test.each(['Grüße, 日本, عربى, עברית', '👩🏽 👍', 'हिन्दी', 'line\nline', 'a < b & c > d [x](y) `z`', ''])(
    'keeps %j',
    (text) => {
      expect(plainText(text)).toBe(text)
    },
  )

  it('holds no control whatever comes in, and stays as it is a second time', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\x1b', '[', ']', '\x9b', '\x9d', 'm', '0;', '\x07', '\x1b\\', '\u202e', '\r'),
    )
    fc.assert(
      fc.property(
        fc.array(piece).map((pieces) => pieces.join('')),
        (text) => {
          const plain = plainText(text)
          expect(plain).not.toMatch(/(?!\n)\p{Cc}/u)
          expect(plain).not.toMatch(/[\p{Default_Ignorable_Code_Point}\u2800]/u)
          expect(plainText(plain)).toBe(plain)
        },
      ),
      { numRuns: 3000 },
    )
  })

  it('is cut where it is too long, and quickly so', () => {
    expect(plainText('abcdef', 3)).toBe('abc…')
    const start = performance.now()
    for (const evil of ['\x1b]', '\u009d', '\x1b[0', '\x1b[0;', '\x1b ']) plainText(evil.repeat(50_000), 100_000)
    expect(performance.now() - start).toBeLessThan(2_000)
  })

  it('is one line where one is wanted', () => {
    expect(plainLine('  a \n\n b\t c\r\nd ')).toBe('a b c d')
  })
})

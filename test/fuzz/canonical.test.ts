// The strict parser and the canonical form against another implementation of the same form, wherever both must agree. Names are ASCII there, because the
// other one orders names by UTF-16 units and the form by code points; whole numbers within ±(2^53-1), because the other one takes more.
import { canonicalize } from '@tufjs/canonical-json'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalBytes } from '../../keys/canonical.ts'
import { type JsonValue, parseJson } from '../../keys/json.ts'
import { isMisreadByV8 } from './v8.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)
const canonicalText = (value: JsonValue) => new TextDecoder().decode(canonicalBytes(value))
const ours = (text: string) => canonicalText(parseJson(utf8(text)))

const integer = fc.maxSafeInteger().filter((value) => !Object.is(value, -0))
const text = fc.string({ unit: 'binary', maxLength: 20 })
const asciiName = fc.oneof(
  fc.string({ unit: 'binary-ascii', maxLength: 8 }),
  fc.constantFrom('__proto__', 'constructor', 'a', 'A', '0', '10', '9', '', '"', '\\', 'keyid'),
)
const { document } = fc.letrec<{ document: unknown }>((tie) => ({
  document: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    integer,
    text,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('document'), { maxLength: 6 }),
    fc.uniqueArray(fc.tuple(asciiName, tie('document')), { maxLength: 6, selector: ([name]) => name }).map(ownNames),
  ),
}))

describe('strict JSON and its canonical form, beside @tufjs/canonical-json', () => {
  test('both make the same bytes of any document with ASCII names', () => {
    fc.assert(
      fc.property(document, fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
        const written = JSON.stringify(value, null, indent)
        expect(ours(written)).toBe(canonicalize(value))
      }),
      { numRuns: 500 },
    )
  })

  test('what a strict reader takes is what every reader takes, whatever stands there', () => {
    const noise = fc.array(fc.constantFrom(...'{}[]:,"\\ \n-0123e.', 'true', 'null', '"a"', '\\u0041', 'é', '😀'), {
      maxLength: 24,
    })
    fc.assert(
      fc.property(noise, (parts) => {
        const written = parts.join('')
        const own = attempt(() => ours(written))
        if (own !== undefined && !isMisreadByV8(written)) expect(canonicalize(JSON.parse(written))).toBe(own)
      }),
      { numRuns: 2_000 },
    )
  })

  test('and they differ exactly where this form is the stricter one', () => {
    const differing = ['{"\uff5e":1,"\ud83d\ude00":2}', '9007199254740993', '1.0', '-0', '{"a":1,"a":2}', '"\\ud800"']
    for (const written of differing) {
      expect(
        attempt(() => ours(written)),
        written,
      ).not.toBe(canonicalize(JSON.parse(written)))
    }
    expect(ours('{"b":1,"a":[]}')).toBe(canonicalize({ a: [], b: 1 }))
  })
})

/** An object whose names are all its own, `__proto__` too. */
function ownNames(entries: readonly (readonly [string, unknown])[]): unknown {
  return Object.fromEntries(entries)
}

function attempt(work: () => string): string | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

// Our canonical form against other people's: @tufjs/canonical-json always, securesystemslib where PYTHON names an interpreter that has it. Random documents
// in any script, for the cases where both must agree; where they may not, which ones and why. (The strict parser has its oracle in test/fuzz.)
import { execFileSync } from 'node:child_process'
import { canonicalize } from '@tufjs/canonical-json'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalBytes } from '../../keys/canonical.ts'
import type { JsonValue } from '../../keys/json.ts'
import { pythonWithTuf } from './clients.ts'

const python = await pythonWithTuf()
const ours = (value: JsonValue) => Buffer.from(canonicalBytes(value)).toString()

/** Text in any script; without what lies beyond the basic plane, whose order the oracle takes from UTF-16. */
const basic = fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed() && !/[\ud800-\udfff]/.test(text))
const anywhere = fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed())
const leaf = (text: fc.Arbitrary<string>) =>
  fc.oneof(
    fc.constantFrom(null, true, false),
    fc.maxSafeInteger().map((n) => n || 0),
    text,
  )
const documents = (name: fc.Arbitrary<string>): fc.Arbitrary<JsonValue> =>
  fc.letrec<{ node: JsonValue }>((tie) => ({
    node: fc.oneof(
      { depthSize: 'small' },
      leaf(anywhere),
      fc.array(tie('node'), { maxLength: 5 }),
      fc.dictionary(name, tie('node'), { maxKeys: 5 }),
    ),
  })).node

/** In ASCII, so that nothing between here and there can read it differently. */
const spelled = (value: JsonValue) =>
  JSON.stringify(value).replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

describe('the canonical form', () => {
  it('is that of @tufjs/canonical-json wherever UTF-16 and code points order names alike', () => {
    fc.assert(
      fc.property(documents(basic), (value) => {
        expect(ours(value)).toBe(canonicalize(value))
      }),
      { numRuns: 500 },
    )
  })

  it('differs from it where they do not: there Python and Go order as we do', () => {
    const value = { '\u{1f600}': 1, '\uff5e': 2 }
    expect(canonicalize(value)).toBe('{"\u{1f600}":1,"\uff5e":2}')
    expect(ours(value)).toBe('{"\uff5e":2,"\u{1f600}":1}')
  })

  it.skipIf(!python)('is that of securesystemslib for every document', () => {
    const values = fc.sample(documents(anywhere), 500)
    const script = [
      'import json, sys',
      'from securesystemslib.formats import encode_canonical',
      'for line in sys.stdin:',
      '    print(encode_canonical(json.loads(line)).encode("utf-8").hex())',
    ].join('\n')
    const input = values.map((value) => `${spelled(value)}\n`).join('')
    const answers = execFileSync(python ?? '', ['-c', script], { input, encoding: 'utf8', maxBuffer: 1 << 26 })
      .trim()
      .split('\n')
    expect(answers).toEqual(values.map((value) => Buffer.from(canonicalBytes(value)).toString('hex')))
  })
})

import { isJsonArray, type JsonObject, type JsonValue } from './json.ts'
import { TrustError } from './trust-error.ts'

/**
 * The bytes that are signed and hashed: OLPC canonical JSON (TUF 4.1). No white space, names sorted by code point, in strings only `"` and `\`
 * escaped and everything else as raw UTF-8. This is neither RFC 8785 nor always JSON: a line break in a string stays a line break.
 *
 * Throws TrustError `malformed` on what the form can't say: fractions, integers past ±(2^53-1), -0, lone surrogates.
 */
export function canonicalBytes(value: JsonValue): Uint8Array {
  const parts: string[] = []
  write(value, parts)
  return new TextEncoder().encode(parts.join(''))
}

/** Orders strings as their UTF-8 bytes would be ordered. JavaScript's own order puts U+1F600 before U+FF5E. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

/** Surrogates stand for code points above U+FFFF, so they come after U+E000–U+FFFF. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}

function write(value: JsonValue, parts: string[]): void {
  if (value === null || typeof value === 'boolean') parts.push(String(value))
  else if (typeof value === 'number') parts.push(integer(value))
  else if (typeof value === 'string') parts.push(quoted(value))
  else if (isJsonArray(value)) writeArray(value, parts)
  else if (typeof value === 'object') writeObject(value, parts)
  else throw new TrustError('malformed', `canonical JSON has no word for a value of type ${typeof value}`)
}

function writeArray(array: readonly JsonValue[], parts: string[]): void {
  parts.push('[')
  array.forEach((item, index) => {
    if (index > 0) parts.push(',')
    write(item, parts)
  })
  parts.push(']')
}

function writeObject(object: JsonObject, parts: string[]): void {
  parts.push('{')
  const entries = Object.entries(object).sort(([a], [b]) => compareCodePoints(a, b))
  entries.forEach(([name, value], index) => {
    if (index > 0) parts.push(',')
    parts.push(quoted(name), ':')
    write(value, parts)
  })
  parts.push('}')
}

function integer(value: number): string {
  if (!Number.isSafeInteger(value) || Object.is(value, -0))
    throw new TrustError('malformed', `canonical JSON has integers only, found ${value}`)
  return String(value)
}

function quoted(text: string): string {
  if (!text.isWellFormed())
    throw new TrustError('malformed', 'canonical JSON has whole characters only, found a lone surrogate')
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

import type { JsonArray, JsonObject, JsonValue } from '../schema/json-value.ts'
import { TrustError } from './trust-error.ts'

export type { JsonArray, JsonObject, JsonValue }

export interface JsonOptions {
  /** How many arrays and objects may lie inside one another; 32 unless said otherwise. */
  readonly maxDepth?: number
  /** What is being read, for the message of a refusal: a file, a role. */
  readonly subject?: string
}

/**
 * The value that these bytes spell, or a refusal. Stricter than RFC 8259, so that no two readers can see two things in one file:
 * UTF-8 without a byte order mark, no name twice in an object, integers within ±(2^53-1) and written as such (no `1.0`, `1e3`, `-0`),
 * no lone surrogates, nothing after the value. Objects have no prototype: `__proto__` and `constructor` are names like any other.
 *
 * Throws TrustError `malformed` naming the byte offset, or `too-large` where the nesting goes deeper than `maxDepth`.
 */
export function parseJson(bytes: Uint8Array, { maxDepth = 32, subject = 'JSON' }: JsonOptions = {}): JsonValue {
  const reader: Reader = { text: decodeUtf8(bytes, subject), at: 0, maxDepth, subject }
  skipSpace(reader)
  const value = readValue(reader, 1)
  skipSpace(reader)
  if (reader.at < reader.text.length) throw malformed(reader, 'nothing after the value')
  return value
}

/** Whether this is a JSON object: not null, not an array. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Whether this is a JSON array. (`Array.isArray` alone does not narrow a readonly array.) */
export function isJsonArray(value: JsonValue | undefined): value is JsonArray {
  return Array.isArray(value)
}

interface Reader {
  readonly text: string
  readonly maxDepth: number
  readonly subject: string
  at: number
}

function decodeUtf8(bytes: Uint8Array, subject: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new TrustError(
      'malformed',
      `${subject}: expected UTF-8, found other bytes at byte ${firstNonUtf8(bytes)}`,
      {},
      { cause },
    )
  }
}

/** Bisection: a prefix decodes as a stream exactly as long as no wrong byte is in it. */
function firstNonUtf8(bytes: Uint8Array): number {
  let good = 0
  let bad = bytes.length + 1
  while (bad - good > 1) {
    const middle = (good + bad) >> 1
    if (isUtf8Start(bytes.subarray(0, middle))) good = middle
    else bad = middle
  }
  return good
}

function isUtf8Start(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true })
    return true
  } catch {
    return false
  }
}

function readValue(reader: Reader, depth: number): JsonValue {
  const character = reader.text[reader.at]
  switch (character) {
    case '{':
      return readObject(reader, depth)
    case '[':
      return readArray(reader, depth)
    case '"':
      return readString(reader)
    case 't':
      return readWord(reader, 'true', true)
    case 'f':
      return readWord(reader, 'false', false)
    case 'n':
      return readWord(reader, 'null', null)
    default:
      return readInteger(reader)
  }
}

function readObject(reader: Reader, depth: number): JsonObject {
  enter(reader, depth)
  const object: Record<string, JsonValue> = Object.create(null)
  if (skipIf(reader, '}')) return object
  do {
    skipSpace(reader)
    if (reader.text[reader.at] !== '"') throw malformed(reader, 'a name in double quotes')
    const nameAt = reader.at
    const name = readString(reader)
    if (name in object)
      throw malformed({ ...reader, at: nameAt }, 'every name once', `a second ${JSON.stringify(name)}`)
    skipSpace(reader)
    expect(reader, ':')
    skipSpace(reader)
    object[name] = readValue(reader, depth + 1)
    skipSpace(reader)
  } while (take(reader, ','))
  expect(reader, '}')
  return object
}

function readArray(reader: Reader, depth: number): JsonArray {
  enter(reader, depth)
  const array: JsonValue[] = []
  if (skipIf(reader, ']')) return array
  do {
    skipSpace(reader)
    array.push(readValue(reader, depth + 1))
    skipSpace(reader)
  } while (take(reader, ','))
  expect(reader, ']')
  return array
}

function enter(reader: Reader, depth: number): void {
  if (depth > reader.maxDepth) {
    throw new TrustError(
      'too-large',
      `${reader.subject}: expected at most ${reader.maxDepth} nested values, found more at byte ${byteOffset(reader)}`,
    )
  }
  reader.at += 1
}

/** Everything from the space on but the quote and the backslash; control characters lie below. */
const PLAIN = /[ !#-[\]-\uffff]*/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
const ESCAPED: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

function readString(reader: Reader): string {
  const start = reader.at
  let text = ''
  reader.at += 1
  for (;;) {
    text += match(reader, PLAIN) ?? ''
    if (take(reader, '"')) break
    const sequence = match(reader, ESCAPE)
    if (sequence === undefined) throw malformed(reader, 'a character, an escape or the closing quote')
    text += characterOf(sequence)
  }
  if (!text.isWellFormed())
    throw malformed({ ...reader, at: start }, 'whole characters', 'a lone surrogate in a string')
  return text
}

function characterOf(sequence: string): string {
  const letter = sequence.charAt(1)
  if (letter === 'u') return String.fromCharCode(Number.parseInt(sequence.slice(2), 16))
  return ESCAPED[letter] ?? letter
}

const INTEGER = /-?(?:0|[1-9][0-9]*)/y

function readInteger(reader: Reader): number {
  const start = reader.at
  const digits = match(reader, INTEGER)
  if (digits === undefined) throw malformed(reader, 'a value')
  const value = Number(digits)
  const next = reader.text[reader.at]
  if (next === '.' || next === 'e' || next === 'E')
    throw malformed({ ...reader, at: start }, 'an integer', 'a fraction or an exponent')
  if (!Number.isSafeInteger(value))
    throw malformed({ ...reader, at: start }, 'an integer within ±(2^53-1)', digits.slice(0, 40))
  if (Object.is(value, -0)) throw malformed({ ...reader, at: start }, '0', '-0')
  return value
}

const SPACE = 0x20
const TAB = 0x09
const LINE_FEED = 0x0a
const RETURN = 0x0d

function readWord<T extends JsonValue>(reader: Reader, word: string, value: T): T {
  if (!reader.text.startsWith(word, reader.at)) throw malformed(reader, 'a value')
  reader.at += word.length
  return value
}

function skipSpace(reader: Reader): void {
  for (;;) {
    const unit = reader.text.charCodeAt(reader.at)
    if (unit !== SPACE && unit !== TAB && unit !== LINE_FEED && unit !== RETURN) return
    reader.at += 1
  }
}

function skipIf(reader: Reader, character: string): boolean {
  skipSpace(reader)
  return take(reader, character)
}

function take(reader: Reader, character: string): boolean {
  if (reader.text[reader.at] !== character) return false
  reader.at += 1
  return true
}

function expect(reader: Reader, character: string): void {
  if (!take(reader, character)) throw malformed(reader, `"${character}"`)
}

function match(reader: Reader, pattern: RegExp): string | undefined {
  pattern.lastIndex = reader.at
  const found = pattern.exec(reader.text)?.[0]
  if (found !== undefined) reader.at += found.length
  return found
}

function malformed(reader: Reader, expected: string, found = foundAt(reader)): TrustError {
  return new TrustError(
    'malformed',
    `${reader.subject}: expected ${expected}, found ${found} at byte ${byteOffset(reader)}`,
    {
      expected,
      actual: found,
    },
  )
}

function foundAt(reader: Reader): string {
  const character = reader.text.codePointAt(reader.at)
  return character === undefined ? 'the end' : JSON.stringify(String.fromCodePoint(character))
}

function byteOffset(reader: Reader): number {
  return new TextEncoder().encode(reader.text.slice(0, reader.at)).length
}

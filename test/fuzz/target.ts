/** One parser that reads bytes from elsewhere, and what may come of it. */
export interface Target {
  /** Also the folder of its corpus. */
  readonly name: string
  /** How its input is built: decides which mutations are worth most. */
  readonly form: 'json' | 'text' | 'bytes'
  /** Words that open doors: a mutation by chance would never spell them. */
  readonly tokens: readonly string[]
  /** How it refuses. Any other exception is a finding. */
  readonly refusals: readonly Refusal[]
  /** Reads it, and holds what is read against what must be true of it. Throws one of `refusals`, or whatever is a finding. */
  readonly read: (input: Uint8Array) => unknown
  /** Makes right what every mutation breaks, a checksum, so that what lies behind it is reached too. */
  readonly repair?: (input: Uint8Array) => Uint8Array
}

// biome-ignore lint/suspicious/noExplicitAny: a class of errors, whatever its constructor takes
export type Refusal = abstract new (...args: any[]) => Error

/** What terminals obey: control characters but line feed, and what reorders letters. */
export const OBEYED = /(?!\n)\p{Cc}|[\u202a-\u202e\u2066-\u2069]/u

/** Something that must be true of what was read is not. */
export class BrokenProperty extends Error {
  override readonly name = 'BrokenProperty'
}

/** Throws BrokenProperty unless both are the same. */
export function same(what: string, actual: unknown, expected: unknown): void {
  if (actual === expected) return
  throw new BrokenProperty(`${what}: expected ${shown(expected)}, found ${shown(actual)}`)
}

/** As `same`, over bytes. */
export function sameBytes(what: string, actual: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(actual, expected) === 0) return
  same(what, Buffer.from(actual).toString('latin1'), Buffer.from(expected).toString('latin1'))
}

/** What a text parser is given: bytes from elsewhere become text in the way a socket or file does it. */
export function textOf(input: Uint8Array): string {
  return new TextDecoder().decode(input)
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 300)
}

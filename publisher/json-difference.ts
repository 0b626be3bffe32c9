import { isJsonArray, isJsonObject, type JsonValue } from '../keys/json.ts'

/** One place where two trees differ. A side that does not have it is undefined. */
export interface Difference {
  /** JSON pointer (RFC 6901). */
  readonly pointer: string
  readonly before: JsonValue | undefined
  readonly after: JsonValue | undefined
}

/** Every place where two JSON trees differ, as deep as they can be told apart, in the order of names. Lists are compared place by place. */
export function differencesOf(
  before: JsonValue | undefined,
  after: JsonValue | undefined,
  pointer = '',
): readonly Difference[] {
  if (isJsonObject(before) && isJsonObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
    return names.flatMap((name) => differencesOf(own(before, name), own(after, name), `${pointer}/${escaped(name)}`))
  }
  if (isJsonArray(before) && isJsonArray(after)) {
    const places = [...Array(Math.max(before.length, after.length)).keys()]
    return places.flatMap((place) => differencesOf(before[place], after[place], `${pointer}/${place}`))
  }
  return before === after || bothEmpty(before, after) ? [] : [{ pointer, before, after }]
}

function own(object: Readonly<Record<string, JsonValue>>, name: string): JsonValue | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

function bothEmpty(before: JsonValue | undefined, after: JsonValue | undefined): boolean {
  return before !== undefined && after !== undefined && JSON.stringify(before) === JSON.stringify(after)
}

function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** A difference as a person reads it: `+ /hooks/0: {"point":…}`. */
export function differenceWords({ pointer, before, after }: Difference): string {
  const where = pointer === '' ? '' : `${visible(pointer)}: `
  if (before === undefined) return `+ ${where}${spelled(after)}`
  if (after === undefined) return `- ${where}${spelled(before)}`
  return `~ ${where}${spelled(before)} -> ${spelled(after)}`
}

/** Whole, because what is cut off is what nobody has seen; what a terminal would obey or not show is spelled out. */
export function spelled(value: JsonValue | undefined): string {
  return value === undefined ? 'nothing' : visible(JSON.stringify(value))
}

/** Controls, what has no glyph, what renders as nothing, and every space but the one that people type. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu

/** The text with every character that shows nothing of itself as its number. Doing it twice changes nothing. */
export function visible(text: string): string {
  return text.toWellFormed().replaceAll(UNSEEN, (character) => {
    const number = character.codePointAt(0) ?? 0
    return `\\u{${number.toString(16)}}`
  })
}

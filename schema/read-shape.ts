// zod counts the length of whatever has one, before it knows that it is no text and no list: `{"length": {"valueOf": 1, "toString": 1}}` in the place of a
// text with a least or greatest length throws a TypeError instead of being refused. Whoever reads what came from elsewhere reads it here.
import { z } from 'zod'

export type Reading<T> =
  | { readonly success: true; readonly data: T; readonly error?: undefined }
  | { readonly success: false; readonly data?: undefined; readonly error: z.ZodError }

/** As `shape.safeParse`, for values from elsewhere: never throws because of what stands in them. */
export function readShape<T>(shape: z.ZodType<T>, value: unknown): Reading<T> {
  try {
    const { data, error } = shape.safeParse(value)
    return error === undefined ? { success: true, data } : { success: false, error }
  } catch (error) {
    const path = error instanceof TypeError ? findOddLength(value) : undefined
    if (path === undefined) throw error
    const message = 'expected no object as a length'
    return { success: false, error: new z.ZodError([{ code: 'custom', path: [...path], message, input: value }]) }
  }
}

/** Where in a JSON value a `length` is an object or a list; undefined if nowhere. */
export function findOddLength(value: unknown): readonly string[] | undefined {
  // A stack of our own, and places that know what they are in: a document may be nested deeper than the machine's stack, and as deep as it is long.
  const left: Place[] = [{ name: '', value, within: undefined }]
  for (let one = left.pop(); one; one = left.pop()) {
    for (const [name, field] of Object.entries(one.value ?? {})) {
      if (typeof field !== 'object' || field === null) continue
      const place: Place = { name, value: field, within: one }
      if (name === 'length') return pathOf(place)
      left.push(place)
    }
  }
  return undefined
}

interface Place {
  readonly name: string
  readonly value: unknown
  readonly within: Place | undefined
}

function pathOf(place: Place): string[] {
  const path: string[] = []
  for (let one: Place | undefined = place; one?.within !== undefined; one = one.within) path.push(one.name)
  return path.reverse()
}

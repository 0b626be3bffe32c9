import { z } from 'zod'
import type { JsonObject } from './json-value.ts'

/**
 * An object used as a dictionary, read into a Map. z.record drops the name `__proto__`, and a plain object answers `constructor` with a function;
 * in signed metadata both are names of roles, keys and targets like any other.
 */
export function dictionaryShape<V extends z.ZodType>(valueShape: V) {
  return z.custom<Readonly<Record<string, z.input<V>>>>(isObject, 'expected an object').transform((object, context) => {
    const map = new Map<string, z.output<V>>()
    for (const [name, value] of Object.entries(object)) {
      const parsed = valueShape.safeParse(value)
      if (parsed.success) map.set(name, parsed.data)
      for (const issue of parsed.error?.issues ?? []) {
        context.addIssue({ code: 'custom', message: issue.message, path: [name, ...issue.path] })
      }
    }
    const read: ReadonlyMap<string, z.output<V>> = map
    return read
  })
}

/** Any object, kept as it is: what is hashed must not lose a field on its way through a parser. */
export const rawObjectShape = z.custom<JsonObject>(isObject, 'expected an object')

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

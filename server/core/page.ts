import type { Page, PageRequest } from './core.ts'
import { CoreError } from './core-error.ts'
import { isStorable } from './storable.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 500

/** How many rows a page holds. Throws CoreError 'invalid' outside 1 to 500. */
export function parseLimit(request: PageRequest): number {
  const limit = request.limit ?? DEFAULT_LIMIT
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit
  throw new CoreError('invalid', `expected a limit of 1 to ${MAX_LIMIT}, found ${limit}`, {
    issues: [{ pointer: '/limit', message: `expected 1 to ${MAX_LIMIT}` }],
  })
}

/** Whether a text can be a part of a cursor. A caller can write any: it is looked at before it goes to the database. */
export const CURSOR_PART = {
  number: (text: string) => /^\d{1,15}$/.test(text),
  time: (text: string) => /^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/.test(text) && !Number.isNaN(Date.parse(text)),
  text: isStorable,
} as const

/** The key after which the page begins, as `buildPage` wrote it; undefined for the first page. Throws CoreError 'invalid'. */
export function parseCursor(
  request: PageRequest,
  ...parts: readonly ((text: string) => boolean)[]
): readonly string[] | undefined {
  if (request.cursor === undefined || request.cursor === null || request.cursor === '') return undefined
  try {
    const key: unknown = JSON.parse(Buffer.from(request.cursor, 'base64url').toString())
    if (
      Array.isArray(key) &&
      key.length === parts.length &&
      key.every((part, at) => typeof part === 'string' && parts[at]?.(part))
    )
      return key
  } catch {
    // Falls through to the one refusal below: to a caller a cursor is opaque, and every wrong one is wrong alike.
  }
  throw new CoreError('invalid', 'expected a cursor as an earlier page gave it', {
    issues: [{ pointer: '/cursor', message: 'expected a cursor as an earlier page gave it' }],
  })
}

/** A page out of up to `limit + 1` rows: the row beyond the limit only says that there are more. */
export function buildPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  keyOf: (row: Row) => readonly string[],
  read: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  const more = rows.length > limit && last !== undefined
  return {
    items: shown.map(read),
    next_cursor: more ? Buffer.from(JSON.stringify(keyOf(last))).toString('base64url') : null,
  }
}

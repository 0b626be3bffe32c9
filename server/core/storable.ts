/**
 * Where in a JSON document a text stands that PostgreSQL cannot hold (U+0000, half a surrogate pair), as a JSON pointer; undefined if
 * nowhere, or if it is no JSON. Only an escape leads there, and most documents have none: then nothing is parsed.
 */
export function findUnstorable(json: string): string | undefined {
  if (!/\\u(?:0000|d[89a-f])/i.test(json)) return undefined
  // A stack of our own: a document may be nested deeper than the machine's.
  const left: [pointer: string, value: unknown][] = [['', parseOrNothing(json)]]
  for (let one = left.pop(); one; one = left.pop()) {
    const [pointer, value] = one
    if (typeof value === 'string' && !isStorable(value)) return pointer
    if (typeof value !== 'object' || value === null) continue
    for (const [name, inner] of Object.entries(value)) {
      if (!isStorable(name)) return pointer
      left.push([`${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, inner])
    }
  }
  return undefined
}

/** Whether PostgreSQL can hold this text. */
export function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\u0000')
}

function parseOrNothing(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined // whoever asked will parse it too, and say so
  }
}

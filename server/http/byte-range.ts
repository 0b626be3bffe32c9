// Range requests (RFC 9110 14): one range. Several at once, and units nobody knows, are ignored, as the standard allows.

export type RangeDecision =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly start: number; readonly end: number }
  | { readonly kind: 'unsatisfiable' }

/** What to send of a file of `size` bytes. `start` and `end` are the first and the last byte. */
export function decideRange(header: string | undefined, size: number): RangeDecision {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '') ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return { kind: 'whole' }
  if (first === '') {
    const count = Number(last)
    return count === 0 || size === 0 ? { kind: 'unsatisfiable' } : part(Math.max(0, size - count), size - 1)
  }
  const start = Number(first)
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1)
  if (last !== '' && Number(last) < start) return { kind: 'whole' }
  return start >= size ? { kind: 'unsatisfiable' } : part(start, end)
}

function part(start: number, end: number): RangeDecision {
  return { kind: 'part', start, end }
}

/** Whether a range asked for with `if-range` still belongs to what is here. A date is never good enough: it has seconds only. */
export function rangeHolds(ifRange: string | undefined, etag: string): boolean {
  return ifRange === undefined || ifRange.trim() === etag
}

/** Whether the client has this already: `if-none-match` (RFC 9110 13.1.2), weak comparison. */
export function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  const known = ifNoneMatch.split(',').map((one) => one.trim().replace(/^W\//, ''))
  return known.includes('*') || known.includes(etag)
}

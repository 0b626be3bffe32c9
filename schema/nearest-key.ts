/** The known word that was most likely meant; undefined if none is close. At most every third letter may be wrong. */
export function nearestKey(word: string, known: Iterable<string>): string | undefined {
  if (word.length > MAX_WORD) return undefined
  let nearest: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const candidate of known) {
    const distance = editDistance(fold(word), fold(candidate))
    const allowed = Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3))
    if (distance <= allowed && distance < least) {
      nearest = candidate
      least = distance
    }
  }
  return nearest
}

const MAX_WORD = 128

/** `retentionDays`, `retention-days` and `retention_days` are one word. */
function fold(word: string): string {
  return word.replaceAll(/[_-]/g, '').toLowerCase()
}

/** Insertions, deletions, replacements and swaps of neighbours (Damerau's restricted distance). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(beforeLast, j - 2) + 1 : replaced
      row.push(Math.min(at(last, j) + 1, at(row, j - 1) + 1, replaced, swapped))
    }
    beforeLast = last
    last = row
  }
  return at(last, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}

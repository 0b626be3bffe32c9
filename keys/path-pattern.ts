/**
 * Whether a target path matches a delegation's path pattern (TUF 4.5): `*` is any number of characters and `?` exactly one, neither of them `/`.
 * Everything else, `[`, `{`, `!`, `\` and a leading dot included, means itself; upper and lower case differ on every system.
 *
 * Time grows with the length of the pattern times that of the path, whatever either says.
 */
export function matchesPattern(pattern: string, path: string): boolean {
  const patterns = pattern.split('/')
  const segments = path.split('/')
  return (
    patterns.length === segments.length && patterns.every((one, index) => matchesSegment(one, segments[index] ?? ''))
  )
}

/** Remembers only the last `*`: where an earlier one could give way, the last one can too. */
function matchesSegment(pattern: string, segment: string): boolean {
  const wanted = [...pattern]
  const given = [...segment]
  let at = 0
  let star = -1
  let resume = 0
  for (let i = 0; i < given.length; ) {
    if (wanted[at] === '*') {
      star = at++
      resume = i
    } else if (wanted[at] === '?' || (at < wanted.length && wanted[at] === given[i])) {
      at++
      i++
    } else if (star >= 0) {
      at = star + 1
      i = ++resume
    } else {
      return false
    }
  }
  while (wanted[at] === '*') at++
  return at === wanted.length
}

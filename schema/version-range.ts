// Ranges of versions: `*`, `0a1`, `>=0a1 <1a1`, `0a1 || >=0b2`. Comparators beside each other must all hold, `||` separates alternatives.
// A bare version is exactly that version: `0a1` does not include 0a1+hotfix, `>=0a1` does.
import { z } from 'zod'
import { ShapeError } from './shape-error.ts'
import { compareVersions, isVersion, type Version } from './version.ts'

const MAX_RANGE_CHARS = 1024
const EXPECTED = 'expected a range such as "*", ">=0a1 <1a1" or "0a1 || >=0b2"'
const COMPARATOR = /^(>=|<=|>|<|=)?(\S+)$/

type Operator = '>=' | '<=' | '>' | '<' | '='

export interface Comparator {
  readonly operator: Operator
  readonly version: Version
}

/** Alternatives of comparators that must all hold. `*` is one alternative without comparators. */
export interface VersionRange {
  readonly text: string
  readonly alternatives: readonly (readonly Comparator[])[]
}

/** A range as it stands in a document. It stays text there; `parseRange` makes it usable. */
export const rangeShape = z
  .string()
  .max(MAX_RANGE_CHARS)
  .refine((text) => readRange(text) !== undefined, EXPECTED)

/** The text as a range. Throws ShapeError for anything else. */
export function parseRange(text: string): VersionRange {
  const range = readRange(text)
  if (range === undefined)
    throw new ShapeError(`version range ${JSON.stringify(text)}`, [{ pointer: '', message: EXPECTED }])
  return range
}

function readRange(text: string): VersionRange | undefined {
  if (text.length > MAX_RANGE_CHARS) return undefined
  const alternatives: Comparator[][] = []
  for (const part of text.split('||')) {
    const words = part.trim().split(/ +/)
    if (words.length === 1 && words[0] === '*') {
      alternatives.push([])
      continue
    }
    const comparators = words.map(readComparator)
    if (!comparators.every((comparator) => comparator !== undefined)) return undefined
    alternatives.push(comparators)
  }
  return { text, alternatives }
}

function readComparator(word: string): Comparator | undefined {
  const [, operator, version] = COMPARATOR.exec(word) ?? []
  if (version === undefined || !isVersion(version)) return undefined
  return { operator: (operator ?? '=') as Operator, version }
}

/** Whether the version lies in the range. */
export function rangeIncludes(range: VersionRange, version: Version): boolean {
  return range.alternatives.some((comparators) => comparators.every((comparator) => holds(comparator, version)))
}

function holds(comparator: Comparator, version: Version): boolean {
  const difference = compareVersions(version, comparator.version)
  switch (comparator.operator) {
    case '>=':
      return difference >= 0
    case '<=':
      return difference <= 0
    case '>':
      return difference > 0
    case '<':
      return difference < 0
    case '=':
      return difference === 0
  }
}

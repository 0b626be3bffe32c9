import { type Version, versionParts } from '../../schema/version.ts'

const DIGITS = 15
const LETTER_ORDER = { a: '0', b: '1', r: '2' } as const

/**
 * A text that sorts, byte by byte, as its version does (schema/version.ts), so that a database can order and compare versions:
 * `0b1+hotfix.3` becomes `000000000000000 000000000000001 1 1hotfix 0013`, and a tail. Columns that hold it have collation "C".
 */
export function versionOrder(version: Version): string {
  const { major, letter, minor, build } = versionParts(version)
  const head = `${padded(major)} ${padded(minor)} ${LETTER_ORDER[letter]}`
  if (build === null) return head
  const identifiers = build.split('.').map(identifierOrder).join(' ')
  // U+0001 ends the list before a space could go on with it. Two spellings of one number are told apart last, the shorter first.
  return `${head} ${identifiers}\u0001${String(build.length).padStart(2, '0')}${build}`
}

/** Numbers before words, by value: their length goes before them. A space sorts before everything that an identifier may hold. */
function identifierOrder(identifier: string): string {
  if (!/^\d+$/.test(identifier)) return `1${identifier}`
  const digits = identifier.replace(/^0+(?=\d)/, '')
  return `0${String(digits.length).padStart(2, '0')}${digits}`
}

function padded(number: number): string {
  return String(number).padStart(DIGITS, '0')
}

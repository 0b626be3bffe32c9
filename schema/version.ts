// Versions: `{major}{a|b|r}{minor}` with an optional build identifier `+id`: 0b1, 1r12, 0b1+hotfix.3.
//
//   0a1 < 0b1 < 0r1 < 0a2 < 0b2 < 0r2 < 1a1        order: major, minor, letter, build (none first)
//   alpha hosts are offered a, b and r; beta hosts b and r; release hosts r
//
// A Version is its own text in the one way it can be written. Equal versions are equal strings, so it goes into JSON, maps and paths as it is.
import { z } from 'zod'
import { ShapeError } from './shape-error.ts'

// Fifteen digits keep both numbers exact, the next one included.
const VERSION = /^(0|[1-9]\d{0,14})([abr])([1-9]\d{0,14})(?:\+(?=.{1,64}$)([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$/
const EXPECTED =
  'expected a version such as 0a1, 1b12 or 0r3+hotfix.1: major, then a, b or r, then minor from 1, no leading zeros'

/** A version as text, in its one canonical spelling. Aborts: a rule over a whole document must not be asked about what is none. */
export const versionShape = z.string().regex(VERSION, { error: EXPECTED, abort: true }).brand<'Version'>()
export type Version = z.infer<typeof versionShape>

/** What a version promises: alpha and beta come before a release. */
export const channelShape = z.enum(['alpha', 'beta', 'release'])
export type Channel = z.infer<typeof channelShape>

/** All channels, from the least to the most stable. */
export const channels: readonly Channel[] = channelShape.options

export type Letter = 'a' | 'b' | 'r'

export interface VersionParts {
  readonly major: number
  readonly letter: Letter
  readonly minor: number
  /** Without the `+`; null if there is none. */
  readonly build: string | null
}

/** The text as a Version. Throws ShapeError for anything else, `1.2.3`, `0a0` and `00a1` included. */
export function parseVersion(text: string): Version {
  if (isVersion(text)) return text
  throw new ShapeError(`version ${JSON.stringify(text)}`, [{ pointer: '', message: EXPECTED }])
}

/** Whether the text is a version in canonical spelling. */
export function isVersion(text: string): text is Version {
  return VERSION.test(text)
}

/** The four parts of a version. */
export function versionParts(version: Version): VersionParts {
  const [, major, letter, minor, build] = VERSION.exec(version) ?? []
  if (major === undefined || minor === undefined || !isLetter(letter))
    throw new Error(`not a version: ${JSON.stringify(version)}`)
  return { major: Number(major), letter, minor: Number(minor), build: build ?? null }
}

function isLetter(text: string | undefined): text is Letter {
  return text === 'a' || text === 'b' || text === 'r'
}

/** The version with these parts. Throws ShapeError if there is none. */
export function buildVersion(parts: VersionParts): Version {
  const build = parts.build === null ? '' : `+${parts.build}`
  return parseVersion(`${parts.major}${parts.letter}${parts.minor}${build}`)
}

/** The order of versions: total, 0 only for equal strings. */
export function compareVersions(a: Version, b: Version): -1 | 0 | 1 {
  if (a === b) return 0
  const left = versionParts(a)
  const right = versionParts(b)
  return (
    order(left.major, right.major) ||
    order(left.minor, right.minor) ||
    order(left.letter, right.letter) ||
    compareBuilds(left.build, right.build)
  )
}

/** SemVer 2.0 §11.4 for build ids, none first. It leaves `1` and `01` equal; here the shorter text comes first, so that the order is total. */
function compareBuilds(a: string | null, b: string | null): -1 | 0 | 1 {
  if (a === null || b === null) return order(a === null ? 0 : 1, b === null ? 0 : 1)
  const left = a.split('.')
  const right = b.split('.')
  for (const [index, identifier] of left.entries()) {
    const other = right[index]
    if (other === undefined) return 1
    const difference = compareIdentifiers(identifier, other)
    if (difference !== 0) return difference
  }
  return left.length < right.length ? -1 : order(a.length, b.length) || order(a, b)
}

/** SemVer 2.0 §11.4.1 to 11.4.3: numbers by value and below words, words by their ASCII order. Numbers may have 64 digits: compared as text. */
function compareIdentifiers(a: string, b: string): -1 | 0 | 1 {
  const numeric = /^\d+$/
  const aIsNumber = numeric.test(a)
  const bIsNumber = numeric.test(b)
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1
  if (!aIsNumber) return order(a, b)
  const left = a.replace(/^0+(?=\d)/, '')
  const right = b.replace(/^0+(?=\d)/, '')
  return order(left.length, right.length) || order(left, right)
}

function order<T extends number | string>(a: T, b: T): -1 | 0 | 1 {
  return a < b ? -1 : a > b ? 1 : 0
}

/** The greatest of the versions; undefined if there are none. */
export function maxVersion(versions: Iterable<Version>): Version | undefined {
  let greatest: Version | undefined
  for (const version of versions) {
    if (greatest === undefined || compareVersions(version, greatest) > 0) greatest = version
  }
  return greatest
}

const channelOfLetter = { a: 'alpha', b: 'beta', r: 'release' } as const satisfies Record<Letter, Channel>
const letterOfChannel = { alpha: 'a', beta: 'b', release: 'r' } as const satisfies Record<Channel, Letter>

/** The channel that a version is published in. */
export function channelOf(version: Version): Channel {
  return channelOfLetter[versionParts(version).letter]
}

/** Whether a host on the channel is offered the version: its own channel's and every more stable one's. */
export function channelOffers(channel: Channel, version: Version): boolean {
  return compareStability(channelOf(version), channel) >= 0
}

/** The order of channels: alpha < beta < release. */
export function compareStability(a: Channel, b: Channel): -1 | 0 | 1 {
  return order(channels.indexOf(a), channels.indexOf(b))
}

/** A version's word in the history of version.json. */
export const versionStatusShape = z.enum(['development', 'testing', 'stable'])
export type VersionStatus = z.infer<typeof versionStatusShape>

/** What version.json says of a version: a development, b testing, r stable. */
export function statusOf(version: Version): VersionStatus {
  return ({ a: 'development', b: 'testing', r: 'stable' } as const)[versionParts(version).letter]
}

/** The same numbers and build under the letter of a more stable channel. Throws ShapeError if `to` is not more stable. */
export function promoteVersion(version: Version, to: Channel): Version {
  const from = channelOf(version)
  if (compareStability(to, from) <= 0) {
    throw new ShapeError(`promotion of ${version}`, [
      { pointer: '', message: `expected a channel more stable than ${from}, not ${to}` },
    ])
  }
  return buildVersion({ ...versionParts(version), letter: letterOfChannel[to] })
}

/** The next minor of the same channel without build id (0a1 -> 0a2), or the first alpha of the next major (0r7 -> 1a1). */
export function nextVersion(version: Version, step: 'minor' | 'major'): Version {
  const { major, letter, minor } = versionParts(version)
  if (step === 'major') return buildVersion({ major: major + 1, letter: 'a', minor: 1, build: null })
  return buildVersion({ major, letter, minor: minor + 1, build: null })
}

// Where a release stands in the repository, and which role lists it.
//
// A manifest is the TUF target `<channel>/<version>/manifest.json`. A channel role (`alpha`, `beta`, `release`) lists its newest 20 manifests and
// delegates older ones to line roles of 50 minors, `<channel>-<major>-<first minor of the block>`: 0a1..0a49 to `alpha-0-0`, 0a50..0a99 to `alpha-0-50`.
// A line role is delegated by path patterns. In TUF's patterns `?` is one character and `*` any number of them, and neither crosses `/` (TUF 4.5).
import { ShapeError } from './shape-error.ts'
import { type Channel, channelOf, channels, compareVersions, isVersion, type Version, versionParts } from './version.ts'

/** So many manifests a channel role lists itself. */
export const NEWEST_LISTED = 20
/** So many minors a line role holds. A multiple of ten: the patterns go by decades. */
export const LINE_MINORS = 50

/** The target path of a version's manifest. */
export function manifestPath(version: Version): string {
  return `${channelOf(version)}/${version}/manifest.json`
}

/** The version whose manifest has this target path. Throws ShapeError if it is not the path of one, or in another channel's folder. */
export function parseManifestPath(path: string): Version {
  const version = path.split('/')[1] ?? ''
  if (isVersion(version) && manifestPath(version) === path) return version
  throw new ShapeError(`target path ${JSON.stringify(path)}`, [
    { pointer: '', message: 'expected <channel>/<version>/manifest.json' },
  ])
}

export interface Listing {
  /** What the channel role lists itself, newest first. */
  readonly newest: readonly Version[]
  /** What each line role lists, newest first, by role name. */
  readonly lines: ReadonlyMap<string, readonly Version[]>
}

/** Which role lists which of one channel's versions. */
export function decideListing(versions: Iterable<Version>): Listing {
  const newestFirst = [...new Set(versions)].sort((a, b) => compareVersions(b, a))
  const lines = new Map<string, Version[]>()
  for (const version of newestFirst.slice(NEWEST_LISTED)) {
    const name = lineRoleName(version)
    lines.set(name, [...(lines.get(name) ?? []), version])
  }
  return { newest: newestFirst.slice(0, NEWEST_LISTED), lines }
}

/** The line role that lists a version once its channel role no longer does. */
export function lineRoleName(version: Version): string {
  const { major, minor } = versionParts(version)
  return `${channelOf(version)}-${major}-${minor - (minor % LINE_MINORS)}`
}

export interface Line {
  readonly channel: Channel
  readonly major: number
  /** First minor of the block; block 0 begins with minor 1. */
  readonly startMinor: number
}

/** The block that a line role's name stands for. Throws ShapeError if it is not a line role's name. */
export function parseLineRoleName(name: string): Line {
  const [, word, major, start] = /^([a-z]+)-(0|[1-9]\d{0,14})-(0|[1-9]\d{0,14})$/.exec(name) ?? []
  const channel = channels.find((candidate) => candidate === word)
  if (channel === undefined || Number(start) % LINE_MINORS !== 0) {
    throw new ShapeError(`role ${JSON.stringify(name)}`, [
      { pointer: '', message: `expected <channel>-<major>-<minor divisible by ${LINE_MINORS}>, as in alpha-0-50` },
    ])
  }
  return { channel, major: Number(major), startMinor: Number(start) }
}

/** The path patterns of a line role: they match the manifests of its block, with and without build id, and no others. */
export function lineRolePatterns(name: string): string[] {
  const { channel, major, startMinor } = parseLineRoleName(name)
  const letter = channel === 'release' ? 'r' : channel === 'beta' ? 'b' : 'a'
  const patterns: string[] = []
  for (let decade = startMinor / 10; decade < (startMinor + LINE_MINORS) / 10; decade++) {
    // `0a?` is 0a1 to 0a9, `0a1?` is 0a10 to 0a19: a version's next character is a digit, or `+` and at least one more.
    const folder = `${channel}/${major}${letter}${decade === 0 ? '' : decade}?`
    patterns.push(`${folder}/manifest.json`, `${folder}+*/manifest.json`)
  }
  return patterns
}

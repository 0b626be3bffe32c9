import { type Changelog, type ChangelogEntry, changeTypes } from './changelog.ts'
import { compareVersions, type Version } from './version.ts'

export interface Change {
  /** The release in which the change first appeared. */
  readonly version: Version
  readonly entry: ChangelogEntry
}

export interface Note {
  readonly version: Version
  readonly text: string
}

/** Several releases' changelogs as one. Releases and notes newest first; changes in the order in which they are read. */
export interface MergedChangelog {
  readonly releases: readonly Pick<Changelog, 'version' | 'previous' | 'date' | 'summary'>[]
  /** Breaking ones first, then security, then the other groups; in a group the newest first. */
  readonly changes: readonly Change[]
  readonly upgradeNotes: readonly Note[]
  readonly downgradeNotes: readonly Note[]
  readonly knownIssues: readonly Note[]
}

/**
 * One account of all the releases. What is said more than once, as when a release was promoted, is said once: entries are the same by their id, or
 * where they have none by group, scope and text. The newest wording counts. Known issues are those of the newest release.
 */
export function mergeChangelogs(changelogs: Iterable<Changelog>): MergedChangelog {
  const newestFirst = [...new Map([...changelogs].map((changelog) => [changelog.version, changelog])).values()].sort(
    (a, b) => compareVersions(b.version, a.version),
  )
  const [newest] = newestFirst
  return {
    releases: newestFirst.map(({ version, previous, date, summary }) => ({ version, previous, date, summary })),
    changes: mergeChanges(newestFirst),
    upgradeNotes: uniqueNotes(newestFirst, ({ upgrade_notes }) => upgrade_notes),
    downgradeNotes: uniqueNotes(newestFirst, ({ downgrade_notes }) => downgrade_notes),
    knownIssues: newest === undefined ? [] : newest.known_issues.map((text) => ({ version: newest.version, text })),
  }
}

function mergeChanges(newestFirst: readonly Changelog[]): Change[] {
  const changes = new Map<string, Change>()
  for (const { version, entries } of newestFirst) {
    for (const entry of entries) {
      const key =
        entry.id === undefined ? JSON.stringify([entry.type, entry.scope ?? '', entry.text]) : `id ${entry.id}`
      const newer = changes.get(key)
      changes.set(key, { version, entry: newer?.entry ?? entry })
    }
  }
  // Sorting keeps the order of what is equal: newest release first, then as written.
  return [...changes.values()].sort((a, b) => rankOf(a.entry) - rankOf(b.entry))
}

function rankOf({ breaking, type }: ChangelogEntry): number {
  if (breaking) return -2
  return type === 'security' ? -1 : changeTypes.indexOf(type)
}

function uniqueNotes(newestFirst: readonly Changelog[], textOf: (changelog: Changelog) => string): Note[] {
  const notes = new Map<string, Note>()
  for (const changelog of newestFirst) {
    const text = textOf(changelog).trim()
    if (text !== '' && !notes.has(text)) notes.set(text, { version: changelog.version, text })
  }
  return [...notes.values()]
}

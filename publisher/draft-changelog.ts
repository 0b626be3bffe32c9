// A first draft of a changelog, for a person to edit: from commit subjects, or from the releases since the last one.
import type { ChangelogEntry, ChangeType, WrittenChangelog } from '../schema/changelog.ts'
import type { MergedChangelog } from '../schema/changelog-merge.ts'
import { plainLine } from '../schema/cli/plain-text.ts'

/** An empty one, with a place for everything that is often forgotten. */
export function emptyDraft(): WrittenChangelog {
  return {
    schema: 'netlink.changelog/v1',
    summary: 'TODO: one sentence that says what this release is for',
    upgrade_notes: '',
    downgrade_notes: '',
    known_issues: [],
    entries: [],
  }
}

/** Conventional Commits 1.0.0: `type(scope)!: description`. Types that no user notices give no entry. */
const CONVENTIONAL = /^(?<type>[a-z]+)(\((?<scope>[^()\r\n]+)\))?(?<breaking>!)?: (?<text>.+)$/i
const TYPES: Readonly<Record<string, ChangeType>> = {
  feat: 'added',
  add: 'added',
  fix: 'fixed',
  perf: 'changed',
  refactor: 'changed',
  change: 'changed',
  deprecate: 'deprecated',
  remove: 'removed',
  revert: 'removed',
  security: 'security',
}

/** A draft from commit subjects, oldest first. Security entries get the severity `high`, to be corrected by whoever knows. */
export function draftFromCommits(subjects: readonly string[]): WrittenChangelog {
  return { ...emptyDraft(), entries: subjects.flatMap((subject) => entryOf(subject) ?? []) }
}

function entryOf(subject: string): ChangelogEntry | undefined {
  const { type = '', scope, breaking, text = '' } = CONVENTIONAL.exec(plainLine(subject))?.groups ?? {}
  const changeType = TYPES[type.toLowerCase()]
  if (changeType === undefined && breaking === undefined) return undefined
  return {
    type: changeType ?? 'changed',
    text: text.charAt(0).toUpperCase() + text.slice(1),
    ...(scope === undefined ? {} : { scope: scope.slice(0, 64) }),
    breaking: breaking !== undefined,
    refs: [...text.matchAll(/#\d+/g)].map(([ref]) => ref),
    ...(changeType === 'security' ? { security: { severity: 'high' as const } } : {}),
  }
}

/** A draft that says everything that several releases said, each change once. */
export function draftFromReleases(merged: MergedChangelog): WrittenChangelog {
  return {
    ...emptyDraft(),
    summary: merged.releases[0]?.summary ?? emptyDraft().summary,
    entries: merged.changes.map(({ entry }) => entry),
    upgrade_notes: merged.upgradeNotes.map(({ text }) => text).join('\n\n'),
    downgrade_notes: merged.downgradeNotes.map(({ text }) => text).join('\n\n'),
    known_issues: merged.knownIssues.map(({ text }) => text),
  }
}

// A changelog as people and programs read it: Markdown, text for a terminal, JSON. What goes in was signed but is foreign all the same: nothing that a
// terminal would obey and nothing that a Markdown viewer would run comes out, and nothing comes out without end.
import type { ChangelogEntry } from './changelog.ts'
import type { Change, MergedChangelog, Note } from './changelog-merge.ts'
import { createPaint, type Meaning } from './cli/paint.ts'
import { plainLine, plainText } from './cli/plain-text.ts'
import { wrap } from './cli/text-width.ts'
import type { Version } from './version.ts'

/** Releases that were taken back, with the reason. */
export type Withdrawn = ReadonlyMap<Version, { readonly reason: string }>

/** So many changes are shown; of more, only how many. */
const MAX_CHANGES = 1_000
const MAX_RELEASES = 500
const MAX_LINE_CHARS = 2_000
const MAX_NOTE_CHARS = 16_384

/** How the text for a terminal is shown. `width` in columns; null where nothing is to be wrapped. */
export interface TextStyle {
  readonly color: boolean
  readonly width: number | null
}

/** For a terminal. */
export function changelogText(merged: MergedChangelog, withdrawn: Withdrawn, style: TextStyle): string {
  const several = severalReleases(merged)
  const notes = (title: string, all: readonly Note[]) =>
    all.map(({ version, text }) => noteText(several ? `${title} (${version})` : title, text, style))
  const blocks = [
    releasesText(merged, withdrawn, style),
    ...groupChanges(merged.changes.slice(0, MAX_CHANGES)).map(([title, changes]) =>
      listText(
        title,
        changes.map((change) => changeText(change, several)),
        style,
      ),
    ),
    omittedText(merged),
    ...notes('Before and after upgrading', merged.upgradeNotes),
    ...notes('Before going back', merged.downgradeNotes),
    listText(
      'Known issues',
      merged.knownIssues.map(({ text }) => line(text)),
      style,
    ),
  ]
  return `${blocks.filter((block) => block !== '').join('\n\n')}\n`
}

function releasesText(merged: MergedChangelog, withdrawn: Withdrawn, style: TextStyle): string {
  const paint = createPaint(style.color)
  const lines = merged.releases.slice(0, MAX_RELEASES).flatMap(({ version, date, summary }) => {
    const mark = withdrawn.get(version)
    return [
      `${paint('strong', version)}  ${paint('dim', plainLine(date))}`,
      ...(mark ? [paint('warning', paragraph('  ', `withdrawn: ${line(mark.reason)}`, style))] : []),
      paragraph('  ', line(summary), style),
    ]
  })
  return lines.join('\n')
}

function listText(title: string, items: readonly string[], style: TextStyle): string {
  if (items.length === 0) return ''
  return [
    createPaint(style.color)(meaningOf(title), title),
    ...items.map((item) => paragraph('  - ', item, style)),
  ].join('\n')
}

function noteText(title: string, text: string, style: TextStyle): string {
  const lines = plainText(text, MAX_NOTE_CHARS).split('\n')
  return [createPaint(style.color)('strong', title), ...lines.map((one) => paragraph('  ', one.trimEnd(), style))].join(
    '\n',
  )
}

/** The text behind `first`, further lines below its beginning. */
function paragraph(first: string, text: string, { width }: TextStyle): string {
  const lines = width === null ? [text] : wrap(text, Math.max(20, width - first.length))
  const rest = ' '.repeat(first.length)
  return lines.map((one, index) => `${index === 0 ? first : rest}${one}`.trimEnd()).join('\n')
}

function omittedText(merged: MergedChangelog): string {
  const omitted = merged.changes.length - MAX_CHANGES
  return omitted > 0 ? `… and ${omitted} more changes` : ''
}

/** As Markdown that any viewer may show: no HTML, no images, links to http and https only. */
export function changelogMarkdown(merged: MergedChangelog, withdrawn: Withdrawn): string {
  const several = severalReleases(merged)
  const notes = (title: string, all: readonly Note[]) =>
    all.flatMap(({ version, text }) => [`## ${several ? `${title} (${version})` : title}`, markdownNotes(text)])
  const blocks = [
    ...headMarkdown(merged, withdrawn),
    ...groupChanges(merged.changes.slice(0, MAX_CHANGES)).flatMap(([title, changes]) => [
      `## ${title}`,
      changes.map((change) => `- ${changeMarkdown(change, several)}`).join('\n'),
    ]),
    omittedText(merged),
    ...notes('Before and after upgrading', merged.upgradeNotes),
    ...notes('Before going back', merged.downgradeNotes),
    ...(merged.knownIssues.length > 0
      ? ['## Known issues', merged.knownIssues.map(({ text }) => `- ${markdownLine(text)}`).join('\n')]
      : []),
  ]
  return `${blocks.filter((block) => block !== '').join('\n\n')}\n`
}

function headMarkdown(merged: MergedChangelog, withdrawn: Withdrawn): string[] {
  const [newest] = merged.releases
  const oldest = merged.releases.at(-1)
  if (newest === undefined || oldest === undefined) return []
  const yanked = (version: Version) => {
    const mark = withdrawn.get(version)
    return mark ? ` [YANKED: ${markdownLine(mark.reason)}]` : ''
  }
  if (newest === oldest) {
    return [`# ${newest.version} (${plainLine(newest.date)})${yanked(newest.version)}`, markdownLine(newest.summary)]
  }
  const span = oldest.previous === null ? `up to ${newest.version}` : `from ${oldest.previous} to ${newest.version}`
  const items = merged.releases
    .slice(0, MAX_RELEASES)
    .map(
      ({ version, date, summary }) =>
        `- **${version}** (${plainLine(date)})${yanked(version)}: ${markdownLine(summary)}`,
    )
  return [`# Changes ${span}`, items.join('\n')]
}

/** The data of a `--json` answer, in snake_case: the same order, every text without controls. */
export function changelogJson(merged: MergedChangelog, withdrawn: Withdrawn) {
  const notes = (all: readonly Note[]) =>
    all.map(({ version, text }) => ({ version, text: plainText(text, MAX_NOTE_CHARS) }))
  return {
    releases: merged.releases.slice(0, MAX_RELEASES).map(({ version, previous, date, summary }) => ({
      version,
      previous,
      date: plainLine(date),
      summary: line(summary),
      withdrawn: withdrawn.has(version) ? { reason: line(withdrawn.get(version)?.reason ?? '') } : null,
    })),
    changes: merged.changes.slice(0, MAX_CHANGES).map(({ version, entry }) => ({
      version,
      type: entry.type,
      text: line(entry.text),
      scope: entry.scope === undefined ? null : line(entry.scope),
      breaking: entry.breaking,
      security:
        entry.security === undefined
          ? null
          : { id: entry.security.id === undefined ? null : line(entry.security.id), severity: entry.security.severity },
      refs: entry.refs.map(line),
      migration:
        entry.migration === undefined
          ? null
          : { db: entry.migration.db, config: entry.migration.config, reversible: entry.migration.reversible },
    })),
    omitted_changes: Math.max(0, merged.changes.length - MAX_CHANGES),
    upgrade_notes: notes(merged.upgradeNotes),
    downgrade_notes: notes(merged.downgradeNotes),
    known_issues: notes(merged.knownIssues),
  }
}

function severalReleases(merged: MergedChangelog): boolean {
  return merged.releases.length > 1
}

function line(text: string): string {
  return plainLine(text, MAX_LINE_CHARS)
}

function groupChanges(changes: readonly Change[]): [title: string, changes: Change[]][] {
  const groups = new Map<string, Change[]>()
  for (const change of changes) {
    const title = titleOf(change.entry)
    groups.set(title, [...(groups.get(title) ?? []), change])
  }
  return [...groups]
}

function titleOf({ breaking, type }: ChangelogEntry): string {
  return breaking ? 'Breaking' : type.charAt(0).toUpperCase() + type.slice(1)
}

function meaningOf(title: string): Meaning {
  return title === 'Breaking' ? 'error' : title === 'Security' ? 'warning' : 'strong'
}

/** What stands before and behind the text of a change, as words. */
function factsOf(
  { version, entry }: Change,
  withVersion: boolean,
): { readonly before: readonly string[]; readonly behind: readonly string[] } {
  const { scope, security, migration, refs } = entry
  const migrates = migration
    ? [...(migration.db ? ['database'] : []), ...(migration.config ? ['configuration'] : [])]
    : []
  return {
    before: [
      ...(security ? [[security.severity, ...(security.id === undefined ? [] : [line(security.id)])].join(' ')] : []),
      ...(scope === undefined ? [] : [line(scope)]),
    ],
    behind: [
      ...(migrates.length > 0
        ? [`migrates ${migrates.join(' and ')}${migration?.reversible ? '' : ', irreversibly'}`]
        : []),
      ...refs.map(line),
      ...(withVersion ? [version] : []),
    ],
  }
}

function changeText(change: Change, withVersion: boolean): string {
  const { before, behind } = factsOf(change, withVersion)
  return `${before.map((word) => `${word}: `).join('')}${line(change.entry.text)}${behind.length > 0 ? ` (${behind.join('; ')})` : ''}`
}

function changeMarkdown(change: Change, withVersion: boolean): string {
  const { before, behind } = factsOf(change, withVersion)
  const head = before.map((word) => `**${markdownLine(word)}:** `).join('')
  return `${head}${markdownLine(change.entry.text)}${behind.length > 0 ? ` (${behind.map(markdownLine).join('; ')})` : ''}`
}

/** One line of Markdown with nothing in it that a viewer would run, whatever stands beside it. */
function markdownLine(text: string): string {
  // Code spans as CommonMark 6.1 finds them: a run of backticks up to the next run of the same length, unless a backslash takes the first one away.
  const parts = line(text).matchAll(/(\\[!-/:-@[-`{-~])|(`+)(?!`)(?:.*?[^`])??\2(?!`)|`+|\\|[^\\`]+/g)
  const isCode = !SWALLOWED.test(text)
  return [...parts]
    .map(([part, escaped, ticks]) => (escaped || (ticks && isCode) ? part : escapeProse(escapeOpen(part))))
    .join('')
}

/** A backtick that stands right behind an address: viewers that link bare addresses take it for a part of it, and what should be code is none. */
const SWALLOWED = /(?:\/|www\.|@)[^\s`]*`/i

/** A backslash or backtick that has no partner in its own text must not find one in the next. */
function escapeOpen(part: string): string {
  return part.replaceAll(/[\\`]/g, '\\$&')
}

/** Paragraphs, as a quotation: no code block and no heading in it reaches what follows. Here `<` is escaped in code as well. */
function markdownNotes(text: string): string {
  const lines = escapeProse(plainText(text, MAX_NOTE_CHARS).trim()).split('\n')
  return lines.map((one) => `> ${one}`.trimEnd()).join('\n')
}

/** Escapes what begins HTML, an image, a link's definition, or a link to anything but http and https. */
function escapeProse(text: string): string {
  return text
    .replaceAll('<', '&lt;')
    .replaceAll('![', '!\\[')
    .replaceAll(']:', ']\\:')
    .replaceAll(/\]\((?!\s*https?:\/\/)/gi, ']\\(')
}

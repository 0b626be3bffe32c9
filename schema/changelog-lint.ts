import type { WrittenChangelog } from './changelog.ts'
import { plainLine, plainText } from './cli/plain-text.ts'
import type { ShapeIssue } from './shape-error.ts'

/** Which migrations the release brings: readers have to be told of them. */
export interface Migrations {
  readonly database: boolean
  readonly config: boolean
}

/** What is wrong with a written changelog beyond its shape, each with the pointer of its place and what to do. Empty if nothing is. */
export function lintChangelog(changelog: WrittenChangelog, migrations: Migrations): ShapeIssue[] {
  const texts = textsOf(changelog)
  return [
    ...(plainLine(changelog.summary) === ''
      ? [{ pointer: '/summary', message: 'is empty: say in one sentence what this release is for' }]
      : []),
    ...changelog.entries.flatMap((entry, index) =>
      entry.type === 'security' && entry.security === undefined
        ? [
            {
              pointer: `/entries/${index}`,
              message: 'is about security without its severity: add "security": {"severity": "high"}',
            },
          ]
        : [],
    ),
    ...repeatedIds(changelog),
    ...silentMigrations(changelog, migrations),
    ...texts.flatMap(([pointer, text]) => textIssues(text).map((message) => ({ pointer, message }))),
  ]
}

function textsOf(changelog: WrittenChangelog): (readonly [pointer: string, text: string])[] {
  return [
    ['/summary', changelog.summary],
    ...changelog.entries.flatMap(({ text, scope, refs }, index) => [
      [`/entries/${index}/text`, text] as const,
      [`/entries/${index}/scope`, scope ?? ''] as const,
      ...refs.map((ref, at) => [`/entries/${index}/refs/${at}`, ref] as const),
    ]),
    ['/upgrade_notes', changelog.upgrade_notes],
    ['/downgrade_notes', changelog.downgrade_notes],
    ...changelog.known_issues.map((text, index) => [`/known_issues/${index}`, text] as const),
  ]
}

function textIssues(text: string): string[] {
  const prose = text.replaceAll(/(`+)[^`]+\1/g, '')
  const badLink = [...prose.matchAll(/\]\(\s*<?([a-z][a-z0-9+.-]*):/gi)].find(
    ([, scheme = '']) => !/^https?$/i.test(scheme),
  )
  return [
    ...(/<[a-z!/?]/i.test(prose) ? ['has HTML in it: write Markdown, and code in backticks'] : []),
    ...(/!\[[^\]]*\]/.test(prose) ? ['has an image in it'] : []),
    ...(badLink ? [`has a link to ${badLink[1]}: only http and https are shown`] : []),
    ...(hasControls(text) ? ['has control characters in it'] : []),
  ]
}

/** Tabs and line ends are text; whatever else plainText takes away is not. */
function hasControls(text: string): boolean {
  const written = text.replaceAll(/\r\n?/g, '\n').replaceAll('\t', '  ')
  return plainText(written, written.length) !== written
}

function repeatedIds(changelog: WrittenChangelog): ShapeIssue[] {
  const first = new Map<string, number>()
  return changelog.entries.flatMap(({ id }, index) => {
    const earlier = id === undefined ? undefined : first.get(id)
    if (id !== undefined && earlier === undefined) first.set(id, index)
    return earlier === undefined
      ? []
      : [{ pointer: `/entries/${index}/id`, message: `is the id of entry ${earlier} too` }]
  })
}

function silentMigrations(changelog: WrittenChangelog, migrations: Migrations): ShapeIssue[] {
  if (plainLine(changelog.upgrade_notes) !== '') return []
  const kinds = [
    { word: 'database', key: 'db', exists: migrations.database },
    { word: 'configuration', key: 'config', exists: migrations.config },
  ] as const
  return kinds
    .filter(({ key, exists }) => exists && !changelog.entries.some(({ migration }) => migration?.[key]))
    .map(({ word, key }) => ({
      pointer: '/entries',
      message: `does not mention the ${word} migration: add "migration": {"${key}": true} to an entry, or upgrade_notes`,
    }))
}

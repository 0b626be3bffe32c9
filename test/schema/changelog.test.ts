import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { type Changelog, changelogShape, writtenChangelogShape } from '../../schema/changelog.ts'
import { lintChangelog } from '../../schema/changelog-lint.ts'
import { mergeChangelogs } from '../../schema/changelog-merge.ts'
import { changelogJson, changelogMarkdown, changelogText } from '../../schema/changelog-text.ts'
import { parseStrict } from '../../schema/strict-shape.ts'
import { parseVersion, type Version } from '../../schema/version.ts'

const written = (change: object = {}) =>
  parseStrict(writtenChangelogShape, { summary: 'Faster start', ...change }, 'release.json')
const entry = (text: string, change: object = {}) => ({ type: 'added', text, ...change })
const signed = (version: string, change: object = {}): Changelog =>
  changelogShape.parse({
    schema: 'netlink.changelog/v1',
    version,
    previous: null,
    date: '2026-11-23',
    summary: `What ${version} is for`,
    entries: [],
    ...change,
  })
const nothing = new Map<Version, { reason: string }>()
const plainStyle = { color: false, width: null }

describe('a written changelog', () => {
  it('needs no more than a summary', () => {
    expect(written()).toEqual({
      schema: 'netlink.changelog/v1',
      summary: 'Faster start',
      upgrade_notes: '',
      downgrade_notes: '',
      known_issues: [],
      entries: [],
    })
  })

  test.each([
    [
      { version: '0a1' },
      'unknown key "version"; possible here: $schema, schema, date, upgrade_notes, downgrade_notes, known_issues, entries',
    ],
    [{ upgrade_note: 'x' }, 'unknown key "upgrade_note"; did you mean "upgrade_notes"?'],
    [{ entries: [entry('x', { braking: true })] }, 'unknown key "braking"; did you mean "breaking"?'],
    [
      { entries: [entry('x', { type: 'feature' })] },
      'expected one of "added"|"changed"|"deprecated"|"removed"|"fixed"|"security"',
    ],
    [{ date: '23.11.2026' }, 'expected a day such as 2026-11-23'],
    [{ summary: 'x'.repeat(2_001) }, 'too big: expected string to have <=2000 characters'],
    [{ entries: Array.from({ length: 257 }, () => entry('x')) }, 'too big: expected array to have <=256 items'],
  ])('is refused with %o', (change, message) => {
    expect(() => written(change)).toThrow(expect.objectContaining({ issues: [expect.objectContaining({ message })] }))
  })
})

describe('a signed changelog', () => {
  it('names its version and keeps what a newer publisher added', () => {
    expect(signed('0a1', { mood: 'good' })).toMatchObject({ version: '0a1', previous: null, mood: 'good' })
    expect(changelogShape.safeParse({ ...signed('0a1'), version: undefined }).success).toBe(false)
    expect(changelogShape.safeParse({ ...signed('0a1'), previous: undefined }).success).toBe(false)
  })
})

describe('the lint', () => {
  const none = { database: false, config: false }
  const findings = (change: object, migrations = none) =>
    lintChangelog(written(change), migrations).map(({ pointer, message }) => `${pointer} ${message}`)

  it('finds nothing in a good changelog', () => {
    const good = {
      entries: [
        entry('`Map<string, T>` instead of <3 objects, a < b', { id: 'a', refs: ['#12', 'https://example.org/1'] }),
        entry('Closed a hole', { id: 'b', type: 'security', security: { severity: 'high' }, migration: { db: true } }),
      ],
      upgrade_notes: 'See [the page](https://example.org).\n\tTabs and\r\nline ends are text.',
    }
    expect(findings(good, { database: true, config: true })).toEqual([])
  })

  test.each<[object, string, typeof none?]>([
    [{ summary: '  ' }, '/summary is empty: say in one sentence what this release is for'],
    [
      { entries: [entry('x', { type: 'security' })] },
      '/entries/0 is about security without its severity: add "security": {"severity": "high"}',
    ],
    [{ entries: [entry('x', { id: 'a' }), entry('y', { id: 'a' })] }, '/entries/1/id is the id of entry 0 too'],
    [
      {},
      '/entries does not mention the database migration: add "migration": {"db": true} to an entry, or upgrade_notes',
      { database: true, config: false },
    ],
    [
      { entries: [entry('x', { migration: { db: true } })] },
      '/entries does not mention the configuration migration: add "migration": {"config": true} to an entry, or upgrade_notes',
      { database: true, config: true },
    ],
    [
      { entries: [entry('a <b>bold</b> word')] },
      '/entries/0/text has HTML in it: write Markdown, and code in backticks',
    ],
    [{ upgrade_notes: '<!-- hidden -->' }, '/upgrade_notes has HTML in it: write Markdown, and code in backticks'],
    [{ known_issues: ['![x](https://tracker.example/x.png)'] }, '/known_issues/0 has an image in it'],
    [
      { downgrade_notes: '[x](javascript:alert(1))' },
      '/downgrade_notes has a link to javascript: only http and https are shown',
    ],
    [{ summary: 'a \x1b[2J b' }, '/summary has control characters in it'],
    [{ entries: [entry('x', { refs: ['a\u202eb'] })] }, '/entries/0/refs/0 has control characters in it'],
  ])('finds what is wrong with %o', (change, finding, migrations = none) => {
    expect(findings(change, migrations)).toEqual([finding])
  })
})

describe('several changelogs', () => {
  const fix = entry('A fix', { type: 'fixed', id: 'fix-1' })
  const alpha = signed('0a3', {
    entries: [fix, entry('A thing')],
    upgrade_notes: 'Stop the cron job',
    known_issues: ['Old'],
  })
  const beta = signed('0b3', {
    previous: '0b2',
    entries: [{ ...fix, text: 'A better worded fix' }, entry('A thing')],
    upgrade_notes: 'Stop the cron job ',
    known_issues: ['New'],
  })
  const next = signed('0a4', {
    entries: [
      entry('Old call is gone', { type: 'removed', breaking: true }),
      entry('Hole', { type: 'security', security: { severity: 'high' } }),
      entry('Another thing'),
    ],
  })

  it('become one account: newest first, breaking and security first, promotions once', () => {
    const merged = mergeChangelogs([beta, next, alpha, beta])
    expect(merged.releases.map(({ version }) => version)).toEqual(['0a4', '0b3', '0a3'])
    expect(merged.changes.map(({ version, entry: { text } }) => `${version} ${text}`)).toEqual([
      '0a4 Old call is gone',
      '0a4 Hole',
      '0a4 Another thing',
      '0a3 A thing',
      '0a3 A better worded fix',
    ])
    expect(merged.upgradeNotes).toEqual([{ version: '0b3', text: 'Stop the cron job' }])
    expect(merged.knownIssues).toEqual([])
    expect(mergeChangelogs([alpha, beta]).knownIssues).toEqual([{ version: '0b3', text: 'New' }])
  })

  it('of none are nothing', () => {
    expect(mergeChangelogs([])).toEqual({
      releases: [],
      changes: [],
      upgradeNotes: [],
      downgradeNotes: [],
      knownIssues: [],
    })
  })

  it('do not depend on the order in which they come, and merge with themselves to the same', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([alpha, beta, next], { minLength: 1 }), (list) => {
        const merged = mergeChangelogs(list)
        expect(mergeChangelogs([...list].reverse())).toEqual(merged)
        expect(mergeChangelogs([...list, ...list])).toEqual(merged)
      }),
    )
  })
})

const full = signed('0r2', {
  previous: '0r1',
  summary: 'Sessions survive restarts',
  entries: [
    entry('Sessions are kept in the database', {
      scope: 'web',
      migration: { db: true, reversible: false },
      refs: ['#12'],
    }),
    entry('`--old` is gone; use `--new <file>`', { type: 'removed', breaking: true }),
    entry('A crafted cookie could end the process', {
      type: 'security',
      security: { id: 'CVE-2026-1', severity: 'critical' },
    }),
  ],
  upgrade_notes: 'Stop the cron job first.\n\n```\nsystemctl stop cron\n```',
  known_issues: ['The clock shows UTC'],
})

describe('the text for a terminal', () => {
  it('of one release', () => {
    expect(changelogText(mergeChangelogs([full]), nothing, { color: false, width: 60 })).toBe(
      `0r2  2026-11-23
  Sessions survive restarts

Breaking
  - \`--old\` is gone; use \`--new <file>\`

Security
  - critical CVE-2026-1: A crafted cookie could end the
    process

Added
  - web: Sessions are kept in the database (migrates
    database, irreversibly; #12)

Before and after upgrading
  Stop the cron job first.
  
  \`\`\`
  systemctl stop cron
  \`\`\`

Known issues
  - The clock shows UTC
`.replaceAll(/ +$/gm, ''),
    )
  })

  it('of several releases says which, and which were taken back', () => {
    const text = changelogText(
      mergeChangelogs([full, signed('0r1', { entries: [entry('Begin')] })]),
      new Map([[parseVersion('0r1'), { reason: 'eats data' }]]),
      plainStyle,
    )
    expect(text).toContain('0r1  2026-11-23\n  withdrawn: eats data\n  What 0r1 is for\n')
    expect(text).toContain('  - Begin (0r1)\n')
    expect(text).toContain('Before and after upgrading (0r2)\n')
  })
})

describe('the Markdown', () => {
  it('of one release', () => {
    expect(changelogMarkdown(mergeChangelogs([full]), nothing)).toBe(`# 0r2 (2026-11-23)

Sessions survive restarts

## Breaking

- \`--old\` is gone; use \`--new <file>\`

## Security

- **critical CVE-2026-1:** A crafted cookie could end the process

## Added

- **web:** Sessions are kept in the database (migrates database, irreversibly; #12)

## Before and after upgrading

> Stop the cron job first.
>
> \`\`\`
> systemctl stop cron
> \`\`\`

## Known issues

- The clock shows UTC
`)
  })

  it('of several releases', () => {
    const markdown = changelogMarkdown(
      mergeChangelogs([full, signed('0r1', { previous: '0a9', entries: [entry('Begin')] })]),
      new Map([[parseVersion('0r1'), { reason: 'eats data' }]]),
    )
    expect(markdown.split('\n').slice(0, 5)).toEqual([
      '# Changes from 0a9 to 0r2',
      '',
      '- **0r2** (2026-11-23): Sessions survive restarts',
      '- **0r1** (2026-11-23) [YANKED: eats data]: What 0r1 is for',
      '',
    ])
  })

  // Found by comparing with two CommonMark readers: what stands in one field must not pair with what stands in the next.
  test.each([
    ['<script>alert(1)</script>', '&lt;script>alert(1)&lt;/script>'],
    ['`<b>` is code', '`<b>` is code'],
    ['\\`<b>` is none', '\\`&lt;b>\\` is none'],
    ['``a` <b>', '\\`\\`a\\` &lt;b>'],
    ['an open `', 'an open \\`'],
    ['an open \\', 'an open \\\\'],
    ['![x](https://e.org/x.png)', '!\\[x](https://e.org/x.png)'],
    ['[x](https://e.org)', '[x](https://e.org)'],
    ['[x](javascript:alert(1))', '[x]\\(javascript:alert(1))'],
    ['[x](&#106;avascript:alert(1))', '[x]\\(&#106;avascript:alert(1))'],
    ['[x]: javascript:alert(1)', '[x]\\: javascript:alert(1)'],
    ['<https://e.org>', '&lt;https://e.org>'],
    ['two\n\n# lines', 'two # lines'],
    // Viewers that link bare addresses take the backtick for a part of this one: no code is left that could be something else.
    ['at https://a.b/`<img src=x>` so', 'at https://a.b/\\`&lt;img src=x>\\` so'],
    ['www.a.b`<script>`', 'www.a.b\\`&lt;script>\\`'],
    ['https://a.b/` [x](javascript:alert(1)) `', 'https://a.b/\\` [x]\\(javascript:alert(1)) \\`'],
    ['see https://a.b/ and `<b>`', 'see https://a.b/ and `<b>`'],
  ])('disarms %j', (text, expected) => {
    expect(changelogMarkdown(mergeChangelogs([signed('0a1', { entries: [entry(text)] })]), nothing)).toContain(
      `\n- ${expected}\n`,
    )
  })

  it('keeps a code block that was left open inside its note', () => {
    const markdown = changelogMarkdown(
      mergeChangelogs([signed('0a1', { upgrade_notes: '```\nopen', known_issues: ['seen'] })]),
      nothing,
    )
    expect(markdown).toContain('> ```\n> open\n\n## Known issues\n\n- seen\n')
  })
})

describe('hostile text', () => {
  const evil = 'a\x1b]0;owned\x07b\x1b[2Jc\u009b31md\u202ee\x00f\x08g'
  const all = signed('0a1', {
    summary: evil,
    entries: [entry(evil, { scope: evil, refs: [evil], type: 'security', security: { id: evil, severity: 'low' } })],
    upgrade_notes: evil,
    downgrade_notes: evil,
    known_issues: [evil],
  })

  it('reaches no terminal, in no format', () => {
    const merged = mergeChangelogs([all])
    const withdrawn = new Map([[parseVersion('0a1'), { reason: evil }]])
    const outputs = [
      changelogText(merged, withdrawn, { color: false, width: 80 }),
      changelogMarkdown(merged, withdrawn),
      JSON.stringify(changelogJson(merged, withdrawn)).replaceAll('\\n', '\n'),
    ]
    for (const output of outputs) {
      expect(output).not.toMatch(/(?!\n)[\p{Cc}\u202e]|\\u0/u)
      expect(output).not.toContain('owned')
      expect(output).toContain('abcdefg')
    }
  })

  it('ends, however much there is', () => {
    const changelogs = Array.from({ length: 40 }, (_, release) =>
      signed(`0a${release + 1}`, {
        upgrade_notes: `${release}`.repeat(8_000),
        entries: Array.from({ length: 256 }, (_, index) => entry(`${release}.${index} ${'x'.repeat(1_900)}`)),
      }),
    )
    const merged = mergeChangelogs(changelogs)
    expect(merged.changes).toHaveLength(10_240)
    const text = changelogText(merged, nothing, plainStyle)
    expect(text.length).toBeLessThan(4_000_000)
    expect(text).toContain('… and 9240 more changes')
    expect(changelogMarkdown(merged, nothing)).toContain('… and 9240 more changes')
    expect(changelogJson(merged, nothing)).toMatchObject({ omitted_changes: 9_240 })
  })
})

describe('the JSON', () => {
  it('says everything in snake_case', () => {
    expect(changelogJson(mergeChangelogs([full]), nothing)).toEqual({
      releases: [
        { version: '0r2', previous: '0r1', date: '2026-11-23', summary: 'Sessions survive restarts', withdrawn: null },
      ],
      changes: [
        {
          version: '0r2',
          type: 'removed',
          text: '`--old` is gone; use `--new <file>`',
          scope: null,
          breaking: true,
          security: null,
          refs: [],
          migration: null,
        },
        {
          version: '0r2',
          type: 'security',
          text: 'A crafted cookie could end the process',
          scope: null,
          breaking: false,
          security: { id: 'CVE-2026-1', severity: 'critical' },
          refs: [],
          migration: null,
        },
        {
          version: '0r2',
          type: 'added',
          text: 'Sessions are kept in the database',
          scope: 'web',
          breaking: false,
          security: null,
          refs: ['#12'],
          migration: { db: true, config: false, reversible: false },
        },
      ],
      omitted_changes: 0,
      upgrade_notes: [{ version: '0r2', text: 'Stop the cron job first.\n\n```\nsystemctl stop cron\n```' }],
      downgrade_notes: [],
      known_issues: [{ version: '0r2', text: 'The clock shows UTC' }],
    })
  })
})

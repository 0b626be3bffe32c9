// What a signer reads: every change has a line, and nothing in it can hide from a reader or talk to the terminal.
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { compareTrees, parseTree, treeText } from '../../publisher/event/trees.ts'
import { changeSections } from '../../publisher/event/words.ts'
import { differencesOf, differenceWords } from '../../publisher/json-difference.ts'
import type { TreeEntry } from '../../schema/archive/tree-digest.ts'
import { treeDigest } from '../../schema/archive/tree-digest.ts'
import type { JsonValue } from '../../schema/json-value.ts'
import { manifestShape } from '../../schema/manifest.ts'
import type { Version } from '../../schema/version.ts'

const sha = (text: string) => createHash('sha256').update(text).digest('hex')
const file = (path: string, content: string, mode = 0o644): TreeEntry => ({
  ...{ path, type: 'file', mode, size: content.length },
  sha256: sha(content),
})
const digestOf = (entries: readonly TreeEntry[]) => treeDigest(entries, createHash('sha256'))

const manifest = (version: string, more: object = {}) =>
  manifestShape.parse({
    schema: 'netlink.manifest/v1',
    product: 'demo',
    version,
    channel: 'alpha',
    released_at: '2026-11-23T10:00:00Z',
    artifacts: [
      {
        ...{ platform: 'any', length: 2_000_000, sha256: sha(version), sha512: 'ab'.repeat(64), format: 'tar+zstd' },
        ...{ unpacked_bytes: 10, entries: 1, tree_sha256: sha('tree') },
      },
    ],
    requirements: {},
    compatibility: {},
    changelog: {
      ...{ schema: 'netlink.changelog/v1', version, previous: null, date: '2026-11-23', summary: `all of ${version}` },
      entries: [{ type: 'security', text: 'closes a hole', security: { id: 'CVE-2026-1', severity: 'high' } }],
    },
    ...more,
  })

function linesOf(after: object, before: object = {}, now = '2026-11-23T11:00:00Z'): readonly string[] {
  const release = { manifest: manifest('0a2', after), previous: manifest('0a1', before), source: undefined }
  const files = [file('app', 'new', 0o755), file('readme', 'same')]
  const trees = [{ platform: 'any', files, before: [file('app', 'old'), file('gone', 'x'), file('readme', 'same')] }]
  const event = { kind: 'release', subject: '0a2' as Version }
  const checked = {
    event,
    documents: new Map(),
    manifests: new Map(),
    before: new Map(),
    expected: { roles: [], release },
  }
  const context = { holders: [], trees, now: new Date(now), maxFiles: 50 }
  return changeSections(checked as unknown as Parameters<typeof changeSections>[0], context).flatMap(
    ({ title, lines }) => lines.map((line) => `${title}: ${line}`),
  )
}

test.each<[what: string, after: object, before: object, line: string]>([
  [
    'a hook',
    { hooks: [{ point: 'after', argv: ['rm', '-rf', '/'] }] },
    {},
    'hooks: + /0: {"point":"after","argv":["rm","-rf","/"],"timeout_ms":600000}',
  ],
  [
    'a hook that goes',
    {},
    { hooks: [{ point: 'after', argv: ['x'] }] },
    'hooks: - /0: {"point":"after","argv":["x"],"timeout_ms":600000}',
  ],
  [
    'a migration',
    { database_migrations: [{ id: '1', up: 'up.sql' }] },
    {},
    'database migrations: + /0: {"id":"1","up":"up.sql","verify":null,"down":null}',
  ],
  [
    'a dependency',
    { dependencies: [{ manager: 'npm', lock: 'l', sha256: sha('2') }] },
    { dependencies: [{ manager: 'npm', lock: 'l', sha256: sha('1') }] },
    `dependencies: ~ /0/sha256: "${sha('1')}" -> "${sha('2')}"`,
  ],
  ['a restarted unit', { restart_units: ['x.service'] }, {}, 'restarted units: + /0: "x.service"'],
  ['a service', { service: { argv: ['./b'] } }, { service: { argv: ['./a'] } }, 'service: ~ /argv/0: "./a" -> "./b"'],
  [
    'a barrier',
    { compatibility: { barrier: { reason: 'wait' } } },
    {},
    'compatibility: ~ /barrier: null -> {"reason":"wait"}',
  ],
  ['a requirement that goes', {}, { requirements: { memory_bytes: 5 } }, 'requirements: - /memory_bytes: 5'],
  ['a database version', { database_version: '7' }, {}, 'database version: ~ null -> "7"'],
  [
    'a field that this program does not know',
    { telemetry: { to: 'elsewhere' } },
    {},
    'telemetry: + {"to":"elsewhere"}',
  ],
])('%s has a line of its own', (_what, after, before, line) => {
  expect(linesOf(after, before)).toContain(line)
  expect(linesOf({}, {}).filter((one) => one.startsWith(line.split(':')[0] ?? ''))).toEqual([])
})

test('artifacts, files and changelog are told with sizes', () => {
  const lines = linesOf({})
  expect(lines).toContain(`artifacts: ~ any: 2.0 MB, was 2.0 MB, sha256 ${sha('0a2')}`)
  expect(lines).toContain('files: 2 files, 0 added, 1 changed, 1 removed')
  expect(lines).toContain('files: ~ app (3 B, file -> program)')
  expect(lines).toContain('files: - gone')
  expect(lines).toContain('changelog: all of 0a2')
  expect(lines).toContain('changelog: security: closes a hole {"security":{"id":"CVE-2026-1","severity":"high"}}')
})

test('a release that is older than a day, or says so, has a line for that', () => {
  expect(linesOf({}, {}, '2026-11-24T10:00:00Z').filter((line) => line.includes('!'))).toEqual([])
  expect(linesOf({}, {}, '2026-11-27T11:00:00Z')).toContain(
    'release: ! made 4d ago: hosts with a minimum_soak count from then',
  )
})

test('what a terminal would obey or not show is spelled out, so two texts that differ look different', () => {
  const tricky = 'safe\u202e\u001b[2J\u200b'
  const lines = linesOf({ restart_units: [tricky], telemetry: { [tricky]: 1 } }).join('\n')
  for (const hidden of ['\u202e', '\u001b', '\u200b']) expect(lines).not.toContain(hidden)
  expect(lines).toContain('safe\\u{202e}\\u001b[2J\\u{200b}')
  const [first] = differencesOf({ a: 'x' }, { a: 'x\u200b' })
  expect(first && differenceWords(first)).toBe('~ /a: "x" -> "x\\u{200b}"')
})

test.each<[before: JsonValue, after: JsonValue, pointers: readonly string[]]>([
  [{ a: 1, b: [1, 2] }, { a: 1, b: [1, 2] }, []],
  [{ a: 1 }, { b: 1 }, ['/a', '/b']],
  [{ a: [] }, { a: {} }, ['/a']],
  [
    [1, 2, 3],
    [1, 3],
    ['/1', '/2'],
  ],
  [{ 'a/b': { '~': 1 } }, { 'a/b': { '~': 2 } }, ['/a~1b/~0']],
  [{ a: null }, {}, ['/a']],
  ['x', ['x'], ['']],
])('%j and %j differ at %j', (before, after, pointers) => {
  expect(differencesOf(before, after).map(({ pointer }) => pointer)).toEqual(pointers)
})

test('a list of files is believed by its digest only', () => {
  const entries: TreeEntry[] = [
    { path: 'bin', type: 'directory', mode: 0o755, size: 0, sha256: null },
    file('bin/app', 'program', 0o755),
    file('read me', 'text'),
  ]
  const text = treeText(entries)
  expect(parseTree(text, digestOf(entries))).toEqual(entries)
  for (const lie of [
    text.replace('read me', 'read it'),
    text.replace('0644', '0755'),
    `${text}x`,
    '',
    text.slice(0, -9),
  ])
    expect(() => parseTree(lie, digestOf(entries))).toThrow('not that of the tree')
  expect(() => parseTree(text, digestOf(entries.slice(0, 2)))).toThrow('not that of the tree')
  expect(compareTrees(entries, entries)).toEqual({ added: [], removed: [], changed: [] })
})

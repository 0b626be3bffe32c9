import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { lintRelease } from '../../publisher/lint.ts'
import { packSource } from '../../publisher/pack.ts'
import { loadSources } from '../../publisher/source.ts'
import { parseVersion } from '../../schema/version.ts'
import { type TreeFile, tempFolder, writeTree } from './folder.ts'

const CHANGELOG = { summary: 'First', entries: [{ type: 'added', text: 'Everything' }] }
const CHECK = { type: 'http', name: 'health', url: 'http://127.0.0.1:${PORT}/health' }
const SERVICE = { argv: ['./bin/app'], health_checks: [CHECK] }
const GOOD = { service: SERVICE, changelog: CHANGELOG }

describe('mistakes in release.json', () => {
  const mistakes: readonly [what: string, json: unknown, message: RegExp][] = [
    ['a misspelt key at the top', { ...GOOD, serivce: {} }, /\/serivce.*"service"|\/serivce.*possible here/],
    [
      'a misspelt key in the service',
      { ...GOOD, service: { ...SERVICE, heath_checks: [] } },
      /did you mean|possible here/,
    ],
    ['a misspelt key alone', { changelog: CHANGELOG, servise: SERVICE }, /did you mean "service"\?/],
    ['camel case', { ...GOOD, databaseVersion: '1' }, /did you mean "database_version"\?/],
    [
      'a misspelt key in a health check',
      { ...GOOD, service: { argv: ['a'], health_checks: [{ ...CHECK, intervall_ms: 1 }] } },
      /did you mean "interval_ms"\?/,
    ],
    ['a misspelt key in the changelog', { changelog: { sumary: 'x' } }, /did you mean "summary"\?/],
    [
      'an unknown kind of check',
      { ...GOOD, service: { argv: ['a'], health_checks: [{ ...CHECK, type: 'htpp' }] } },
      /'http'/,
    ],
    [
      'a version that is none',
      { ...GOOD, compatibility: { downgrade_to: ['1.2.3'] } },
      /\/compatibility\/downgrade_to\/0 .*0a1/,
    ],
    ['a number that is none', { ...GOOD, service: { ...SERVICE, ready_ms: '15s' } }, /\/service\/ready_ms .*number/],
    ['a list instead of an object', [], /object/],
  ]
  test.each(mistakes)('%s', async (_what, json, message) => {
    const folder = await release({ 'bin/app': { content: '#!/bin/sh\n', mode: 0o755 } }, json)
    await expect(loadSources(nodeDisk, [folder], '/')).rejects.toMatchObject({
      name: 'ShapeError',
      subject: join(folder, 'release.json'),
      message: expect.stringMatching(message),
    })
  })

  test.each([
    ['{"changelog": {\n  "summary": "x",\n  "entries": [,]\n}}', 3, /expected a value, found ","/],
    ['{"a": 1,\n"a": 2}', 2, /every name once/],
    ['{"ready_ms": 1.5}', 1, /an integer/],
  ])('broken JSON %j names the line', async (text, line, message) => {
    const folder = await tempFolder()
    await writeTree(folder, { 'release.json': text })
    await expect(loadSources(nodeDisk, [folder], '/')).rejects.toMatchObject({
      subject: `${join(folder, 'release.json')}, line ${line}`,
      message: expect.stringMatching(message),
    })
  })

  test('a folder without release.json, and one that is not there', async () => {
    await expect(loadSources(nodeDisk, [await tempFolder()], '/')).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(/release\.json is not there/),
    })
    await expect(loadSources(nodeDisk, ['/nowhere/at/all'], '/')).rejects.toMatchObject({ code: 'not-found' })
  })

  test('the control: the same without a mistake', async () => {
    const folder = await release({}, GOOD)
    expect((await loadSources(nodeDisk, [folder], '/')).written.service?.ready_ms).toBe(120_000)
  })
})

describe('several platforms', () => {
  test('take their names from --from, from release.json, or are "any"', async () => {
    const plain = await release({}, GOOD)
    const named = await release({}, { ...GOOD, platform: 'linux-arm64' })
    expect(await platforms([plain])).toEqual(['any'])
    expect(await platforms([named])).toEqual(['linux-arm64'])
    expect(await platforms([`linux-x64=${plain}`, named])).toEqual(['linux-x64', 'linux-arm64'])
  })

  test('one release.json speaks for folders without one', async () => {
    const [first, bare] = [await release({}, GOOD), await tempFolder()]
    expect(await platforms([`linux-x64=${first}`, `linux-arm64=${bare}`])).toEqual(['linux-x64', 'linux-arm64'])
  })

  test('two that differ in anything but platform, exclude and allow_secrets are refused', async () => {
    const first = await release({}, { ...GOOD, platform: 'linux-x64' })
    const second = await release({}, { ...GOOD, platform: 'linux-arm64', exclude: ['x'] })
    const third = await release({}, { ...GOOD, platform: 'linux-arm64', database_version: '2' })
    await expect(platforms([first, second])).resolves.toHaveLength(2)
    await expect(platforms([first, third])).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(/say different things/),
    })
  })

  test('the same platform twice is refused', async () => {
    const folder = await release({}, GOOD)
    await expect(platforms([folder, folder])).rejects.toMatchObject({
      message: expect.stringMatching(/any comes twice/),
    })
  })

  test('exclude and allow_secrets are path patterns: * does not cross a slash', async () => {
    const folder = await release({}, { ...GOOD, exclude: ['*.map', 'cache/'], allow_secrets: ['test/*.pem'] })
    const [source] = (await loadSources(nodeDisk, [folder], '/')).sources
    const excluded = (path: string) => source?.rules.isExcluded(path)
    expect([excluded('a.map'), excluded('lib/a.map'), excluded('cache')]).toEqual([true, false, true])
    expect(source?.rules.isAllowedSecret('test/a.pem')).toBe(true)
    expect(source?.rules.isAllowedSecret('a.pem')).toBe(false)
  })
})

describe('lint', () => {
  const app: Record<string, TreeFile> = {
    'bin/app': { content: '#!/bin/sh\n', mode: 0o755 },
    'db/1.sql': 'x',
    'lock.json': '{}',
  }

  test('a release without mistakes has no findings', async () => {
    expect(await findings(GOOD, app)).toEqual({ errors: [], warnings: [] })
  })

  const errors: readonly [
    what: string,
    json: object,
    files: Record<string, TreeFile>,
    where: string,
    message: RegExp,
  ][] = [
    ['no changelog', { service: SERVICE }, app, 'changelog', /is missing/],
    [
      'a program that is not there',
      { ...GOOD, service: { ...SERVICE, argv: ['./bin/other'] } },
      app,
      'service.argv',
      /bin\/other is not in the release/,
    ],
    [
      'a program that is not executable',
      GOOD,
      { ...app, 'bin/app': '#!/bin/sh\n' },
      'service.argv',
      /not executable.*chmod/,
    ],
    [
      'a migration that is not there',
      { ...GOOD, changelog: { ...CHANGELOG, upgrade_notes: 'x' }, database_migrations: [{ id: '1', up: 'db/2.sql' }] },
      app,
      'database_migrations[0]',
      /db\/2\.sql is not in/,
    ],
    [
      'migrations that nobody is told of',
      { ...GOOD, database_migrations: [{ id: '1', up: 'db/1.sql' }] },
      app,
      'changelog.entries',
      /database migration/,
    ],
    [
      'a security entry without severity',
      { ...GOOD, changelog: { summary: 'x', entries: [{ type: 'security', text: 'y' }] } },
      app,
      'changelog.entries.0',
      /severity/,
    ],
    [
      'HTML in the changelog',
      { ...GOOD, changelog: { summary: '<script>x</script>', entries: [] } },
      app,
      'changelog.summary',
      /HTML/,
    ],
    [
      'a downgrade upwards',
      { ...GOOD, compatibility: { downgrade_to: ['0a9'] } },
      app,
      'compatibility.downgrade_to',
      /0a9 is not older than 0a2/,
    ],
    [
      'a lock file that is not there',
      { ...GOOD, dependencies: [{ manager: 'npm', lock: 'package-lock.json' }] },
      app,
      'dependencies[0]',
      /package-lock\.json is not in/,
    ],
  ]
  test.each(errors)('%s', async (_what, json, files, where, message) => {
    expect((await findings(json, files)).errors).toMatchObject([{ where, what: expect.stringMatching(message) }])
  })

  test('a service without a required check is a warning', async () => {
    const wanted = { ...CHECK, severity: 'wanted' }
    const { errors: none, warnings } = await findings(
      { ...GOOD, service: { ...SERVICE, health_checks: [wanted] } },
      app,
    )
    expect([none.length, warnings.map(({ where }) => where)]).toEqual([0, ['service.health_checks']])
  })
})

async function release(files: Record<string, TreeFile>, json: unknown): Promise<string> {
  const folder = await tempFolder()
  await writeTree(folder, { ...files, 'release.json': JSON.stringify(json) })
  return folder
}

async function platforms(from: readonly string[]): Promise<readonly string[]> {
  return (await loadSources(nodeDisk, from, '/')).sources.map(({ platform }) => platform)
}

async function findings(json: object, files: Record<string, TreeFile>) {
  const { sources, written } = await loadSources(nodeDisk, [await release(files, json)], '/')
  const [source] = sources
  if (source === undefined) throw new Error('no source')
  const packed = [await packSource({ disk: nodeDisk }, source, join(await tempFolder(), 'out'))]
  return lintRelease({
    version: parseVersion('0a2'),
    written,
    changelog: written.changelog,
    packed,
    lastBytes: new Map(),
  })
}

import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { answerOf, asSigners, openWorld, versionsOf } from './world.ts'

test('each mistake gets the four-part error and its exit code, and publishes nothing', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  const at = (...path: string[]) => join(world.folder, ...path)
  await writeFile(at('wrong.pass'), 'not it\n', { mode: 0o600 })
  await writeFile(at('empty'), '', { mode: 0o600 })
  await writeFile(at('bad.token'), `nlk_publish_${'a'.repeat(12)}_${'b'.repeat(72)}\n`)
  await writeFile(at('no.token'), 'hvs.another-service\n')
  await cp(at('app-v1'), at('secret'), { recursive: true })
  await writeFile(at('secret', '.env'), 'A=1')
  await cp(at('app-v1'), at('misspelt'), { recursive: true })
  const json = await readFile(at('app-v1', 'release.json'), 'utf8')
  await writeFile(at('misspelt', 'release.json'), json.replace('"ready_ms"', '"redy_ms"'))
  await cp(at('app-v1'), at('silent'), { recursive: true })
  await writeFile(at('silent', 'release.json'), '{}')
  const release = ['release', '0a1', '--from', 'app-v1']
  const alice = asSigners(['alice'])
  const cases: readonly (readonly [args: readonly string[], status: number, words: string])[] = [
    [['release', '1.2.3', '--from', 'app-v1', ...alice], 2, 'Expected a version'],
    [['release', '0a0', '--from', 'app-v1', ...alice], 2, 'Expected a version'],
    [['release', '00a1', '--from', 'app-v1', ...alice], 2, 'Expected a version'],
    [['release', '0a1', ...alice], 2, "'--from <folder>' not specified"],
    [['release', '0a1', '--from', 'nowhere', ...alice], 2, 'nowhere'],
    [['release', '0a1', '--from', 'secret', ...alice], 3, '.env looks like a secret: an environment file'],
    [['release', '0a1', '--from', 'misspelt', ...alice], 2, 'did you mean "ready_ms"?'],
    [['release', '0a1', '--from', 'silent', ...alice], 3, 'changelog is missing'],
    [[...release, '--passphrase-file', 'wrong.pass'], 5, 'the passphrase is wrong'],
    [[...release, '--passphrase-file', 'empty'], 2, 'empty is empty'],
    [[...release, '--passphrase-file', 'dave=alice.pass'], 2, 'dave holds no keys here'],
    [release, 2, 'there is no terminal to ask on'],
    [[...release, ...alice, '--token-file', 'bad.token'], 5, 'E-SERVER'],
    [[...release, ...alice, '--token-file', 'no.token'], 2, 'holds no token of a server'],
    [['list', '--server', 'http://192.0.2.1'], 3, 'plain http to another machine'],
    [['list', '--server', 'ftp://x'], 2, 'expected an address'],
    [['list', '--server', 'http://127.0.0.1:1'], 6, 'E-UNREACHABLE'],
    [['list', '--dir', 'app-v1'], 2, 'netlink-publish init'],
    [['show', '0a9'], 3, '0a9 is not published'],
    [['publish', '0a9'], 3, 'there is no signed 0a9 to publish'],
    [['promote', '0a9', '--to', 'beta', ...alice], 3, '0a9 is not published'],
    [['promote', '0a9', '--to', 'gamma', ...alice], 2, 'beta or release'],
    [['relase', '0a1'], 2, 'did you mean "release"?'],
    [['list', '--chanel', 'alpha'], 2, 'did you mean "--channel"?'],
    [['yank', '0a1', ...alice], 2, '--reason'],
    [['yank', '0a1', '--reason', 'x', '--severity', 'huge', ...alice], 2, 'low, high, critical'],
    [['changelog', 'lint', '0a1'], 2, '--from DIR'],
    [['changelog', 'lint', '0a1', '--from', 'silent'], 3, 'is missing'],
  ]
  for (const [args, status, words] of cases) {
    const outcome = await world.publish(...args)
    expect({ args, status: outcome.status }, outcome.stderr).toEqual({ args, status })
    expect(outcome.stderr).toContain(words)
    expect(outcome.stderr).toMatch(
      /^((warning: |refresh |pack |sign ).*\n)*error E-[A-Z-]+: .*\.\n(.*\n)*? {2}.*\.\n(.*\n)*? {2}Next: .+\n(.*\n)*? {2}More: netlink help E-/,
    )
    expect(outcome.stdout).toBe('')
  }
  expect(await versionsOf(world)).toEqual([])
  expect(await world.publish(...release, ...alice)).toMatchObject({ status: 0 })
  expect(await world.publish('changelog', 'lint', '0a1', '--from', 'app-v1')).toMatchObject({ status: 0 })
}, 120_000)

test('a mistake in netlink.publish.yml names the right key; a keyring in the wrong place is noticed', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  const file = join(world.folder, 'pub', 'netlink.publish.yml')
  const good = await readFile(file, 'utf8')
  await writeFile(file, good.replace('insecure_http', 'insecure_htpp'))
  const misspelt = await world.publish('list')
  expect(misspelt).toMatchObject({ status: 2, stderr: expect.stringContaining('did you mean "insecure_http"?') })
  await writeFile(file, good.replace('schema:', 'schema: x\nschema:'))
  expect(await world.publish('list')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('netlink.publish.yml'),
  })
  await writeFile(file, good.replace('keys/alice.age', 'keys/bob.age'))
  const swapped = await world.publish(
    'release',
    '0a1',
    '--from',
    'app-v1',
    '--signer',
    'alice',
    '--passphrase-file',
    'alice=bob.pass',
  )
  expect(swapped).toMatchObject({ status: 2, stderr: expect.stringContaining('does not hold the root key of alice') })
  await writeFile(file, good)
  expect(await world.publish('list')).toMatchObject({ status: 0 })
}, 60_000)

test('passphrase files that others may read are used, with a warning', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  await writeFile(join(world.folder, 'open.pass'), "alice's passphrase\n", { mode: 0o644 })
  const outcome = await world.publish('release', '0a1', '--from', 'app-v1', '--passphrase-file', 'open.pass')
  expect(outcome).toMatchObject({
    status: 0,
    stderr: expect.stringContaining('open.pass may be read by others (mode 644)'),
  })
  const quiet = await world.publish('release', '0a2', '--from', 'app-v2', '--passphrase-file', 'alice.pass')
  expect(quiet.stderr).not.toContain('may be read')
}, 60_000)

test('with --json every answer is one document, or one event a line; --dry-run and build change nothing', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  const built = [
    await world.publish('build', '0a1', '--from', 'app-v1'),
    await world.publish('build', '0a1', '--from', 'app-v1'),
  ]
  expect(built[0]).toMatchObject({ status: 0, stdout: built[1]?.stdout })
  expect(await world.publish('check', '0a1', '--from', 'app-v1')).toMatchObject({ status: 0 })
  const dry = await world.publish('release', '0a1', '--from', 'app-v1', '--dry-run')
  expect(dry).toMatchObject({ status: 0, stdout: expect.stringContaining('Nothing was signed') })
  expect(await versionsOf(world)).toEqual([])

  const release = await world.signing(['alice'], 'release', '0a1', '--from', 'app-v1', '--json')
  const events = release.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(events.at(-1)).toMatchObject({
    type: 'result',
    schema: 'netlink.publish.release/v1',
    ok: true,
    version: '0a1',
  })
  const phases = events.filter(({ type }) => type === 'phase').map(({ phase }) => phase)
  expect(phases).toEqual(['refresh', 'pack', 'sign', 'upload', 'publish', 'verify'])
  const asked = [
    ['list'],
    ['status'],
    ['status', '0a1'],
    ['show', '0a1'],
    ['keys', 'list'],
    ['keys', 'show', 'alice'],
    ['keys', 'fingerprint'],
    ['changelog', 'show', '0a1'],
    ['changelog', 'new', '0a2'],
  ]
  for (const args of asked) {
    const schema = expect.stringMatching(/^netlink\.publish\.[a-z.]+\/v1$/)
    expect(answerOf(await world.publish(...args, '--json')), args.join(' ')).toMatchObject({ ok: true, schema })
  }
  expect(answerOf(await world.publish('show', '0a9', '--json'))).toMatchObject({
    ok: false,
    error: { code: 'E-UNKNOWN-VERSION' },
  })
  expect(answerOf(await world.publish('lst', '--json'))).toMatchObject({
    ok: false,
    error: { code: 'E-UNKNOWN-COMMAND' },
  })
  expect((await world.publish('changelog', 'show', '0a1', '--format', 'markdown')).stdout).toMatch(/^# 0a1 /)
  for (const dryRun of [
    ['promote', '0a1', '--to', 'beta'],
    ['yank', '0a1', '--reason', 'x'],
  ]) {
    expect(await world.publish(...dryRun, '--dry-run')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('Nothing was signed'),
    })
  }
  expect((await world.publish('list')).stdout).not.toMatch(/beta|withdrawn/)
}, 60_000)

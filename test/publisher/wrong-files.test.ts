// Files that are carried look alike. Whoever takes one for another is told what it is and which command takes it, and a machine without a publisher's folder
// verifies by a root alone.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { publishHere } from '../world/publisher-here.ts'
import { splitFolders } from './event-folders.ts'
import { asSigners, openWorld } from './world.ts'

const as = (name: string, ...more: readonly string[]) => ['--dir', name, ...asSigners([name]), ...more]

test('a file of another kind is called by what it is, with the command that takes it', async () => {
  // given: an event, a signature, half of it, an authorisation, a passphrase, the root
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  for (const [version, app] of [
    ['0a1', 'app-v1'],
    ['0a2', 'app-v2'],
  ] as const)
    expect(await world.signing(['alice', 'bob'], 'release', version, '--from', app, '--dir', 'pub')).toMatchObject({
      status: 0,
    })
  await splitFolders(world)
  await world.publish('propose', '0a1', '--minimum', ...as('alice', '--out', 'stick.json'))
  expect(await world.publish('sign', 'stick.json', ...as('bob', '--yes', '--out', 'bob.json'))).toMatchObject({
    status: 0,
  })
  const text = await readFile(join(world.folder, 'stick.json'), 'utf8')
  await writeFile(join(world.folder, 'cut.json'), text.slice(0, text.length / 2))
  const down = ['authorize-downgrade', '--host', `h_${'1'.repeat(32)}`, '--from', '0a2', '--to', '0a1', '--reason', 'x']
  expect(await world.publish(...down, ...as('alice', '--out', 'down.json'))).toMatchObject({ status: 7 })

  for (const [args, words, next] of [
    [['sign', 'cut.json', ...as('carol', '--yes')], /cut\.json is not a signing event, and not even JSON/, 'ls -l'],
    [['sign', 'bob.json', ...as('carol', '--yes')], /bob\.json is a signature, not a signing event/, 'add-signature'],
    [['add-signature', 'app-v1/release.json', '--dir', 'alice'], /is a release\.json, not a signature/, 'propose'],
    [['add-signature', 'stick.json', '--dir', 'alice'], /is a signing event, not a signature/, 'netlink-publish sign'],
    [['add-signature', 'down.json', '--dir', 'alice'], /is an authorisation to go down/, 'netlink-publish sign'],
    [['publish', 'down.json', '--dir', 'alice'], /is an authorisation to go down/, 'netlink-publish sign'],
    [['verify', 'down.json', '--dir', 'alice'], /is an authorisation to go down/, 'netlink-publish sign'],
    [['root', 'add-key', 'eve', '--public', 'alice.pass', '--dir', 'alice'], /alice\.pass is not public keys/, 'ls -l'],
    [['root', 'add-key', 'eve', '--public', 'pub/root.json', '--dir', 'alice'], /is a root, not public keys/, 'verify'],
  ] as const) {
    const refused = await world.publish(...args)
    expect(refused, args.join(' ')).toMatchObject({ status: 2, stderr: expect.stringMatching(words) })
    expect(refused.stderr, args.join(' ')).toMatch(new RegExp(`Next: .*${next}`))
  }
}, 120_000)

test('a root alone is enough to verify a server and a bundle, and nothing is left behind', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  expect(await world.signing(['alice'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')).toMatchObject({
    status: 0,
  })
  expect(await world.publish('bundle', '0a1', '--out', 'demo.bundle', '--dir', 'pub')).toMatchObject({ status: 0 })
  const elsewhere = join(world.folder, 'elsewhere')
  await mkdir(elsewhere)
  const before = (await readdir(tmpdir())).filter((name) => name.startsWith('netlink-publish-'))
  const server = `http://127.0.0.1:${world.port}`

  for (const args of [
    ['verify', '../demo.bundle', '--root', '../pub/root.json'],
    ['verify', server, '--root', '../pub/root.json'],
    ['verify', '0a1', '--root', '../pub/root.json', '--server', server],
  ]) {
    const verified = await publishHere(elsewhere, args)
    expect(verified, verified.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining(' verifies') })
  }
  for (const args of [
    ['verify', '../demo.bundle'],
    ['verify', '0a1', '--root', '../pub/root.json'],
  ]) {
    const refused = await publishHere(elsewhere, args)
    expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining('--root') })
    expect(refused.stderr).not.toContain('init')
  }
  expect(await readdir(elsewhere)).toEqual([])
  expect((await readdir(tmpdir())).filter((name) => name.startsWith('netlink-publish-'))).toEqual(before)
}, 120_000)

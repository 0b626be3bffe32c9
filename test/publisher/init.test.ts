import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { answerOf, openProxiedWorld, openWorld, versionsOf } from './world.ts'

test('refuses what would be regretted, makes nothing then, and is done once for a server and once for a folder', async () => {
  const world = await openWorld()
  const three = ['alice', 'bob', 'carol']
  expect(await world.init(three, '--threshold', '4')).toMatchObject({ status: 2 })
  expect(await world.init(three, '--threshold', '0')).toMatchObject({ status: 2 })
  expect(await world.init(three, '--product', 'No Name')).toMatchObject({ status: 2 })
  expect(await world.init(['alice'], '--signers', 'bob')).toMatchObject({ status: 2 })
  const equal = await world.init(three, '--threshold', '3')
  expect(equal).toMatchObject({ status: 3, stderr: expect.stringContaining('--allow-threshold-equals-keys') })
  const away = await world.init(['alice'], '--server', 'https://updates.example.com')
  expect(away).toMatchObject({ status: 6 })
  await writeFile(join(world.folder, 'foreign.json'), JSON.stringify(FOREIGN))
  const foreign = await world.init(['alice'], '--online-keys', 'foreign.json')
  expect(foreign).toMatchObject({ status: 7, stderr: expect.stringContaining('not those that') })
  const rehearsed = await world.init(three, '--threshold', '2', '--dry-run')
  expect(rehearsed).toMatchObject({ status: 0, stdout: expect.stringContaining('Nothing was made') })
  await expect(stat(join(world.folder, 'pub'))).rejects.toThrow()

  await writeFile(join(world.folder, 'own.json'), JSON.stringify(await onlineKeys(world)))
  const made = await world.init(three, '--threshold', '3', '--allow-threshold-equals-keys', '--online-keys', 'own.json')
  expect(made, made.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('all of them have to sign') })
  expect((await readdir(join(world.folder, 'pub', 'keys'))).sort()).toEqual(['alice.age', 'bob.age', 'carol.age'])

  expect(await world.init(three)).toMatchObject({
    status: 3,
    stderr: expect.stringContaining("is a publisher's folder already"),
  })
  const other = await world.init(['alice'], '--dir', 'pub2')
  expect(other).toMatchObject({ status: 3, stderr: expect.stringContaining('already has a repository') })
  await expect(stat(join(world.folder, 'pub2'))).rejects.toThrow()
}, 90_000)

test('one holder is enough, with a warning; the keyring is encrypted and private', async () => {
  const world = await openWorld()
  const made = await world.init([], '--passphrase-file', 'alice.pass', '--json')
  expect(made).toMatchObject({ status: 0, stderr: expect.stringContaining('one key signs everything') })
  const answer = answerOf(made)
  expect(answer).toMatchObject({ product: 'demo', holders: ['owner'], threshold: 1 })
  const keyring = join(world.folder, 'pub', 'keys', 'owner.age')
  expect((await stat(keyring)).mode & 0o777).toBe(0o600)
  expect((await readFile(keyring, 'utf8')).startsWith('age-encryption.org/v1')).toBe(true)
  const fingerprint = await world.publish('keys', 'fingerprint')
  expect(fingerprint.stdout).toContain(String(answer.fingerprint))
  const release = ['release', '0a1', '--from', 'app-v1']
  expect(await world.publish(...release, '--passphrase-file', 'bob.pass')).toMatchObject({ status: 5 })
  expect(await world.publish(...release, '--passphrase-file', 'alice.pass')).toMatchObject({ status: 0 })
}, 90_000)

test('whose answer is lost keeps its keys, because the server may trust them, and goes on when it is run again', async () => {
  const { world, proxy } = await openProxiedWorld()
  proxy.loseAnswerTo('POST /api/v1/publish/root')
  const cut = await world.init(['alice'])
  expect(cut).toMatchObject({ status: 6, stderr: expect.stringContaining('the same command goes on from here') })
  const root = await readFile(join(world.folder, 'pub', 'root.json'))

  const again = await world.init(['alice'])
  expect(again, again.stderr).toMatchObject({ status: 0 })
  expect(await readFile(join(world.folder, 'pub', 'root.json'))).toEqual(root)
  expect(await world.signing(['alice'], 'release', '0a1', '--from', 'app-v1')).toMatchObject({ status: 0 })
  expect(await versionsOf(world)).toEqual(['0a1'])
  expect(await world.init(['alice'])).toMatchObject({ status: 3 })
}, 90_000)

test('new keyrings can be made for people who are to join', async () => {
  const world = await openWorld()
  const made = await world.publish(
    'keys',
    'generate',
    '--name',
    'dave',
    '--role',
    'alpha',
    '--role',
    'beta',
    '--passphrase-file',
    'bob.pass',
    '--out',
    'dave.age',
    '--json',
  )
  expect(answerOf(made)).toMatchObject({ ok: true, name: 'dave', keys: [{ role: 'alpha' }, { role: 'beta' }] })
  const again = await world.publish(
    'keys',
    'generate',
    '--name',
    'dave',
    '--passphrase-file',
    'bob.pass',
    '--out',
    'dave.age',
  )
  expect(again).toMatchObject({ status: 3, stderr: expect.stringContaining('E-EXISTS') })
  expect(await world.publish('keys', 'generate', '--name', 'eve', '--out', 'eve.age')).toMatchObject({ status: 2 })
  expect(await world.publish('keys', 'generate', '--name', 'eve', '--no-encrypt', '--out', 'eve.age')).toMatchObject({
    status: 0,
  })
  expect((await stat(join(world.folder, 'eve.age'))).mode & 0o777).toBe(0o600)
}, 60_000)

/** Two keys that no server here has (RFC 8032 7.1, tests 1 and 2). */
const FOREIGN = {
  snapshot: [keyOf('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')],
  timestamp: [keyOf('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c')],
}

function keyOf(hex: string): object {
  return { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: hex } }
}

async function onlineKeys(world: { folder: string; port: number }): Promise<unknown> {
  const token = (await readFile(join(world.folder, 'srv/secrets/publish.token'), 'utf8')).trim()
  const headers = { authorization: `Bearer ${token}` }
  const answer = await fetch(`http://127.0.0.1:${world.port}/api/v1/publish/state`, { headers })
  return ((await answer.json()) as { online_keys: unknown }).online_keys
}

// What waits in a holder's folder may have been written by anybody: another holder's machine, a stick, whoever came by. It is checked, shown and confirmed
// like an event from a server before any key signs it; what a command has just made from its own arguments is not asked about.
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { signDocument } from '../../keys/document.ts'
import { openKeyring } from '../../keys/key-file.ts'
import { buildKeyFileDisk } from '../../keys/key-file-disk.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { splitFolders } from './event-folders.ts'
import type { Tree } from './lying-server.ts'
import { asSigners, openWorld, type PublisherWorld, versionsOf } from './world.ts'

const as = (name: string, ...more: readonly string[]) => ['--dir', name, ...asSigners([name]), ...more]

/** 0a1 is published; everybody has a folder of their own. */
async function three(): Promise<PublisherWorld> {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  const first = await world.signing(['alice', 'bob'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')
  expect(first, first.stderr).toMatchObject({ status: 0 })
  await world.publish('root', 'show', '--dir', 'pub')
  await splitFolders(world)
  return world
}

/** What waits with alice is brought to bob, with this done to a document on the way. */
async function carry(world: PublisherWorld, subject: string, role: string, edit: (signed: Tree) => Tree) {
  const [from, to] = ['alice', 'bob'].map((name) => join(world.folder, name, 'pending', subject)) as [string, string]
  await rm(to, { recursive: true, force: true })
  await mkdir(join(world.folder, 'bob', 'pending'), { recursive: true })
  await cp(from, to, { recursive: true })
  await cp(join(world.folder, 'alice', 'artifacts'), join(world.folder, 'bob', 'artifacts'), { recursive: true })
  const file = join(to, `role-${role}.json`)
  const document = JSON.parse(await readFile(file, 'utf8'))
  await writeFile(file, JSON.stringify({ ...document, signed: edit(document.signed) }))
}

const honest = (signed: Tree) => signed

async function signaturesOf(world: PublisherWorld, subject: string, role: string): Promise<number> {
  const file = join(world.folder, 'bob', 'pending', subject, `role-${role}.json`)
  return JSON.parse(await readFile(file, 'utf8')).signatures.length
}

test('a release that waits is signed by the next holder only after it was shown: with y, or with --yes', async () => {
  // given: alice's machine has put a file into it that nobody speaks of
  const world = await three()
  await writeFile(join(world.folder, 'app-v2', 'EVIL.js'), 'evil')
  expect(await world.signing(['alice'], 'release', '0a2', '--from', 'app-v2', '--dir', 'alice')).toMatchObject({
    status: 7,
    stderr: expect.stringMatching(/publish 0a2 --dir .* --signer bob .*\n.*propose 0a2/),
  })
  await carry(world, '0a2', 'alpha', honest)

  // then: nothing is signed unseen
  const unasked = await world.publish('publish', '0a2', ...as('bob'))
  expect(unasked).toMatchObject({ status: 4, stderr: expect.stringContaining('+ EVIL.js (file, 4 B)') })
  expect(unasked.stderr).toContain('publish 0a2 --dir bob --signer bob --passphrase-file bob=bob.pass --yes')
  const declined = await world.answering(false, 'publish', '0a2', ...as('bob'))
  expect(declined).toMatchObject({ status: 4, stderr: expect.stringContaining('not confirmed') })
  expect(await signaturesOf(world, '0a2', 'alpha')).toBe(1)

  // and: without anybody's keys it stays as it was; with y it is published
  expect(await world.publish('publish', '0a2', '--dir', 'bob')).toMatchObject({ status: 7 })
  const signed = await world.answering(true, 'publish', '0a2', ...as('bob'))
  expect(signed, signed.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('0a2 is published') })
  expect(await versionsOf(world)).toEqual(['0a2', '0a1'])
}, 90_000)

test('whatever was put into a release that waits is refused, also with --yes, and as it was made it is signed', async () => {
  const world = await three()
  await world.signing(['alice'], 'release', '0a2', '--from', 'app-v2', '--dir', 'alice')
  const line = { name: 'alpha-9', keyids: [], threshold: 1, terminating: true, paths: ['alpha/*/manifest.json'] }
  const smuggled: readonly [what: string, edit: (signed: Tree) => Tree, words: RegExp][] = [
    ['a delegation', (signed) => ({ ...signed, delegations: { keys: {}, roles: [line] } }), /a delegation was added/],
    [
      'a minimum',
      (signed) => ({ ...signed, channel: { ...signed.channel, minimum: '0a1' } }),
      /minimum was changed \(alpha\)/,
    ],
    ['a longer life', (signed) => ({ ...signed, expires: '2099-01-01T00:00:00Z' }), /expires was changed/],
  ]
  for (const [what, edit, words] of smuggled) {
    await carry(world, '0a2', 'alpha', edit)
    const outcome = await world.publish('publish', '0a2', ...as('bob', '--yes'))
    expect.soft(outcome, what).toMatchObject({ status: 7, stdout: '' })
    expect.soft(outcome.stderr, what).toMatch(words)
  }

  // another channel's document besides
  await carry(world, '0a2', 'alpha', honest)
  const pending = join(world.folder, 'bob', 'pending', '0a2')
  const release = JSON.parse(await readFile(join(world.folder, 'bob', 'repository', 'release.json'), 'utf8'))
  const next = { ...release.signed, version: release.signed.version + 1, expires: '2099-01-01T00:00:00Z' }
  next.channel = { ...next.channel, minimum: '0r7' }
  await writeFile(join(pending, 'role-release.json'), JSON.stringify({ signatures: [], signed: next }))
  const index = JSON.parse(await readFile(join(pending, 'pending.json'), 'utf8'))
  await writeFile(join(pending, 'pending.json'), JSON.stringify({ ...index, roles: [...index.roles, 'release'] }))
  const second = await world.publish('publish', '0a2', ...as('bob', '--yes'))
  expect(second).toMatchObject({ status: 7, stderr: expect.stringContaining('a release has no business there') })

  await carry(world, '0a2', 'alpha', honest)
  const signed = await world.publish('publish', '0a2', ...as('bob', '--yes'))
  expect(signed, signed.stderr).toMatchObject({ status: 0 })
}, 90_000)

test('a change of the root that waits is refused or shown, and signed by y at a terminal alone', async () => {
  const world = await three()
  const rotated = await world.signing(['alice'], 'root', 'rotate', 'alice', '--dir', 'alice', '--offline')
  expect(rotated, rotated.stderr).toMatchObject({ status: 7 })
  const sign = (answer: boolean) => world.answering(answer, 'root', 'sign', '--offline', ...as('bob'))
  const roles = (signed: Tree, more: Tree) => ({ ...signed, roles: { ...signed.roles, ...more } })
  const lies: readonly [what: string, edit: (signed: Tree) => Tree, status: number, words: RegExp][] = [
    ['a long life', (signed) => ({ ...signed, expires: '2099-01-01T00:00:00Z' }), 7, /more than a year/],
    ['a loose repository', (signed) => ({ ...signed, consistent_snapshot: false }), 7, /consistent_snapshot was/],
    ['a field that nobody knows', (signed) => ({ ...signed, x_hidden: 'anything' }), 7, /x_hidden was added/],
    [
      'a threshold of one',
      (signed) => roles(signed, { root: { ...signed.roles.root, threshold: 1 } }),
      4,
      /~ root: threshold 2 -> 1 of 3/,
    ],
    [
      'a timestamp key of alice’s',
      (signed) => roles(signed, { timestamp: { keyids: [signed.roles.root.keyids[0]], threshold: 1 } }),
      4,
      /\+ timestamp: \w+, key [0-9a-f]{64}/,
    ],
  ]
  for (const [what, edit, status, words] of lies) {
    await carry(world, 'root-2', 'root', edit)
    const outcome = await sign(status === 7)
    expect.soft(outcome, what).toMatchObject({ status, stdout: '' })
    expect.soft(outcome.stderr, what).toMatch(words)
    expect.soft(await signaturesOf(world, 'root-2', 'root'), what).toBe(2)
  }

  await carry(world, 'root-2', 'root', honest)
  const alone = await world.publish('root', 'sign', '--offline', ...as('bob'))
  expect(alone).toMatchObject({ status: 4, stderr: expect.stringContaining('there is no terminal') })
  const hasty = await world.publish('publish', 'root-2', ...as('bob', '--yes'))
  expect(hasty).toMatchObject({ status: 3, stderr: expect.stringContaining('--yes is not taken') })
  // an edit on top signs what waited before along with its own
  const onTop = await world.publish('root', 'set-threshold', '1', '--role', 'beta', '--offline', ...as('bob'))
  expect(onTop).toMatchObject({ status: 4, stderr: expect.stringMatching(/said to be alice's/) })
  const proposed = await world.publish('propose', 'root-2', ...as('bob'))
  expect(proposed).toMatchObject({ status: 4, stderr: expect.stringMatching(/said to be alice's/) })
  expect(await signaturesOf(world, 'root-2', 'root')).toBe(2)

  const signed = await world.answering(true, 'root', 'sign', ...as('bob'))
  expect(signed, signed.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('root-2 is published') })
}, 90_000)

test('files that were not all shown are not signed, whoever says yes', async () => {
  const world = await three()
  for (let number = 0; number < 60; number++)
    await writeFile(join(world.folder, 'app-v2', `a${String(number).padStart(3, '0')}.txt`), 'x')
  await writeFile(join(world.folder, 'app-v2', 'zz-last.sh'), 'the one that matters')
  const proposed = await world.publish('propose', '0a2', '--from', 'app-v2', ...as('alice'))
  expect(proposed, proposed.stderr).toMatchObject({ status: 0 })
  const refused = await world.publish('sign', '0a2', ...as('bob', '--yes'))
  expect(refused).toMatchObject({ status: 4, stderr: expect.stringContaining('11 files of it were not shown') })
  expect(refused.stderr).toContain('sign 0a2 --dir bob --signer bob --passphrase-file bob=bob.pass --all-files')
  expect(await world.answering(true, 'sign', '0a2', ...as('bob'))).toMatchObject({ status: 4 })
  const signed = await world.publish('sign', '0a2', ...as('bob', '--yes', '--all-files'))
  expect(signed, signed.stderr).toMatchObject({ status: 0, stderr: expect.stringContaining('+ zz-last.sh') })
}, 90_000)

test('a minimum is signed by people in different places: proposed, or as it waits', async () => {
  const world = await three()
  const wrong = await world.publish('propose', '0a9', '--minimum', ...as('alice'))
  expect(wrong).toMatchObject({ status: 3, stderr: expect.stringContaining('0a9 is not published') })
  const proposed = await world.publish('propose', '0a1', '--minimum', ...as('alice'))
  expect(proposed, proposed.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('minimum of 0a1') })
  const signed = await world.publish('sign', '0a1', ...as('bob', '--yes'))
  expect(signed, signed.stderr).toMatchObject({ status: 0 })
  expect(signed.stderr).toContain('alpha: new hosts begin with 0a1 or later, with anything until now')
  const published = await world.publish('publish', '0a1', '--dir', 'carol')
  expect(published, published.stderr).toMatchObject({ status: 0 })
  const second = await world.signing(['alice', 'bob'], 'release', '0a2', '--from', 'app-v2', '--dir', 'pub')
  expect(second, second.stderr).toMatchObject({ status: 0 })

  // a withdrawal that waits under the same name is no minimum, and the other way round
  expect(await world.publish('minimum', '0a2', ...as('alice'))).toMatchObject({ status: 7 })
  const withdrawn = { version: '0a1', reason: 'x', severity: 'low', replace_with: null, at: '2026-11-23T10:00:00Z' }
  await carry(world, '0a2', 'alpha', (one) => ({ ...one, channel: { ...one.channel, withdrawn: [withdrawn] } }))
  const refused = await world.publish('publish', '0a2', ...as('bob', '--yes'))
  expect(refused).toMatchObject({ status: 7, stderr: expect.stringContaining('a withdrawal was added') })
  await carry(world, '0a2', 'alpha', honest)
  const next = await world.publish('publish', '0a2', ...as('bob', '--yes'))
  expect(next, next.stderr).toMatchObject({ status: 0, stderr: expect.stringContaining('0a2 or later, 0a1 until now') })
  const lower = await world.publish('propose', '0a1', '--minimum', ...as('alice'))
  expect(lower).toMatchObject({ status: 3, stderr: expect.stringContaining('--allow-lower') })
  expect(await world.publish('propose', '0a1', '--minimum', '--allow-lower', ...as('alice'))).toMatchObject({
    status: 0,
  })
  const shown = await world.publish('sign', '0a1', ...as('carol'))
  expect(shown).toMatchObject({ status: 4, stderr: expect.stringContaining('! alpha: lower than before') })
}, 120_000)

test('what is properly signed and never ends is not published', async () => {
  // given: alice signs with a tool of her own
  const world = await openWorld()
  await world.init(['alice'])
  const keyring = await openKeyring(
    { disk: buildKeyFileDisk(nodeDisk) },
    join(world.folder, 'pub', 'keys', 'alice.age'),
    "alice's passphrase",
  )
  await world.publish('root', 'show', '--dir', 'pub')
  const beta = JSON.parse(await readFile(join(world.folder, 'pub', 'repository', 'beta.json'), 'utf8')).signed
  const folder = join(world.folder, 'pub', 'pending', 'refresh-x')
  const wait = async (expires: string) => {
    await mkdir(folder, { recursive: true })
    const signed = { ...beta, version: beta.version + 1, expires }
    await writeFile(join(folder, 'role-beta.json'), await signDocument(signed, keyring.signersFor('beta')))
    const index = { schema: 'netlink.pending/v1', subject: 'refresh-x', signed_at: '2026-11-23T10:00:00Z' }
    const rest = { roles: ['beta'], manifest: null, artifacts: [] }
    await writeFile(join(folder, 'pending.json'), JSON.stringify({ ...index, ...rest }))
  }
  await wait('2099-01-01T00:00:00Z')
  const endless = await world.publish('publish', 'refresh-x', '--dir', 'pub')
  expect(endless).toMatchObject({ status: 7, stderr: expect.stringContaining('more than a year') })
  await wait(`${new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 19)}Z`)
  const published = await world.publish('publish', 'refresh-x', '--dir', 'pub')
  expect(published, published.stderr).toMatchObject({ status: 0 })
}, 60_000)

// What else people sign together: a change of the root, a withdrawal, a promotion, something that too few had signed; and how an event ends.
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { SigningEvent } from '../../schema/signing-event.ts'
import { splitFolders } from './event-folders.ts'
import { renamed, type Tree, withDocument } from './lying-server.ts'
import { hasScript, typed } from './typing.ts'
import { answerOf, asSigners, openWorld, type PublisherWorld, versionsOf } from './world.ts'

const as = (name: string, ...more: readonly string[]) => ['--dir', name, ...asSigners([name]), ...more]

async function three(): Promise<PublisherWorld> {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  await splitFolders(world)
  return world
}

async function good(outcome: Promise<{ status: number; stdout: string; stderr: string }>) {
  const { status, stdout, stderr } = await outcome
  expect(status, stderr + stdout).toBe(0)
  return { stdout, stderr }
}

test('a change of the root is shown key by key and signed by people, never by --yes', async () => {
  const world = await three()
  await writeFile(join(world.folder, 'dave.pass'), 'a passphrase of dave\n', { mode: 0o600 })
  await good(
    world.publish(
      ...['root', 'add-key', 'dave', '--generate', '--passphrase-file', 'dave=dave.pass', '--dir', 'alice'],
    ),
  )
  const proposed = await good(
    world.publish('propose', 'root-2', '--dir', 'alice', '--by', 'alice', '--out', 'stick.json', '--json'),
  )
  const { event } = answerOf({ status: 0, ...proposed })

  const hasty = await world.publish('sign', String(event), ...as('bob', '--yes'))
  expect(hasty).toMatchObject({ status: 3, stderr: expect.stringContaining('--yes is not taken') })
  const alone = await world.publish('sign', String(event), ...as('bob'))
  expect(alone).toMatchObject({ status: 4, stderr: expect.stringContaining('there is no terminal') })
  expect(alone.stderr).toMatch(/keys in root\n {2}\+ root: key [0-9a-f]{64} \(said to be dave's\)/)
  expect(alone.stderr).toMatch(/keys in targets\n {2}\+ alpha: key [0-9a-f]{64} \(said to be dave's\)/)
  const declined = await world.answering(false, 'sign', String(event), ...as('bob'))
  expect(declined).toMatchObject({ status: 4, stderr: expect.stringContaining('not confirmed') })

  // what somebody changes in a root on the way is refused, or stands there to be read
  const stick: SigningEvent = JSON.parse(await readFile(join(world.folder, 'stick.json'), 'utf8'))
  const lies: readonly [edit: (signed: Tree) => Tree, status: number, words: RegExp][] = [
    [(signed) => ({ ...signed, product: 'other' }), 7, /product was changed/],
    [(signed) => ({ ...signed, consistent_snapshot: false }), 7, /consistent_snapshot was changed/],
    [(signed) => ({ ...signed, version: 7 }), 7, /raises root from v1 to v7/],
    [(signed) => ({ ...signed, expires: '2099-01-01T00:00:00Z' }), 7, /more than a year/],
    [(signed) => ({ ...signed, surprise: true }), 7, /surprise was added/],
    [
      (signed) => ({ ...signed, roles: { ...signed.roles, root: { ...signed.roles.root, threshold: 1 } } }),
      4,
      /~ root: threshold 2 -> 1 of 4/,
    ],
    [
      (signed) => ({
        ...signed,
        roles: { ...signed.roles, snapshot: { keyids: [signed.roles.root.keyids[3]], threshold: 1 } },
      }),
      4,
      /\+ snapshot: key [0-9a-f]{64} \(said to be dave's\)\n {2}- snapshot: key [0-9a-f]{64} \(for a server: compare it/,
    ],
  ]
  for (const [edit, status, words] of lies) {
    await writeFile(join(world.folder, 'lie.json'), JSON.stringify(renamed(withDocument(stick, 'root', edit))))
    const outcome = await world.answering(false, 'sign', './lie.json', ...as('bob'))
    expect.soft(outcome.status, outcome.stderr).toBe(status)
    expect.soft(outcome.stderr).toMatch(words)
  }

  await good(world.answering(true, 'sign', String(event), ...as('bob')))
  const early = await world.publish('publish', String(event), '--dir', 'bob')
  expect(early).toMatchObject({ status: 7, stderr: expect.stringContaining('1 of 2') })
  await good(world.answering(true, 'sign', String(event), ...as('carol')))
  await good(world.publish('publish', String(event), '--dir', 'bob'))
  const shown = await good(world.publish('root', 'show', '--dir', 'carol'))
  expect(shown.stdout).toContain('dave')
}, 120_000)

test('what one holder signed alone is proposed with that signature, and the next one is enough', async () => {
  const world = await three()
  const alone = await world.signing(['alice'], 'release', '0a1', '--from', 'app-v1', '--dir', 'alice')
  expect(alone).toMatchObject({ status: 7 })
  const proposed = await good(world.publish('propose', '0a1', '--dir', 'alice'))
  expect(proposed.stdout).toContain('alpha v2: 1 of 2 signatures (alice)')
  const signed = await good(world.publish('sign', '0a1', ...as('bob', '--yes')))
  expect(signed.stderr).toContain('the first of its channel')
  await good(world.publish('publish', '0a1', '--dir', 'bob'))
  expect(await versionsOf(world)).toEqual(['0a1'])
}, 120_000)

test('a promotion and a withdrawal are signed together too, and a withdrawn release is not promoted', async () => {
  const world = await three()
  await world.signing(['alice', 'bob'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')
  await good(world.publish('propose', '0a1', '--promote', 'beta', ...as('alice')))
  const stale = await good(world.publish('propose', '0a1', '--promote', 'beta', ...as('carol')))
  expect(stale.stdout).toContain('promote of 0b1')
  const several = await world.publish('sign', '0b1', ...as('bob', '--yes'))
  expect(several).toMatchObject({ status: 3, stderr: expect.stringContaining('several signing events are about 0b1') })

  const reason = 'it loses\u001b[2J data'
  const yank = await good(world.publish('propose', '0a1', '--yank', '--reason', reason, ...as('alice', '--json')))
  const { event } = answerOf({ status: 0, ...yank })
  const signed = await good(world.publish('sign', String(event), ...as('bob', '--yes')))
  expect(signed.stderr).toMatch(/withdrawn\n {2}withdrawn: \{"version":"0a1"/)
  expect(signed.stderr).not.toContain('\u001b')
  await good(world.publish('publish', String(event), '--dir', 'bob'))

  const { events } = answerOf({ status: 0, ...(await good(world.publish('status', '--dir', 'bob', '--json'))) })
  const [promotion] = (events as { id: string; kind: string }[]).filter(({ kind }) => kind === 'promote')
  const refused = await world.publish('sign', String(promotion?.id), ...as('bob', '--yes'))
  expect(refused).toMatchObject({ status: 3, stderr: expect.stringContaining('0a1 was withdrawn: it loses data') })
}, 120_000)

test('an event ends: stopped with a reason, or by its time, and then nobody signs or publishes it', async () => {
  const world = await three()
  await good(world.publish('propose', '0a1', '--from', 'app-v1', ...as('alice')))
  await good(world.publish('abort', '0a1', '--reason', 'the wrong folder', '--dir', 'bob'))
  for (const args of [
    ['sign', '0a1', ...as('bob', '--yes')],
    ['publish', '0a1', '--dir', 'bob'],
  ])
    expect(await world.publish(...args)).toMatchObject({ status: 3 })

  const short = await good(
    world.publish('propose', '0a1', '--from', 'app-v1', '--until', '1m', ...as('alice', '--json')),
  )
  const { event, until } = answerOf({ status: 0, ...short })
  const file = ['--offline', '--out', 'late.json']
  const past = await world.publish('propose', '0a1', '--from', 'app-v1', '--until', '30s', '--dir', 'alice', ...file)
  expect(past).toMatchObject({ status: 2, stderr: expect.stringContaining('--until takes a duration') })
  expect(new Date(String(until)).getTime() - Date.now()).toBeLessThan(60_000)
  const again = await good(world.publish('sign', String(event), ...as('bob', '--yes')))
  expect(again.stdout).toContain('2 of 2 signatures')
  // Within one second the same proposal makes the same document, and that is no other one.
  await writeFile(join(world.folder, 'app-v1', 'more.txt'), 'more')
  const twice = await good(world.publish('propose', '0a1', '--from', 'app-v1', ...as('carol', '--json')))
  const second = await good(
    world.publish('sign', String(answerOf({ status: 0, ...twice }).event), ...as('bob', '--yes')),
  )
  expect(second.stderr).toContain(`another alpha v2 was signed here before: ${String(event)}`)
  const unknown = await world.publish('sign', 'e_0123456789abcdef0123456789abcdef', ...as('bob', '--yes'))
  expect(unknown).toMatchObject({ status: 3, stderr: expect.stringContaining('no open signing event') })
}, 120_000)

test('a signature file of a stranger, or over something else, is refused, and the right one is taken', async () => {
  const world = await three()
  const proposed = await good(world.publish('propose', '0a1', '--from', 'app-v1', '--dir', 'alice', '--json'))
  const { event } = answerOf({ status: 0, ...proposed })
  await good(world.publish('sign', String(event), ...as('bob', '--yes', '--out', 'bob.json')))
  const signature = { role: 'alpha', keyid: 'ab'.repeat(32), sig: 'cd'.repeat(64) }
  const file = { schema: 'netlink.signature/v1', event, signed_by: 'bob', signatures: [signature] }
  await writeFile(join(world.folder, 'junk.json'), JSON.stringify(file))
  const refused = await world.publish('add-signature', './junk.json', '--dir', 'alice')
  expect(refused).toMatchObject({ status: 7, stderr: expect.stringContaining('no signature in this file is good') })
  const added = await good(world.publish('add-signature', './bob.json', '--dir', 'alice'))
  expect(added.stdout).toContain('1 more good signature')
}, 120_000)

test('documents that expire are signed again together, and nothing in them changes', async () => {
  const world = await three()
  const alone = await world.publish('expire', 'refresh', 'targets', 'alpha', ...as('alice'))
  expect(alone).toMatchObject({ status: 7 })
  const { pending } = answerOf({ status: 0, ...(await good(world.publish('status', '--dir', 'alice', '--json'))) })
  const [subject = ''] = pending as string[]
  expect(subject).toMatch(/^refresh-/)
  await good(world.publish('propose', subject, '--dir', 'alice'))
  const signed = await good(world.publish('sign', subject, ...as('carol', '--yes')))
  expect(signed.stderr).toMatch(/documents\n {2}targets: v1 -> v2, .*\n {2}alpha: v1 -> v2, .*\nsigned so far\n/)
  await good(world.publish('publish', subject, '--dir', 'carol'))
  const { roles } = answerOf({ status: 0, ...(await good(world.publish('status', '--dir', 'bob', '--json'))) })
  expect(roles).toMatchObject([
    { role: 'root', version: 1 },
    { role: 'targets', version: 2 },
    { role: 'alpha', version: 2 },
    {},
    {},
  ])
}, 120_000)

test('the release that moves an old one to its line role is signed with both documents', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  for (let minor = 1; minor <= 20; minor++) {
    const outcome = await world.signing(['alice', 'bob'], 'release', `0a${minor}`, '--from', 'app-v1', '--dir', 'pub')
    expect(outcome, outcome.stderr).toMatchObject({ status: 0 })
  }
  await splitFolders(world, ['carol'])
  const proposed = await good(
    world.publish('propose', '0a21', '--from', 'app-v1', '--out', 'stick.json', ...as('alice', '--json')),
  )
  const { event, roles } = answerOf({ status: 0, ...proposed })
  expect(roles).toMatchObject([
    { role: 'alpha', have: ['alice'], complete: false },
    { role: 'alpha-0-0', have: ['alice'], complete: false },
  ])
  const signed = await good(world.publish('sign', './stick.json', ...as('carol', '--yes', '--out', 'carol.json')))
  expect(signed.stderr).toMatch(/alpha: v21 -> v22, .*\n {2}alpha-0-0: first version/)
  expect(signed.stderr).toContain(`what the file says: compare the id ${String(event)}`)
  await good(world.publish('add-signature', './carol.json', '--dir', 'alice'))
  await good(world.publish('publish', String(event), '--dir', 'alice'))
  expect(await versionsOf(world)).toHaveLength(21)
}, 180_000)

test.runIf(hasScript)(
  'at a terminal a holder reads what would change and types y; anything else signs nothing',
  async () => {
    const world = await three()
    await good(world.publish('propose', '0a1', '--from', 'app-v1', '--out', 'stick.json', '--dir', 'alice'))
    const question = '0a1? (y/N)'
    const signing = ['sign', './stick.json', ...as('bob', '--out', 'bob.json')]
    const refused = await typed(world.folder, signing, question, 'what\r')
    expect(refused.status, refused.shown).toBe(4)
    expect(refused.shown).toContain('it was not confirmed')
    const signed = await typed(world.folder, signing, question, 'y\r')
    expect(signed.status, signed.shown).toBe(0)
    expect(signed.shown.indexOf('changelog')).toBeLessThan(signed.shown.indexOf(question))
    await good(world.publish('add-signature', './bob.json', '--dir', 'alice'))
  },
  120_000,
)

test('a file that brings no repository is signed where the repository is known, and nowhere else', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  await splitFolders(world, ['carol'])
  await world.signing(['alice', 'bob'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')
  await good(world.publish('propose', '0a2', '--from', 'app-v2', '--out', 'stick.json', '--dir', 'alice'))
  const { repository: _, ...bare } = JSON.parse(await readFile(join(world.folder, 'stick.json'), 'utf8'))
  await writeFile(join(world.folder, 'bare.json'), JSON.stringify(bare))
  const refused = await world.publish('sign', './bare.json', ...as('carol', '--yes'))
  expect(refused).toMatchObject({ status: 7, stderr: expect.stringContaining('has not seen what') })
  await good(world.publish('show', '0a1', '--dir', 'bob'))
  await good(world.publish('sign', './bare.json', ...as('bob', '--yes', '--out', 'bob.json')))
}, 120_000)

test('a keyring that lies on a stick signs where --key says so, and only as its holder', async () => {
  const world = await three()
  await mkdir(join(world.folder, 'stick'))
  await rename(join(world.folder, 'bob', 'keys', 'bob.age'), join(world.folder, 'stick', 'bob.age'))
  await good(world.publish('propose', '0a1', '--from', 'app-v1', ...as('alice')))
  const missing = await world.publish('sign', '0a1', ...as('bob', '--yes'))
  expect(missing.status, missing.stderr).not.toBe(0)

  const passphrase = ['--passphrase-file', 'bob=bob.pass', '--yes', '--dir', 'bob']
  for (const [key, status] of [
    ['carol=stick/bob.age', 2],
    ['alice=stick/bob.age', 2],
    ['dave=stick/bob.age', 2],
    ['stick/none.age', 2],
  ] as const) {
    const refused = await world.publish('sign', '0a1', '--key', key, ...passphrase)
    expect(refused.status, refused.stderr).toBe(status)
  }
  const signed = await good(world.publish('sign', '0a1', '--key', 'stick/bob.age', ...passphrase))
  expect(signed.stdout).toContain('is signed by bob')
  await good(world.publish('publish', '0a1', '--dir', 'bob'))
  expect(await versionsOf(world)).toEqual(['0a1'])
}, 120_000)

// An authorisation to send hosts down by holders in different places: begun by one, carried as a file, made again and signed by the next on a machine that has none
// of the others' keys. Whatever is not the first one's to choose is refused; whatever is, is shown before any key is opened.
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { publishHere } from '../world/publisher-here.ts'
import { splitFolders } from './event-folders.ts'
import type { Tree } from './lying-server.ts'
import { answerOf, asSigners, openWorld, type PublisherWorld } from './world.ts'

const HOSTS = [`h_${'1'.repeat(32)}`, `h_${'2'.repeat(32)}`]
const as = (name: string, ...more: readonly string[]) => ['--dir', name, ...asSigners([name]), ...more]
/** As somebody whose keys can't be opened: nothing is signed by them, and whoever tries is found out. */
const locked = (name: string) => ['--dir', name, '--signer', name, '--passphrase-file', `${name}=wrong.pass`]

/** Three holders, two of whom have to sign, each with a folder of their own; 0a2 may go down to 0a1, and 0a3 nowhere. */
async function three(): Promise<PublisherWorld> {
  const world = await openWorld()
  await writeFile(join(world.folder, 'wrong.pass'), 'another passphrase\n', { mode: 0o600 })
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  for (const [version, app] of [
    ['0a1', 'app-v1'],
    ['0a2', 'app-v2'],
    ['0a3', 'app-v1'],
  ] as const) {
    const released = await world.signing(['alice', 'bob'], 'release', version, '--from', app, '--dir', 'pub')
    expect(released, released.stderr).toMatchObject({ status: 0 })
  }
  await splitFolders(world, ['carol'])
  return world
}

/** Alice begins one and signs it alone. */
async function begin(world: PublisherWorld, out: string, ...more: readonly string[]) {
  const hosts = HOSTS.flatMap((host) => ['--host', host])
  const way = ['--from', '0a2', '--to', '0a1', '--reason', 'it eats mail', '--out', out]
  const begun = await world.publish('authorize-downgrade', ...hosts, ...way, ...as('alice'), ...more)
  expect(begun, begun.stderr).toMatchObject({ status: 7 })
  return begun
}

const textOf = (world: PublisherWorld, name: string) => readFile(join(world.folder, name), 'utf8')
const signersIn = async (world: PublisherWorld, name: string): Promise<readonly string[]> =>
  JSON.parse(await textOf(world, name)).signatures.map(({ keyid }: { keyid: string }) => keyid)

/** The file as somebody on the way makes it, under another name. */
async function alter(world: PublisherWorld, name: string, edit: (signed: Tree) => Tree): Promise<string> {
  const file = JSON.parse(await textOf(world, name))
  await writeFile(join(world.folder, 'lie.json'), JSON.stringify({ ...file, signed: edit(file.signed) }))
  return textOf(world, 'lie.json')
}

test('two people in two folders complete one, and whoever is asked sees all of it before any key is opened', async () => {
  const world = await three()
  const begun = await begin(world, 'down.json')
  expect(begun.stderr).toContain('down.json is written and not complete')
  expect(begun.stderr).toContain("netlink-publish sign down.json --signer bob      (where bob's keys are)")
  const first = await textOf(world, 'down.json')
  const { signed } = JSON.parse(first)

  // Asked: nobody there, no, and a yes that only then opens keys.
  const alone = await world.publish('sign', 'down.json', ...locked('bob'))
  expect(alone).toMatchObject({ status: 4, stderr: expect.stringContaining('there is no terminal to ask on') })
  for (const words of [
    'down.json: an authorisation to send hosts down\nmade again from root v1 (',
    `way\n  demo 0a2 (manifest ${signed.from.manifest_sha256.slice(0, 12)}…) -> 0a1 (manifest `,
    `  0a2: sha256 ${signed.from.manifest_sha256}\n  0a1: sha256 ${signed.to.manifest_sha256}\n`,
    `hosts (2)\n  ${HOSTS[0]}\n  ${HOSTS[1]}\n`,
    'reason\n  "it eats mail"\n',
    `from ${signed.not_before} until ${signed.expires}, once for each host\n  nonce ${signed.nonce}\n`,
    'signed so far\n  1 of 2 signatures (alice); could sign: bob, carol\n',
    'Next: netlink-publish sign down.json --dir bob --signer bob',
    ' --yes      (in a pipeline: signs without a question)',
  ])
    expect(alone.stderr).toContain(words)
  const declined = await world.answering(false, 'sign', 'down.json', ...locked('bob'))
  expect(declined).toMatchObject({ status: 4, stderr: expect.stringContaining('it was not confirmed') })
  const opened = await world.answering(true, 'sign', 'down.json', ...locked('bob'))
  expect(opened.stderr).toContain("can't be decrypted")
  expect(await textOf(world, 'down.json')).toBe(first)

  // Once more by the same holder: nothing changes, and it is still not complete.
  const again = await world.publish('sign', 'down.json', ...as('alice', '--yes'))
  expect(again).toMatchObject({ status: 7, stderr: expect.stringContaining('have alice, missing one of bob, carol') })
  expect(await textOf(world, 'down.json')).toBe(first)

  // Without a network and without the manifests there is nothing to make it from again.
  await cp(join(world.folder, 'carol'), join(world.folder, 'carol2'), { recursive: true })
  await rm(join(world.folder, 'carol2', 'repository', 'targets'), { recursive: true })
  const blind = await world.publish(
    'sign',
    'down.json',
    '--offline',
    '--dir',
    'carol2',
    ...asSigners(['carol']),
    '--yes',
  )
  expect(blind).toMatchObject({ status: 3, stderr: expect.stringContaining('manifest of 0a2 is not on this machine') })

  // Carol has no network and signs from what she verified before, into a file of her own; bob in its place.
  const carols = await world.publish(
    'sign',
    './down.json',
    ...as('carol', '--yes', '--offline', '--out', 'carols.json'),
  )
  expect(carols, carols.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('alice, carol') })
  expect(await textOf(world, 'down.json')).toBe(first)
  const done = await world.answering(true, 'sign', 'down.json', ...as('bob', '--json'))
  expect(done, done.stderr).toMatchObject({ status: 0 })
  expect(answerOf(done)).toMatchObject({ hosts: HOSTS, from: '0a2', to: '0a1', signed_by: ['alice', 'bob'] })
  expect(answerOf(done)).toMatchObject({ complete: true, nonce: signed.nonce })
  const second = await textOf(world, 'down.json')
  expect(JSON.parse(second).signed).toEqual(signed)
  expect(await signersIn(world, 'down.json')).toHaveLength(2)
  const twice = await world.publish('sign', 'down.json', ...as('bob', '--yes'))
  expect(twice, twice.stderr).toMatchObject({ status: 0 })
  expect(twice.stdout).toContain(`hosts pin ${HOSTS[0]} --to 0a1 --authorization down.json`)
  expect(await textOf(world, 'down.json')).toBe(second)
}, 120_000)

test('nothing is written over a file that holds something else', async () => {
  const world = await three()
  expect((await begin(world, 'down')).stderr).toContain('netlink-publish sign ./down --signer bob')
  const first = await textOf(world, 'down')
  // A name that looks like an event's is told as a path.
  const lost = await world.publish('sign', 'down', ...as('bob', '--yes'))
  expect(lost).toMatchObject({ status: 3, stderr: expect.stringContaining('no open signing event is called down') })
  await writeFile(join(world.folder, 'other.json'), 'mine\n')
  const over = await world.publish('sign', './down', ...as('bob', '--yes', '--out', 'other.json'))
  expect(over).toMatchObject({
    status: 3,
    stderr: expect.stringContaining('is there already and holds something else'),
  })
  expect(await textOf(world, 'other.json')).toBe('mine\n')

  // What changes while it is being read stays as it is.
  const meddle = async () => {
    await writeFile(join(world.folder, 'down'), first.replace('it eats mail', 'all is well'))
    return true
  }
  const raced = await publishHere(world.folder, ['sign', './down', ...as('bob')], {}, meddle)
  expect(raced).toMatchObject({ status: 3, stderr: expect.stringContaining('changed by somebody else') })
  expect(await textOf(world, 'down')).toContain('all is well')

  await writeFile(join(world.folder, 'down'), first)
  for (const out of ['both.json', 'both.json', './down']) {
    const signed = await world.publish('sign', './down', ...as('bob', '--yes', '--out', out))
    expect(signed, out + signed.stderr).toMatchObject({ status: 0 })
  }
  expect(await textOf(world, 'both.json')).toBe(await textOf(world, 'down'))
}, 120_000)

test('what the first holder may not choose is refused unseen', async () => {
  const world = await three()
  await begin(world, 'down.json')
  const time = (offsetDays: number) => `${new Date(Date.now() + offsetDays * 86_400_000).toISOString().slice(0, 19)}Z`
  const lies: readonly [what: string, edit: (signed: Tree) => Tree, status: number, words: string][] = [
    ['another product', (signed) => ({ ...signed, product: 'other' }), 7, 'product was changed'],
    [
      'another manifest to leave',
      (signed) => ({ ...signed, from: { ...signed.from, manifest_sha256: 'b'.repeat(64) } }),
      7,
      'from/manifest_sha256 was changed',
    ],
    [
      'another manifest to go to',
      (signed) => ({ ...signed, to: { ...signed.to, manifest_sha256: 'b'.repeat(64) } }),
      7,
      'to/manifest_sha256 was changed',
    ],
    [
      'a way that is not allowed',
      (signed) => ({ ...signed, from: { ...signed.from, version: '0a3' } }),
      7,
      '0a3 allows no downgrade, not to 0a1',
    ],
    ['a way up', (signed) => ({ ...signed, from: signed.to, to: signed.from }), 7, 'expected to below from'],
    [
      'a release that nobody knows',
      (signed) => ({ ...signed, from: { ...signed.from, version: '0a9' } }),
      3,
      '0a9 is not published',
    ],
    ['a field besides', (signed) => ({ ...signed, mode: 'always' }), 7, 'mode was added'],
    ['a field deeper', (signed) => ({ ...signed, to: { ...signed.to, force: true } }), 7, 'to/force was added'],
    ['a field less', ({ nonce: _, ...signed }) => signed, 7, 'nonce'],
    ['a host twice', (signed) => ({ ...signed, hosts: [...signed.hosts, signed.hosts[0]] }), 7, 'hosts/2 was added'],
    ['a host that is none', (signed) => ({ ...signed, hosts: ['web-1'] }), 7, 'expected a host id'],
    ['a reason with an end that is not seen', (signed) => ({ ...signed, reason: 'well \n' }), 7, 'reason was changed'],
    ['one that is over', (signed) => ({ ...signed, not_before: time(-3), expires: time(-1) }), 3, 'expired at'],
    ['one for later', (signed) => ({ ...signed, not_before: time(1), expires: time(2) }), 7, 'still to come'],
    ['more than a week', (signed) => ({ ...signed, expires: time(8) }), 7, 'at most 7 days'],
  ]
  for (const [what, edit, status, words] of lies) {
    const lie = await alter(world, 'down.json', edit)
    const outcome = await world.answering(true, 'sign', 'lie.json', ...as('bob', '--yes'))
    expect.soft(outcome, what + outcome.stderr).toMatchObject({ status, stdout: '' })
    expect.soft(outcome.stderr, what).toContain(words)
    expect.soft(outcome.stderr, what).toContain(status === 7 ? 'E-ALTERED' : '(exit 3)')
    expect.soft(outcome.stderr, what).not.toContain('signed so far')
    expect.soft(await textOf(world, 'lie.json'), what).toBe(lie)
  }
  const twice = JSON.parse(await textOf(world, 'down.json'))
  await writeFile(
    join(world.folder, 'lie.json'),
    JSON.stringify({ ...twice, signatures: [...twice.signatures, ...twice.signatures] }),
  )
  const doubled = await world.publish('sign', 'lie.json', ...as('bob', '--yes'))
  expect(doubled).toMatchObject({ status: 7, stderr: expect.stringContaining('E-ALTERED') })
  // Anything else that is signed is nothing to sign here.
  for (const type of ['assignment', 'targets', 'downgrade-authorization ']) {
    await alter(world, 'down.json', (signed) => ({ ...signed, _type: type }))
    const outcome = await world.publish('sign', 'lie.json', ...as('bob', '--yes'))
    expect(outcome, type).toMatchObject({ status: 2, stderr: expect.stringContaining('E-USAGE') })
  }
  // The control: the same file with nothing changed.
  await alter(world, 'down.json', (signed) => signed)
  const signed = await world.publish('sign', 'lie.json', ...as('bob', '--yes'))
  expect(signed, signed.stderr).toMatchObject({ status: 0 })
}, 120_000)

test('what the first holder chose and somebody changed is shown without the first signature', async () => {
  const world = await three()
  await begin(world, 'down.json')
  const [alice] = await signersIn(world, 'down.json')
  const lies: readonly [what: string, edit: (signed: Tree) => Tree, shown: string][] = [
    ['another host', (signed) => ({ ...signed, hosts: [`h_${'9'.repeat(32)}`] }), `host\n  h_${'9'.repeat(32)}\n`],
    ['another reason', (signed) => ({ ...signed, reason: 'no reason' }), 'reason\n  "no reason"\n'],
    [
      'a shorter time',
      (signed) => ({ ...signed, not_before: new Date(Date.now() - 1000).toISOString().replace(/\.\d+/, '') }),
      'good\n  from ',
    ],
    ['another nonce', (signed) => ({ ...signed, nonce: 'e'.repeat(32) }), `nonce ${'e'.repeat(32)}\n`],
  ]
  for (const [what, edit, shown] of lies) {
    await alter(world, 'down.json', edit)
    const outcome = await world.publish('sign', 'lie.json', ...as('bob', '--yes'))
    expect(outcome, what + outcome.stderr).toMatchObject({ status: 7, stdout: '' })
    for (const words of [
      shown,
      'signed so far\n  0 of 2 signatures (nobody yet); could sign: alice, bob, carol\n',
      'warning: the signature of alice is not good for what is shown here and is left out',
      'have bob, missing one of alice, carol',
    ])
      expect(outcome.stderr, what).toContain(words)
    const left = await signersIn(world, 'lie.json')
    expect(left, what).toHaveLength(1)
    expect(left, what).not.toContain(alice)
  }
  // The control: unchanged, it is one more signature beside hers.
  const signed = await world.publish('sign', 'down.json', ...as('bob', '--yes'))
  expect(signed, signed.stderr).toMatchObject({ status: 0 })
  expect(await signersIn(world, 'down.json')).toContain(alice)
}, 120_000)

test('a reason that would draw on the screen is read and not obeyed', async () => {
  const world = await three()
  const reason = '\u001b[2J\u001b[Hall is well\nsigned so far\n  2 of 2 signatures (alice, carol)\u202e\u200b'
  await begin(world, 'down.json', '--reason', reason)
  const shown = await world.answering(false, 'sign', 'down.json', ...as('bob'))
  expect(shown).toMatchObject({ status: 4 })
  expect(shown.stderr).toContain(
    'reason\n  "\\u001b[2J\\u001b[Hall is well\\nsigned so far\\n  2 of 2 signatures (alice, carol)\\u{202e}\\u{200b}"\n',
  )
  for (const character of ['\u001b', '\u202e', '\u200b']) expect(shown.stderr).not.toContain(character)
  expect(shown.stderr.match(/^signed so far$/gm)).toHaveLength(1)
  const signed = await world.publish('sign', 'down.json', ...as('bob', '--yes'))
  expect(signed, signed.stderr).toMatchObject({ status: 0 })
  expect(JSON.parse(await textOf(world, 'down.json')).signed.reason).toBe(reason)
}, 120_000)

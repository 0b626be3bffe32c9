// Who may sign, changed by the people who may: the whole command line against a server that serves, and a host's own refresh over what it publishes.
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { refresh, type Trusted } from '../../keys/refresh.ts'
import { SimTrustStore } from '../sim/trust-store.ts'
import { answerOf, asSigners, openWorld, type PublisherWorld, versionsOf } from './world.ts'

/** A host that was given the first root and follows what the server publishes. */
async function hostOf(world: PublisherWorld): Promise<{ look(): Promise<Trusted>; store: SimTrustStore }> {
  const store = new SimTrustStore(await readFile(join(world.folder, 'pub', 'root.json')))
  const source = {
    load: async (file: string) => {
      const answer = await fetch(`http://127.0.0.1:${world.port}/repo/metadata/${file}`)
      return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : ('missing' as const)
    },
  }
  return { store, look: () => refresh({ source, store, startedAt: new Date() }) }
}

const root = (world: PublisherWorld, holders: readonly string[], ...args: readonly string[]) =>
  world.signing(holders, 'root', ...args, '--dir', 'pub')

/** At a terminal, where what waits is shown and answered with y. */
const agreeing = (world: PublisherWorld, holders: readonly string[], ...args: readonly string[]) =>
  world.answering(true, ...args, ...asSigners(holders), '--dir', 'pub')

async function shown(world: PublisherWorld) {
  const outcome = await world.publish('root', 'show', '--json', '--dir', 'pub')
  expect(outcome.status, outcome.stderr + outcome.stdout).toBe(0)
  return answerOf(outcome) as unknown as {
    version: number
    roles: { role: string; threshold: number; keys: { keyid: string; name: string }[] }[]
    waiting: { subject: string } | null
  }
}

const namesFor = async (world: PublisherWorld, role: string) =>
  (await shown(world)).roles.find((one) => one.role === role)?.keys.map(({ name }) => name)

test('a holder joins and another leaves; what the one who left signed is signed again, and hosts follow', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  const released = await world.signing(['alice', 'carol'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')
  expect(released, released.stderr).toMatchObject({ status: 0 })
  const host = await hostOf(world)
  await host.look()

  await writeFile(join(world.folder, 'dave.pass'), 'a passphrase of dave\n', { mode: 0o600 })
  const joined = await root(
    world,
    ['alice', 'bob'],
    'add-key',
    'dave',
    '--generate',
    '--passphrase-file',
    'dave=dave.pass',
  )
  expect(joined, joined.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('root-2 is published') })
  // Nobody's signature was lost, so nothing but root and targets was signed.
  expect(joined.stdout).toContain('alpha: + dave')
  expect(joined.stdout).not.toContain('has to be signed again')
  expect(await namesFor(world, 'root')).toEqual(['alice', 'bob', 'carol', 'dave'])

  const left = await root(world, ['alice', 'dave'], 'remove-key', 'carol')
  expect(left, left.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('root-3 is published') })
  expect(left.stdout).toContain('alpha has to be signed again: 1 of the 2 signatures that it needs would count')
  expect(await namesFor(world, 'alpha')).toEqual(['alice', 'bob', 'dave'])
  const trusted = await host.look()
  expect(trusted.root.value.version).toBe(3)
  expect((await trusted.loadChannel('alpha')).value.targets.size).toBe(1)

  // Dave's key counts from now on, Carol's does not.
  const gone = await world.signing(['carol', 'bob'], 'release', '0a2', '--from', 'app-v2', '--dir', 'pub')
  expect(gone.status).not.toBe(0)
  const next = await world.signing(['dave', 'bob'], 'release', '0a2', '--from', 'app-v2', '--dir', 'pub')
  expect(next, next.stderr).toMatchObject({ status: 0 })
  expect(await versionsOf(world)).toEqual(['0a2', '0a1'])
  expect((await (await host.look()).loadChannel('alpha')).value.targets.size).toBe(2)
}, 120_000)

test('the same person with a new key is asked for the old and the new signature', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  const before = await shown(world)
  const host = await hostOf(world)
  await host.look()

  const alone = await root(world, ['alice'], 'rotate', 'alice', '--reason', 'a new laptop')
  expect(alone.status).toBe(7)
  expect(alone.stderr).toContain('root by present keys has 1 of 2')
  expect((await shown(world)).waiting).toMatchObject({ subject: 'root-2' })
  expect((await host.look()).root.value.version).toBe(1)

  const unasked = await root(world, ['bob'], 'sign')
  expect(unasked).toMatchObject({ status: 4, stderr: expect.stringContaining('keys in root') })
  const both = await agreeing(world, ['bob'], 'root', 'sign')
  expect(both, both.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('root-2 is published') })
  const after = await shown(world)
  expect(after).toMatchObject({ version: 2, waiting: null })
  const keysOf = (facts: typeof after, role: string) =>
    facts.roles.find((one) => one.role === role)?.keys.map((key) => key.keyid)
  expect(keysOf(after, 'root')).toHaveLength(3)
  expect(keysOf(after, 'root')).not.toEqual(keysOf(before, 'root'))
  expect(keysOf(after, 'alpha')).toEqual(keysOf(before, 'alpha'))
  expect((await host.look()).root.value.version).toBe(2)
  // The folder knows the new key: Alice signs with it from now on.
  const raised = await root(world, ['alice', 'carol'], 'rotate', 'carol')
  expect(raised, raised.stderr).toMatchObject({ status: 0 })
  expect((await host.look()).root.value.version).toBe(3)
}, 120_000)

test('a ceremony without a network: files are carried from one machine to the next', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  await world.publish('root', 'show', '--dir', 'pub')
  // Bob's machine has a copy of the folder with nobody's keys but his own, and reaches no server.
  await cp(join(world.folder, 'pub'), join(world.folder, 'bobs'), { recursive: true })
  for (const name of ['alice', 'carol']) await rm(join(world.folder, 'bobs', 'keys', `${name}.age`))
  const offline = ['--offline', '--server', 'http://127.0.0.1:1'] as const

  const edited = await world.signing(
    ['bob'],
    'root',
    'set-threshold',
    '1',
    '--role',
    'alpha',
    '--dir',
    'bobs',
    ...offline,
  )
  expect(edited, edited.stdout).toMatchObject({ status: 7 })
  await cp(join(world.folder, 'bobs', 'pending', 'root-2'), join(world.folder, 'pub', 'pending', 'root-2'), {
    recursive: true,
  })
  const signed = await agreeing(world, ['alice'], 'root', 'sign', ...offline)
  expect(signed, signed.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('not published yet') })
  expect((await shown(world)).version).toBe(1)
  expect(await world.publish('root', 'verify', '--dir', 'pub')).toMatchObject({ status: 0 })
  const published = await agreeing(world, ['alice'], 'root', 'sign')
  expect(published, published.stderr).toMatchObject({ status: 0 })
  expect(await shown(world)).toMatchObject({ version: 2 })
  expect((await shown(world)).roles.find(({ role }) => role === 'alpha')?.threshold).toBe(1)
}, 120_000)

test('a threshold stays below the number of keys unless somebody insists, and a raised one is met again', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '1')
  const released = await world.signing(['alice'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')
  expect(released, released.stderr).toMatchObject({ status: 0 })
  expect(await root(world, ['alice'], 'set-threshold', '3')).toMatchObject({
    status: 3,
    stderr: expect.stringMatching(/leaves none to spare[\s\S]*Next: netlink-publish root set-threshold 2, or one more/),
  })
  expect(await root(world, ['alice'], 'set-threshold', '4', '--allow-threshold-equals-keys')).toMatchObject({
    status: 2,
  })
  expect(await root(world, ['alice'], 'set-threshold', '0')).toMatchObject({ status: 2 })
  expect(await readdir(join(world.folder, 'pub', 'pending'))).toEqual([])

  const dry = await root(world, ['alice'], 'set-threshold', '2', '--dry-run')
  expect(dry, dry.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('alpha has to be signed again') })
  const tooFew = await root(world, ['alice'], 'set-threshold', '2')
  expect(tooFew).toMatchObject({ status: 7 })
  const enough = await agreeing(world, ['bob'], 'root', 'sign')
  expect(enough, enough.stderr).toMatchObject({ status: 0 })
  const trusted = await (await hostOf(world)).look()
  await trusted.loadChannel('alpha')
  expect(trusted.signersOf('alpha')).toMatchObject({ threshold: 2, keyids: [expect.any(String), expect.any(String)] })
  expect(await world.signing(['alice'], 'release', '0a2', '--from', 'app-v2', '--dir', 'pub')).toMatchObject({
    status: 7,
  })
}, 120_000)

test('edits of one change add up, and what others published in between is not overwritten', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  await cp(join(world.folder, 'pub'), join(world.folder, 'pub2'), { recursive: true })
  const draft = await world.publish('root', 'remove-key', 'carol', '--threshold', '1', '--dir', 'pub')
  expect(draft, draft.stderr).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('root-2 waits for signatures'),
  })
  const more = await world.publish(
    'root',
    'set-threshold',
    '2',
    '--allow-threshold-equals-keys',
    '--role',
    'release',
    '--dir',
    'pub',
  )
  expect(more.stdout).toContain('root: - carol')
  expect(more.stdout).not.toContain('release: threshold')

  const other = await world.signing(['alice', 'bob'], 'root', 'set-threshold', '1', '--dir', 'pub2')
  expect(other, other.stderr).toMatchObject({ status: 0 })
  // The draft was root-2, and root-2 is somebody else's by now.
  expect(await agreeing(world, ['alice', 'bob'], 'root', 'sign')).toMatchObject({
    status: 3,
    stderr: expect.stringContaining('root-3'),
  })
  expect(await namesFor(world, 'root')).toEqual(['alice', 'bob', 'carol'])
}, 120_000)

test('strangers, doubles and keys that nobody could use are refused, and the right ones taken', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  expect(await root(world, ['alice'], 'remove-key', 'mallory')).toMatchObject({ status: 2 })
  expect(await root(world, ['alice'], 'rotate', 'mallory')).toMatchObject({ status: 2 })
  expect(await root(world, ['alice'], 'add-key', 'alice', '--generate', '--no-encrypt')).toMatchObject({ status: 2 })
  const made = await world.publish('keys', 'generate', '--name', 'erin', '--no-encrypt', '--out', 'erin.age', '--json')
  const keys = answerOf(made).keys as { role: string; keyid: string; key: unknown }[]
  const write = (name: string, value: unknown) => writeFile(join(world.folder, name), JSON.stringify(value))
  await write('half.json', { keys: keys.slice(1) })
  await write('alices.json', answerOf(await world.publish('keys', 'show', 'alice', '--json')))
  await write('erin.json', { keys })
  const add = (file: string) => root(world, ['alice', 'bob'], 'add-key', 'erin', '--public', file)
  expect(await add('half.json')).toMatchObject({ status: 2, stderr: expect.stringContaining('no root key of erin') })
  expect(await add('alices.json')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('names this key already'),
  })
  expect((await shown(world)).waiting).toBeNull()
  expect(await add('erin.json')).toMatchObject({ status: 0 })
  expect(await namesFor(world, 'beta')).toEqual(['alice', 'bob', 'carol', 'erin'])
}, 120_000)

test('a change whose answer was lost is over when it is found published; another one of its number is a conflict', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  await cp(join(world.folder, 'pub'), join(world.folder, 'pub2'), { recursive: true })
  const waiting = join(world.folder, 'pub', 'pending', 'root-2')
  const add = (folder: string, name: string) =>
    world.publish('root', 'add-key', name, '--generate', '--no-encrypt', '--dir', folder)
  await add('pub', 'dave')
  await add('pub2', 'erin')
  const kept = join(world.folder, 'kept')
  const signed = await agreeing(world, ['alice'], 'root', 'sign', '--offline')
  expect(signed, signed.stderr).toMatchObject({ status: 0 })
  await cp(waiting, kept, { recursive: true })
  expect(await world.publish('publish', 'root-2', '--dir', 'pub')).toMatchObject({ status: 0 })

  await cp(kept, waiting, { recursive: true })
  expect(await world.publish('publish', 'root-2', '--dir', 'pub')).toMatchObject({ status: 0 })
  expect(await readdir(join(world.folder, 'pub', 'pending'))).toEqual([])
  const late = await world.signing(['alice'], 'publish', 'root-2', '--dir', 'pub2')
  expect(late).toMatchObject({ status: 3, stderr: expect.stringContaining('somebody else published root v2') })
  expect(await namesFor(world, 'root')).toEqual(['alice', 'dave'])
}, 120_000)

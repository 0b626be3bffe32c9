// What waits, what was proposed, and what became of it: nothing that was not published looks as if it were, and the other way round.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { splitFolders } from './event-folders.ts'
import { answerOf, asSigners, openWorld, type PublisherWorld } from './world.ts'

const as = (name: string, ...more: readonly string[]) => ['--dir', name, ...asSigners([name]), ...more]

async function three(): Promise<PublisherWorld> {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  return world
}

async function succeeds(world: PublisherWorld, ...args: readonly string[]) {
  const outcome = await world.publish(...args)
  expect(outcome, outcome.stderr).toMatchObject({ status: 0 })
  return outcome
}

test('a change of root that too few have signed is not published, and the exit status says so', async () => {
  // given: an edit that nobody has signed
  const world = await three()
  await succeeds(world, 'root', 'set-threshold', '1', '--role', 'alpha', '--dir', 'pub')
  const status = await succeeds(world, 'status', '--dir', 'pub')
  expect(status.stdout).toContain('waits for signatures: root-2, missing two of alice, bob, carol')
  expect(status.stdout).not.toContain('signed and not published')

  // then: whoever asks for it to be published is refused, with --dry-run and by `root sign` too
  for (const command of [
    ['publish', 'root-2', '--dir', 'pub'],
    ['publish', 'root-2', '--dry-run', '--dir', 'pub'],
    ['root', 'sign', '--dir', 'pub'],
  ]) {
    const refused = await world.publish(...command)
    expect(refused, command.join(' ')).toMatchObject({ status: 7, stdout: '' })
    expect(refused.stderr).toContain('E-SIG-THRESHOLD')
    expect(refused.stderr).toContain('0 of 2, signed by nobody yet, missing two of alice, bob, carol')
  }

  // and: with both signatures it is published; before, a try says that it could be
  await world.answering(true, 'root', 'sign', '--offline', '--dir', 'pub', ...asSigners(['alice', 'bob']))
  const tried = await succeeds(world, 'publish', 'root-2', '--dry-run', '--dir', 'pub')
  expect(tried.stdout).toContain('root-2 has every signature it needs and is not published yet')
  expect((await succeeds(world, 'status', '--dir', 'pub')).stdout).toContain('signed and not published: root-2')
  expect((await succeeds(world, 'publish', 'root-2', '--dir', 'pub')).stdout).toContain('root-2 is published')
}, 120_000)

/** 0a1 by alice, offline, in stick.json. */
async function proposed(world: PublisherWorld): Promise<string> {
  const outcome = await succeeds(
    world,
    ...['propose', '0a1', '--from', 'app-v1', '--dir', 'alice', '--by', 'alice', '--json'],
    ...['--offline', '--out', 'stick.json'],
  )
  return String(answerOf(outcome).event)
}

test('an event says when it is published and when others were faster, here and in the list', async () => {
  // given: two proposals for the same number, made without a server
  const world = await three()
  await splitFolders(world)
  await world.publish('list', '--dir', 'alice')
  await writeFile(join(world.folder, 'app-v1', 'more.txt'), 'more')
  const first = await proposed(world)
  await rm(join(world.folder, 'app-v1', 'more.txt'))
  const second = await proposed(world)
  for (const name of ['bob', 'carol']) {
    await succeeds(world, 'sign', './stick.json', ...as(name, '--yes', '--out', `${name}.sig`))
    await succeeds(world, 'add-signature', `./${name}.sig`, '--dir', 'alice', '--offline')
  }
  const open = await succeeds(world, 'status', second, '--dir', 'alice', '--offline')
  expect(open.stdout).toContain('every signature is there')

  // when
  await succeeds(world, 'publish', second, '--dir', 'alice')

  // then
  expect(answerOf(await succeeds(world, 'status', second, '--dir', 'alice', '--offline', '--json'))).toMatchObject({
    state: 'published',
  })
  const late = await succeeds(world, 'status', first, '--dir', 'alice', '--offline')
  expect(late.stdout).toContain('overtaken: alpha is at v2')
  expect(late.stdout).not.toContain('missing:')
  expect((await succeeds(world, 'status', '--dir', 'alice', '--offline')).stdout).not.toContain('to be signed')
  const stopped = await world.publish('abort', second, '--reason', 'too late', '--dir', 'alice', '--offline')
  expect(stopped).toMatchObject({ status: 3, stderr: expect.stringContaining('is published: there is nothing left') })

  // and: it stays published when others have published since
  const next = await world.signing(['alice', 'bob'], 'release', '0a2', '--from', 'app-v2', '--dir', 'pub')
  expect(next, next.stderr).toMatchObject({ status: 0 })
  await world.publish('list', '--dir', 'alice')
  await world.publish('status', '--dir', 'alice')
  expect((await succeeds(world, 'status', second, '--dir', 'alice', '--offline')).stdout).toContain('  published')
  const again = await succeeds(world, 'publish', second, '--dir', 'alice')
  expect(again.stdout).toContain('0a1 is published already')
}, 120_000)

test('what waits is discarded by abort, which says what it was and keeps the keyring that was made for it', async () => {
  const world = await three()
  const rotated = await world.signing(['alice'], 'root', 'rotate', 'alice', '--dir', 'pub')
  expect(rotated).toMatchObject({ status: 7 })
  const before = await readFile(join(world.folder, 'pub', 'keys', 'alice.age'))

  const discarded = await succeeds(world, 'abort', 'root-2', '--reason', 'not yet', '--dir', 'pub')

  expect(discarded.stderr).toContain('discards what waits as root-2')
  expect(discarded.stderr).toMatch(/root: \+ .*alice/)
  expect(discarded.stdout).toContain('keeps the keys that were made for it: pub/keys/alice.age')
  expect(await readdir(join(world.folder, 'pub', 'pending'))).not.toContain('root-2')
  expect(await readFile(join(world.folder, 'pub', 'keys', 'alice.age'))).toEqual(before)
  expect((await succeeds(world, 'status', '--dir', 'pub')).stdout).toContain('nothing waits to be published')
  expect(await world.publish('abort', 'root-2', '--reason', 'again', '--dir', 'pub')).toMatchObject({ status: 3 })
}, 120_000)

test('a release that one holder signed alone is discarded too, and the next one takes its number', async () => {
  const world = await three()
  expect(await world.signing(['alice'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')).toMatchObject({
    status: 7,
  })
  const discarded = await succeeds(world, 'abort', '0a1', '--reason', 'a bug', '--dir', 'pub')
  expect(discarded.stdout).toContain('what waited here as 0a1 is discarded')
  expect(await world.publish('publish', '0a1', '--dir', 'pub')).toMatchObject({ status: 3 })
  const released = await world.signing(['alice', 'bob'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')
  expect(released, released.stderr).toMatchObject({ status: 0 })
}, 120_000)

test('a key has the name that root and targets give it, in folders whose configuration is older', async () => {
  const world = await three()
  await splitFolders(world)
  const rotated = await world.signing(['alice', 'bob'], 'root', 'rotate', 'alice', '--dir', 'pub')
  expect(rotated, rotated.stderr).toMatchObject({ status: 0 })
  const status = await succeeds(world, 'status', '--dir', 'bob')
  expect(status.stdout).toContain('alice')
  expect(status.stdout).not.toMatch(/key [0-9a-f]{8}/)
}, 120_000)

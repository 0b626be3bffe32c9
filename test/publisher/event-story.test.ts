// A signing event by three holders in three folders, two of three needed: proposed by one, signed online by another and by hand without a network by the
// third, published by whoever comes last. Every command is a process of its own, as people run them.
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { splitFolders } from './event-folders.ts'
import { answerOf, asSigners, openWorld, type PublisherWorld, versionsOf } from './world.ts'

const as = (name: string, ...more: readonly string[]) => ['--dir', name, ...asSigners([name]), ...more]

async function succeeds(world: PublisherWorld, ...args: readonly string[]) {
  const outcome = await world.process(...args)
  expect(outcome.status, outcome.stderr).toBe(0)
  return outcome
}

test('three holders in three folders, one of them without a network, release what two have signed', async () => {
  // given: init on one machine, 0a1 out, and everybody took their keyring away
  const world = await openWorld()
  const made = await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  expect(made.stdout).toContain('any 2 of them sign; the repository outlives 1 lost keyring\n')
  const first = await world.signing(['alice', 'bob'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')
  expect(first, first.stderr).toMatchObject({ status: 0 })
  await splitFolders(world, ['carol'])

  // when: alice proposes and signs nothing; the file goes to carol on a stick
  const proposed = await succeeds(
    world,
    ...['propose', '0a2', '--from', 'app-v2', '--dir', 'alice', '--by', 'alice', '--out', 'stick.json', '--json'],
  )
  const { event, missing } = answerOf(proposed)
  expect(event).toMatch(/^e_[0-9a-f]{32}$/)
  expect(missing).toEqual(['alice', 'bob', 'carol'])
  const early = await world.process('publish', String(event), '--dir', 'alice')
  expect(early).toMatchObject({ status: 7, stderr: expect.stringContaining('0 of 2 signatures') })

  // carol has no network: she sees what would change, is asked for a yes, and hands a file back
  const unasked = await world.process('sign', 'stick.json', ...as('carol'))
  expect(unasked).toMatchObject({ status: 4, stderr: expect.stringContaining('there is no terminal to ask on') })
  for (const words of ['0a2 in alpha, compared with 0a1', 'alpha: v2 -> v3', 'as this machine trusts them'])
    expect(unasked.stderr).toContain(words)
  const carols = await succeeds(world, 'sign', './stick.json', ...as('carol', '--yes', '--out', 'carol.sig'))
  expect(carols.stdout).toContain('is signed by carol')
  const brought = JSON.parse(await readFile(join(world.folder, 'carol.sig'), 'utf8'))
  expect(brought).toMatchObject({ schema: 'netlink.signature/v1', event, signed_by: 'carol' })

  // bob signs over the server, alice brings carol's signature in, and that is enough
  const bobs = await succeeds(world, 'sign', '0a2', ...as('bob', '--yes'))
  expect(bobs.stdout).toContain('1 of 2 signatures (bob)')
  const status = await succeeds(world, 'status', '0a2', '--dir', 'alice', '--json')
  expect(answerOf(status)).toMatchObject({ event, state: 'open', complete: false, missing: ['alice', 'carol'] })
  const added = await succeeds(world, 'add-signature', './carol.sig', '--dir', 'alice')
  expect(added.stdout).toContain(`publish ${String(event)}`)
  const published = await succeeds(world, 'publish', String(event), '--dir', 'bob')
  expect(published.stdout).toContain('2 valid signatures (threshold 2)')

  // then: hosts see it, everybody is told the same, and what was signed for this number is good for nothing else
  expect(await versionsOf(world)).toEqual(['0a2', '0a1'])
  expect(await succeeds(world, 'publish', String(event), '--dir', 'alice')).toMatchObject({
    stdout: expect.stringContaining('is published already'),
  })
  const late = await world.process('sign', String(event), ...as('alice', '--yes'))
  expect(late).toMatchObject({
    status: 3,
    stderr: expect.stringContaining('is published: there is nothing left to sign'),
  })
}, 180_000)

test('wholly offline: nothing but two files is carried, and the proposer publishes', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  await splitFolders(world, ['bob', 'carol'])
  await world.publish('list', '--dir', 'alice')

  const proposed = await world.publish(
    ...['propose', '0a1', '--from', 'app-v1', '--dir', 'alice', '--offline', '--out', 'stick.json', '--json'],
  )
  expect(proposed, proposed.stderr).toMatchObject({ status: 0 })
  for (const name of ['bob', 'carol']) {
    const signed = await world.publish('sign', './stick.json', ...as(name, '--yes', '--out', `${name}.sig`))
    expect(signed, signed.stderr).toMatchObject({ status: 0 })
    const added = await world.publish('add-signature', `./${name}.sig`, '--dir', 'alice', '--offline')
    expect(added, added.stderr).toMatchObject({ status: 0 })
  }
  const again = await world.publish('add-signature', './bob.sig', '--dir', 'alice', '--offline')
  expect(again).toMatchObject({ status: 0, stdout: expect.stringContaining('had this signature already') })
  const published = await world.publish('publish', String(answerOf(proposed).event), '--dir', 'alice')
  expect(published, published.stderr).toMatchObject({ status: 0 })
  expect(await versionsOf(world)).toEqual(['0a1'])
}, 120_000)

test('a machine that knows nothing but the root catches up from the file, and not from one that lies', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  await splitFolders(world, ['carol'])
  const first = await world.signing(['alice', 'bob'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')
  expect(first, first.stderr).toMatchObject({ status: 0 })
  await world.publish('propose', '0a2', '--from', 'app-v2', '--dir', 'alice', '--out', 'stick.json')

  // given: the file as it is, and one whose repository was exchanged for an older one of the same keys
  const stick = JSON.parse(await readFile(join(world.folder, 'stick.json'), 'utf8'))
  await cp(join(world.folder, 'carol'), join(world.folder, 'carol2'), { recursive: true })
  const { 'timestamp.json': _, ...metadata } = stick.repository.metadata
  await writeFile(
    join(world.folder, 'broken.json'),
    JSON.stringify({ ...stick, repository: { ...stick.repository, metadata } }),
  )

  const refused = await world.publish('sign', './broken.json', ...as('carol', '--yes'))
  expect(refused).toMatchObject({ status: 7, stderr: expect.stringContaining('has no timestamp.json') })
  const signed = await world.publish('sign', './stick.json', ...as('carol', '--yes', '--out', 'carol.sig'))
  expect(signed, signed.stderr).toMatchObject({ status: 0 })
  expect(signed.stderr).toContain('0a2 in alpha, compared with 0a1')
}, 120_000)

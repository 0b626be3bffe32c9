// Before somebody signs: what is missing is noticed before anything is shown, a no is not answered with a way round the question, and nobody signs twice under one number.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { splitFolders } from './event-folders.ts'
import { answerOf, asSigners, openWorld, type PublisherWorld } from './world.ts'

const as = (name: string, ...more: readonly string[]) => ['--dir', name, ...asSigners([name]), ...more]

async function split(): Promise<PublisherWorld> {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  await splitFolders(world)
  return world
}

test('whoever can not sign hears it before a review, and whoever says no is not told how to skip it', async () => {
  const world = await split()
  const proposed = await world.publish(
    'propose',
    '0a1',
    '--from',
    'app-v1',
    '--dir',
    'alice',
    '--by',
    'alice',
    '--json',
  )
  const event = String(answerOf(proposed).event)

  // given: nobody named, somebody unknown, somebody whose keyring is elsewhere, a passphrase file that is not there
  for (const [flags, words] of [
    [['--dir', 'bob'], 'say who signs: holders are alice, bob, carol'],
    [['--dir', 'bob', '--signer', 'eve'], 'eve holds no keys here'],
    [['--dir', 'bob', '--signer', 'alice', '--passphrase-file', 'alice=alice.pass'], 'bob/keys/alice.age'],
    [['--dir', 'bob', '--signer', 'bob'], 'there is no terminal to ask on'],
    [['--dir', 'bob', '--signer', 'bob', '--passphrase-file', 'bob=none.pass'], 'none.pass'],
  ] as const) {
    const refused = await world.publish('sign', event, ...flags, '--yes')
    expect(refused.status, words).not.toBe(0)
    expect(refused.stderr).toContain(words)
    expect(refused.stderr, words).not.toContain('signed so far')
  }

  // then: a no is told with the same command, and nobody there with both ways
  const declined = await world.answering(false, 'sign', event, ...as('bob'))
  expect(declined).toMatchObject({ status: 4, stderr: expect.stringContaining('signed so far') })
  expect(declined.stderr).toContain(
    `Next: netlink-publish sign ${event} --dir bob --signer bob --passphrase-file bob=bob.pass`,
  )
  expect(declined.stderr).not.toContain('--yes')
  const unasked = await world.publish('sign', event, ...as('bob'))
  const [, typed = ''] = /netlink-publish (sign \S+ .* --yes) /.exec(unasked.stderr) ?? []
  expect(await world.publish(...typed.split(' '))).toMatchObject({ status: 0 })
}, 120_000)

test('two different documents of one number are not signed by one holder, unless the first was stopped', async () => {
  const world = await split()
  await world.publish('list', '--dir', 'alice')
  const propose = (...more: readonly string[]) =>
    world.publish('propose', '0a1', '--from', 'app-v1', ...as('alice', '--json', ...more))
  const first = await propose('--offline')
  expect(first, first.stderr).toMatchObject({ status: 0 })
  const { event } = answerOf(first)

  await writeFile(join(world.folder, 'app-v1', 'more.txt'), 'more')
  const second = await propose()
  expect(second.status).toBe(3)
  expect(answerOf(second)).toMatchObject({ error: { code: 'E-POLICY' } })
  expect(second.stdout).toContain(`another alpha v2 was signed here before: ${String(event)}`)

  const stopped = await world.publish('abort', String(event), '--reason', 'more', '--dir', 'alice', '--offline')
  expect(stopped, stopped.stderr).toMatchObject({ status: 0 })
  const third = await propose()
  expect(third, third.stdout).toMatchObject({ status: 0 })
}, 120_000)

test('a release that would take a number twice is told of the one that waits', async () => {
  const world = await split()
  const release = (version: string, app: string) =>
    world.signing(['alice'], 'release', version, '--from', app, '--dir', 'alice')
  const first = await release('0a2', 'app-v2')
  expect(first).toMatchObject({ status: 7 })
  expect((await release('0a2', 'app-v2')).stderr).not.toContain('was signed here before')
  const second = await release('0a3', 'app-v1')
  expect(second.stderr).toContain('warning: another alpha v2 was signed here before: what waits as 0a2')
}, 90_000)

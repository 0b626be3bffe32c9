// What a proposal leaves in the folder where it did not come about: nothing, or what is said.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { splitFolders } from './event-folders.ts'
import { openLyingServer } from './lying-server.ts'
import { asSigners, openWorld, type PublisherWorld } from './world.ts'

const byAlice = ['--dir', 'pub', ...asSigners(['alice'])]

/** 0a1 is out; carol has no network. */
async function released(): Promise<PublisherWorld> {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  await splitFolders(world, ['carol'])
  const outcome = await world.signing(['alice', 'bob'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')
  expect(outcome, outcome.stderr).toMatchObject({ status: 0 })
  return world
}

async function eventsIn(world: PublisherWorld): Promise<readonly string[]> {
  return readdir(join(world.folder, 'pub', 'events')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
}

test('right after a release the next is proposed without the server, without channels that nobody looked at', async () => {
  const world = await released()

  const args = ['propose', '0a2', '--from', 'app-v2', ...byAlice, '--offline', '--out', 'stick.json']
  const proposed = await world.publish(...args)

  expect(proposed, proposed.stderr).toMatchObject({ status: 0 })
  const { repository } = JSON.parse(await readFile(join(world.folder, 'stick.json'), 'utf8'))
  expect(Object.keys(repository.metadata)).toContain('2.alpha.json')
  expect(Object.keys(repository.metadata)).not.toContain('1.beta.json')
  const carol = ['--dir', 'carol', ...asSigners(['carol']), '--yes', '--out', 'carol.sig']
  const signed = await world.publish('sign', './stick.json', ...carol)
  expect(signed, signed.stderr).toMatchObject({ status: 0 })
  expect(signed.stderr).toContain('0a2 in alpha, compared with 0a1')
}, 120_000)

test('where what is to be carried is withheld nothing was signed or kept, and the same command goes through later', async () => {
  const world = await released()
  const server = await openLyingServer(world.port)
  const args = ['propose', '0a2', '--from', 'app-v2', ...byAlice, '--out', 'stick.json', '--server', server.url]
  server.withhold(/beta\.json/)

  const refused = await world.publish(...args)

  expect(refused).toMatchObject({ status: 7, stdout: '' })
  expect(refused.stderr).toContain('Nothing was proposed.')
  expect(await eventsIn(world)).toEqual([])
  server.withhold(undefined)
  const proposed = await world.publish(...args)
  expect(proposed, proposed.stderr).toMatchObject({ status: 0 })
  expect(await eventsIn(world)).toHaveLength(1)
}, 120_000)

test('what was signed and could not be sent is said to be kept, with the command that stops it', async () => {
  const world = await released()
  await writeFile(join(world.folder, 'bad.token'), `nlk_publish_${'0'.repeat(12)}_${'0'.repeat(72)}\n`, { mode: 0o600 })
  const args = ['propose', '0a2', '--from', 'app-v2', ...byAlice]

  const refused = await world.publish(...args, '--token-file', 'bad.token')

  expect(refused).toMatchObject({ status: 5, stdout: '' })
  const [file = ''] = await eventsIn(world)
  const id = file.replace('.json', '')
  expect(refused.stderr).toContain(`${id} is kept in this folder`)
  expect(refused.stderr).not.toContain('Nothing was proposed.')
  // Of other files: made in the same second of the same ones it would be the same event.
  const other = ['propose', '0a2', '--from', 'app-v1', ...byAlice]
  expect(await world.publish(...other)).toMatchObject({ status: 3, stderr: expect.stringContaining(id) })
  await world.publish('abort', id, '--reason', 'not sent', '--dir', 'pub')
  const proposed = await world.publish(...other)
  expect(proposed, proposed.stderr).toMatchObject({ status: 0 })
}, 120_000)

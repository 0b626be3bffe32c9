// A promotion gives bytes that one channel's holders signed to another channel's hosts. Its signers see what these hosts would get, or sign nothing; and a
// machine without a network catches up in the channel that the bytes come from, too.
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { CarriedEvent, EventRecord } from '../../schema/signing-event.ts'
import { type HolderName, splitFolders } from './event-folders.ts'
import { openLyingServer, renamed } from './lying-server.ts'
import { asSigners, openWorld, type PublisherWorld, versionsOf } from './world.ts'

const as = (name: string, ...more: readonly string[]) => ['--dir', name, ...asSigners([name]), ...more]
const ARCHIVES = /\/artifacts\//

async function good(outcome: Promise<{ status: number; stdout: string; stderr: string }>) {
  const { status, stdout, stderr } = await outcome
  expect(status, stderr + stdout).toBe(0)
  return { stdout, stderr }
}

/** 0a1 and 0b1 are out; then, with a file that nobody told beta's holders of, 0a2. Whoever is `behind` left before that. */
async function begin({ behind = [], offline = [] }: { behind?: HolderName[]; offline?: HolderName[] } = {}) {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  const two = (...args: readonly string[]) => good(world.signing(['alice', 'bob'], ...args, '--dir', 'pub'))
  await two('release', '0a1', '--from', 'app-v1')
  await two('promote', '0a1', '--to', 'beta')
  await good(world.publish('root', 'show', '--dir', 'pub'))
  if (behind.length > 0) await splitFolders(world, offline)
  await writeFile(join(world.folder, 'app-v2', 'EVIL.js'), 'evil')
  await two('release', '0a2', '--from', 'app-v2')
  await good(world.publish('show', '0a2', '--dir', 'pub'))
  if (behind.length === 0) await splitFolders(world, offline)
  else for (const name of ['alice', 'bob']) await good(world.publish('show', '0a2', '--dir', name))
  return world
}

const forget = (world: PublisherWorld, name: HolderName) =>
  rm(join(world.folder, name, 'artifacts'), { recursive: true, force: true })

async function stickOf(world: PublisherWorld, file = 'stick.json'): Promise<CarriedEvent> {
  return JSON.parse(await readFile(join(world.folder, file), 'utf8'))
}

/** The stick as somebody has changed it on the way, under the id that it then gives itself. */
async function changed(world: PublisherWorld, edit: (stick: CarriedEvent) => CarriedEvent): Promise<string> {
  const { repository, ...event } = edit(await stickOf(world))
  await writeFile(join(world.folder, 'changed.json'), JSON.stringify({ ...renamed(event), repository }))
  return './changed.json'
}

// What somebody had put into an alpha release was signed into beta by holders to whom nothing of it was shown.
test('a promotion is signed where its files can be shown against those that its hosts have, and nowhere else', async () => {
  const world = await begin({ offline: ['carol'] })
  await good(world.publish('propose', '0a2', '--promote', 'beta', '--out', 'stick.json', ...as('alice')))
  await forget(world, 'carol')
  const sign = (file: string) => world.publish('sign', file, ...as('carol', '--yes', '--out', 'carol.json'))

  // without list and archive
  const bare = await changed(world, (stick) => ({ ...stick, trees: {} }))
  const unseen = await sign(bare)
  expect(unseen).toMatchObject({ status: 7, stderr: expect.stringContaining("files of 0b2 for any can't be shown") })
  await expect(readFile(join(world.folder, 'carol.json'))).rejects.toThrow('ENOENT')

  // with the list as alice carried it
  const { stderr } = await good(sign('./stick.json'))
  expect(stderr).toContain('0b2 in beta, compared with 0b1')
  expect(stderr).toMatch(/files\n.*1 added.*\n {2}\+ EVIL\.js \(file, 4 B\)/)
  expect(stderr).not.toContain('nothing to compare with')

  // without the list, beside the archive
  await cp(join(world.folder, 'alice', 'artifacts'), join(world.folder, 'carol', 'artifacts'), { recursive: true })
  expect((await good(sign(bare))).stderr).toContain('+ EVIL.js')
}, 120_000)

// The file for which 0b2 was withdrawn is news to everybody who has 0b1, and so to whoever signs 0b3.
test('what is released is compared with what hosts have, and not with what was withdrawn', async () => {
  const world = await begin()
  const two = (...args: readonly string[]) => good(world.signing(['alice', 'bob'], ...args, '--dir', 'pub'))
  await two('promote', '0a2', '--to', 'beta')
  await two('release', '0a3', '--from', 'app-v2')
  const propose = async () => {
    await good(world.publish('propose', '0a3', '--promote', 'beta', '--dir', 'alice'))
    return good(world.publish('sign', '0b3', ...as('bob', '--yes')))
  }
  const standing = await propose()
  expect(standing.stderr).toContain('0b3 in beta, compared with 0b2')
  expect(standing.stderr).not.toContain('EVIL.js')

  await two('yank', '0b2', '--reason', 'what is EVIL.js?')
  const withdrawn = await propose()
  expect(withdrawn.stderr).toContain('0b3 in beta, compared with 0b1')
  expect(withdrawn.stderr).toContain('+ EVIL.js')
}, 120_000)

test('a promotion of more files than are named is signed only once all of them were', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  for (let number = 0; number < 51; number++) await writeFile(join(world.folder, 'app-v1', `${number}.txt`), 'x')
  await good(world.signing(['alice', 'bob'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub'))
  await splitFolders(world)
  await good(world.publish('propose', '0a1', '--promote', 'beta', '--dir', 'alice'))
  const some = await world.publish('sign', '0b1', ...as('bob', '--yes'))
  expect(some).toMatchObject({ status: 4, stderr: expect.stringContaining('of it were not shown') })
  await good(world.publish('sign', '0b1', ...as('bob', '--yes', '--all-files')))
}, 120_000)

test('a server that has lost the archive, and the list with it, has no promotion signed', async () => {
  const world = await begin()
  await good(world.publish('propose', '0a2', '--promote', 'beta', '--out', 'stick.json', ...as('alice')))
  await forget(world, 'bob')
  const { repository: _, trees: __, ...event } = await stickOf(world)
  const bare = renamed({ ...event, trees: {} })
  const { documents: _d, manifests: _m, artifacts: _a, trees: _t, ...facts } = bare
  const record: EventRecord = { event: bare, summary: { ...facts, state: 'open', aborted: null, signatures: [] } }
  const server = await openLyingServer(world.port)
  const sign = () => world.answering(false, 'sign', '0b2', '--server', server.url, ...as('bob'))

  server.tell(record)
  server.withhold(ARCHIVES)
  const unseen = await sign()
  expect(unseen).toMatchObject({ status: 7, stderr: expect.stringContaining("can't be shown") })

  server.withhold(undefined)
  const read = await sign()
  expect(read).toMatchObject({ status: 4, stderr: expect.stringContaining('+ EVIL.js') })

  // the list that alice sent needs no archive
  server.tell(undefined)
  server.withhold(ARCHIVES)
  const listed = await sign()
  expect(listed).toMatchObject({ status: 4, stderr: expect.stringContaining('+ EVIL.js') })
}, 120_000)

test('a promotion that waits in a folder is shown like any other, and is proposed with its files', async () => {
  const world = await begin({ offline: ['carol'] })
  const alone = await world.publish('promote', '0a2', '--to', 'beta', ...as('alice'))
  expect(alone).toMatchObject({ status: 7 })
  const pending = (name: string) => join(world.folder, name, 'pending', '0b2')
  await cp(pending('alice'), pending('bob'), { recursive: true })
  await forget(world, 'bob')
  await forget(world, 'carol')

  // offline, from the stick
  await good(world.publish('propose', '0b2', '--out', 'stick.json', '--dir', 'alice'))
  const signed = await good(world.publish('sign', './stick.json', ...as('carol', '--yes', '--out', 'carol.json')))
  expect(signed.stderr).toContain('+ EVIL.js')

  // in the folder
  const server = await openLyingServer(world.port)
  const publish = () => world.publish('publish', '0b2', '--server', server.url, ...as('bob', '--yes'))
  server.withhold(ARCHIVES)
  const unseen = await publish()
  expect(unseen).toMatchObject({ status: 7, stderr: expect.stringContaining("can't be shown") })
  server.withhold(undefined)
  expect((await good(publish())).stderr).toContain('+ EVIL.js')
  expect(await versionsOf(world)).toContain('0b2')
}, 120_000)

test('a release that waits in a folder is proposed with its files, for those who have no archive', async () => {
  const world = await begin({ offline: ['carol'] })
  expect(await world.publish('release', '0a3', '--from', 'app-v1', ...as('alice'))).toMatchObject({ status: 7 })
  await good(world.publish('propose', '0a3', '--out', 'stick.json', '--dir', 'alice'))
  const signed = await good(world.publish('sign', './stick.json', ...as('carol', '--yes', '--out', 'carol.json')))
  expect(signed.stderr).toContain('- EVIL.js')
}, 120_000)

// Her copy had everything that the promotion replaces, so nobody looked at what had come along: "0a2 is not published".
test('a machine that is behind in the channel that the bytes come from catches up with what is carried', async () => {
  const world = await begin({ behind: ['carol'], offline: ['carol'] })
  await good(world.publish('propose', '0a2', '--promote', 'beta', '--out', 'stick.json', ...as('alice')))
  const sign = (file: string) => world.publish('sign', file, ...as('carol', '--yes', '--out', 'carol.json'))

  const alone = await sign(await changed(world, ({ repository: _, ...stick }) => stick))
  expect(alone).toMatchObject({ status: 3, stderr: expect.stringContaining('0a2 is not published') })

  expect((await good(sign('./stick.json'))).stderr).toContain('the bytes of 0a2, which is alpha')
  await good(world.publish('add-signature', './carol.json', '--dir', 'alice'))
  await good(world.publish('publish', (await stickOf(world)).id, '--dir', 'alice'))
  expect(await versionsOf(world)).toContain('0b2')
}, 120_000)

test('a machine that is behind in the channel of a replacement catches up with what is carried', async () => {
  const world = await begin({ behind: ['carol'], offline: ['carol'] })
  const yank = ['--yank', '--reason', 'it loses data', '--replace-with', '0a2']
  await good(world.publish('propose', '0b1', ...yank, '--out', 'stick.json', ...as('alice')))
  const sign = (file: string) => world.publish('sign', file, ...as('carol', '--yes', '--out', 'carol.json'))

  const alone = await sign(await changed(world, ({ repository: _, ...stick }) => stick))
  expect(alone).toMatchObject({ status: 3, stderr: expect.stringContaining('0a2 is not published') })
  expect((await good(sign('./stick.json'))).stderr).toContain('"replace_with":"0a2"')
}, 120_000)

// Other publishers, and a server that is not to be trusted.
import { createHash } from 'node:crypto'
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { answerOf, openProxiedWorld, openWorld, versionsOf } from './world.ts'

test('what was signed over something older is refused, and nothing of the other publisher is lost', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  await cp(join(world.folder, 'pub'), join(world.folder, 'pub2'), { recursive: true })
  const alone = await world.signing(['alice'], 'release', '0a2', '--from', 'app-v2', '--dir', 'pub2')
  expect(alone).toMatchObject({ status: 7 })
  const first = await world.signing(['alice', 'bob'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')
  expect(first, first.stderr).toMatchObject({ status: 0 })

  const late = await world.signing(['carol'], 'publish', '0a2', '--dir', 'pub2')
  expect(late).toMatchObject({ status: 3, stderr: expect.stringContaining('somebody else published in alpha') })
  expect(await versionsOf(world)).toEqual(['0a1'])
  const next = await world.signing(['alice', 'carol'], 'release', '0a2', '--from', 'app-v2', '--dir', 'pub2')
  expect(next, next.stderr).toMatchObject({ status: 0 })
  expect(await versionsOf(world)).toEqual(['0a2', '0a1'])
}, 90_000)

test('a refusal because of what was accepted and not sealed yet is told as what it is: somebody was faster', async () => {
  const { world, proxy } = await openProxiedWorld()
  await world.init(['alice'])
  await cp(join(world.folder, 'pub'), join(world.folder, 'pub2'), { recursive: true })
  const timestamp = join(world.folder, 'srv', 'storage', 'repo', 'metadata', 'timestamp.json')
  const stale = await readFile(timestamp)
  await world.signing(['alice'], 'release', '0a1', '--from', 'app-v1')
  const sealed = await readFile(timestamp)

  // The server has accepted 0a1; the world sees it only when the other publisher looks again after its refusal.
  await writeFile(timestamp, stale)
  const sent = proxy.sees('POST /api/v1/publish/releases')
  const release = world.signing(['alice'], 'release', '0a2', '--from', 'app-v2', '--dir', 'pub2')
  await sent
  // Written while the first look is under way, so that the second one is certain to see it.
  await Promise.race([proxy.sees('GET /repo/metadata/2.root.json'), release])
  await Promise.race([proxy.sees('GET /repo/metadata/timestamp.json'), release])
  await writeFile(timestamp, sealed)
  const outcome = await release
  expect(outcome.stderr).toContain('somebody else published in alpha')
  expect(outcome.status).toBe(3)
  expect(await versionsOf(world)).toEqual(['0a1'])
}, 90_000)

test('three publishers at the same moment: whoever is told "published" is published', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  const folders = ['pub', 'pub2', 'pub3']
  for (const folder of folders.slice(1))
    await cp(join(world.folder, 'pub'), join(world.folder, folder), { recursive: true })
  const outcomes = await Promise.all(
    folders.map((folder, index) =>
      world.signing(['alice'], 'release', `0a1+${index}`, '--from', 'app-v1', '--dir', folder),
    ),
  )
  const done = outcomes.flatMap(({ status }, index) => (status === 0 ? [`0a1+${index}`] : []))
  expect(done.length).toBeGreaterThan(0)
  for (const { status, stderr } of outcomes) expect([0, 3], stderr).toContain(status)
  expect(await versionsOf(world)).toEqual([...done].reverse())

  // In one folder they wait for each other instead.
  const release = world.signing(['alice'], 'release', '0a2', '--from', 'app-v2')
  const both = await Promise.all([release, world.publish('list'), world.publish('status')])
  expect(both.map(({ status }) => status)).toEqual([0, 0, 0])
}, 90_000)

test('a flipped byte, a missing artifact, older metadata and a foreign file are seen', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  await world.signing(['alice'], 'release', '0a1', '--from', 'app-v1')
  const repo = join(world.folder, 'srv', 'storage', 'repo')
  const stale = await readFile(join(repo, 'metadata', 'timestamp.json'))
  await world.signing(['alice'], 'release', '0a2', '--from', 'app-v2')
  const [artifact] = answerOf(await world.publish('show', '0a2', '--json')).artifacts as { sha256: string }[]
  const name = artifact?.sha256 ?? ''
  const file = join(repo, 'artifacts', name)
  const good = await readFile(file)

  await writeFile(
    file,
    Uint8Array.from(good, (byte, index) => (index === 100 ? byte ^ 1 : byte)),
  )
  expect(await world.publish('verify', '0a2')).toMatchObject({ status: 7, stderr: expect.stringContaining('E-HASH') })
  await writeFile(file, good)
  expect(await world.publish('verify', '0a2')).toMatchObject({ status: 0 })

  const fresh = await readFile(join(repo, 'metadata', 'timestamp.json'))
  await writeFile(join(repo, 'metadata', 'timestamp.json'), stale)
  expect(await world.publish('list')).toMatchObject({ status: 7, stderr: expect.stringContaining('E-ROLLBACK') })
  expect(await world.signing(['alice'], 'release', '0a3', '--from', 'app-v1')).toMatchObject({ status: 7 })
  await writeFile(join(repo, 'metadata', 'timestamp.json'), fresh)
  expect(await world.signing(['alice'], 'release', '0a3', '--from', 'app-v1')).toMatchObject({ status: 0 })

  await cp(join(world.folder, 'pub', 'artifacts', name), join(world.folder, 'download'))
  const known = await world.publish('verify', './download')
  expect(known).toMatchObject({ status: 0, stdout: expect.stringContaining('is 0a2 for any') })
  expect(await world.publish('verify', './alice.pass')).toMatchObject({ status: 7 })
  expect(await world.publish('verify', './nothing')).toMatchObject({ status: 2 })

  await rm(file)
  expect(await world.publish('verify', '0a2', '--offline')).toMatchObject({ status: 0 })
  expect(await world.publish('verify', '0a2')).toMatchObject({ status: 6 })
  expect((await readdir(join(world.folder, 'pub'))).filter((entry) => entry.includes('verify'))).toEqual([])
}, 90_000)

test('another repository does not pass for ours, whoever signed it', async () => {
  const [ours, theirs] = [await openWorld(), await openWorld()]
  await ours.init(['alice'])
  await theirs.init(['alice'])
  await ours.signing(['alice'], 'release', '0a1', '--from', 'app-v1')
  await theirs.signing(['alice'], 'release', '0a1', '--from', 'app-v1')
  const foreign = `http://127.0.0.1:${theirs.port}`
  expect(await ours.publish('verify', foreign)).toMatchObject({
    status: 7,
    stderr: expect.stringContaining('E-SIG-THRESHOLD'),
  })
  expect(await ours.publish('list', '--server', foreign)).toMatchObject({ status: 7 })
  const theirRoot = join(theirs.folder, 'pub', 'root.json')
  expect(await ours.publish('verify', foreign, '--root', theirRoot)).toMatchObject({ status: 0 })
  expect(await ours.publish('list')).toMatchObject({ status: 0 })
}, 90_000)

test('the trusted copy is made again from the root in the folder, and from no other', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  await world.signing(['alice'], 'release', '0a1', '--from', 'app-v1')
  const copy = join(world.folder, 'pub', 'repository')
  await rm(copy, { recursive: true })
  const told = await world.publish('list')
  const fingerprint = createHash('sha256')
    .update(await readFile(join(world.folder, 'pub', 'root.json')))
    .digest('hex')
  expect(told.stderr.replaceAll(/\s+/g, ' ')).toContain(`begins again with ${join(world.folder, 'pub', 'root.json')}`)
  expect(told.stderr).toContain(fingerprint)
  expect(await versionsOf(world)).toEqual(['0a1'])
  expect((await world.publish('list')).stderr).not.toContain('begins again')

  const root = join(world.folder, 'pub', 'root.json')
  const right = await readFile(root)
  const other = await openWorld()
  await other.init(['alice'])
  for (const wrong of [await readFile(join(other.folder, 'pub', 'root.json')), Buffer.from('{}'), undefined]) {
    await rm(copy, { recursive: true, force: true })
    await (wrong === undefined ? rm(root) : writeFile(root, wrong))
    const refused = await world.signing(['alice'], 'release', '0a2', '--from', 'app-v2')
    expect(refused, refused.stderr).toMatchObject({ status: 7 })
  }
  await writeFile(root, right)
  expect(await world.signing(['alice'], 'release', '0a2', '--from', 'app-v2')).toMatchObject({ status: 0 })
  expect(await versionsOf(world)).toEqual(['0a2', '0a1'])
}, 90_000)

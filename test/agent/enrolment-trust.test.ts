// Enrolling a host again, or after it left, does not make it forget: a key that was taken back stays taken back, whatever root lies on the installation media.
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fingerprintOf } from '../../keys/release.ts'
import { pack } from '../engine/release.ts'
import type { SimRepository } from '../sim/repository.ts'
import { type AgentWorld, publishedWorld } from './agent-world.ts'

const UPGRADE = ['update', 'upgrade', '--latest', '--yes']

/** Root 2 has taken alpha's key back, and the host has seen it. Returns what the thief of that key, and of the server's, can still make. */
async function afterTheft(world: AgentWorld): Promise<SimRepository> {
  const { repo } = world
  expect((await world.run(...UPGRADE)).status).toBe(0)
  const stolen = repo.copy()
  repo.rotateKeys('alpha')
  await repo.publish('root')
  await repo.publish('targets', 'alpha')
  await world.publish('0a2')
  expect((await world.run(...UPGRADE)).status).toBe(0)
  const { archive, artifact } = pack({ 'app.txt': 'malware' })
  world.artifacts.set(String(artifact.sha256), archive)
  await stolen.release('0a9', { artifacts: [artifact] })
  return stolen
}

function serve({ repo }: AgentWorld, { files, targetFiles }: SimRepository): void {
  repo.files.clear()
  for (const [name, bytes] of files) repo.files.set(name, bytes)
  for (const [name, bytes] of targetFiles) repo.targetFiles.set(name, bytes)
}

const rootOf = async (world: AgentWorld) => (await world.json('agent', 'trust')).root
const textOf = (world: AgentWorld, file: string) => readFile(join(world.home, 'state', file), 'utf8')

/** A repository of this product whose keys nobody knows: fresh ones for every role. */
async function beginAnew({ repo, folder }: AgentWorld, product = 'demo'): Promise<void> {
  for (const role of ['root', 'timestamp', 'snapshot', 'targets', 'alpha']) repo.rotateKeys(role)
  for (let version = repo.root.version; version > 1; version--) repo.files.delete(`${version}.root.json`)
  Object.assign(repo.root, { product, version: 1 })
  await repo.publishAsIs('root')
  await repo.publish('alpha', 'targets')
  await writeFile(join(folder, 'other.json'), repo.file('1.root.json'))
}

describe('a host that trusted this product before', () => {
  // `enroll --force`, which the agent itself names when its server forgets it, began anew at the root that was given: keys that were taken back counted again.
  test('refuses the repository of a revoked key also after it was enrolled again with its first root', async () => {
    await using world = await publishedWorld()
    const honest = world.repo.copy.bind(world.repo)
    const stolen = await afterTheft(world)
    const before = [await rootOf(world), await textOf(world, 'trust/floors.state')]
    const now = honest()
    serve(world, stolen)
    expect(await world.run(...UPGRADE)).toMatchObject({ status: 7 })

    expect(await world.enrol('--force')).toMatchObject({ status: 7, stderr: expect.stringContaining('E-ROLLBACK') })

    expect(await world.run(...UPGRADE)).toMatchObject({ status: 7 })
    expect(await world.installed()).toBe('0a2')
    expect([await rootOf(world), await textOf(world, 'trust/floors.state')]).toEqual(before)
    serve(world, now)
    expect(await world.enrol('--force')).toMatchObject({ status: 0 })
    expect(await rootOf(world)).toMatchObject({ version: 2 })
    expect(await world.run('update', 'check')).toMatchObject({ status: 0 })
  })

  test('refuses it also after it left and came back', async () => {
    await using world = await publishedWorld()
    const stolen = await afterTheft(world)
    const now = world.repo.copy()
    const floors = await textOf(world, 'trust/floors.state')
    serve(world, stolen)
    expect(await world.run('agent', 'leave', '--yes')).toMatchObject({ status: 0 })
    expect(await textOf(world, 'trust.of-demo/floors.state')).toBe(floors)
    expect(await world.enrol()).toMatchObject({ status: 7 })
    expect(await world.run(...UPGRADE)).toMatchObject({ status: 2 })
    serve(world, now)
    expect(await world.enrol()).toMatchObject({ status: 0 })
    expect(await rootOf(world)).toMatchObject({ version: 2 })
    const names = await readdir(join(world.home, 'state'))
    expect(names.filter((name) => name.startsWith('trust'))).toEqual(['trust'])
    serve(world, stolen)
    expect(await world.run(...UPGRADE)).toMatchObject({ status: 7 })
  })

  test('takes any root of its chain: the first, the newest, one that it has not seen yet, each as a file or a fingerprint', async () => {
    await using world = await publishedWorld()
    const { repo, folder } = world
    for (let version = 2; version <= 3; version++) {
      repo.addKey('root')
      await repo.publish('root')
      expect((await world.run('update', 'check')).status).toBe(0)
    }
    repo.addKey('root')
    await repo.publish('root')
    // Root 4 is news to the host.
    for (const version of [4, 1, 2, 3]) {
      const bytes = repo.file(`${version}.root.json`)
      await writeFile(join(folder, 'given.json'), bytes)
      for (const given of ['given.json', fingerprintOf(bytes)]) {
        const done = await world.enrol('--force', '--trust-root', given)
        expect(done.status, done.stderr).toBe(0)
        expect(await rootOf(world)).toMatchObject({ version: 4 })
      }
    }
  })

  test('takes the next root also where the server does not show it, and none that the one before did not sign', async () => {
    await using world = await publishedWorld()
    const { repo, folder } = world
    const other = repo.copy()
    other.rotateKeys('root')
    await other.publishAsIs('root')
    other.root.version = 2
    await writeFile(join(folder, 'other.json'), await other.sign(other.role('root'), other.signersOf('root')))
    repo.addKey('root')
    await repo.publish('root')
    await writeFile(join(folder, 'second.json'), repo.file('2.root.json'))
    repo.files.delete('2.root.json')
    const refused = await world.enrol('--force', '--trust-root', 'other.json')
    expect(refused).toMatchObject({ status: 7, stderr: expect.stringContaining('E-OTHER-ROOT') })
    expect(await rootOf(world)).toMatchObject({ version: 1 })
    expect(await world.enrol('--force', '--trust-root', 'second.json')).toMatchObject({ status: 0 })
    expect(await rootOf(world)).toMatchObject({ version: 2 })
  })

  test('takes a root that led to the one it pinned first, and no other of a lower number', async () => {
    await using world = await publishedWorld()
    const { repo, folder } = world
    const other = repo.copy()
    repo.addKey('root')
    await repo.publish('root')
    await writeFile(join(folder, 'second.json'), repo.file('2.root.json'))
    await world.run(
      'agent',
      'trust',
      'reset',
      '--root',
      'second.json',
      '--yes',
      '--expect-sha256',
      fingerprintOf(repo.file('2.root.json')),
    )
    expect(JSON.parse(await textOf(world, 'trust/roots.state')).roots).toHaveLength(1)
    expect(await world.enrol('--force')).toMatchObject({ status: 0 })
    other.rotateKeys('root')
    await other.publishAsIs('root')
    await writeFile(join(folder, 'other.json'), other.file('1.root.json'))
    const refused = await world.enrol('--force', '--trust-root', 'other.json')
    expect(refused).toMatchObject({ status: 7, stderr: expect.stringContaining('E-OTHER-ROOT') })
  })

  test('refuses any other root, before the token is shown, and names the way; by that way it is taken', async () => {
    await using world = await publishedWorld()
    expect((await world.run(...UPGRADE)).status).toBe(0)
    const before = await rootOf(world)
    await beginAnew(world)
    const shown = world.requests.filter((request) => request.includes('/enroll')).length

    const refused = await world.enrol('--force', '--trust-root', 'other.json')

    expect(refused.status, refused.stderr).toBe(7)
    expect(refused.stderr).toContain('E-OTHER-ROOT')
    expect(refused.stderr).toContain('stays enrolled at')
    expect(refused.stderr).toContain('netlink agent trust reset --root FILE --expect-sha256 HASH')
    expect(world.requests.filter((request) => request.includes('/enroll'))).toHaveLength(shown)
    expect(await rootOf(world)).toEqual(before)
    const sha256 = fingerprintOf(world.repo.file('1.root.json'))
    const reset = ['agent', 'trust', 'reset', '--root', 'other.json', '--expect-sha256', sha256, '--yes']
    expect(await world.run(...reset)).toMatchObject({ status: 0 })
    expect(await world.enrol('--force', '--trust-root', 'other.json')).toMatchObject({ status: 0 })
    expect(await rootOf(world)).toMatchObject({ sha256 })
  })

  test('that left refuses any other root too; a reset is possible then, without the server', async () => {
    await using world = await publishedWorld()
    expect((await world.run('agent', 'leave', '--yes')).status).toBe(0)
    await beginAnew(world)
    const refused = await world.enrol('--trust-root', 'other.json')
    expect(refused).toMatchObject({ status: 7, stderr: expect.stringContaining('this host is not enrolled') })
    expect(await rootOf(world)).toMatchObject({ version: 1 })
    const sha256 = fingerprintOf(world.repo.file('1.root.json'))
    const reset = ['agent', 'trust', 'reset', '--root', 'other.json', '--yes', '--expect-sha256']
    expect(await world.run(...reset, 'ab'.repeat(32))).toMatchObject({ status: 7 })
    const done = await world.run(...reset, sha256)
    expect(done, done.stderr).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('Next: netlink agent enroll'),
    })
    expect(await world.enrol('--trust-root', 'other.json')).toMatchObject({ status: 0 })
  })

  test('and whose trust is gone from the disk does not begin anew by itself', async () => {
    await using world = await publishedWorld()
    const state = join(world.home, 'state')
    await cp(join(state, 'trust'), join(world.folder, 'kept'), { recursive: true })
    await rm(join(state, 'trust'), { recursive: true })
    expect(await world.enrol('--force')).toMatchObject({ status: 7, stderr: expect.stringContaining('E-OTHER-ROOT') })
    await cp(join(world.folder, 'kept'), join(state, 'trust'), { recursive: true })
    expect(await world.enrol('--force')).toMatchObject({ status: 0 })
  })
})

describe('another product', () => {
  test('begins anew, what was trusted of the first one is kept, and counts again when the host comes back', async () => {
    await using world = await publishedWorld()
    const { repo } = world
    repo.addKey('root')
    await repo.publish('root')
    await world.publish('0a2')
    expect((await world.run('update', 'check')).status).toBe(0)
    const [now, floors] = [repo.copy(), await textOf(world, 'trust/floors.state')]
    await beginAnew(world, 'other')
    world.product('other')
    expect(await world.enrol('--force', '--trust-root', 'other.json')).toMatchObject({ status: 0 })
    expect(await rootOf(world)).toMatchObject({ product: 'other', version: 1 })
    expect(await textOf(world, 'trust.of-demo/floors.state')).toBe(floors)

    expect(await world.run('agent', 'leave', '--yes')).toMatchObject({ status: 0 })
    serve(world, now)
    world.product('demo')
    expect(await world.enrol()).toMatchObject({ status: 0 })
    expect(await rootOf(world)).toMatchObject({ product: 'demo', version: 2 })
    expect(await readdir(join(world.home, 'state'))).toContain('trust.of-other')
  })
})

describe('a token that the server does not take', () => {
  // Trust was replaced before the token was shown, and the words spoke of a host that was not enrolled.
  test('leaves an enrolled host as it is, under --force and with another product’s root too, and says so', async () => {
    await using world = await publishedWorld()
    expect((await world.run(...UPGRADE)).status).toBe(0)
    const before = [await rootOf(world), await textOf(world, 'agent.json'), await textOf(world, 'trust/floors.state')]
    const now = world.repo.copy()
    await beginAnew(world, 'other')
    await writeFile(join(world.folder, 'wrong'), 'nlk_host-enroll_abc_other\n')
    const enrol = ['--force', '--trust-root', 'other.json']

    const refused = await world.enrol(...enrol, '--token-file', 'wrong')

    expect(refused).toMatchObject({ status: 5, stderr: expect.stringContaining('stays enrolled at http://127.0.0.1') })
    expect(refused.stderr).not.toContain('is not enrolled')
    const after = [await rootOf(world), await textOf(world, 'agent.json'), await textOf(world, 'trust/floors.state')]
    expect(after).toEqual(before)
    serve(world, now)
    expect(await world.run('update', 'check')).toMatchObject({ status: 0 })
    await beginAnew(world, 'other')
    world.product('other')
    expect(await world.enrol(...enrol)).toMatchObject({ status: 0 })
    expect(await world.json('agent', 'status')).toMatchObject({ product: 'other' })
  })
})

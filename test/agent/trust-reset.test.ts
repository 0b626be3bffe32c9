import { cp, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fingerprintOf } from '../../keys/release.ts'
import type { SimRepository } from '../sim/repository.ts'
import { type AgentWorld, publishedWorld } from './agent-world.ts'

/** The holders lost their keys and began anew; the host still pins the root of before. Resolves with the fingerprint that they read out to each other. */
async function beginAnew(world: AgentWorld, changes: (repo: SimRepository) => void = () => undefined): Promise<string> {
  const { repo, folder } = world
  for (const role of ['root', 'timestamp', 'snapshot', 'targets', 'alpha']) repo.rotateKeys(role)
  changes(repo)
  await repo.publishAsIs('root')
  await repo.publish('alpha', 'targets')
  const bytes = repo.file('1.root.json')
  await writeFile(join(folder, 'new-root.json'), bytes)
  return fingerprintOf(bytes)
}

const reset = (world: AgentWorld, sha256: string, ...more: string[]) =>
  world.run('agent', 'trust', 'reset', '--root', 'new-root.json', '--expect-sha256', sha256, ...more)

/** Everything that a host trusts, file by file. */
async function trustOf({ home }: AgentWorld): Promise<Record<string, string>> {
  const folder = join(home, 'state', 'trust')
  const names = (await readdir(folder)).sort()
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))
  return Object.fromEntries(names.map((name, index) => [name, texts[index] ?? '']))
}

describe('netlink agent trust reset', () => {
  test('after a root threshold was lost the host follows the new root, keeps what runs and its floor, and tells the server', async () => {
    await using world = await publishedWorld()
    expect(await world.run('update', 'upgrade', '--latest', '--yes')).toMatchObject({ status: 0 })
    const old = (await world.json('agent', 'trust')).root
    const sha256 = await beginAnew(world)
    await world.publish('0a2')
    expect(await world.run('update', 'check')).toMatchObject({ status: 7 })

    const done = await reset(world, sha256, '--yes')

    expect(done, done.stderr).toMatchObject({ status: 0 })
    expect(done.stderr).toContain(old.sha256)
    expect(done.stderr).toContain(sha256)
    expect(await world.installed()).toBe('0a1')
    expect(JSON.parse(await readFile(join(world.home, 'state', 'floor.json'), 'utf8'))).toMatchObject({ floor: '0a1' })
    expect((await world.json('agent', 'trust')).root).toMatchObject({ sha256, version: 1, product: 'demo' })
    expect(
      (await readdir(join(world.home, 'state'))).filter((name) => /^trust\.\d{8}T\d{6}Z$/.test(name)),
    ).toHaveLength(1)
    expect(world.reports.map(({ body }) => body)).toContainEqual({
      type: 'trust_reset',
      trust_reset: { old_sha256: old.sha256, new_sha256: sha256, root_version: 1, product: 'demo' },
    })
    expect(await world.run('update', 'upgrade', '--latest', '--yes')).toMatchObject({ status: 0 })
    expect(await world.installed()).toBe('0a2')
  })

  test('with another fingerprint, a root that signs itself badly, or a server that does not bear it out: exit 7, nothing changed', async () => {
    await using world = await publishedWorld()
    await world.run('update', 'check')
    const before = await trustOf(world)
    const honest = world.repo.copy()
    const sha256 = await beginAnew(world)
    expect(
      await reset(
        world,
        sha256.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
        '--yes',
      ),
    ).toMatchObject({ status: 7 })
    expect(await trustOf(world)).toEqual(before)

    const altered = String(Buffer.from(world.repo.file('1.root.json'))).replace('"demo"', '"dem0"')
    await writeFile(join(world.folder, 'altered.json'), altered)
    const badly = ['agent', 'trust', 'reset', '--root', 'altered.json', '--yes', '--expect-sha256']
    expect(await world.run(...badly, fingerprintOf(Buffer.from(altered)))).toMatchObject({ status: 7 })
    expect(await trustOf(world)).toEqual(before)

    const renewed = new Map(world.repo.files)
    for (const [name, bytes] of honest.files) world.repo.files.set(name, bytes)
    expect(await reset(world, sha256, '--yes')).toMatchObject({ status: 7 })
    expect(await trustOf(world)).toEqual(before)

    for (const [name, bytes] of renewed) world.repo.files.set(name, bytes)
    expect(await reset(world, `sha256:${sha256.toUpperCase()}`, '--yes')).toMatchObject({ status: 0 })
    expect(await trustOf(world)).not.toEqual(before)
  })

  test('asks first, and says what to run where nobody can be asked', async () => {
    await using world = await publishedWorld()
    const before = await trustOf(world)
    const sha256 = await beginAnew(world)
    const refused = await reset(world, sha256)
    expect(refused.status).toBe(4)
    expect(refused.stderr).toContain(`netlink agent trust reset --root new-root.json --expect-sha256 ${sha256} --yes`)
    expect(await trustOf(world)).toEqual(before)
  })

  test('a root of another product is refused unless that product was named', async () => {
    await using world = await publishedWorld()
    const sha256 = await beginAnew(world, (repo) => {
      repo.root.product = 'other'
    })
    const refused = await reset(world, sha256, '--yes')
    expect(refused).toMatchObject({ status: 7 })
    expect(refused.stderr).toContain('E-FOREIGN')
    expect(await reset(world, sha256, '--yes', '--other-product', 'third')).toMatchObject({ status: 7 })
    expect(await reset(world, sha256, '--yes', '--other-product', 'other')).toMatchObject({ status: 0 })
    expect(await world.json('agent', 'status')).toMatchObject({ product: 'other' })
  })

  test('works without the server where that is said, and not otherwise', async () => {
    await using world = await publishedWorld()
    const sha256 = await beginAnew(world)
    world.tricks.set('/repo/', (request) => request.destroy())
    const before = await trustOf(world)
    expect(await reset(world, sha256, '--yes')).toMatchObject({ status: 6 })
    expect(await trustOf(world)).toEqual(before)
    expect(await reset(world, sha256, '--yes', '--offline')).toMatchObject({ status: 0 })
    world.tricks.clear()
    expect(await world.run('update', 'check')).toMatchObject({ status: 0 })
  })

  test('that was decided and cut off is brought to its end by the next command, whatever it is', async () => {
    await using world = await publishedWorld()
    const state = join(world.home, 'state')
    await cp(join(state, 'trust'), join(state, 'trust.old'), { recursive: true })
    const sha256 = await beginAnew(world)
    expect(await reset(world, sha256, '--yes')).toMatchObject({ status: 0 })
    await rename(join(state, 'trust'), join(state, 'trust.next'))
    await rename(join(state, 'trust.old'), join(state, 'trust'))
    expect((await world.json('agent', 'trust')).root).toMatchObject({ sha256 })
    expect(await readdir(state)).not.toContain('trust.next')
  })

  test('floors that nobody can read stop a host, and a reset to the same root is the way out', async () => {
    await using world = await publishedWorld()
    await world.run('update', 'check')
    await writeFile(join(world.home, 'state', 'trust', 'floors.state'), '{')
    expect(await world.run('update', 'check')).toMatchObject({ status: 7 })
    const sha256 = (await world.json('agent', 'trust')).root.sha256
    await writeFile(join(world.folder, 'new-root.json'), world.repo.file('1.root.json'))
    expect(await reset(world, sha256, '--yes')).toMatchObject({ status: 0 })
    expect(await world.run('update', 'check')).toMatchObject({ status: 0 })
  })

  test.each([
    [['--expect-sha256', '0'.repeat(64)], '--root is missing'],
    [['--root', 'root.json'], '--expect-sha256 is missing'],
    [['--root', 'root.json', '--expect-sha256', 'abc'], 'no fingerprint'],
    [['--root', 'nowhere.json', '--expect-sha256', '0'.repeat(64)], 'not there'],
  ])('%s is no way to ask for it', async (args, words) => {
    await using world = await publishedWorld()
    const refused = await world.run('agent', 'trust', 'reset', ...args)
    expect(refused.status).toBe(2)
    expect(refused.stderr).toContain(words)
  })
})

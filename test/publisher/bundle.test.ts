// A bundle's whole way, with real processes: made on the publisher's machine, carried, installed on a host whose server is gone.
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { onHost, pageOf, startAgent, versionOf, type WorldHost } from '../world/host.ts'
import { type Outcome, run, stopAll, until } from '../world/programs.ts'
import { flipped } from '../world/storage.ts'
import { buildWorld, expectDone, type World } from '../world/world.ts'
import { answerOf } from './world.ts'

const examples = join(import.meta.dirname, '..', '..', 'docs', 'examples')
let folder: string
let world: World
let host: WorldHost
const stick = (name: string) => join(folder, 'stick', name)
const publisher = (...args: string[]): Promise<Outcome> => run(folder, 'netlink-publish', [...args, '--dir', 'pub'])

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-carried-'))
  await mkdir(join(folder, 'stick'))
  for (const name of ['app-v1', 'app-v2']) await cp(join(examples, name), join(folder, name), { recursive: true })
  world = await buildWorld(folder)
  expectDone(await world.publish(['release', '0a1', '--from', 'app-v1']))
  host = await world.enrol('far-away', 'alpha')
  expectDone(await onHost(folder, host, ['update', 'upgrade', '--latest', '--yes']))
  expectDone(await publisher('bundle', '0a1', '--out', stick('demo-0a1.bundle')))
  expectDone(await world.publish(['release', '0a2', '--from', 'app-v2']))
}, 120_000)

afterAll(async () => {
  await onHost(folder, host, ['service', 'stop'])
  await stopAll()
  await rm(folder, { recursive: true, force: true })
})

describe('a release in one file', () => {
  test('is made while the server answers: the same bytes again, also from the server where the packed file is damaged', async () => {
    const file = stick('demo-0a2.bundle')
    const made = await publisher('bundle', '0a2', '--out', file, '--json')
    expect(made.status, made.stdout).toBe(0)
    const said = answerOf(made)
    expect(said).toMatchObject({ version: '0a2', versions: ['0a2'], platforms: ['any'], missing_barriers: [] })
    expect(new Date(String(said.expires_at)).getTime()).toBeGreaterThan(Date.now())
    for (const name of await readdir(join(folder, 'pub', 'artifacts')))
      await writeFile(join(folder, 'pub', 'artifacts', name), 'no longer what was packed')
    const again = await publisher('bundle', '0a2', '--out', stick('again.bundle'), '--json')
    expect(answerOf(again).sha256).toBe(said.sha256)
    expect(await readFile(stick('again.bundle'))).toEqual(await readFile(file))
    expect((await readdir(join(folder, 'stick'))).toSorted()).toEqual([
      'again.bundle',
      'demo-0a1.bundle',
      'demo-0a2.bundle',
    ])
  }, 60_000)

  test('is not made of what is not there, for whom it is not, or where it can’t lie', async () => {
    expect(await publisher('bundle', '0a7', '--out', stick('x'))).toMatchObject({ status: 3 })
    expect(await publisher('bundle', '0a2', '--out', stick('x'), '--platform', 'linux-arm64')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('no artifact for "linux-arm64": there is any'),
    })
    expect(await publisher('bundle', '0a2', '--out', stick(''))).toMatchObject({ status: 2 })
    expect(await publisher('bundle', '0a2', '--out', join(folder, 'no', 'x'))).toMatchObject({ status: 2 })
    expect(await publisher('bundle', '0a2')).toMatchObject({ status: 2 })
    expect(await readdir(join(folder, 'stick'))).toHaveLength(3)
  }, 60_000)

  test('is verified and installed with no server anywhere, with and without the daemon', async () => {
    await stopAll()
    await expect(fetch(world.server)).rejects.toThrow()
    const verified = await publisher('verify', stick('demo-0a2.bundle'))
    expect(verified.status, verified.stderr).toBe(0)
    expect(verified.stdout).toMatch(/ok {2}artifact {3}any: \d+ bytes/)
    const upgraded = await onHost(folder, host, ['update', 'upgrade', '--from', stick('demo-0a2.bundle'), '--yes'])
    expect(upgraded.status, upgraded.stderr).toBe(0)
    expect(await versionOf(host)).toBe('0a2')
    expect(await pageOf(host)).toContain('0a2')

    startAgent(folder, host)
    // The daemon begins with a recovery, which holds the update lock.
    const isBack = await until(20, async () => {
      const { status } = await onHost(folder, host, ['update', 'rollback', '--yes'])
      return status === 0 ? true : undefined
    })
    expect(isBack).toBe(true)
    expect(await versionOf(host)).toBe('0a1')
    expectDone(await onHost(folder, host, ['update', 'upgrade', '--from', stick('demo-0a2.bundle'), '--yes']))
    expect(await versionOf(host)).toBe('0a2')
  }, 90_000)

  test('is refused where it is older than what was seen, or damaged, by the publisher’s verify too', async () => {
    const replayed = await onHost(folder, host, ['update', 'upgrade', '--from', stick('demo-0a1.bundle'), '--force'])
    expect(replayed).toMatchObject({ status: 7, stderr: expect.stringContaining('E-ROLLBACK') })
    const whole = await readFile(stick('demo-0a2.bundle'))
    await writeFile(stick('damaged.bundle'), flipped(Buffer.from(whole), Math.floor(whole.length / 2)))
    const damaged = await publisher('verify', stick('damaged.bundle'))
    expect(damaged).toMatchObject({ status: 7, stderr: expect.stringContaining('E-BUNDLE') })
    expect(await publisher('verify', stick('demo-0a2.bundle'))).toMatchObject({ status: 0 })
    expect(await versionOf(host)).toBe('0a2')
  }, 60_000)

  test('can’t be made without the server, and leaves nothing half-made', async () => {
    const refused = await publisher('bundle', '0a2', '--out', stick('late.bundle'))
    expect(refused).toMatchObject({ status: 6, stderr: expect.stringContaining('E-UNREACHABLE') })
    expect((await readdir(join(folder, 'stick'))).filter((name) => name.includes('late'))).toEqual([])
  }, 60_000)

  test('what happened meanwhile is told once the server is there again', async () => {
    await world.serve()
    const told = await until(30, async () => {
      const { stdout } = await world.admin(['hosts', 'list', '--json'])
      return stdout.includes('0a2') ? true : undefined
    })
    expect(told).toBe(true)
  }, 60_000)
})

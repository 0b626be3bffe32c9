// Attacks on a host by its server, its network, its users and its releases: `netlink` against real signed bytes. Each one is refused
// for its reason, leaves the host on the version it had, and is followed by the same story one edit away, which succeeds.
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { manifestPath } from '../../schema/release-path.ts'
import { parseVersion } from '../../schema/version.ts'
import { utf8 } from '../sim/repository.ts'
import { type AgentWorld, changelog, publishedWorld } from './agent-world.ts'

const UPGRADE = ['update', 'upgrade', '--latest', '--yes']

/** A host on 0a1 to which 0a2 is offered. */
async function hostWithUpdate(): Promise<AgentWorld> {
  const world = await publishedWorld()
  const { status, stderr } = await world.run(...UPGRADE)
  expect(status, stderr).toBe(0)
  await world.publish('0a2')
  return world
}

/** Refused with this exit status, still on 0a1, nothing of 0a2 anywhere a service could start from. */
async function refused(
  world: AgentWorld,
  status: number,
  args: readonly string[] = UPGRADE,
  run: AgentWorld['run'] | AgentWorld['process'] = world.run,
): Promise<string> {
  const end = await run(...args)
  expect(end.status, end.stdout + end.stderr).toBe(status)
  expect(await installed(world)).toBe('0a1')
  expect((await readdir(join(world.home, 'generations'))).sort()).toEqual(['1'])
  expect((await readdir(join(world.home, 'store'))).filter((name) => !name.startsWith('0a1'))).toEqual([])
  expect(await filesBelow(join(world.home, 'staging'))).toEqual([])
  return end.stderr
}

async function succeeds(world: AgentWorld, version = '0a2'): Promise<void> {
  const { status, stderr } = await world.run(...UPGRADE)
  expect(status, stderr).toBe(0)
  expect(await installed(world)).toBe(version)
}

/** What the host committed last, as its record says. */
async function installed(world: AgentWorld): Promise<string> {
  return JSON.parse(await readFile(join(world.home, 'version.json'), 'utf8')).current_version
}

async function filesBelow(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true }).catch(() => [])).sort()
}

describe.concurrent('a server', () => {
  test('H10 that swaps the manifest for one host is refused, whatever that manifest says', async () => {
    await using world = await hostWithUpdate()
    const files = [...world.repo.targetFiles].filter(([path]) => path.includes('/0a2/'))
    const [evil = ''] = [...world.artifacts.keys()]
    for (const [path, bytes] of files) {
      const manifest = JSON.parse(Buffer.from(bytes).toString())
      manifest.artifacts[0].sha256 = evil
      world.repo.targetFiles.set(path, utf8(JSON.stringify(manifest)))
    }
    expect(await refused(world, 7)).toMatch(/^error E-/)
    for (const [path, bytes] of files) world.repo.targetFiles.set(path, bytes)
    await succeeds(world)
  }, 120_000)

  test('T49 that changes a word of what a manifest says, executed or shown, is refused', async () => {
    await using world = await hostWithUpdate()
    const files = [...world.repo.targetFiles].filter(([path]) => path.includes('/0a2/'))
    const edits: ((manifest: Record<string, never>) => object)[] = [
      (manifest) => ({ ...manifest, hooks: [{ point: 'commit', argv: ['./evil'] }] }),
      (manifest) => ({ ...manifest, restart_units: ['evil.service'] }),
      (manifest) => ({ ...manifest, service: { argv: ['sh', '-c', 'evil'] } }),
      (manifest) => ({ ...manifest, changelog: changelog('0a2', 'nothing to see here') }),
    ]
    for (const edit of edits) {
      for (const [path, bytes] of files) {
        const evil = JSON.stringify(edit(JSON.parse(Buffer.from(bytes).toString())))
        world.repo.targetFiles.set(path, utf8(evil))
      }
      await refused(world, 7)
    }
    for (const [path, bytes] of files) world.repo.targetFiles.set(path, bytes)
    await succeeds(world)
  }, 120_000)

  test('H11 that gives the old release out under a new number is refused: the number is signed', async () => {
    await using world = await hostWithUpdate()
    const old = [...world.repo.targetFiles].find(([path]) => path.includes('/0a1/'))?.[1] ?? new Uint8Array()
    world.repo.addTarget('alpha', manifestPath(parseVersion('0a9')), old, {
      version: '0a9',
      platforms: ['any'],
      released_at: '2026-11-23T10:00:00Z',
    })
    await world.repo.publish('alpha')
    expect(await refused(world, 7)).toContain('0a9')
    delete world.repo.targetsRole('alpha').targets[manifestPath(parseVersion('0a9'))]
    await world.repo.publish('alpha')
    await succeeds(world)
  }, 120_000)

  test('H12 that shows an older repository is refused, also after the cache of the host is gone', async () => {
    await using world = await hostWithUpdate()
    const old = new Map(world.repo.files)
    await world.publish('0a3')
    expect((await world.run('update', 'check')).status).toBe(0)
    const now = new Map(world.repo.files)
    const serve = (files: ReadonlyMap<string, Uint8Array>) => {
      world.repo.files.clear()
      for (const [name, bytes] of files) world.repo.files.set(name, bytes)
    }
    serve(old)
    expect(await refused(world, 7)).toContain('rollback')
    for (const name of ['timestamp.json', 'snapshot.json', 'targets.json', 'alpha.json'])
      await rm(join(world.home, 'state', 'trust', name), { force: true })
    expect(await refused(world, 7)).toContain('rollback')
    serve(now)
    await succeeds(world, '0a3')
  }, 120_000)

  test('H12 that offers less than what runs here, properly signed, moves nothing', async () => {
    await using world = await hostWithUpdate()
    await succeeds(world)
    delete world.repo.targetsRole('alpha').targets[manifestPath(parseVersion('0a2'))]
    await world.repo.publish('alpha')
    expect((await world.run(...UPGRADE)).status).toBe(0)
    expect(await installed(world)).toBe('0a2')
    expect((await world.run('update', 'upgrade', '--to', '0a1', '--yes')).status).toBe(3)
    expect(await installed(world)).toBe('0a2')
    await world.publish('0a3')
    await succeeds(world, '0a3')
  }, 120_000)

  // Downloads are tried several times: one test each, so that they wait side by side.
  test.each([
    ['nothing', (response: ServerResponse) => response.destroy()],
    ['500', (response: ServerResponse) => response.writeHead(500).end('{"ok":true}')],
  ])(
    'H8 whose every artifact is %s is never taken for a good one',
    async (_, fail) => {
      await using world = await hostWithUpdate()
      world.tricks.set('/repo/artifacts/', (_request, response) => void fail(response))
      await refused(world, 6)
      world.tricks.clear()
      await succeeds(world)
    },
    120_000,
  )

  test('H8 whose answers fail in any way is never taken for a good one', async () => {
    await using world = await hostWithUpdate()
    for (const path of ['/repo/metadata/timestamp.json', '/repo/metadata/2.root.json']) {
      world.tricks.set(path, (_, response) => response.destroy())
      await refused(world, 6)
      world.tricks.set(path, (_, response) => response.writeHead(500).end('{"ok":true}'))
      await refused(world, 6)
      world.tricks.delete(path)
    }
    for (const nothing of ['', 'null', '{}', 'undefined', '{"signed":{},"signatures":[]}']) {
      world.tricks.set('/repo/metadata/timestamp.json', (_, response) => response.end(nothing))
      await refused(world, 7)
    }
    world.tricks.clear()
    await succeeds(world)
  }, 120_000)
})

describe.concurrent('an artifact', () => {
  test('H13 of other bytes is not opened: no parser sees it, and nothing of it stays', async () => {
    await using world = await hostWithUpdate()
    const [name = '', whole = new Uint8Array()] = [...world.artifacts].at(-1) ?? []
    world.artifacts.set(
      name,
      Uint8Array.from(whole, (byte, index) => (index === whole.length - 1 ? byte ^ 1 : byte)),
    )
    const end = await world.run(...UPGRADE, '--json')
    expect(end.status).toBe(7)
    const phases = end.stdout.split('\n').flatMap((line) => /"phase":"(\w+)"/.exec(line)?.[1] ?? [])
    expect(phases).toContain('download')
    expect(phases).not.toContain('unpack')
    await refused(world, 7)
    expect(await filesBelow(join(world.home, 'state', 'downloads'))).toEqual([])
    world.artifacts.set(name, whole)
    await succeeds(world)
  }, 120_000)

  test('H22 and T51: a redirect of its storage leads nowhere that the host would not go, and other bytes count for nothing', async () => {
    await using world = await hostWithUpdate()
    for (const location of ['file:///etc/passwd', 'http://192.0.2.1/x', 'data:,x', 'ftp://127.0.0.1/x']) {
      world.tricks.set('/repo/artifacts/', (_, response) => response.writeHead(302, { location }).end())
      await refused(world, 6)
    }
    world.tricks.set('/repo/artifacts/', (_, response) => response.writeHead(302, { location: '/elsewhere' }).end())
    world.tricks.set('/elsewhere', (_, response) => response.end('what somebody put into the old bucket'))
    await refused(world, 7)
    const [, whole] = [...world.artifacts].at(-1) ?? []
    world.tricks.set('/elsewhere', (_, response) => response.end(whole))
    await succeeds(world)
  }, 120_000)

  test('T31 and H21: one that never ends, comes packed, or says another length is left, and the host goes on', async () => {
    await using world = await hostWithUpdate()
    const [, whole = new Uint8Array()] = [...world.artifacts].at(-1) ?? []
    world.tricks.set('/repo/artifacts/', (_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
        response.once('drain', more)
      }
      more()
    })
    await refused(world, 7)
    world.tricks.set('/repo/artifacts/', (_, response) => response.end(whole.subarray(1)))
    await refused(world, 7)
    world.tricks.set('/repo/artifacts/', (_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(whole),
    )
    await refused(world, 6)
    world.tricks.clear()
    await succeeds(world)
  }, 120_000)

  test('H7 with names that a shell would obey is unpacked as it stands, and nothing of it runs', async () => {
    await using world = await hostWithUpdate()
    const marker = join(world.folder, 'owned')
    const names = ['$(touch owned)', '`touch owned`', "'; touch owned; '", '%PATH%', '-rf', '&& touch owned', '*']
    await world.publish('0a3', {}, Object.fromEntries(names.map((name) => [name, name])))
    await succeeds(world, '0a3')
    const [tree = ''] = (await readdir(join(world.home, 'store'))).filter((name) => name.startsWith('0a3'))
    expect((await readdir(join(world.home, 'store', tree))).sort()).toEqual([...names].sort())
    await expect(stat(marker)).rejects.toThrow()
    expect((await filesBelow(world.home)).filter((path) => basename(path) === 'owned')).toEqual([])
  }, 120_000)
})

describe.concurrent('a release', () => {
  test('H28 whose changelog is beyond all measure is refused before anybody is shown it', async () => {
    await using world = await hostWithUpdate()
    const endless = 'x'.repeat(5_000_000)
    await world.publish('0a3', { changelog: changelog('0a3', endless) })
    const shown = await world.run('update', 'changelog', '--version', '0a3')
    expect(shown.status, shown.stderr).toBe(7)
    expect((shown.stdout + shown.stderr).length).toBeLessThan(10_000)
    await refused(world, 7)
    await world.publish('0a4', { changelog: changelog('0a4', 'x'.repeat(2_000)) })
    await succeeds(world, '0a4')
  }, 120_000)
})

describe.concurrent('this machine', () => {
  test('H15 folders that others may write in are refused: state, trust, and any folder on the way', async () => {
    await using world = await hostWithUpdate()
    const { folder, home } = world
    const places = [join(home, 'state'), join(home, 'state', 'trust'), home, folder]
    for (const place of places) {
      const before = (await stat(place)).mode & 0o7777
      await chmod(place, before | 0o002)
      const said = await refused(world, 5)
      expect(said).toContain('E-NOT-PERMITTED')
      expect(said).toContain(place)
      expect((await world.run('agent', 'run')).status).toBe(5)
      await chmod(place, before)
    }
    await succeeds(world)
  }, 120_000)

  test('H15 secrets are for their owner alone, whatever the umask was, and no other place is used', async () => {
    await using world = await hostWithUpdate()
    await succeeds(world)
    for (const name of ['host.key', 'agent.json', 'trust/root.json', 'trust/floors.state'])
      expect([name, (await stat(join(world.home, 'state', name))).mode & 0o077]).toEqual([name, 0])
    await chmod(join(world.home, 'state', 'host.key'), 0o644)
    expect((await world.run('update', 'check')).status).toBe(5)
    await chmod(join(world.home, 'state', 'host.key'), 0o600)
    expect((await world.run('update', 'check')).status).toBe(0)
  }, 120_000)

  test('H9 no word in the environment or on the command line switches a check off', async () => {
    await using world = await hostWithUpdate()
    const good = new Map(world.repo.files)
    const forged = Buffer.from(world.repo.file('timestamp.json'))
      .toString()
      .replace(/"sig": "../, '"sig": "00')
    world.repo.files.set('timestamp.json', utf8(forged))
    Object.assign(world.env, {
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      NODE_ENV: 'test',
      CI: 'true',
      DEBUG: '*',
      NETLINK_INSECURE: '1',
      NETLINK_SKIP_VERIFY: '1',
      NETLINK_NO_VERIFY: 'true',
      NETLINK_SKIP_SIGNATURE: '1',
      NETLINK_ALLOW_UNSIGNED: '1',
      NETLINK_DEV: '1',
    })
    await refused(world, 7, UPGRADE, world.process)
    await refused(world, 7, ['update', 'upgrade', '--to', '0a2', '--force'], world.process)
    for (const flag of ['--no-verify', '--skip-verify', '--insecure', '--skip-signature', '--allow-unsigned'])
      await refused(world, 2, [...UPGRADE, flag])
    world.repo.files.set('timestamp.json', good.get('timestamp.json') ?? new Uint8Array())
    await succeeds(world)
  }, 120_000)

  test('H30 two commands at once on one cut cache both end well', async () => {
    await using world = await hostWithUpdate()
    await writeFile(join(world.home, 'state', 'trust', 'timestamp.json'), '{"sig')
    const ends = await Promise.all([world.process('update', 'check'), world.process('update', 'check')])
    expect(ends.map(({ status }) => status)).toEqual([0, 0])
    await succeeds(world)
  }, 120_000)

  test('H2 and H6: a link that somebody laid where the next tree goes is not followed', async () => {
    await using world = await hostWithUpdate()
    const outside = join(world.folder, 'outside')
    await mkdir(outside)
    await writeFile(join(outside, 'app.txt'), 'precious')
    await rm(join(world.home, 'staging'), { recursive: true, force: true })
    await symlink(outside, join(world.home, 'staging'))
    await succeeds(world)
    expect(await readFile(join(outside, 'app.txt'), 'utf8')).toBe('precious')
    expect(await readdir(outside)).toEqual(['app.txt'])
  }, 120_000)
})

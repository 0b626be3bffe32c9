// `netlink update … --from FILE`. The host is enrolled; from then on its server counts what it is asked, and that stays at nothing.
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { pack } from '../engine/release.ts'
import { daysFrom, SimRepository } from '../sim/repository.ts'
import { until } from '../world/programs.ts'
import { type AgentWorld, buildAgentWorld, publishedWorld } from './agent-world.ts'
import { type MakingOptions, makeBundle, type Parts, readParts, writeParts } from './bundle-making.ts'

/** Makes a bundle of what is published now. */
function bundle(world: AgentWorld, version: string, name = `${version}.bundle`, options: MakingOptions = {}) {
  return makeBundle(world, version, join(world.folder, name), options)
}

/** The same bundle after an attacker had it: `change` edits what is in it, the index fits again. */
async function forged(file: string, change: (parts: Parts) => void | Promise<void>): Promise<string> {
  const parts = await readParts(file)
  await change(parts)
  return writeParts(`${file}.forged`, parts)
}

/** A host that has been enrolled, and from now on nobody answers. */
async function cutOff(world: AgentWorld): Promise<void> {
  world.requests.length = 0
  world.tricks.set('/', (request) => request.socket.destroy())
}

const outboxOf = async (world: AgentWorld) =>
  readFile(join(world.home, 'state', 'outbox.json'), 'utf8').catch(() => 'none')
const floorsOf = async (world: AgentWorld) =>
  JSON.parse(await readFile(join(world.home, 'state', 'trust', 'floors.state'), 'utf8'))

describe.concurrent('a bundle', { timeout: 60_000 }, () => {
  test('installs what it was made for, asks nobody, and leaves its reports in the outbox', async () => {
    await using world = await publishedWorld()
    const first = await bundle(world, '0a1')
    await world.publish('0a2')
    const second = await bundle(world, '0a2')
    await cutOff(world)
    const dry = await world.run('update', 'upgrade', '--from', first, '--dry-run')
    expect(dry.status, dry.stderr).toBe(0)
    expect(await world.installed()).toBeNull()
    const installed = await world.run('update', 'upgrade', '--from', first, '--yes')
    expect(installed.status, installed.stderr).toBe(0)
    const check = await world.run('update', 'check', '--from', second)
    expect(check.stdout).toContain('0a1 → 0a2 available')
    expect(check.stdout).toContain(`netlink update upgrade --from ${second} --dry-run`)
    const again = await world.run('update', 'upgrade', '--from', second, '--to', '0a2', '--yes')
    expect(again.status, again.stderr).toBe(0)
    expect(await world.installed()).toBe('0a2')
    expect(await world.run('update', 'upgrade', '--from', second, '--yes')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('nothing to do: 0a2 is installed'),
    })
    expect(world.requests).toEqual([])
    expect(await outboxOf(world)).toContain('update_0a1_0a2_')
    // The way back needs nothing at all, and what waited is told once somebody answers.
    expect((await world.run('update', 'rollback', '--yes')).status).toBe(0)
    world.tricks.clear()
    expect((await world.run('update', 'upgrade', '--to', '0a2', '--yes')).status).toBe(0)
    expect(world.reports.length).toBeGreaterThan(4)
  })

  test('is taken by a host whose daemon runs, and says nothing to the network either', async () => {
    await using world = await publishedWorld()
    const file = await bundle(world, '0a1')
    const daemon = world.start('agent', 'run')
    try {
      expect(await until(20, async () => (daemon.output().includes('socket') ? true : undefined))).toBe(true)
      await cutOff(world)
      const installed = await world.run('update', 'upgrade', '--from', file, '--yes')
      expect(installed.status, installed.stderr).toBe(0)
      expect(await world.installed()).toBe('0a1')
      expect(world.requests.filter((request) => request.includes('/repo/artifacts/'))).toEqual([])
    } finally {
      daemon.child.kill('SIGTERM')
      await daemon.end
    }
  })

  test('carries every root, so that a host which slept through rotations follows', async () => {
    await using world = await publishedWorld()
    for (const role of ['timestamp', 'snapshot', 'root']) {
      const [old] = world.repo.signersOf('root')
      world.repo.rotateKeys(role)
      if (role === 'root' && old) {
        world.repo.role('root').version += 1
        const next = await world.repo.sign(world.repo.role('root'), [old, ...world.repo.signersOf('root')])
        world.repo.files.set(`${world.repo.role('root').version}.root.json`, next)
      } else await world.repo.publish('root')
      await world.repo.seal()
    }
    await world.repo.publish('alpha')
    const file = await bundle(world, '0a1')
    await cutOff(world)
    const stripped = await forged(file, ({ files }) => void files.delete('repo/metadata/3.root.json'))
    const refused = await world.run('update', 'upgrade', '--from', stripped, '--yes')
    expect(refused.status, refused.stderr).toBe(7)
    const installed = await world.run('update', 'upgrade', '--from', file, '--yes')
    expect(installed.status, installed.stderr).toBe(0)
    expect((await floorsOf(world)).root).toBe(4)
  })

  test('without a barrier on the way is refused naming it; with it each hop is an update of its own', async () => {
    await using world = await publishedWorld()
    await world.run('update', 'upgrade', '--latest', '--yes')
    await world.publish('0a2', { compatibility: { barrier: { reason: 'new store' } } })
    await world.publish('0a3')
    const role = world.repo.role('alpha')
    role.channel = { ...(role.channel as object), barriers: [{ version: '0a2', reason: 'new store' }] }
    await world.repo.publish('alpha')
    const without = await bundle(world, '0a3', 'without.bundle')
    const file = await bundle(world, '0a3', 'with.bundle', { others: ['0a2'] })
    await cutOff(world)
    const refused = await world.run('update', 'upgrade', '--from', without, '--yes')
    expect(refused).toMatchObject({ status: 3, stderr: expect.stringContaining('0a2 is not in without.bundle') })
    const latest = await world.run('update', 'upgrade', '--from', file, '--latest', '--yes')
    expect(latest.status, latest.stderr).toBe(0)
    const { history } = await world.json('update', 'history')
    expect(history.map((one: { to: string }) => one.to)).toEqual(['0a3', '0a2', '0a1'])
    const absent = await world.run('update', 'upgrade', '--from', file, '--to', '0a1', '--yes')
    expect(absent).toMatchObject({ status: 3, stderr: expect.stringContaining('0a1 is not in this bundle') })
  })

  test('carries the line role that lists an old version', async () => {
    await using world = await publishedWorld()
    const line = world.repo.delegateLine('alpha', 'alpha-0-0')
    const alpha = world.repo.targetsRole('alpha')
    Object.assign(line.targets, alpha.targets)
    alpha.targets = {}
    await world.repo.publish('alpha-0-0', 'alpha')
    const file = await bundle(world, '0a1')
    await cutOff(world)
    const stripped = await forged(file, ({ files }) => void files.delete('repo/metadata/2.alpha-0-0.json'))
    expect(await world.run('update', 'upgrade', '--from', stripped, '--yes')).toMatchObject({
      status: 7,
      stderr: expect.stringContaining('the repository has no 2.alpha-0-0.json'),
    })
    expect((await world.run('update', 'upgrade', '--from', file, '--yes')).status).toBe(0)
  })

  test('of another platform only is refused with 3; one that has this platform too is taken', async () => {
    await using world = await buildAgentWorld()
    await world.enrol()
    const here = pack({ 'app.txt': 'here' }, `${process.platform}-${process.arch}`)
    const there = pack({ 'app.txt': 'there' }, 'plan9-mips')
    for (const { archive, artifact } of [here, there]) world.artifacts.set(String(artifact.sha256), archive)
    await world.repo.release('0a1', { artifacts: [here.artifact, there.artifact] })
    const other = await bundle(world, '0a1', 'other.bundle', { platforms: ['plan9-mips'] })
    const both = await bundle(world, '0a1', 'both.bundle')
    await cutOff(world)
    const refused = await world.run('update', 'upgrade', '--from', other, '--yes')
    expect(refused.status).toBe(3)
    expect(refused.stderr).toContain('carries 0a1 for plan9-mips, and this host is')
    expect(refused.stderr).toContain(`Next: netlink update check --from ${other}`)
    expect((await world.run('update', 'upgrade', '--from', both, '--yes')).status).toBe(0)
  })

  test('is no way around the rights of a user: exit 5, and nothing is touched', async (context) => {
    await using world = await publishedWorld()
    const file = await bundle(world, '0a1')
    for (const folder of [world.folder, world.home, join(world.home, 'state')]) await chmod(folder, 0o755)
    const bin = join(import.meta.dirname, '..', '..', 'agent', 'bin.cjs')
    const node = (args: readonly string[], user: object) =>
      new Promise<{ status: number | null; stderr: string }>((resolve) => {
        const child = execFile(process.execPath, args, { env: world.env, ...user }, (_error, _out, stderr) =>
          resolve({ status: child.exitCode, stderr }),
        )
        child.once('error', (error) => resolve({ status: null, stderr: error.message }))
      })
    const nobody = { uid: 65534, gid: 65534 }
    if ((await node(['-e', `require('node:fs').readFileSync(${JSON.stringify(bin)})`], nobody)).status !== 0)
      context.skip('only root can be another user, who has to be able to read this checkout')
    const upgrade = [bin, 'update', 'upgrade', '--from', file, '--yes']
    const refused = await node(upgrade, nobody)
    expect(refused).toMatchObject({ status: 5, stderr: expect.stringContaining('E-NOT-PERMITTED') })
    expect(await world.installed()).toBeNull()
    expect(await node(upgrade, {})).toMatchObject({ status: 0 })
    expect(await world.installed()).toBe('0a1')
  })

  // By itself: a collector that gets no time lets memory grow.
  test('of 100 MB is installed within 200 MB of memory', { concurrent: false }, async () => {
    await using world = await buildAgentWorld()
    await world.enrol()
    await world.publish('0a1', {}, { 'data.bin': randomBytes(100 << 20) })
    const file = await bundle(world, '0a1')
    await cutOff(world)
    // Not maxrss: that begins with what this process had when it forked.
    const told = `import { readFileSync } from 'node:fs'
      process.on('exit', () => process.stderr.write(/VmHWM.*/.exec(readFileSync('/proc/self/status', 'utf8'))?.[0] ?? ''))`
    const env = { ...world.env, NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(told)}` }
    const bin = join(import.meta.dirname, '..', '..', 'agent', 'bin.cjs')
    const stderr = await new Promise<string>((resolve, reject) =>
      execFile(process.execPath, [bin, 'update', 'upgrade', '--from', file, '--yes'], { env }, (error, _, words) =>
        error ? reject(new Error(words)) : resolve(words),
      ),
    )
    const kilobytes = Math.max(...[...stderr.matchAll(/VmHWM:\s*(\d+)/g)].map(([, peak]) => Number(peak)))
    expect(kilobytes).toBeGreaterThan(20_000)
    expect(kilobytes).toBeLessThan(200_000)
    expect(await world.installed()).toBe('0a1')
  })
})

describe.concurrent('a bundle is refused with 7, nothing is changed, and the next good one is taken', {
  timeout: 60_000,
}, () => {
  /** The story of every refusal: 0a1 runs, a bad bundle of 0a2 comes, then the good one. */
  async function refuses(make: (world: AgentWorld, good: string) => Promise<string>, words: RegExp): Promise<void> {
    await using world = await publishedWorld()
    await world.run('update', 'upgrade', '--latest', '--yes')
    await world.publish('0a2')
    const bad = await make(world, await bundle(world, '0a2', 'first.bundle'))
    await world.repo.publish('alpha')
    const good = await bundle(world, '0a2', 'good.bundle')
    await cutOff(world)
    const outbox = await outboxOf(world)
    const refused = await world.run('update', 'upgrade', '--from', bad, '--force')
    expect(refused.status, refused.stderr).toBe(7)
    expect(refused.stderr).toMatch(words)
    expect(refused.stderr).toContain('Nothing was changed; this host stays on 0a1.')
    expect(await world.installed()).toBe('0a1')
    expect(await outboxOf(world)).toBe(outbox)
    const next = await world.run('update', 'upgrade', '--from', good, '--yes')
    expect(next.status, next.stderr).toBe(0)
    expect(await world.installed()).toBe('0a2')
    expect(world.requests).toEqual([])
  }

  const flip = (path: RegExp) => (parts: Parts) => {
    const [name = '', bytes = new Uint8Array()] = [...parts.files].find(([one]) => path.test(one)) ?? []
    expect(name).not.toBe('')
    const at = bytes.length - 20
    parts.files.set(
      name,
      Uint8Array.from(bytes, (byte, index) => (index === at ? byte ^ 1 : byte)),
    )
  }

  test('cut off', () =>
    refuses(async (_, good) => {
      const bytes = await readFile(good)
      await writeFile(`${good}.cut`, bytes.subarray(0, bytes.length - 4_000))
      return `${good}.cut`
    }, /E-BUNDLE: this bundle is cut off/))

  test('changed on its way', () =>
    refuses(async (_, good) => {
      const bytes = await readFile(good)
      bytes[bytes.length - 3_000] = (bytes[bytes.length - 3_000] ?? 0) ^ 1
      await writeFile(`${good}.flipped`, bytes)
      return `${good}.flipped`
    }, /E-BUNDLE: this bundle is not as it was written/))

  test('a timestamp that nobody signed like this', () =>
    refuses((_, good) => forged(good, flip(/timestamp\.json$/)), /E-(MALFORMED|SIG-THRESHOLD): the bundle/))

  test('a channel role that nobody signed like this', () =>
    refuses((_, good) => forged(good, flip(/\d\.alpha\.json$/)), /E-(MALFORMED|SIG-THRESHOLD): the bundle/))

  test('another manifest under the name of the signed one', () =>
    refuses(
      (_, good) =>
        forged(good, ({ files }) => {
          const [path = '', bytes] = [...files].find(([name]) => name.includes('/0a2/')) ?? []
          const evil = Buffer.from(
            Buffer.from(bytes ?? [])
              .toString()
              .replace('"sha256"', '"sha256" '),
          )
          files.delete(path)
          const sha256 = createHash('sha256').update(evil).digest('hex')
          files.set(`repo/targets/alpha/0a2/${sha256}.manifest.json`, evil)
        }),
      /E-MISSING: the bundle/,
    ))

  test('expired', () =>
    refuses(async (world) => {
      world.repo.role('timestamp').expires = daysFrom(new Date(), -1)
      await world.repo.seal()
      const old = await bundle(world, '0a2', 'old.bundle', { at: new Date(Date.now() - 2 * 86_400_000) })
      world.repo.role('timestamp').expires = daysFrom(new Date(), 1)
      return old
    }, /E-EXPIRED: the bundle old.bundle has expired/))

  test('another product’s, whether it says so or not', async () => {
    const other = async (world: AgentWorld) => {
      const repo = await SimRepository.create({ product: 'other', now: new Date() })
      // Two simulated repositories begin with the same keys: this one gets its own.
      for (const role of ['root', 'timestamp', 'snapshot', 'targets', 'alpha', 'beta', 'release']) repo.rotateKeys(role)
      await repo.publishAsIs('root')
      await repo.publish('targets', 'beta', 'release')
      const { archive, artifact } = pack({ 'app.txt': 'other' })
      await repo.release('0a2', { product: 'other', artifacts: [artifact] })
      const artifacts = new Map([[String(artifact.sha256), archive]])
      return makeBundle({ repo, artifacts }, '0a2', join(world.folder, 'other.bundle'))
    }
    await refuses((world) => other(world), /E-FOREIGN: the bundle other.bundle belongs to another product/)
    await refuses(
      async (world) => forged(await other(world), (parts) => void Object.assign(parts, { product: 'demo' })),
      /E-SIG-THRESHOLD: the bundle/,
    )
  })
})

test('an older bundle is refused once a newer one was seen, also by check alone; the newer one goes on', async () => {
  await using world = await publishedWorld()
  const older = await bundle(world, '0a1')
  await world.publish('0a2')
  const newer = await bundle(world, '0a2')
  await cutOff(world)
  expect((await world.run('update', 'check', '--from', newer)).status).toBe(0)
  const seen = await floorsOf(world)
  const refused = await world.run('update', 'upgrade', '--from', older, '--force')
  expect(refused).toMatchObject({ status: 7, stderr: expect.stringContaining('E-ROLLBACK: the bundle 0a1.bundle') })
  expect(await floorsOf(world)).toEqual(seen)
  expect(await world.installed()).toBeNull()
  expect((await world.run('update', 'upgrade', '--from', newer, '--yes')).status).toBe(0)
})

test('an index that promises a version which nobody signed is told as that: 3, and the honest one is taken', async () => {
  await using world = await publishedWorld()
  const file = await bundle(world, '0a1')
  await cutOff(world)
  const lying = await forged(file, (parts) => {
    const [path = '', bytes = new Uint8Array()] = [...parts.files].find(([name]) => name.includes('/0a1/')) ?? []
    parts.files.set(path.replace('/0a1/', '/0a9/'), bytes)
    parts.version = '0a9'
  })
  const refused = await world.run('update', 'upgrade', '--from', lying, '--yes')
  expect(refused).toMatchObject({ status: 3, stderr: expect.stringContaining('no release 0a9 is published') })
  expect(await world.installed()).toBeNull()
  expect((await world.run('update', 'upgrade', '--from', file, '--yes')).status).toBe(0)
})

test('what can’t be meant, a file that is not there, nobody to ask, nobody allowed', async () => {
  await using world = await publishedWorld()
  const file = await bundle(world, '0a1')
  await cutOff(world)
  const upgrade = (...words: string[]) => world.run('update', 'upgrade', ...words)
  expect(await upgrade('--from', file, '--no-wait')).toMatchObject({ status: 2 })
  expect(await upgrade('--from', file, '--latest', '--stable')).toMatchObject({ status: 2 })
  expect(await upgrade('--from', file, '--skip-backup')).toMatchObject({ status: 2 })
  expect(await world.run('update', 'check', '--from', file, '--offline')).toMatchObject({ status: 2 })
  expect(await upgrade('--from', 'nowhere.bundle')).toMatchObject({ status: 2 })
  expect(await upgrade('--from', '/dev/zero')).toMatchObject({ status: 7 })
  const unasked = await upgrade('--from', file)
  expect(unasked).toMatchObject({ status: 4, stderr: expect.stringContaining(`update upgrade --from ${file} --yes`) })
  expect(await world.installed()).toBeNull()
  expect((await upgrade('--from', file, '--yes')).status).toBe(0)
  expect(world.requests).toEqual([])
})

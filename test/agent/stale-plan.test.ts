// Somebody looks at a plan and takes their time. What they agree to is done only if it still is what would be done: a plan that was made under a root that is
// trusted no more, or of a release that was withdrawn since, is not.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { saveBrake } from '../../agent/brake.ts'
import { buildEngine } from '../../agent/engine-building.ts'
import { type Host, openHost } from '../../agent/host.ts'
import { type Consent, type InstallRequest, install } from '../../agent/install.ts'
import { buildMachine } from '../../agent/machine.ts'
import { fingerprintOf } from '../../keys/release.ts'
import { type AgentWorld, publishedWorld } from './agent-world.ts'

const UPGRADE = ['update', 'upgrade', '--latest', '--yes']

/** A host that runs 0a1 and could go to 0a2. */
async function hostWithUpdate(): Promise<AgentWorld> {
  const world = await publishedWorld()
  expect((await world.run(...UPGRADE)).status).toBe(0)
  await world.publish('0a2', {}, { 'app.txt': 'second' })
  return world
}

function hostOf({ env, folder }: AgentWorld): Promise<Host> {
  const around = { env, platform: process.platform, arch: process.arch, cwd: () => folder }
  return openHost(buildMachine(around, Math.random, 'the test'))
}

/** Upgrades as a person at this host; `meanwhile` happens while the plan is shown. */
async function upgrade(
  world: AgentWorld,
  meanwhile: () => Promise<unknown>,
  { consent = 'agreed', ...changes }: Partial<InstallRequest> & { consent?: Consent } = {},
) {
  const host = await hostOf(world)
  return install(host, buildEngine(host), {
    ...{ what: { kind: 'upgrade', goal: { kind: 'latest' } }, asked: { by: 'person' }, force: false, dryRun: false },
    ...changes,
    listener: {
      confirm: async () => {
        await meanwhile()
        return consent
      },
      onPlan: () => undefined,
      onEvent: () => undefined,
    },
  })
}

/** The holders begin anew without 0a2, and this host is told. */
async function resetTrust({ repo, folder, run }: AgentWorld): Promise<void> {
  for (const role of ['root', 'timestamp', 'snapshot', 'targets', 'alpha']) repo.rotateKeys(role)
  delete repo.targetsRole('alpha').targets['alpha/0a2/manifest.json']
  await repo.publishAsIs('root')
  await repo.publish('alpha', 'targets')
  const bytes = repo.file('1.root.json')
  await writeFile(join(folder, 'new-root.json'), bytes)
  const args = ['--root', 'new-root.json', '--expect-sha256', fingerprintOf(bytes), '--yes']
  expect(await run('agent', 'trust', 'reset', ...args)).toMatchObject({ status: 0 })
}

async function withdraw({ repo }: AgentWorld): Promise<void> {
  const facts = repo.role('alpha').channel as { withdrawn: object[] }
  const why = { reason: 'it eats mail', severity: 'critical', replace_with: null, at: '2026-11-23T10:00:00Z' }
  facts.withdrawn = [{ version: '0a2', ...why }]
  await repo.publish('alpha')
}

/** What the daemon does when its socket hears of it. */
async function pause(world: AgentWorld): Promise<void> {
  const { disk, files, enrolment } = await hostOf(world)
  await saveBrake(disk, files, enrolment, { paused: true, reason: 'a bad release', since: '2026-11-23T10:00:00Z' })
}

const stale = { facts: { code: 'E-STALE-PLAN', exit: 4, state: 'Nothing was changed; this host stays on 0a1.' } }

describe('a plan that waited for an answer', () => {
  test.each<[string, (world: AgentWorld) => Promise<unknown>]>([
    ['another root was put in the place of the trusted one', resetTrust],
    ['the release was withdrawn', withdraw],
    ['a newer release came', (world) => world.publish('0a3')],
    ['the server paused the fleet', pause],
    ['the host was moved to another channel', ({ run }) => run('agent', 'set-channel', 'release')],
  ])('is not carried out where %s; without that, it is', async (_words, happens) => {
    await using world = await hostWithUpdate()
    await expect(upgrade(world, () => happens(world))).rejects.toMatchObject(stale)
    expect(await world.installed()).toBe('0a1')

    await using other = await hostWithUpdate()
    expect(await upgrade(other, async () => undefined)).toMatchObject({ kind: 'done', last: { kind: 'committed' } })
    expect(await other.installed()).toBe('0a2')
  })

  test('is refused where a hold was set, unless --force was said', async () => {
    await using world = await hostWithUpdate()
    const hold = () => world.run('update', 'hold', '--forever', '--reason', 'wait')
    await expect(upgrade(world, hold)).rejects.toMatchObject({ facts: { code: 'E-HOLD', exit: 3 } })
    expect(await world.installed()).toBe('0a1')
    await world.run('update', 'unhold')
    expect(await upgrade(world, async () => undefined)).toMatchObject({ kind: 'done' })
  })

  test('fails closed where the repository can’t be asked any more', async () => {
    await using world = await hostWithUpdate()
    const breakOff = async () => void world.tricks.set('/repo/metadata/', (request) => request.destroy())
    await expect(upgrade(world, breakOff)).rejects.toMatchObject({ code: 'unreachable' })
    expect(await world.installed()).toBe('0a1')
  })
})

describe('a plan that nobody was asked about', () => {
  test('costs one look at the repository, and one that was asked about two', async () => {
    for (const [consent, looks] of [['unasked', 1] as const, ['agreed', 2] as const]) {
      await using world = await hostWithUpdate()
      world.requests.length = 0
      expect(await upgrade(world, async () => undefined, { consent })).toMatchObject({ kind: 'done' })
      expect(world.requests.filter((request) => request.endsWith('timestamp.json'))).toHaveLength(looks)
    }
  })

  test('is decided again where another root came between the look and the lock', async () => {
    await using world = await hostWithUpdate()
    let count = 0
    const once = async () => {
      count += 1
      if (count === 1) await resetTrust(world)
    }
    expect(await upgrade(world, once, { consent: 'unasked' })).toMatchObject({ kind: 'up-to-date', installed: '0a1' })
    expect(count).toBe(1)
  })
})

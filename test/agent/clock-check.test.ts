// A clock that was set back makes what has expired look good again, to a host that has seen nothing newer: a server that holds everything back could go on for
// ever. What the holders signed last says what time it is at least.
import { expect, test } from 'vitest'
import { openHost } from '../../agent/host.ts'
import { lookAndRemember } from '../../agent/look.ts'
import { buildMachine } from '../../agent/machine.ts'
import { daysFrom } from '../sim/repository.ts'
import { type AgentWorld, publishedWorld } from './agent-world.ts'

/** A look of this host, with its clock set so many days from now. */
async function lookAt({ env, folder }: AgentWorld, days: number) {
  const around = { env, platform: process.platform, arch: process.arch, cwd: () => folder }
  const machine = buildMachine(around, Math.random, 'the test')
  const clock = { ...machine.clock, now: () => new Date(machine.clock.now().getTime() + days * 86_400_000) }
  const host = await openHost({ ...machine, clock })
  return lookAndRemember(host, { goal: { kind: 'latest' }, asked: { by: 'person' }, how: 'refresh' })
}

test('H29 a clock that was set back does not make expired metadata good again; the host says that the clock is wrong, and recovers with it', async () => {
  await using world = await publishedWorld()
  const { repo } = world
  repo.role('alpha').expires = daysFrom(repo.now, 2)
  await repo.publish('alpha')
  await expect(lookAt(world, 3)).rejects.toMatchObject({ code: 'expired' })

  const wrong = lookAt(world, -30)

  await expect(wrong).rejects.toMatchObject({ code: 'not-yet-valid' })
  await expect(wrong).rejects.toThrow(/alpha has had 0a1 since .* this machine's clock says .* the clock is behind/)
  // Hours are no reason: clocks differ, and zones are set wrong.
  expect(await lookAt(world, -0.9)).toMatchObject({ decision: { kind: 'available', version: '0a1' } })
  expect(await lookAt(world, 0)).toMatchObject({ decision: { kind: 'available', version: '0a1' } })
})

test('a wrong time that the holders signed stops hosts, and is taken back by withdrawing the release', async () => {
  await using world = await publishedWorld()
  const { repo } = world
  expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
  const now = repo.now
  repo.now = new Date(now.getTime() + 300 * 86_400_000)
  await world.publish('0a2')
  repo.now = now
  const refused = await world.run('update', 'check')
  expect(refused).toMatchObject({ status: 7, stderr: expect.stringContaining('E-NOT-YET-VALID') })
  expect(refused.stderr).toContain('date -u')

  const facts = repo.role('alpha').channel as { withdrawn: object[] }
  const why = { reason: 'a wrong clock', severity: 'low', replace_with: null, at: '2026-11-23T10:00:00Z' }
  facts.withdrawn = [{ version: '0a2', ...why }]
  await repo.publish('alpha')
  expect(await world.run('update', 'check')).toMatchObject({ status: 0 })
})

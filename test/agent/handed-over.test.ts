// A new host has seen nothing yet. Whoever holds the snapshot and timestamp keys, and stands between it and its server, could show it yesterday's repository.
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildAgentWorld } from './agent-world.ts'

/** 0a1, then 0a2 with itself as the least that a new host begins with; shown is what was there before. */
async function yesterday() {
  const world = await buildAgentWorld()
  const { repo } = world
  await world.publish('0a1')
  const before = repo.role('alpha').version
  const facts = repo.role('alpha').channel as { minimum: string | null }
  facts.minimum = '0a2'
  await world.publish('0a2')
  const now = repo.role('alpha').version
  const show = async (version: number) => {
    repo.snapshotMeta['alpha.json'] = { version }
    await repo.seal()
  }
  await show(before)
  return { ...world, before, now, show, role: (version: number) => repo.file(`${version}.alpha.json`) }
}

test('yesterday’s repository is refused against what the server hands over, and today’s is not', async () => {
  const world = await yesterday()
  await using _ = world
  world.handOver(world.role(world.now))
  const refused = await world.enrol()
  expect(refused.status, refused.stderr).toBe(7)
  expect(refused.stderr).toMatch(/rollback: alpha went from v3, which the server handed over, to v2/)
  expect(await readdir(join(world.home, 'state'))).not.toContain('agent.json')

  await world.show(world.now)
  expect((await world.enrol()).status).toBe(0)
  // From here on the floors know it.
  await world.show(world.before)
  const later = await world.run('update', 'check')
  expect(later.status, later.stderr).toBe(7)
  await world.show(world.now)
  const old = await world.run('update', 'upgrade', '--to', '0a1', '--yes')
  expect(old.status).toBe(3)
  expect(old.stderr).toContain('below 0a2, the least that a fresh host may install')
  expect((await world.run('update', 'upgrade', '--to', '0a2', '--yes')).status).toBe(0)
}, 60_000)

test('what is handed over has to be signed by the channel, and may be older than what is published', async () => {
  const world = await yesterday()
  await using _ = world
  await world.show(world.now)
  world.handOver(await world.repo.sign(world.repo.role('alpha'), world.repo.signersOf('beta')))
  const refused = await world.enrol()
  expect(refused.status, refused.stderr).toBe(7)
  expect(refused.stderr).toContain('E-SIG-THRESHOLD')
  world.handOver(world.role(world.before))
  expect((await world.enrol()).status).toBe(0)
}, 60_000)

// Whoever had the server in their hands simply said that there is nothing to hand over.
test('a server that hands over nothing although its repository has the channel is refused', async () => {
  const world = await yesterday()
  await using _ = world
  world.handOver(null)
  const refused = await world.enrol()
  expect(refused.status, refused.stderr).toBe(7)
  expect(refused.stderr).toContain('the server handed over no role although its repository has one')
  expect(await readdir(join(world.home, 'state'))).not.toContain('agent.json')
  await world.show(world.now)
  world.handOver(world.role(world.now))
  expect((await world.enrol()).status).toBe(0)
}, 60_000)

test('a role that was brought along holds against the whole server: yesterday’s repository is refused before the token is shown', async () => {
  const world = await yesterday()
  await using _ = world
  const file = join(world.folder, 'minimum.json')
  await writeFile(file, world.role(world.now))
  world.handOver(world.role(world.before))
  const refused = await world.enrol('--minimum-role', 'minimum.json')
  expect(refused.status, refused.stderr).toBe(7)
  expect(refused.stderr).toMatch(/rollback: alpha went from v3, which --minimum-role handed over, to v2/)
  expect(world.requests.filter((request) => request.includes('/enroll'))).toEqual([])

  await writeFile(file, await world.repo.sign(world.repo.role('alpha'), world.repo.signersOf('beta')))
  expect(await world.enrol('--minimum-role', 'minimum.json')).toMatchObject({
    status: 7,
    stderr: expect.stringContaining('E-SIG-THRESHOLD'),
  })
  await writeFile(file, world.role(world.now))
  await world.show(world.now)
  expect((await world.enrol('--minimum-role', 'minimum.json')).status).toBe(0)
  await world.show(world.before)
  expect((await world.run('update', 'check')).status).toBe(7)
  expect((await world.enrol('--minimum-role', 'nowhere.json')).status).toBe(3)
  expect((await world.enrol('--force', '--minimum-role', 'nowhere.json')).status).toBe(2)
}, 60_000)

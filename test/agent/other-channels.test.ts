// A host of the release channel, and holders of alpha's keys who say or let lapse what they like: it is no matter there.
import { expect, test } from 'vitest'
import { daysFrom } from '../sim/repository.ts'
import { type AgentWorld, buildAgentWorld } from './agent-world.ts'

const UP = ['update', 'upgrade', '--latest', '--yes']
const DOWN = ['update', 'downgrade', '--to', '0r1', '--yes']

/** On 0r2, which allows the way down to 0r1. */
async function releaseHost(): Promise<AgentWorld> {
  const world = await buildAgentWorld()
  await world.enrol('--channel', 'release')
  await world.publish('0r1')
  expect((await world.run(...UP)).status).toBe(0)
  await world.publish('0r2', { compatibility: { downgrade_to: ['0r1'] } })
  expect((await world.run(...UP)).status).toBe(0)
  return world
}

const remarks = (changes: object) => ({ minimum: null, withdrawn: [], barriers: [], dead_ends: [], ...changes })
const WITHDRAWN = { version: '0r1', reason: 'so', severity: 'critical', replace_with: null, at: '2026-11-23T10:00:00Z' }

test('alpha can’t take a release of another channel back; its own channel can', async () => {
  await using world = await releaseHost()
  const { repo } = world
  repo.role('release').channel = remarks({ name: 'release', withdrawn: [WITHDRAWN] })
  await repo.publish('release')
  const refused = await world.run(...DOWN)
  expect(refused).toMatchObject({ status: 3, stderr: expect.stringContaining('0r1 was withdrawn: so') })
  repo.role('release').channel = remarks({ name: 'release' })
  repo.role('alpha').channel = remarks({ name: 'alpha', withdrawn: [WITHDRAWN] })
  await repo.publish('release', 'alpha')
  const done = await world.run(...DOWN)
  expect(done.status, done.stderr).toBe(0)
  expect(await world.installed()).toBe('0r1')
})

test('a way down does not wait for alpha or beta, expired or gone; it does for its own channel', async () => {
  await using world = await releaseHost()
  const { repo } = world
  const expire = async (...roles: string[]) => {
    for (const role of roles) repo.role(role).expires = daysFrom(new Date(), -1)
    await repo.publish(...roles)
  }
  await expire('alpha', 'beta', 'release')
  expect(await world.run(...DOWN)).toMatchObject({ status: 7, stderr: expect.stringContaining('E-EXPIRED') })
  expect(await world.installed()).toBe('0r2')
  repo.role('release').expires = daysFrom(new Date(), 30)
  await repo.publish('release')
  const done = await world.run(...DOWN)
  expect(done.status, done.stderr).toBe(0)
  expect(await world.installed()).toBe('0r1')
})

test('a host that follows alpha refuses an alpha that speaks of other channels', async () => {
  await using world = await buildAgentWorld()
  await world.enrol('--channel', 'alpha')
  await world.publish('0r1')
  world.repo.role('alpha').channel = remarks({ name: 'alpha', barriers: [{ version: '0r1', reason: 'so' }] })
  await world.repo.publish('alpha')
  const refused = await world.run(...UP)
  expect(refused).toMatchObject({
    status: 7,
    stderr: expect.stringContaining('expected a version of alpha, found 0r1'),
  })
  expect(await world.installed()).toBeNull()
  world.repo.role('alpha').channel = remarks({ name: 'alpha' })
  await world.repo.publish('alpha')
  expect((await world.run(...UP)).status).toBe(0)
})

test('a beta that is named goes without alpha, which has expired; an alpha that is named does not', async () => {
  await using world = await releaseHost()
  const { repo } = world
  await world.publish('0a9')
  await world.publish('0b9')
  repo.role('alpha').expires = daysFrom(new Date(), -1)
  await repo.publish('alpha')
  const named = (version: string) => ['update', 'upgrade', '--to', version, '--yes', '--allow-channel-change']
  expect(await world.run(...named('0a9'))).toMatchObject({ status: 7, stderr: expect.stringContaining('E-EXPIRED') })
  expect(await world.installed()).toBe('0r2')
  const done = await world.run(...named('0b9'))
  expect(done.status, done.stderr).toBe(0)
  expect(await world.installed()).toBe('0b9')
})

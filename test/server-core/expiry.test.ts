// What the server says about expiries: once when it begins, once a day, and in the fleet's summary as long as it is so.
import { expect, test } from 'vitest'
import { buildExpiryWatch } from '../../server/core/expiry.ts'
import { BY, coreWorld } from './world.ts'

test('the log tells of each step once, and again the next day; a role that was signed anew is well again', async () => {
  await using world = await coreWorld()
  await world.begin()
  await world.publish('0a1')
  const { clock, db, core, publisher } = world
  const logged: unknown[] = []
  const watch = buildExpiryWatch({
    db,
    clock,
    log: (level, event, fields) => void logged.push({ level, event, ...fields }),
  })
  const told = async () => {
    logged.length = 0
    await watch()
    return logged
  }
  // The channel holds for 90 days, root and targets for a year; what the server signs has expired where nobody seals.
  const ofAlpha = async () => (await told()).filter((one) => (one as { role: string }).role === 'alpha')
  expect(await told()).toEqual([])
  clock.advance({ days: 59 })
  expect(await ofAlpha()).toEqual([])
  clock.advance({ days: 1 })
  const soon = (days: number) => ({
    level: 'warn',
    event: 'repository.expiry',
    role: 'alpha',
    within_days: days,
    expires: expect.any(String),
  })
  expect(await ofAlpha()).toEqual([soon(30)])
  clock.advance({ hours: 2 })
  expect(await ofAlpha()).toEqual([])
  clock.advance({ days: 1 })
  expect(await ofAlpha()).toEqual([soon(30)])
  clock.advance({ days: 22 })
  expect(await ofAlpha()).toEqual([soon(7)])
  clock.advance({ days: 6 })
  expect(await ofAlpha()).toEqual([soon(1)])
  expect((await core.fleet.summary()).expiring.filter(({ role }) => role === 'alpha')).toMatchObject([
    { within_days: 1 },
  ])
  clock.advance({ days: 1 })
  expect(await ofAlpha()).toEqual([{ ...soon(1), level: 'error', within_days: null }])
  expect((await core.fleet.summary()).expiring.filter(({ role }) => role === 'alpha')).toMatchObject([
    { within_days: null },
  ])

  await core.publication.acceptReleases(
    { metadata: { alpha: await publisher.channel('alpha') }, manifests: {}, dry_run: false },
    BY,
  )
  expect(await told()).toEqual([])
  expect((await core.fleet.summary()).expiring).toEqual([])
})

test('a server without a repository has nothing to say', async () => {
  await using world = await coreWorld()
  expect((await world.core.fleet.summary()).expiring).toEqual([])
})

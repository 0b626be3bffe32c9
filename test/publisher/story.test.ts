// From the first key to a stable release, as the release engineers type it: real processes, a real server.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { answerOf, asSigners, openWorld, versionsOf } from './world.ts'

test('two of three: one signature is refused with the names of those who can help, a second one publishes', async () => {
  const world = await openWorld()
  expect(await world.init(['alice', 'bob', 'carol'], '--threshold', '2')).toMatchObject({ status: 0 })

  const alone = await world.process('release', '0a2', '--from', 'app-v1', ...asSigners(['alice']))
  expect(alone.status).toBe(7)
  expect(alone.stderr).toContain('0a2 has 1 valid signature, 2 are needed: have alice, missing one of bob, carol')
  expect(await versionsOf(world)).toEqual([])
  expect((await world.publish('status', '0a2')).stdout).toContain('have alice, missing one of bob, carol')

  const added = await world.process('publish', '0a2', '--yes', ...asSigners(['carol']))
  expect(added).toMatchObject({ status: 0, stdout: expect.stringContaining('0a2 is published') })
  expect(await versionsOf(world)).toEqual(['0a2'])
  const shown = answerOf(await world.process('show', '0a2', '--json'))
  expect(shown).toMatchObject({ signed_by: ['alice', 'carol'], threshold: 2, version: '0a2', product: 'demo' })

  const both = await world.process('release', '0a3', '--from', 'app-v2', ...asSigners(['alice', 'bob']))
  expect(both).toMatchObject({ status: 0 })
  expect(await versionsOf(world)).toEqual(['0a3', '0a2'])
  expect(await readdir(join(world.folder, 'pub', 'pending'))).toEqual([])
}, 120_000)

test('promotion stage by stage, withdrawal, and what both refuse', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  const both = ['alice', 'bob']
  expect(await world.signing(both, 'release', '0a1', '--from', 'app-v1')).toMatchObject({ status: 0 })

  const skipping = await world.signing(both, 'promote', '0a1', '--to', 'release')
  expect(skipping).toMatchObject({ status: 3, stderr: expect.stringContaining('promote 0a1 --to beta') })
  const silent = await world.signing(both, 'promote', '0a1', '--to', 'release', '--allow-skip')
  expect(silent).toMatchObject({ status: 2, stderr: expect.stringContaining('--reason') })
  expect(await world.signing(both, 'promote', '0a1', '--to', 'alpha')).toMatchObject({ status: 2 })
  expect(await world.signing(['alice'], 'promote', '0a1', '--to', 'beta')).toMatchObject({ status: 7 })
  expect(await versionsOf(world)).toEqual(['0a1'])

  expect(await world.process('promote', '0a1', '--to', 'beta', ...asSigners(both))).toMatchObject({ status: 0 })
  expect(await world.process('promote', '0b1', '--to', 'release', ...asSigners(both))).toMatchObject({ status: 0 })
  const alpha = answerOf(await world.publish('show', '0a1', '--json'))
  const stable = answerOf(await world.publish('show', '0r1', '--json'))
  expect(stable.artifacts).toEqual(alpha.artifacts)
  expect([stable.promoted_from, stable.channel]).toEqual(['0b1', 'release'])

  const yanked = await world.process('yank', '0b1', '--reason', 'wrong colour', '--severity', 'low', ...asSigners(both))
  expect(yanked).toMatchObject({ status: 0, stderr: expect.stringContaining('0a1, 0r1 have the same bytes') })
  expect((await world.publish('list')).stdout).toMatch(/0b1 .*withdrawn \(low\): wrong colour/)
  expect(await world.signing(both, 'promote', '0b1', '--to', 'release')).toMatchObject({ status: 3 })
  expect(await world.signing(both, 'yank', '0b1', '--undo')).toMatchObject({ status: 0 })
  expect((await world.publish('list')).stdout).not.toContain('withdrawn')
  expect(await world.signing(both, 'yank', '0b9', '--reason', 'x')).toMatchObject({ status: 3 })

  expect(await world.signing(both, 'release', '0a2', '--from', 'app-v2')).toMatchObject({ status: 0 })
  const jump = await world.signing(both, 'promote', '0a2', '--to', 'release', '--allow-skip', '--reason', 'security')
  expect(jump).toMatchObject({ status: 0 })
  expect(await versionsOf(world)).toEqual(['0r2', '0a2', '0r1', '0b1', '0a1'])
}, 120_000)

test('a line role comes with the 21st release, and the public still verifies all of them', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  for (let minor = 1; minor <= 21; minor++) {
    const outcome = await world.signing(['alice'], 'release', `0a${minor}`, '--from', 'app-v1')
    expect(outcome, outcome.stderr).toMatchObject({ status: 0 })
  }
  expect(await versionsOf(world)).toHaveLength(21)
  expect(await world.publish('verify', '0a1')).toMatchObject({ status: 0 })
  const all = await world.publish('verify', `http://127.0.0.1:${world.port}`)
  expect(all).toMatchObject({ status: 0, stdout: expect.stringContaining('alpha: 21 manifests') })
  const oldest = await world.signing(['alice'], 'yank', '0a1', '--reason', 'too old')
  expect(oldest, oldest.stderr).toMatchObject({ status: 0 })
  expect(await world.signing(['alice'], 'release', '0a1', '--from', 'app-v1')).toMatchObject({ status: 3 })
}, 180_000)

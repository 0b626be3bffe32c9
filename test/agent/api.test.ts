// The library as a program uses it: imported, on a real host folder, over HTTP.
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  channelOffers,
  checkForUpdates,
  compareVersions,
  downgradeToVersion,
  getChangelog,
  getCurrentVersion,
  parseVersion,
  refresh,
  upgradeToVersion,
} from '../../agent/api.ts'
import { type AgentWorld, buildAgentWorld } from './agent-world.ts'

let world: AgentWorld
beforeAll(async () => {
  world = await buildAgentWorld()
  await world.enrol()
  await world.publish('0a1')
  await world.publish('0b1', { compatibility: { downgrade_to: ['0a1'] } })
}, 30_000)
afterAll(() => world.close())

test('the five functions tell one story', async () => {
  const { home } = world
  expect(getCurrentVersion({ home })).toBe(null)
  const first = await upgradeToVersion('0a1', { home })
  expect(first).toMatchObject({ success: true, changed: true, current_version: '0a1', error: null })
  expect(getCurrentVersion({ home })).toBe('0a1')

  const updates = await checkForUpdates({ home })
  expect(updates).toMatchObject({
    updates_available: true,
    latest_version: '0b1',
    current_version: '0a1',
    channel: 'alpha',
  })

  const phases: string[] = []
  const result = await upgradeToVersion('0b1', {
    home,
    onEvent: (event) => event.type === 'phase' && phases.push(event.phase),
  })
  expect(result.success).toBe(true)
  expect(phases).toContain('switch')
  expect(await upgradeToVersion('0b1', { home })).toMatchObject({ success: true, changed: false })
  expect(await getChangelog({ home, sinceVersion: '0a1' })).toContain('release 0b1')
  expect(await getChangelog({ home, format: 'markdown' })).toContain('# 0b1')
  expect(JSON.parse(await getChangelog({ home, version: '0a1', format: 'json' }))).toBeTypeOf('object')
  expect(await downgradeToVersion('0a1', { home })).toMatchObject({ success: true, current_version: '0a1' })
}, 60_000)

test('what can’t be done is an answer in four parts, not an exception', async () => {
  const { home } = world
  for (const [version, code] of [
    ['7r7', 'E-INCOMPATIBLE'],
    ['1.2.3', 'E-FORM'],
  ] as const) {
    const result = await upgradeToVersion(version, { home })
    expect(result).toMatchObject({ success: false, changed: false, current_version: '0a1', error: { code } })
    expect(result.error?.next.length).toBeGreaterThan(0)
  }
  expect(await upgradeToVersion('0b1', { home: `${world.folder}/nobody` })).toMatchObject({
    success: false,
    error: { code: 'E-NOT-ENROLLED' },
  })
})

test('the algebra of versions and the verifier come along', () => {
  expect(compareVersions(parseVersion('0r1'), parseVersion('0a2'))).toBe(-1)
  expect(channelOffers('release', parseVersion('0b1'))).toBe(false)
  expect(refresh).toBeTypeOf('function')
})

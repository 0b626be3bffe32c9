import { describe, expect, test } from 'vitest'
import { exitOf } from '../../agent/engine/outcome.ts'
import { createSimDisk } from '../sim/disk.ts'
import { pack } from './release.ts'
import { hostOn, one, publisher, service, three, two } from './released-host.ts'
import { createSimHost } from './sim-host.ts'

describe('is refused, and nothing is changed,', () => {
  async function refusal(act: (host: Awaited<ReturnType<typeof hostOn>>) => Promise<unknown>) {
    const host = await hostOn(one)
    const before = host.disk.describe()
    const outcome = await act(host)
    expect(host.disk.describe()).toEqual(before)
    expect(host.service.calls).toEqual([])
    return outcome
  }

  test('while another update runs', async () => {
    const host = await hostOn(one)
    const [first, second] = await Promise.all([host.install(two), host.install(two)])
    expect([first.kind, second.kind].sort()).toEqual(['committed', 'refused'])
    const refused = first.kind === 'refused' ? first : second
    expect(refused).toMatchObject({ reason: { code: 'locked' } })
    expect(exitOf(refused)).toBe(12)
  })

  test('for engines that are not there, each named', async () => {
    const asking = await publisher.release('0a6', pack({ '!bin/app': 'x' }), {
      service,
      hooks: [{ point: 'commit', argv: ['./x'] }],
      database_migrations: [{ id: '1', up: 'up.sql' }],
    })
    const outcome = await refusal((host) => host.install(asking))
    expect(outcome).toMatchObject({
      kind: 'refused',
      reason: { code: 'needs_engine', details: ['database_migrations', 'hooks'] },
    })
  })

  test.each([
    [{ os: ['plan9'] }, 'incompatible'],
    [{ arch: ['vax'] }, 'incompatible'],
    [{ memory_bytes: 2 ** 40 }, 'incompatible'],
    [{ agent_version: '0.1.1' }, 'incompatible'],
  ])('where the machine does not meet %j', async (requirements, code) => {
    const asking = await publisher.release('0a7', pack({ '!bin/app': 'x' }), { service, requirements })
    expect(await refusal((host) => host.install(asking))).toMatchObject({ kind: 'refused', reason: { code } })
  })

  test('not where it meets them', async () => {
    const asking = await publisher.release('0a8', pack({ '!bin/app': 'x' }), {
      service,
      requirements: { os: ['linux'], arch: ['x64'], agent_version: '0.1.0' },
    })
    const host = createSimHost(createSimDisk(), { releases: [asking] })
    expect(await host.install(asking)).toMatchObject({ kind: 'committed' })
  })

  test('where app.env lacks a value that the service asks for', async () => {
    const asking = await publisher.release('0a9', pack({ '!bin/app': 'x' }), {
      service: { ...service, env: { SECRET: '${SECRET}' } },
    })
    expect(await refusal((host) => host.install(asking))).toMatchObject({
      kind: 'refused',
      reason: { code: 'environment' },
    })
  })

  test('where the plan is older than the host', async () => {
    expect(await refusal((host) => host.install(two, { plan: { from: null } }))).toMatchObject({
      kind: 'refused',
      reason: { code: 'stale_plan' },
    })
  })

  test('where an update of this id was carried out before', async () => {
    const host = await hostOn(one)
    const { update_id } = await host.install(two)
    const before = host.disk.describe()
    expect(await host.install(three, { plan: { update_id } })).toMatchObject({
      kind: 'refused',
      reason: { code: 'stale_plan' },
    })
    expect(host.disk.describe()).toEqual(before)
  })

  test('where the manifest is not the verified one', async () => {
    expect(
      await refusal((host) => host.install(two, { plan: { manifest: { ...two.manifest, service: null } } })),
    ).toMatchObject({ reason: { code: 'foreign' } })
  })
})

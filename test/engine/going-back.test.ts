import { describe, expect, test } from 'vitest'
import { startInstalled } from '../../agent/engine/installed.ts'
import { exitOf } from '../../agent/engine/outcome.ts'
import { loadQuarantine } from '../../agent/engine/quarantine.ts'
import { FloorMissing, loadFloor } from '../../agent/version-record.ts'
import { createSimDisk } from '../sim/disk.ts'
import { pack } from './release.ts'
import { hostOn, newHost, one, publisher, service, two } from './released-host.ts'
import { assertWhole, createSimHost, paths } from './sim-host.ts'

describe('a version that does not work', () => {
  test.each([
    ['ends at once', (host: ReturnType<typeof newHost>) => void host.service.dying.add('0a2'), 'crashed'],
    ['is never healthy', (host: ReturnType<typeof newHost>) => void host.sick.set('0a2', 1), 'not_ready'],
    ['is healthy for a moment', (host: ReturnType<typeof newHost>) => void host.sick.set('0a2', 3), 'unstable'],
    ["can't be started", (host: ReturnType<typeof newHost>) => void host.service.unstartable.add('0a2'), 'service'],
  ])('%s: the old one runs again', async (_, harm, code) => {
    const host = await hostOn(one)
    harm(host)
    const outcome = await host.install(two)
    expect(outcome).toMatchObject({ kind: 'rolled_back', from: '0a1', to: '0a2', reason: { code } })
    expect(exitOf(outcome)).toBe(10)
    expect(await assertWhole(host.disk)).toBe('0a1')
    expect(host.service.running).toBe('0a1')
    expect((await host.disk.list(paths.generations)).map(({ name }) => name)).toEqual(['1'])
    expect(await loadQuarantine(host.disk, paths)).toMatchObject([
      { version: '0a2', code, tree_sha256: two.manifest.artifacts[0]?.tree_sha256 },
    ])
    expect(await loadFloor(host.disk, paths)).toBe('0a1')
  })

  test('as the first one leaves nothing installed', async () => {
    const host = newHost()
    host.service.dying.add('0a1')
    expect(await host.install(one)).toMatchObject({ kind: 'rolled_back', from: null })
    expect(await assertWhole(host.disk)).toBe(null)
    expect(await host.deps.service.status()).toMatchObject({ state: 'stopped' })
    host.service.dying.clear()
    expect(await host.install(one, { plan: { update_id: 'update_none_0a1_20261124_000000' } })).toMatchObject({
      kind: 'committed',
    })
  })

  test('strands the host if the old one does not come back', async () => {
    const host = await hostOn(one)
    host.service.dying.add('0a2').add('0a1')
    const outcome = await host.install(two)
    expect(outcome).toMatchObject({
      kind: 'stranded',
      reason: { code: 'crashed' },
      back: { code: 'crashed', step: 'back_prove' },
    })
    expect(exitOf(outcome)).toBe(11)
    expect(await assertWhole(host.disk)).toBe('0a1')
  })

  test('stays where going back is switched off', async () => {
    const host = await hostOn(one)
    host.sick.set('0a2', 1)
    expect(await host.install(two, { plan: { rollback_on_failure: false } })).toMatchObject({
      kind: 'stranded',
      reason: { code: 'not_ready' },
    })
    expect(await assertWhole(host.disk)).toBe('0a2')
  })

  test('fails its self-test and goes back', async () => {
    const tested = await publisher.release('0a5', pack({ '!bin/app': 'x', '!bin/test': 'x' }), {
      service,
      self_tests: [{ name: 'smoke', argv: ['./bin/test'] }],
    })
    const host = createSimHost(createSimDisk(), { releases: [one, tested] })
    await host.install(one)
    host.exits.set('/host/generations/2/app/bin/test', 3)
    expect(await host.install(tested)).toMatchObject({
      kind: 'rolled_back',
      reason: { code: 'self_test', details: ['said something'] },
    })
    host.exits.clear()
    expect(await host.install(tested, { plan: { update_id: 'update_0a1_0a5_20261124_000000' } })).toMatchObject({
      kind: 'committed',
    })
  })
})

describe('a rollback', () => {
  test('returns to the generation that was left, keeps the floor and quarantines what it leaves', async () => {
    const host = await hostOn(one)
    await host.install(two)
    host.service.calls.length = 0
    expect(await host.rollback(1)).toMatchObject({ kind: 'committed', from: '0a2', to: '0a1', generation: 1 })
    expect(host.service.calls).toEqual(['stop', 'start 0a1'])
    expect(await assertWhole(host.disk)).toBe('0a1')
    expect(await loadFloor(host.disk, paths)).toBe('0a2')
    expect(await loadQuarantine(host.disk, paths)).toMatchObject([{ version: '0a2', code: 'left' }])
  })

  test('is allowed although the running version is ill', async () => {
    const host = await hostOn(one)
    await host.install(two)
    host.service.crash()
    expect(await host.rollback(1)).toMatchObject({ kind: 'committed', to: '0a1' })
  })

  test('to a tree that was changed is refused before anything is stopped', async () => {
    const host = await hostOn(one)
    await host.install(two)
    const [tree] = (await host.disk.list(paths.store)).filter(({ name }) => name.startsWith('0a1'))
    await host.disk.unlink(`${paths.store}/${tree?.name}/www/index.html`)
    host.service.calls.length = 0
    expect(await host.rollback(1)).toMatchObject({ kind: 'discarded', reason: { code: 'missing_generation' } })
    expect(host.service.calls).toEqual([])
    expect(host.service.running).toBe('0a2')
  })
})

describe('a downgrade', () => {
  test('takes the tree that lies here, makes a new generation and keeps the floor', async () => {
    const host = await hostOn(one)
    await host.install(two)
    host.events.length = 0
    expect(await host.install(one, { plan: { update_id: 'update_0a2_0a1_20261123_100500' } })).toMatchObject({
      kind: 'committed',
      from: '0a2',
      to: '0a1',
      generation: 3,
    })
    const skipped = host.events.flatMap((event) =>
      event.type === 'phase' && event.status === 'skipped' ? [event.phase] : [],
    )
    expect(skipped).toEqual(expect.arrayContaining(['download', 'verify', 'unpack']))
    expect(await assertWhole(host.disk)).toBe('0a1')
    expect(await loadFloor(host.disk, paths)).toBe('0a2')
  })

  test('fetches the tree again where the one that lies here was changed', async () => {
    const host = await hostOn(one)
    await host.install(two)
    const [tree] = (await host.disk.list(paths.store)).filter(({ name }) => name.startsWith('0a1'))
    await host.disk.unlink(`${paths.store}/${tree?.name}/www/index.html`)
    const changes = { plan: { update_id: 'update_0a2_0a1_20261123_100500' } }
    expect(await host.install(one, changes)).toMatchObject({ kind: 'committed', generation: 3 })
    expect((await host.disk.list(paths.store)).map(({ name }) => name)).toContain(`${tree?.name}.1`)
  })
})

describe('the floor', () => {
  test('that is missing although something is installed is no fresh host', async () => {
    const host = await hostOn(one)
    await host.disk.unlink(paths.floor)
    await expect(loadFloor(host.disk, paths)).rejects.toBeInstanceOf(FloorMissing)
    expect(await loadFloor(createSimDisk(), paths)).toBe(null)
  })
})

test('`current` that somebody moves meanwhile is left to a person', async () => {
  const host = await hostOn(one)
  const outcome = await host.install(two, {
    onEvent: (event) =>
      void (
        event.type === 'phase' &&
        event.phase === 'ready' &&
        event.status === 'started' &&
        host.disk.unlink(paths.current)
      ),
  })
  expect(outcome).toMatchObject({ kind: 'stranded', back: { message: 'neither forward nor back is safe' } })
  expect(await host.recover()).toMatchObject({
    kind: 'needs_operator',
    message: expect.stringContaining('`current` is not there'),
  })
  await expect(startInstalled(host.deps)).resolves.toBe('none')
  await host.disk.symlink('generations/1', paths.current)
  await expect(startInstalled(host.deps)).resolves.toBe('left')
  expect(await host.recover()).toMatchObject({ kind: 'finished', outcome: { kind: 'rolled_back' } })
  expect(host.service.running).toBe('0a1')
})

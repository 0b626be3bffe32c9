import { beforeAll, describe, expect, test } from 'vitest'
import { startInstalled } from '../../agent/engine/installed.ts'
import { readJournal } from '../../agent/engine/journal.ts'
import { exists } from '../../agent/engine/layout.ts'
import { exitOf } from '../../agent/engine/outcome.ts'
import { loadQuarantine } from '../../agent/engine/quarantine.ts'
import { updateFiles } from '../../agent/paths.ts'
import { FloorMissing, loadFloor, loadVersionRecord } from '../../agent/version-record.ts'
import { createSimDisk, type SimDisk } from '../sim/disk.ts'
import { createPublisher, pack, type TestRelease } from './release.ts'
import { assertWhole, createSimHost, paths } from './sim-host.ts'

const service = {
  argv: ['./bin/app'],
  env: {},
  ready_ms: 3000,
  stability_ms: 2000,
  health_checks: [
    { type: 'http', name: 'page', url: 'http://127.0.0.1:${PORT:-80}/', interval_ms: 200, failure_threshold: 2 },
  ],
}

let publisher: Awaited<ReturnType<typeof createPublisher>>
let one: TestRelease
let two: TestRelease
let three: TestRelease

beforeAll(async () => {
  publisher = await createPublisher()
  one = await publisher.release('0a1', pack({ '!bin/app': 'one', 'www/index.html': 'one' }), { service })
  two = await publisher.release('0a2', pack({ '!bin/app': 'two', 'www/index.html': 'two' }), { service })
  three = await publisher.release('0a3', pack({ '!bin/app': 'three' }), { service })
})

function newHost(disk: SimDisk = createSimDisk()) {
  return { disk, ...createSimHost(disk, { releases: [one, two, three] }) }
}

async function hostOn(release: TestRelease) {
  const host = newHost()
  expect(await host.install(release)).toMatchObject({ kind: 'committed' })
  host.events.length = 0
  host.service.calls.length = 0
  return host
}

describe('an update', () => {
  test('installs the first version', async () => {
    const host = newHost()
    const outcome = await host.install(one)
    expect(outcome).toMatchObject({ kind: 'committed', from: null, to: '0a1', generation: 1 })
    expect(await assertWhole(host.disk)).toBe('0a1')
    expect(host.service.running).toBe('0a1')
    expect(await loadVersionRecord({ disk: host.disk, paths })).toMatchObject({ current_version: '0a1' })
    expect(await loadFloor(host.disk, paths)).toBe('0a1')
    expect(await exists(host.disk, paths.undecided)).toBe(false)
    expect(await exists(host.disk, paths.staging)).toBe(false)
  })

  test('goes to the next version and keeps the old one beside it', async () => {
    const host = await hostOn(one)
    const outcome = await host.install(two)
    expect(outcome).toMatchObject({ kind: 'committed', from: '0a1', to: '0a2', generation: 2 })
    expect(exitOf(outcome)).toBe(0)
    expect(host.service.calls).toEqual(['stop', 'start 0a2'])
    expect(await assertWhole(host.disk)).toBe('0a2')
    expect((await host.disk.list(paths.generations)).map(({ name }) => name)).toEqual(['1', '2'])
  })

  test('says each phase of its plan once, in order', async () => {
    const host = await hostOn(one)
    await host.install(two)
    const begun = host.events.flatMap((event) =>
      event.type === 'phase' && event.status === 'started' ? [event.phase] : [],
    )
    expect(begun).toEqual([
      'preflight',
      'download',
      'verify',
      'unpack',
      'stage',
      'check',
      'baseline',
      'stop',
      'switch',
      'start',
      'ready',
      'self_test',
      'stability',
      'commit',
      'collect',
    ])
  })

  test('writes a journal that begins with its plan and ends with its outcome', async () => {
    const host = await hostOn(one)
    const { update_id } = await host.install(two)
    const text = await readJournal(host.disk, updateFiles(paths, update_id).journal)
    expect(text.kind).toBe('whole')
    if (text.kind === 'damaged') return
    expect(text.records[0]?.entry).toMatchObject({ phase: 'DECIDE', decision: { to: 'begin' } })
    expect(text.records.at(-1)?.entry).toMatchObject({
      phase: 'DECIDE',
      decision: { to: 'end', outcome: { kind: 'committed' } },
    })
  })

  test('without a service just switches', async () => {
    const plain = await publisher.release('0a4', pack({ 'data.txt': 'x' }))
    const host = createSimHost(createSimDisk(), { releases: [plain] })
    expect(await host.install(plain)).toMatchObject({ kind: 'committed' })
    expect(host.service.calls).toEqual([])
  })
})

describe('somebody else where the service should answer', () => {
  test('is no proof of health: refused while nothing of ours runs, and installed once they are gone', async () => {
    const host = newHost()
    host.strangers.answers = true
    expect(await host.install(one)).toMatchObject({
      kind: 'refused',
      reason: {
        code: 'environment',
        message: expect.stringMatching(/http:\/\/127\.0\.0\.1:80\/ answers.*config\/app\.env/),
      },
    })
    expect(await host.installed()).toBe(null)
    host.strangers.answers = false
    expect(await host.install(one)).toMatchObject({ kind: 'committed' })
  })
})

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

describe('an update that is asked to stop', () => {
  test('before the service was stopped is thrown away', async () => {
    const host = await hostOn(one)
    const stop = new AbortController()
    const outcome = await host.install(two, {
      signal: stop.signal,
      onEvent: (event) => void (event.type === 'phase' && event.phase === 'unpack' && stop.abort()),
    })
    expect(outcome).toMatchObject({ kind: 'discarded', reason: { code: 'cancelled' } })
    expect(host.service.calls).toEqual([])
    expect(await assertWhole(host.disk)).toBe('0a1')
    expect(await loadQuarantine(host.disk, paths)).toEqual([])
  })

  test('while the new version proves itself goes back', async () => {
    const host = await hostOn(one)
    const stop = new AbortController()
    const outcome = await host.install(two, {
      signal: stop.signal,
      onEvent: (event) => void (event.type === 'phase' && event.phase === 'stability' && stop.abort()),
    })
    expect(outcome).toMatchObject({ kind: 'rolled_back', reason: { code: 'cancelled' } })
    expect(host.service.running).toBe('0a1')
    expect(await loadQuarantine(host.disk, paths)).toEqual([])
  })

  test('during the commit finishes', async () => {
    const host = await hostOn(one)
    const stop = new AbortController()
    const outcome = await host.install(two, {
      signal: stop.signal,
      onEvent: (event) => void (event.type === 'phase' && event.phase === 'commit' && stop.abort()),
    })
    expect(outcome).toMatchObject({ kind: 'committed' })
  })

  test('by its deadline goes back too', async () => {
    const host = await hostOn(one)
    host.sick.set('0a2', 1)
    expect(await host.install(two, { deadlineMs: 1000 })).toMatchObject({
      kind: 'rolled_back',
      reason: { code: 'deadline' },
    })
  })
})

describe('old generations', () => {
  test('are removed, with their trees, but never the one a rollback needs', async () => {
    const host = newHost()
    for (const release of [one, two, three])
      expect(await host.install(release, { keep: 1 })).toMatchObject({ kind: 'committed' })
    expect((await host.disk.list(paths.generations)).map(({ name }) => name)).toEqual(['2', '3'])
    expect((await host.disk.list(paths.store)).map(({ name }) => name.split('-')[0])).toEqual(['0a2', '0a3'])
    expect(await host.rollback(2)).toMatchObject({ kind: 'committed' })
  })
})

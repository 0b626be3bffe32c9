import { describe, expect, test } from 'vitest'
import { readJournal } from '../../agent/engine/journal.ts'
import { exists } from '../../agent/engine/layout.ts'
import { exitOf } from '../../agent/engine/outcome.ts'
import { loadQuarantine } from '../../agent/engine/quarantine.ts'
import { updateFiles } from '../../agent/paths.ts'
import { loadFloor, loadVersionRecord } from '../../agent/version-record.ts'
import { createSimDisk } from '../sim/disk.ts'
import { pack } from './release.ts'
import { hostOn, newHost, one, publisher, three, two } from './released-host.ts'
import { assertWhole, createSimHost, paths } from './sim-host.ts'

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

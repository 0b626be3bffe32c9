// The engine on a disk that loses power at every one of its effects, and again at the effects of the recovery. Whatever is left, the host is wholly on the
// old or wholly on the new version, and what somebody was told is true.
import { beforeAll, describe, expect, test } from 'vitest'
import { startInstalled } from '../../agent/engine/installed.ts'
import { readJournal } from '../../agent/engine/journal.ts'
import { exists, listGenerations } from '../../agent/engine/layout.ts'
import type { Outcome } from '../../agent/engine/outcome.ts'
import { updateFiles } from '../../agent/paths.ts'
import { loadFloor, loadVersionRecord } from '../../agent/version-record.ts'
import { compareVersions, parseVersion } from '../../schema/version.ts'
import { type CutOptions, runWithCuts } from '../sim/cuts.ts'
import { createSimDisk, type SimDisk } from '../sim/disk.ts'
import { createPublisher, pack, type TestRelease } from './release.ts'
import { assertWhole, createSimHost, paths, type SimHost } from './sim-host.ts'

const slow = process.env.SLOW === '1'
const service = {
  argv: ['./bin/app'],
  env: {},
  ready_ms: 1000,
  stability_ms: 400,
  health_checks: [{ type: 'http', name: 'page', url: 'http://127.0.0.1/', interval_ms: 200, failure_threshold: 1 }],
}

let one: TestRelease
let two: TestRelease

beforeAll(async () => {
  const publisher = await createPublisher()
  one = await publisher.release('0a1', pack({ '!bin/app': 'one', 'www/a': 'one' }), { service })
  two = await publisher.release('0a2', pack({ '!bin/app': 'two', 'www/a': 'two' }), { service })
})

const LATER = new Date('2026-11-24T10:00:00Z')

function hostOver(disk: SimDisk, now?: Date): SimHost {
  return createSimHost(disk, { releases: [one, two], ...(now ? { now } : {}) })
}

async function diskWith(...releases: TestRelease[]): Promise<SimDisk> {
  const disk = createSimDisk({ files: { '/host/data/orders': 'mine' } })
  const host = hostOver(disk)
  for (const release of releases) expect(await host.install(release)).toMatchObject({ kind: 'committed' })
  disk.settle()
  return disk
}

interface Story {
  readonly start: SimDisk
  readonly act: (host: SimHost) => Promise<Outcome>
  /** How the new version behaves. */
  readonly harm?: (host: SimHost) => void
  readonly before: string | null
  readonly after: string | null
}

async function tellWithCuts(story: Story, options: CutOptions) {
  const told = new Map<SimDisk, Outcome>()
  const ends = new Set<string>()
  let last: Outcome | undefined
  const begin = async (disk: SimDisk, now?: Date) => {
    const host = hostOver(disk, now)
    story.harm?.(host)
    return host
  }
  const result = await runWithCuts(
    {
      async scenario(disk) {
        last = undefined
        const host = await begin(disk, LATER)
        if (story.before !== null) await startInstalled(host.deps)
        last = await story.act(host)
        told.set(disk, last)
      },
      async recover(disk) {
        // As after a reboot: nothing runs, and nothing starts before the recovery has decided.
        const host = await begin(disk, LATER)
        const recovery = await host.recover()
        if (recovery.kind !== 'clean' && recovery.kind !== 'finished') throw new Error(JSON.stringify(recovery))
        await startInstalled(host.deps)
        const version = await assertWhole(disk)
        if (host.service.running !== version) throw new Error(`${host.service.running} runs, ${version} is installed`)
      },
      async check(disk, { isDone }) {
        const version = await assertWhole(disk)
        ends.add(String(version))
        expect([story.before, story.after]).toContain(version)
        // What was acknowledged stays: an end that somebody was told, and the site's own data.
        if (isDone && last) expect(version).toBe(last.kind === 'committed' ? story.after : story.before)
        expect(Buffer.from(await disk.readFile('/host/data/orders')).toString()).toBe('mine')
        await checkRecords(disk, version)
      },
    },
    { start: story.start, ...options },
  )
  return { ...result, ends: [...ends].sort() }
}

async function checkRecords(disk: SimDisk, version: string | null): Promise<void> {
  expect(await exists(disk, paths.undecided)).toBe(false)
  expect(await exists(disk, paths.staging)).toBe(false)
  expect((await loadVersionRecord({ disk, paths })).current_version).toBe(version)
  const floor = await loadFloor(disk, paths)
  if (version !== null)
    expect(compareVersions(floor ?? parseVersion('0a1'), parseVersion(version))).toBeGreaterThanOrEqual(0)
  const layout = { disk, paths }
  expect((await listGenerations(layout)).length).toBeGreaterThanOrEqual(version === null ? 0 : 1)
  for (const { name } of await disk.list(paths.updates).catch(() => [])) {
    const journal = await readJournal(disk, updateFiles(paths, name).journal)
    expect(journal.kind).toBe('whole')
    if (journal.kind !== 'damaged')
      expect(journal.records.at(-1)?.entry).toMatchObject({ phase: 'DECIDE', decision: { to: 'end' } })
  }
}

const everyEffect: CutOptions = { samples: slow ? 6 : 2, recoverySamples: 1, recoveryCuts: 0 }

describe('a power cut at every effect of', () => {
  test('an upgrade leaves the old or the new version', async () => {
    const start = await diskWith(one)
    const { cuts, states, ends } = await tellWithCuts(
      { start, act: (host) => host.install(two), before: '0a1', after: '0a2' },
      everyEffect,
    )
    expect(cuts).toBeGreaterThan(80)
    expect(states).toBeGreaterThan(cuts)
    expect(ends).toEqual(['0a1', '0a2'])
  }, 300_000)

  test('a first installation leaves nothing or the new version', async () => {
    const start = await diskWith()
    const { ends } = await tellWithCuts(
      { start, act: (host) => host.install(one), before: null, after: '0a1' },
      everyEffect,
    )
    expect(ends).toEqual(['0a1', 'null'])
  }, 300_000)

  test('an upgrade that fails leaves the old version', async () => {
    const start = await diskWith(one)
    const { ends } = await tellWithCuts(
      { start, act: (host) => host.install(two), harm: (host) => host.sick.set('0a2', 1), before: '0a1', after: '0a1' },
      everyEffect,
    )
    expect(ends).toEqual(['0a1'])
  }, 300_000)

  test('a first installation that fails leaves nothing', async () => {
    const start = await diskWith()
    const { ends } = await tellWithCuts(
      { start, act: (host) => host.install(one), harm: (host) => host.sick.set('0a1', 1), before: null, after: null },
      everyEffect,
    )
    expect(ends).toEqual(['null'])
  }, 300_000)

  test('a rollback leaves one or the other', async () => {
    const start = await diskWith(one, two)
    const { ends } = await tellWithCuts(
      { start, act: (host) => host.rollback(1), before: '0a2', after: '0a1' },
      everyEffect,
    )
    expect(ends).toEqual(['0a1', '0a2'])
  }, 300_000)
})

describe('a power cut at every effect of the recovery too', () => {
  const both: CutOptions = {
    samples: slow ? 2 : 0,
    recoverySamples: slow ? 1 : 0,
    recoveryCuts: slow ? Number.POSITIVE_INFINITY : 2,
  }

  test('of an upgrade', async () => {
    const start = await diskWith(one)
    const { ends } = await tellWithCuts({ start, act: (host) => host.install(two), before: '0a1', after: '0a2' }, both)
    expect(ends).toEqual(['0a1', '0a2'])
  }, 900_000)

  test('of an upgrade that fails', async () => {
    const start = await diskWith(one)
    const { ends } = await tellWithCuts(
      { start, act: (host) => host.install(two), harm: (host) => host.sick.set('0a2', 1), before: '0a1', after: '0a1' },
      both,
    )
    expect(ends).toEqual(['0a1'])
  }, 900_000)
})

// A disk that says no, once or from then on, at every effect of an update. The service runs afterwards, on the old or the new version, and whatever the
// journal could not be told is put right by the next recovery.
import { beforeAll, describe, expect, test } from 'vitest'
import { startInstalled } from '../../agent/engine/installed.ts'
import { exists } from '../../agent/engine/layout.ts'
import { createSimDisk, type Failure, type SimDisk } from '../sim/disk.ts'
import { createPublisher, pack, type TestRelease } from './release.ts'
import { assertWhole, createSimHost, paths } from './sim-host.ts'

const service = {
  argv: ['./bin/app'],
  env: {},
  ready_ms: 1000,
  stability_ms: 400,
  health_checks: [{ type: 'http', name: 'page', url: 'http://127.0.0.1/', interval_ms: 200, failure_threshold: 1 }],
}
const NOW = new Date('2026-11-24T10:00:00Z')

let one: TestRelease
let two: TestRelease
let start: SimDisk
let effects: number

beforeAll(async () => {
  const publisher = await createPublisher()
  one = await publisher.release('0a1', pack({ '!bin/app': 'one' }), { service })
  two = await publisher.release('0a2', pack({ '!bin/app': 'two' }), { service })
  start = createSimDisk()
  await createSimHost(start, { releases: [one, two] }).install(one)
  start.settle()
  const whole = start.fork()
  await createSimHost(whole, { releases: [one, two], now: NOW }).install(two)
  effects = whole.effects
})

async function upgradeWith(failure: Failure, at: number) {
  const disk = start.fork()
  const host = createSimHost(disk, { releases: [one, two], now: NOW })
  await startInstalled(host.deps)
  disk.failAt(at, failure)
  const outcome = await host.install(two)
  return {
    disk,
    host,
    outcome,
    where: `${failure.errno} at effect ${at}: ${disk.log[at - 1]}: ${JSON.stringify(outcome)}`,
  }
}

/** The next start, on a disk that was mended. */
async function restart(disk: SimDisk) {
  const mended = disk.fork()
  const host = createSimHost(mended, { releases: [one, two], now: NOW })
  expect(['clean', 'finished']).toContain((await host.recover()).kind)
  await startInstalled(host.deps)
  const version = await assertWhole(mended)
  expect(host.service.running).toBe(version)
  expect(await exists(mended, paths.undecided)).toBe(false)
  return version
}

describe.each<[string, Failure]>([
  ['an input/output error', { errno: 'EIO' }],
  ['a full disk', { errno: 'ENOSPC' }],
  ['a disk that stays full', { errno: 'ENOSPC', lasting: true }],
  ['a disk that becomes read-only', { errno: 'EROFS', lasting: true }],
])('%s at every effect', (_, failure) => {
  test('leaves the service running on one of the two versions', async () => {
    expect(effects).toBeGreaterThan(60)
    const ends = new Set<string>()
    for (let at = 1; at <= effects; at++) {
      const { disk, host, outcome, where } = await upgradeWith(failure, at)
      ends.add(outcome.kind)
      expect(host.service.running, where).not.toBe(null)
      if (!failure.lasting) {
        expect(outcome.kind, where).not.toBe('stranded')
        expect(host.service.running, where).toBe(outcome.kind === 'committed' ? '0a2' : '0a1')
      }
      const version = await restart(disk).catch((error: unknown) => {
        throw new Error(where, { cause: error })
      })
      if (outcome.kind === 'committed') expect(version, where).toBe('0a2')
      else if (outcome.kind !== 'stranded') expect(version, where).toBe('0a1')
      else expect(['0a1', '0a2'], where).toContain(version)
    }
    // Where nothing can be written at all the link can't be turned back either; the old version is started all the same.
    const worst = failure.errno === 'EROFS' ? 'stranded' : 'rolled_back'
    expect([...ends].sort()).toEqual(['committed', 'discarded', 'refused', worst].sort())
  }, 120_000)
})

// The way down by an authorisation with the power cut at every effect on the disk, and at those of the recovery: what was signed for once is obeyed once.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadAssignmentState, useNonce } from '../../agent/assignment-state.ts'
import { agentFilesOf } from '../../agent/config.ts'
import { startInstalled } from '../../agent/engine/installed.ts'
import type { Outcome } from '../../agent/engine/outcome.ts'
import { newHost, one, two } from '../engine/released-host.ts'
import { createSimHost, paths } from '../engine/sim-host.ts'
import { runWithCuts } from '../sim/cuts.ts'
import type { SimDisk } from '../sim/disk.ts'

const NONCE = 'ab'.repeat(16)
const files = agentFilesOf(paths)
let locks: string
beforeAll(async () => {
  locks = await mkdtemp(join(tmpdir(), 'netlink-locks-'))
})
afterAll(() => rm(locks, { recursive: true, force: true }))

type Host = ReturnType<typeof newHost>

/** The host after a restart, some hours later: no two updates have one second. */
async function restarted(disk: SimDisk, hours = 1): Promise<Host> {
  const now = new Date(Date.parse('2026-11-23T10:00:00Z') + hours * 3_600_000)
  const host = { disk, ...createSimHost(disk, { releases: [one, two], now }) }
  await host.recover()
  await startInstalled(host.deps)
  return host
}

async function isUsed(disk: SimDisk): Promise<boolean> {
  return (await loadAssignmentState({ disk, files })).used.includes(NONCE)
}

/** Goes down as an assignment says, if it was not done before. */
function goDown(host: Host): Promise<Outcome> {
  const place = { disk: host.disk, files, paths: { ...paths, locks }, clock: host.deps.clock, owner: 'the test' }
  return host.rollback(1, { beforeStop: () => useNonce(place, NONCE) })
}

async function startOnTwo(): Promise<SimDisk> {
  const host = newHost()
  for (const release of [one, two]) expect(await host.install(release)).toMatchObject({ kind: 'committed' })
  host.disk.settle()
  return host.disk
}

test('cut anywhere it was used before it took effect, and is obeyed no second time', async () => {
  const ends = new Set<string>()
  const { cuts } = await runWithCuts(
    {
      scenario: async (disk) => goDown(await restarted(disk)),
      recover: restarted,
      check: async (disk, { isDone }) => {
        const host = await restarted(disk, 2)
        const [version, used] = [await host.installed(), await isUsed(disk)]
        ends.add(`${version} ${used ? 'used' : 'unused'}`)
        if (isDone) expect([version, used]).toEqual(['0a1', true])
        if (version === '0a1') expect(used).toBe(true)
      },
    },
    { start: await startOnTwo(), samples: 2, recoverySamples: 1, recoveryCuts: 2, manner: 'throw' },
  )
  expect(cuts).toBeGreaterThan(40)
  // Between its use and the flip lies a stop: cut there it is spent, and better that than twice.
  expect(ends).toEqual(new Set(['0a2 unused', '0a2 used', '0a1 used']))
}, 300_000)

test('one that was used gives the update up before the service notices; one that was not is obeyed: the control', async () => {
  const disk = await startOnTwo()
  expect(await goDown(await restarted(disk))).toMatchObject({ kind: 'committed', to: '0a1' })
  expect(await (await restarted(disk, 2)).rollback(2)).toMatchObject({ kind: 'committed', to: '0a2' })
  const host = await restarted(disk, 3)
  host.service.calls.length = 0
  expect(await goDown(host)).toMatchObject({ kind: 'discarded', reason: { code: 'unverified', step: 'baseline' } })
  expect(host.service.calls).toEqual([])
  expect(await host.installed()).toBe('0a2')
})

test('a tree that was changed leaves it unused, for the next time', async () => {
  const host = await restarted(await startOnTwo())
  const [tree] = (await host.disk.list(paths.store)).filter(({ name }) => name.startsWith('0a1'))
  const app = join(paths.store, tree?.name ?? '', 'bin', 'app')
  await host.disk.overwrite(app, Buffer.from('evi'), 0o755)
  expect(await goDown(host)).toMatchObject({ kind: 'discarded' })
  expect(await isUsed(host.disk)).toBe(false)
})

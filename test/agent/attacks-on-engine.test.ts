// What is between the check and the use: somebody else writes into the host's folders while an update is on its way, or a part that should prove something
// proves nothing. The engine is the real one, on a simulated disk.
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { startInstalled } from '../../agent/engine/installed.ts'
import { readJournal } from '../../agent/engine/journal.ts'
import { exitOf } from '../../agent/engine/outcome.ts'
import { hashTree } from '../../agent/engine/unpack.ts'
import { updateFiles } from '../../agent/paths.ts'
import type { Verified } from '../../keys/verified.ts'
import { EXIT } from '../../schema/cli/exit-code.ts'
import { hostOn, newHost, one, two } from '../engine/released-host.ts'
import { assertWhole, paths } from '../engine/sim-host.ts'

type Host = Awaited<ReturnType<typeof hostOn>>

/** Lets somebody in at the moment when a phase starts. */
function at(phase: string, act: () => Promise<unknown>) {
  let done: Promise<unknown> = Promise.resolve()
  return {
    onEvent: (event: { type: string; phase?: unknown; status?: unknown }) => {
      if (event.type === 'phase' && event.phase === phase && event.status === 'started') done = act()
    },
    ended: () => done,
  }
}

async function treeOf(host: Host, version: string): Promise<string> {
  const found = (await host.disk.list(paths.store)).find(({ name }) => name.startsWith(version))
  return join(paths.store, found?.name ?? 'none')
}

async function staysOnOne(host: Host): Promise<void> {
  expect(host.service.running).toBe('0a1')
  expect(await assertWhole(host.disk)).toBe('0a1')
}

describe('H6 between check and use', () => {
  test.each<[what: string, phase: string, harm: (host: Host) => Promise<unknown>, reason: object]>([
    [
      'a file of the archive',
      'unpack',
      (host) => host.disk.overwrite(join(paths.downloads, two.manifest.artifacts[0]?.sha256 ?? ''), one.archive, 0o600),
      { code: 'unverified', step: 'unpack' },
    ],
    [
      'a file of the tree that was unpacked',
      'check',
      async (host) => host.disk.overwrite(join(await treeOf(host, '0a2'), 'bin', 'app'), Buffer.from('evil'), 0o755),
      { code: 'unverified', step: 'check' },
    ],
    [
      'a program put beside the others',
      'check',
      async (host) => {
        const writer = await host.disk.createFile(join(await treeOf(host, '0a2'), 'bin', 'evil'), 0o755)
        await writer.close()
      },
      { code: 'unverified', step: 'check' },
    ],
    [
      'a link in the place of a program',
      'check',
      async (host) => {
        const program = join(await treeOf(host, '0a2'), 'bin', 'app')
        await host.disk.unlink(program)
        await host.disk.symlink('/bin/sh', program)
      },
      {},
    ],
    [
      'the rights of a file',
      'check',
      async (host) => host.disk.chmod(join(await treeOf(host, '0a2'), 'www', 'index.html'), 0o755),
      { code: 'unverified', step: 'check' },
    ],
  ])('%s is changed: found before anything is stopped, and the next try is whole', async (_, phase, harm, reason) => {
    const host = await hostOn(one)
    const thief = at(phase, () => harm(host))
    const outcome = await host.install(two, { onEvent: thief.onEvent })
    await thief.ended()
    expect(outcome).toMatchObject({ kind: 'discarded', reason })
    expect(host.service.calls).toEqual([])
    await staysOnOne(host)

    const again = { plan: { update_id: 'update_0a1_0a2_20261124_000000' } }
    expect(await host.install(two, again)).toMatchObject({ kind: 'committed', to: '0a2' })
    expect(await hashTree(host.disk, join(paths.current, 'app'))).toBe(two.manifest.artifacts[0]?.tree_sha256)
  })
})

/** Harm to what is staged, by whoever may write where the agent may: under `exec` control that is the version that still runs. */
const harms: [what: string, harm: (host: Host) => Promise<unknown>][] = [
  [
    'a program is overwritten',
    async (host) => host.disk.overwrite(join(await treeOf(host, '0a2'), 'bin', 'app'), Buffer.from('evi'), 0o755),
  ],
  [
    'another program takes its name',
    async (host) => {
      const evil = join(paths.data, 'evil')
      await host.disk.overwrite(evil, Buffer.from('evi'), 0o755)
      await host.disk.rename(evil, join(await treeOf(host, '0a2'), 'bin', 'app'))
    },
  ],
  [
    'a program is put beside it',
    async (host) => (await host.disk.createFile(join(await treeOf(host, '0a2'), 'bin', 'evil'), 0o755)).close(),
  ],
  ['rights are changed', async (host) => host.disk.chmod(join(await treeOf(host, '0a2'), 'www', 'index.html'), 0o755)],
  [
    'the link to the tree leads elsewhere',
    async (host) => {
      const app = join(paths.generations, '2', 'app')
      await host.disk.unlink(app)
      await host.disk.symlink('../../store/evil', app)
    },
  ],
]

/** Runs the update and lets somebody in when the phase begins; resolves when both are over. */
async function installWith(host: Host, phase: string, harm: (host: Host) => Promise<unknown>) {
  const thief = at(phase, () => harm(host))
  const outcome = await host.install(two, { onEvent: thief.onEvent })
  await thief.ended()
  return outcome
}

describe('H6 between the check and the flip', () => {
  const again = { plan: { update_id: 'update_0a1_0a2_20261124_000000' } }

  test.each(harms)('%s while health is asked: given up, the service never notices, exit 7', async (_, harm) => {
    const host = await hostOn(one)
    const outcome = await installWith(host, 'baseline', harm)
    expect(outcome).toMatchObject({ kind: 'discarded', reason: { code: 'unverified', step: 'baseline' } })
    expect(exitOf(outcome)).toBe(EXIT.unverified)
    expect(host.service.calls).toEqual([])
    expect(host.service.running).toBe('0a1')
    expect(await host.installed()).toBe('0a1')
    expect(await host.install(two, again)).toMatchObject({ kind: 'committed', to: '0a2' })
  })

  test.each(['stop', 'switch'].flatMap((phase) => harms.map(([what, harm]) => [what, phase, harm] as const)))(
    '%s when %s begins: not flipped, the old version runs again, exit 7',
    async (_, phase, harm) => {
      const host = await hostOn(one)
      host.disk.settle()
      const outcome = await installWith(host, phase, harm)
      expect(outcome).toMatchObject({ kind: 'rolled_back', reason: { code: 'unverified', step: 'switch' } })
      expect(exitOf(outcome)).toBe(EXIT.unverified)
      expect(host.disk.log.filter((line) => line.endsWith(`-> ${paths.current}`))).toEqual([])
      expect(host.service.calls.join()).not.toContain('0a2')
      await staysOnOne(host)
      const journal = await readJournal(host.disk, updateFiles(paths, outcome.update_id).journal)
      const entries = journal.kind === 'damaged' ? [] : journal.records.map(({ entry }) => entry)
      expect(entries).toContainEqual(expect.objectContaining({ phase: 'FAIL', step: 'switch' }))
      expect(await host.install(two, again)).toMatchObject({ kind: 'committed', to: '0a2' })
      expect(await hashTree(host.disk, join(paths.current, 'app'))).toBe(two.manifest.artifacts[0]?.tree_sha256)
    },
  )

  test.each(['baseline', 'stop', 'switch'])('the same bytes written when %s begins: the control', async (phase) => {
    const host = await hostOn(one)
    const same = async () =>
      host.disk.overwrite(join(await treeOf(host, '0a2'), 'bin', 'app'), Buffer.from('two'), 0o755)
    expect(await installWith(host, phase, same)).toMatchObject({ kind: 'committed', to: '0a2' })
  })

  test.each(['baseline', 'stop', 'switch'])('a version that lay here is changed when %s begins', async (phase) => {
    const host = await hostOn(one)
    expect(await host.install(two)).toMatchObject({ kind: 'committed' })
    const app = join(await treeOf(host, '0a1'), 'bin', 'app')
    const thief = at(phase, () => host.disk.overwrite(app, Buffer.from('evi'), 0o755))
    const outcome = await host.rollback(1, { onEvent: thief.onEvent })
    await thief.ended()
    expect(outcome).toMatchObject({ reason: { code: 'unverified' } })
    expect([host.service.running, await host.installed()]).toEqual(['0a2', '0a2'])
    await host.disk.overwrite(app, Buffer.from('one'), 0o755)
    expect(await host.rollback(1, { onEvent: () => {} })).toMatchObject({ kind: 'refused' })
  })

  test.each([
    ['before the flip', -1],
    ['right after it', 0],
  ])('the power goes %s and somebody writes meanwhile: the recovery runs no such tree', async (_, later) => {
    const start = (await hostOn(one)).disk
    start.settle()
    const whole = newHost(start.fork())
    await startInstalled(whole.deps)
    await whole.install(two)
    const flip = whole.disk.log.findIndex((line) => line.endsWith(`-> ${paths.current}`)) + 1
    expect(flip).toBeGreaterThan(1)

    for (const harm of [undefined, ...harms.map(([, one]) => one)]) {
      const disk = start.fork()
      const host = newHost(disk)
      await startInstalled(host.deps)
      disk.cutAt(flip + later, 'throw')
      await host.install(two).catch(() => undefined)
      expect(disk.isCut).toBe(true)
      const found = newHost(disk.fork())
      if (harm) await harm(found)
      const recovery = await found.recover()
      await startInstalled(found.deps)
      const isNew = later === 0 && harm === undefined
      expect(recovery).toMatchObject({ kind: 'finished', outcome: { kind: isNew ? 'committed' : 'rolled_back' } })
      expect([found.service.running, await found.installed()]).toEqual(isNew ? ['0a2', '0a2'] : ['0a1', '0a1'])
      expect(found.service.calls.join()).not.toContain(isNew ? '0a1' : '0a2')
    }
  })
})

describe('H8 a part that proves nothing', () => {
  const fetches: [what: string, fetch: (host: Host, file: string) => Promise<void>][] = [
    ['a download that ends and brought nothing', async () => {}],
    ['a download that throws', () => Promise.reject(new Error('verification failed'))],
    ['a download that throws nothing at all', () => Promise.reject(undefined)],
    [
      'a download of other bytes of the same length',
      async (host, file) => {
        const writer = await host.disk.createFile(file, 0o600)
        await writer.write(Buffer.from(two.archive).reverse())
        await writer.close()
      },
    ],
    [
      'a download of another release',
      async (host, file) => {
        const writer = await host.disk.createFile(file, 0o600)
        await writer.write(one.archive)
        await writer.close()
      },
    ],
  ]

  test.each(fetches)('%s installs nothing', async (_, fetch) => {
    const host = await hostOn(one)
    const { artifacts } = host.deps
    const honest = artifacts.fetch
    artifacts.fetch = (_artifact, file) => fetch(host, file)
    const outcome = await host.install(two)
    expect(outcome.kind).not.toBe('committed')
    expect(host.service.calls).toEqual([])
    await staysOnOne(host)

    artifacts.fetch = honest
    const again = { plan: { update_id: 'update_0a1_0a2_20261124_000000' } }
    expect(await host.install(two, again)).toMatchObject({ kind: 'committed' })
  })

  test('a manifest that was not verified is no manifest: the compiler says so, and so does the engine', async () => {
    // @ts-expect-error: what merely looks like proof is none
    const forged: Verified<typeof two.manifest> = { value: two.manifest, bytes: new Uint8Array() }
    const host = await hostOn(one)
    const outcome = await host.install({ ...two, verified: forged }, { plan: { manifest: one.manifest } })
    expect(outcome.kind).toBe('refused')
    await staysOnOne(host)
    expect(await host.install(two)).toMatchObject({ kind: 'committed' })
  })
})

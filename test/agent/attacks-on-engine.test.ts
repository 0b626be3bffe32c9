// What is between the check and the use: somebody else writes into the host's folders while an update is on its way, or a part that should prove something
// proves nothing. The engine is the real one, on a simulated disk.
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { hashTree } from '../../agent/engine/unpack.ts'
import type { Verified } from '../../keys/verified.ts'
import { hostOn, one, two } from '../engine/released-host.ts'
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

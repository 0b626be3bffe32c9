// Uploads over a line that is cut, and publishers that are killed: nothing is published by halves, and hardly a byte is sent twice.
import { randomBytes } from 'node:crypto'
import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { asSigners, openProxiedWorld, type PublisherWorld, versionsOf } from './world.ts'

const MEGABYTE = 1_000_000

test('an upload that is cut three times ends all the same, as does a publication whose answer is lost', async () => {
  const { world, proxy } = await openProxiedWorld()
  await world.init(['alice'])
  await makeBig(world, 'big')
  proxy.cutAfter(9 * MEGABYTE, 3)
  const cut = await world.signing(['alice'], 'release', '0a1', '--from', 'big')
  expect(cut, cut.stderr).toMatchObject({ status: 0, stderr: expect.stringContaining('trying again in') })
  expect(proxy.sent).toBeLessThan(40 * MEGABYTE)

  proxy.loseAnswerTo('POST /api/v1/publish/releases')
  const lost = await world.signing(['alice'], 'release', '0a2', '--from', 'app-v2')
  expect(lost, lost.stderr).toMatchObject({ status: 0, stderr: expect.stringContaining('trying again in') })
  expect(await versionsOf(world)).toEqual(['0a2', '0a1'])

  proxy.cutAll()
  expect(await world.publish('list')).toMatchObject({ status: 6, stdout: '' })
  expect(await world.publish('list', '--offline')).toMatchObject({ status: 0, stdout: expect.stringContaining('0a2') })
  proxy.heal()
  expect(await world.publish('list')).toMatchObject({ status: 0 })
}, 120_000)

test('a publisher that is killed or stopped in the middle of an upload goes on with `publish`', async () => {
  const { world, proxy } = await openProxiedWorld()
  await world.init(['alice'])
  for (const [version, signal, status] of [
    ['0a1', 'SIGKILL', null],
    ['0a2', 'SIGINT', 130],
    ['0a3', 'SIGTERM', 143],
  ] as const) {
    await makeBig(world, `big-${version}`)
    const before = await versionsOf(world)
    const sentBefore = proxy.sent
    const stalled = proxy.stallAfter(15 * MEGABYTE)
    const child = world.begin('release', version, '--from', `big-${version}`, ...asSigners(['alice']))
    const ended = new Promise((resolve) => child.once('exit', resolve))
    await stalled
    child.kill(signal)
    expect(await ended).toBe(status)
    proxy.heal()
    expect(await versionsOf(world)).toEqual(before)

    const resumed = await world.publish('publish', version)
    expect(resumed, resumed.stderr).toMatchObject({ status: 0 })
    expect(proxy.sent - sentBefore).toBeLessThan(35 * MEGABYTE)
    expect(await versionsOf(world)).toEqual([version, ...before])
    const again = await world.publish('publish', version)
    expect(again).toMatchObject({ status: 0, stdout: expect.stringContaining('published already') })
  }
}, 180_000)

/** A release of 25 MB that no compressor makes smaller. */
async function makeBig(world: PublisherWorld, name: string): Promise<void> {
  await cp(join(world.folder, 'app-v1'), join(world.folder, name), { recursive: true })
  await writeFile(join(world.folder, name, 'noise'), randomBytes(25 * MEGABYTE))
}

// A publisher that has seen what a thief of the server's keys signed: the honest server is older than that, and only a root with other keys ends it.
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { Signer } from '../../keys/signer.ts'
import { onlineSigners, published, resign } from '../runbooks/theft.ts'
import { run } from '../world/programs.ts'
import { openWorld, type PublisherWorld } from './world.ts'

const GREATEST = Number.MAX_SAFE_INTEGER

interface Thief {
  readonly timestamp: readonly Signer[]
  readonly snapshot: readonly Signer[]
}

const fileOf = ({ folder }: PublisherWorld, name: string) => published(folder, name)
const honestTimestamp = async (world: PublisherWorld) => readFile(fileOf(world, 'timestamp.json'))

/** A snapshot with these changes and a timestamp that announces it. */
async function forgeSnapshot(world: PublisherWorld, thief: Thief, version: number, changes: object): Promise<void> {
  const timestamp = await honestTimestamp(world)
  const honest = JSON.parse(String(timestamp)).signed.meta['snapshot.json'].version
  const snapshot = await readFile(fileOf(world, `${honest}.snapshot.json`))
  const own = await resign(snapshot, { version, ...changes }, thief.snapshot)
  await writeFile(fileOf(world, `${version}.snapshot.json`), own)
  const sha256 = createHash('sha256').update(own).digest('hex')
  const meta = { 'snapshot.json': { version, length: own.length, hashes: { sha256 } } }
  await writeFile(fileOf(world, 'timestamp.json'), await resign(timestamp, { version, meta }, thief.timestamp))
}

test.each<readonly [string, (world: PublisherWorld, thief: Thief) => Promise<void>]>([
  [
    'timestamp',
    async (world, thief) => {
      const forged = await resign(await honestTimestamp(world), { version: GREATEST }, thief.timestamp)
      await writeFile(fileOf(world, 'timestamp.json'), forged)
    },
  ],
  [
    'timestamp, and of a snapshot that is nowhere',
    async (world, thief) => {
      const meta = { 'snapshot.json': { version: GREATEST } }
      const forged = await resign(await honestTimestamp(world), { version: GREATEST, meta }, thief.timestamp)
      await writeFile(fileOf(world, 'timestamp.json'), forged)
    },
  ],
  ['timestamp and snapshot', (world, thief) => forgeSnapshot(world, thief, GREATEST, {})],
  [
    'timestamp and snapshot, and of the channel that it lists',
    (world, thief) =>
      forgeSnapshot(world, thief, GREATEST, {
        meta: { 'targets.json': { version: 1 }, 'alpha.json': { version: GREATEST } },
      }),
  ],
])(
  'a driven-up number of the %s ends nothing for a publisher that has seen it',
  async (_what, forge) => {
    const world = await openWorld()
    await world.init(['alice'])
    const released = await world.signing(['alice'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')
    expect(released.status, released.stderr).toBe(0)
    const honest = await honestTimestamp(world)
    await forge(world, await onlineSigners(world.folder))
    await world.publish('list', '--dir', 'pub')
    await writeFile(fileOf(world, 'timestamp.json'), honest)
    expect(await world.publish('list', '--dir', 'pub')).toMatchObject({ status: 7 })

    const keys = ['keys', 'rotate', 'snapshot', 'timestamp', '--at-once', '--dir', 'srv', '--out', 'new.json']
    expect(await run(world.folder, 'netlink-server', keys)).toMatchObject({ status: 0 })
    const rotated = await world.signing(['alice'], 'root', 'rotate', '--online-keys', 'new.json', '--dir', 'pub')
    expect(rotated.status, rotated.stderr).toBe(0)
    expect(rotated.stderr).toMatch(/went from .* going on from what was signed offline/)
    const next = await world.signing(['alice'], 'release', '0a2', '--from', 'app-v2', '--dir', 'pub')
    expect(next.status, next.stderr).toBe(0)
  },
  90_000,
)

test('what was signed offline is held against the server as ever, also for a change of root', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  const publish = async (version: string) => {
    const outcome = await world.signing(['alice'], 'release', version, '--from', 'app-v1', '--dir', 'pub')
    expect(outcome.status, outcome.stderr).toBe(0)
  }
  await publish('0a1')
  const older = await honestTimestamp(world)
  await publish('0a2')
  const renew = () => world.signing(['alice'], 'expire', 'refresh', 'targets', '--dir', 'pub')
  const newest = await honestTimestamp(world)
  await writeFile(fileOf(world, 'timestamp.json'), older)
  const refused = await renew()
  expect(refused.status, refused.stdout).toBe(7)
  expect(refused.stderr).toMatch(/E-ROLLBACK[\s\S]*rollback: alpha went from v3 to v2/)
  await writeFile(fileOf(world, 'timestamp.json'), newest)
  const renewed = await renew()
  expect(renewed.status, renewed.stderr).toBe(0)
})

// The server's own keys, replaced: slowly, and hosts forget nothing; at once, and what a thief has driven up is forgotten. A real server, its own command
// line, and a host's own refresh over what is published.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseDocument, signDocument } from '../../keys/document.ts'
import { openKeyring } from '../../keys/key-file.ts'
import { buildKeyFileDisk } from '../../keys/key-file-disk.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { refresh, type Trusted } from '../../keys/refresh.ts'
import { generateEd25519 } from '../../keys/signer.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { SimTrustStore } from '../sim/trust-store.ts'
import { run } from '../world/programs.ts'
import { openWorld, type PublisherWorld } from './world.ts'

interface Host {
  readonly store: SimTrustStore
  look(): Promise<Trusted>
}

async function hostOf(world: PublisherWorld): Promise<Host> {
  const store = new SimTrustStore(await readFile(join(world.folder, 'pub', 'root.json')))
  const load = async (file: string) => {
    const answer = await fetch(`http://127.0.0.1:${world.port}/repo/metadata/${file}`)
    return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : ('missing' as const)
  }
  return { store, look: () => refresh({ source: { load }, store, startedAt: new Date() }) }
}

const timestampFile = (world: PublisherWorld) =>
  join(world.folder, 'srv', 'storage', 'repo', 'metadata', 'timestamp.json')

async function keys(world: PublisherWorld, ...args: readonly string[]) {
  const outcome = await run(world.folder, 'netlink-server', ['keys', ...args, '--dir', 'srv', '--json'])
  expect(outcome.status, outcome.stderr + outcome.stdout).toBe(0)
  return JSON.parse(outcome.stdout) as {
    keys: { role: string; keyid: string; state: string }[]
    removed: string[]
    online_keys: Record<string, { keyval: { public: string } }[]>
  }
}

async function statesOf(world: PublisherWorld, role: string) {
  return (await keys(world, 'list')).keys.filter((key) => key.role === role).map(({ state }) => state)
}

async function rotateRoot(world: PublisherWorld, file: string): Promise<void> {
  const outcome = await world.signing(['alice'], 'root', 'rotate', '--online-keys', file, '--dir', 'pub')
  expect(outcome.status, outcome.stderr).toBe(0)
}

test('a planned rotation: old and new sign side by side, and hosts keep their floors when the old one goes', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  const host = await hostOf(world)
  await host.look()
  expect(await statesOf(world, 'timestamp')).toEqual(['named'])

  const made = await keys(world, 'rotate', 'timestamp', 'snapshot', '--out', 'both.json')
  expect(made.online_keys.timestamp).toHaveLength(2)
  expect(await statesOf(world, 'timestamp')).toEqual(['named', 'waiting'])
  // Asked again it makes no third key.
  expect((await keys(world, 'rotate', 'timestamp', '--out', 'both.json')).online_keys.timestamp).toHaveLength(2)
  await rotateRoot(world, 'both.json')
  expect(await statesOf(world, 'snapshot')).toEqual(['named', 'named'])
  const both = await host.look()
  expect(both.signersOf('timestamp').keyids).toHaveLength(2)
  const old = await readFile(timestampFile(world))

  const released = await world.signing(['alice'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')
  expect(released.status, released.stderr).toBe(0)
  await host.look()
  const before = host.store.floorVersions()
  await keys(world, 'export', '--newest', '--out', 'new.json')
  await rotateRoot(world, 'new.json')
  expect(await statesOf(world, 'timestamp')).toEqual(['retired', 'named'])

  // Whoever has the server may serve what both keys signed before: it is older than what this host has seen.
  const honest = await readFile(timestampFile(world))
  await writeFile(timestampFile(world), old)
  await expect(host.look()).rejects.toSatisfy((error) => error instanceof TrustError && error.code === 'rollback')
  expect(host.store.versions().root).toBe(3)
  expect(host.store.floorVersions()).toMatchObject({ timestamp: before.timestamp, snapshot: before.snapshot })
  await writeFile(timestampFile(world), honest)
  const after = await host.look()
  expect(after.signersOf('timestamp').keyids).toHaveLength(1)
  expect(after.timestampVersion).toBeGreaterThanOrEqual(before.timestamp)
  expect((await keys(world, 'prune')).removed).toHaveLength(2)
  expect(await statesOf(world, 'timestamp')).toEqual(['named'])
  const next = await world.signing(['alice'], 'release', '0a2', '--from', 'app-v2', '--dir', 'pub')
  expect(next.status, next.stderr).toBe(0)
}, 120_000)

test('an emergency: the stolen key goes at once, and the numbers that its thief has driven up are forgotten', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  const host = await hostOf(world)
  await host.look()
  const keyring = await openKeyring(
    { disk: buildKeyFileDisk(nodeDisk) },
    join(world.folder, 'srv', 'secrets', 'online.keys'),
    undefined,
  )
  const honest = await readFile(timestampFile(world))
  const { signed } = parseDocument(honest)
  const forged = await signDocument({ ...signed, version: 1_000_000 }, keyring.signersFor('timestamp'))
  await writeFile(timestampFile(world), forged)
  await host.look()
  expect(host.store.floorVersions().timestamp).toBe(1_000_000)
  await writeFile(timestampFile(world), honest)
  await expect(host.look()).rejects.toMatchObject({ code: 'rollback' })

  const made = await keys(world, 'rotate', 'timestamp', '--at-once', '--out', 'new.json')
  expect(made.online_keys.timestamp).toHaveLength(1)
  expect(made.online_keys.snapshot).toHaveLength(1)
  await rotateRoot(world, 'new.json')
  const after = await host.look()
  expect(after.root.value.version).toBe(2)
  expect(after.timestampVersion).toBeLessThan(1_000_000)
  expect(host.store.floorVersions().timestamp).toBe(after.timestampVersion)
  // The thief's key is worth nothing any more.
  await writeFile(timestampFile(world), forged)
  await expect(host.look()).rejects.toMatchObject({ code: 'unsigned' })
}, 120_000)

test('keys that the server does not hold are refused, whoever signed the root that names them', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  await keys(world, 'export', '--out', 'own.json')
  const own = JSON.parse(await readFile(join(world.folder, 'own.json'), 'utf8')) as {
    online_keys: Record<string, unknown[]>
  }
  const foreign = generateEd25519().signer.publicKey.object
  await writeFile(join(world.folder, 'foreign.json'), JSON.stringify({ ...own.online_keys, timestamp: [foreign] }))
  const refused = await world.signing(['alice'], 'root', 'rotate', '--online-keys', 'foreign.json', '--dir', 'pub')
  expect(refused).toMatchObject({ status: 3, stderr: expect.stringContaining('root names other keys for timestamp') })
  expect((await (await hostOf(world)).look()).root.value.version).toBe(1)
  expect(await world.publish('root', 'rotate', '--dir', 'pub')).toMatchObject({ status: 2 })
}, 120_000)

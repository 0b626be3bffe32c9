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

async function rotateRoot(world: PublisherWorld, file: string): Promise<string> {
  const outcome = await world.signing(['alice'], 'root', 'rotate', '--online-keys', file, '--dir', 'pub')
  expect(outcome.status, outcome.stderr).toBe(0)
  return outcome.stdout
}

async function keyIdsOf(world: PublisherWorld, role: string, state: string) {
  return (await keys(world, 'list')).keys.filter((key) => key.role === role && key.state === state).map(idOf)
}

const idOf = ({ keyid }: { keyid: string }) => keyid

/** Whom the published targets names as director. */
async function directorsOf(host: Host): Promise<readonly string[]> {
  const { targets } = await host.look()
  return targets.value.delegations?.roles.find(({ name }) => name === 'director')?.keyids ?? []
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
  const again = await keys(world, 'rotate', 'timestamp', 'snapshot', '--out', 'both.json')
  expect(again.online_keys).toEqual(made.online_keys)
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
  // What was not asked for is not in the file: signed later, it would bring back what was replaced meanwhile.
  expect(Object.keys(made.online_keys)).toEqual(['timestamp'])
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

test('a stolen director key is retired, said to whoever signs, and never named again', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  const host = await hostOf(world)
  const [stolen = ''] = await directorsOf(host)
  expect(stolen).toHaveLength(64)

  await keys(world, 'rotate', 'director', '--at-once', '--out', 'new.json')
  const said = await rotateRoot(world, 'new.json')
  const [fresh = ''] = await directorsOf(host)
  expect(fresh).not.toBe(stolen)
  expect(said).toContain(`director: + server ${fresh.slice(0, 16)}`)
  expect(said).toContain(`director: - server ${stolen.slice(0, 16)}`)
  const shown = (await world.publish('root', 'show', '--dir', 'pub')).stdout
  expect(shown).toMatch(new RegExp(`director +1 of 1 +server ${fresh.slice(0, 16)}`))
  expect(await keyIdsOf(world, 'director', 'retired')).toEqual([stolen])

  // Before anybody prunes: neither a plain export nor what another runbook makes has the stolen key.
  const all = await keys(world, 'export', '--out', 'all.json')
  expect(all.online_keys.director).toHaveLength(1)
  await keys(world, 'rotate', 'snapshot', 'timestamp', '--at-once', '--out', 'others.json')
  await rotateRoot(world, 'others.json')
  expect(await directorsOf(host)).toEqual([fresh])
  await keys(world, 'export', '--out', 'all.json')
  expect(await world.signing(['alice'], 'root', 'rotate', '--online-keys', 'all.json', '--dir', 'pub')).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('nothing would change'),
  })
  expect((await keys(world, 'prune')).removed).toHaveLength(3)
  expect(await keyIdsOf(world, 'director', 'retired')).toEqual([])
}, 120_000)

test('--at-once makes a key that nobody has named, however often it is asked for', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  const host = await hostOf(world)
  const seen = new Set((await keys(world, 'list')).keys.map(idOf))
  for (const file of ['first.json', 'second.json']) {
    await keys(world, 'rotate', 'director', 'snapshot', 'timestamp', '--at-once', '--out', file)
    expect(await rotateRoot(world, file)).toContain('is published')
    for (const role of ['director', 'snapshot', 'timestamp']) {
      const named = await keyIdsOf(world, role, 'named')
      expect(named).toHaveLength(1)
      for (const keyid of named) {
        expect(seen).not.toContain(keyid)
        seen.add(keyid)
      }
    }
  }
  expect(await directorsOf(host)).toEqual(await keyIdsOf(world, 'director', 'named'))

  // A key that only waits may be stolen with the others: it is passed over, and goes with them.
  await keys(world, 'rotate', 'director')
  const waiting = await keyIdsOf(world, 'director', 'waiting')
  const made = await keys(world, 'rotate', 'director', '--at-once', '--out', 'third.json')
  expect(made.online_keys.director).toHaveLength(1)
  await rotateRoot(world, 'third.json')
  expect(await keyIdsOf(world, 'director', 'retired')).toEqual(expect.arrayContaining(waiting))
}, 120_000)

test('files that were made one after the other and signed in any order bring no replaced key back', async () => {
  const world = await openWorld()
  await world.init(['alice'])
  const host = await hostOf(world)
  const [stolen] = await directorsOf(host)
  await keys(world, 'rotate', 'director', '--at-once', '--out', 'director.json')
  await keys(world, 'rotate', 'timestamp', '--at-once', '--out', 'timestamp.json')
  await rotateRoot(world, 'director.json')
  await rotateRoot(world, 'timestamp.json')
  expect(await directorsOf(host)).toHaveLength(1)
  expect(await directorsOf(host)).not.toContain(stolen)
}, 120_000)

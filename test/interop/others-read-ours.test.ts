// What the real publisher and the real server publish, read by clients that know nothing of us: tuf-js always, python-tuf where PYTHON names an interpreter
// that has it (`pip install tuf`). From the first root to a manifest, and by its hashes to the artifact; current and old releases; through a root rotation.
import { createHash } from 'node:crypto'
import { copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { signDocument } from '../../keys/document.ts'
import { openKeyring } from '../../keys/key-file.ts'
import { buildKeyFileDisk } from '../../keys/key-file-disk.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { generateEd25519 } from '../../keys/signer.ts'
import { manifestPath } from '../../schema/release-path.ts'
import { parseVersion } from '../../schema/version.ts'
import { openWorld, type PublisherWorld } from '../publisher/world.ts'
import { type Client, pythonTuf, pythonWithTuf, tufJs } from './clients.ts'

const python = await pythonWithTuf()
if (!python)
  console.log('skipped: python-tuf reads our repository (set PYTHON to an interpreter that has the package tuf)')
const clients: Readonly<Record<string, Client>> = {
  'tuf-js': tufJs,
  ...(python ? { 'python-tuf': pythonTuf(python) } : {}),
}

const pathOf = (version: string) => manifestPath(parseVersion(version))
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

test('tuf-js and python-tuf find current and old releases, before and after root was rotated', async () => {
  const world = await openWorld()
  const server = `http://127.0.0.1:${world.port}`
  await world.init(['alice'])
  for (let minor = 1; minor <= 22; minor++) await release(world, `0a${minor}`)
  const first = join(world.folder, 'first-root.json')
  await copyFile(join(world.folder, 'pub', 'root.json'), first)

  for (const [name, client] of Object.entries(clients)) {
    const folder = join(world.folder, name)
    const found = await client(folder, first, server, [pathOf('0a1'), pathOf('0a22'), pathOf('0a23'), 'alpha/x'])
    expect([name, found.root]).toEqual([name, 1])
    await expectManifest(found.targets[pathOf('0a1')], '0a1', server)
    await expectManifest(found.targets[pathOf('0a22')], '0a22', server)
    expect([found.targets[pathOf('0a23')], found.targets['alpha/x']]).toEqual([null, null])
  }
  const line = await fetch(`${server}/repo/metadata/1.alpha-0-0.json`)
  expect([line.status, await line.text()]).toEqual([200, expect.stringContaining('alpha/0a1/manifest.json')])

  await rotateRoot(world, server)
  await release(world, '0a23')

  for (const [name, client] of Object.entries(clients)) {
    for (const folder of [join(world.folder, name), join(world.folder, `${name}-fresh`)]) {
      const found = await client(folder, first, server, [pathOf('0a1'), pathOf('0a23')])
      expect([name, found.root]).toEqual([name, 2])
      await expectManifest(found.targets[pathOf('0a1')], '0a1', server)
      await expectManifest(found.targets[pathOf('0a23')], '0a23', server)
    }
  }
}, 240_000)

async function release(world: PublisherWorld, version: string): Promise<void> {
  const outcome = await world.signing(['alice'], 'release', version, '--from', 'app-v1')
  expect(outcome, outcome.stderr).toMatchObject({ status: 0 })
}

/** The manifest is the version's own, and the artifact that it names is there, with its length and hashes. */
async function expectManifest(text: string | null | undefined, version: string, server: string): Promise<void> {
  const manifest = JSON.parse(text ?? 'null')
  expect(manifest).toMatchObject({ schema: 'netlink.manifest/v1', product: 'demo', version })
  const [artifact] = manifest.artifacts
  const bytes = new Uint8Array(await (await fetch(`${server}/repo/artifacts/${artifact.sha256}`)).arrayBuffer())
  expect([bytes.length, sha256(bytes)]).toEqual([artifact.length, artifact.sha256])
}

/** A second root with another root key, signed by the old one and by itself. */
async function rotateRoot(world: PublisherWorld, server: string): Promise<void> {
  const { signed } = JSON.parse(await readFile(join(world.folder, 'pub', 'root.json'), 'utf8'))
  const deps = { disk: buildKeyFileDisk(nodeDisk) }
  const keyring = await openKeyring(deps, join(world.folder, 'pub', 'keys', 'alice.age'), "alice's passphrase")
  const [old] = keyring.signersFor('root')
  const fresh = generateEd25519().signer
  if (!old) throw new Error('alice has no root key')
  signed.version = 2
  signed.keys[fresh.publicKey.keyid] = fresh.publicKey.object
  signed.roles.root.keyids = [fresh.publicKey.keyid]
  const root = Buffer.from(await signDocument(signed, [old, fresh])).toString()
  const answer = await fetch(`${server}/api/v1/publish/root`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${(await readFile(join(world.folder, 'srv', 'secrets', 'publish.token'), 'utf8')).trim()}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ roots: [root] }),
  })
  expect(answer.status, await answer.text()).toBe(200)
}

// What the real publisher and the real server publish, read by clients that know nothing of us: tuf-js always, python-tuf where PYTHON names an interpreter
// that has it (`pip install tuf`). From the first root to a manifest, and by its hashes to the artifact; current and old releases; through a root rotation.
import { createHash } from 'node:crypto'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
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

  const rotated = await world.signing(['alice'], 'root', 'rotate', 'alice', '--reason', 'a new laptop', '--dir', 'pub')
  expect(rotated, rotated.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('root-2 is published') })
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

// When a release was made is something that hosts go by: one to come stops those that believe their clocks, one long ago ends `minimum_soak` before it has
// begun. A holder below the threshold proposes, and the others' own tools hold the time against that of the proposal.
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { EventRecord, SigningEvent } from '../../schema/signing-event.ts'
import { splitFolders } from './event-folders.ts'
import { renamed, withDocument, withManifest } from './lying-server.ts'
import { answerOf, asSigners, openWorld, type PublisherWorld, versionsOf } from './world.ts'

const as = (name: string, ...more: readonly string[]) => ['--dir', name, ...asSigners([name]), ...more]
const sha = (algorithm: string, bytes: Uint8Array) => createHash(algorithm).update(bytes).digest('hex')
const DAY_MS = 86_400_000

async function good(outcome: Promise<{ status: number; stdout: string; stderr: string }>) {
  const { status, stdout, stderr } = await outcome
  expect(status, stderr + stdout).toBe(0)
  return { status, stdout, stderr }
}

type Parts = Pick<SigningEvent, 'documents' | 'manifests'>

/** Everything that says when it was made, made to say this: manifest, its hash in the channel, and what the channel says of it. */
function dated<T extends Parts>(event: T, time: string): T {
  const changed = withManifest(event, (manifest) => ({ ...manifest, released_at: time }))
  const [path = '', text = ''] = Object.entries(changed.manifests)[0] ?? []
  const bytes = Buffer.from(text, 'base64')
  const hashes = { sha256: sha('sha256', bytes), sha512: sha('sha512', bytes) }
  return withDocument(changed, path.split('/')[0] ?? '', (signed) => {
    const entry = { length: bytes.length, hashes, custom: { ...signed.targets[path].custom, released_at: time } }
    return { ...signed, targets: { ...signed.targets, [path]: entry } }
  })
}

const madeAt = (event: SigningEvent, time: string) => renamed(dated(event, time))

async function api(world: PublisherWorld, path = '', event?: SigningEvent): Promise<Response> {
  const token = (await readFile(join(world.folder, 'srv', 'secrets', 'publish.token'), 'utf8')).trim()
  return fetch(`http://127.0.0.1:${world.port}/api/v1/signing-events${path}`, {
    method: event === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(event === undefined ? {} : { body: JSON.stringify(event) }),
  })
}

/** What alice proposes honestly, as mallory, who may propose, would have it: taken in by the server, under the id that comes back. */
async function proposed(world: PublisherWorld, id: string, edit: (event: SigningEvent) => SigningEvent) {
  const { event } = (await (await api(world, `/${id}`)).json()) as EventRecord
  const evil = edit(event)
  expect((await api(world, '', evil)).status).toBeLessThan(300)
  return evil
}

/** From the time of the proposal, to the second. */
const after = ({ proposed_at: from }: SigningEvent, ms: number) =>
  `${new Date(Date.parse(from) + ms).toISOString().slice(0, 19)}Z`

test.each([
  ['a release', ['0a2', '--from', 'app-v2'], '0a2'],
  ['a promotion', ['0a1', '--promote', 'beta'], '0b1'],
])(
  '%s is signed only if it was made when it was proposed, or within the day before',
  async (_what, args, version) => {
    const world = await openWorld()
    await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
    await good(world.signing(['alice', 'bob'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub'))
    await splitFolders(world)
    const answer = answerOf(await good(world.publish('propose', ...args, '--dir', 'alice', '--json')))
    const sign = (name: string, event: SigningEvent) => world.publish('sign', event.id, ...as(name, '--yes'))

    for (const time of [
      () => '2099-01-01T00:00:00Z',
      () => '2020-01-01T00:00:00Z',
      (event: SigningEvent) => after(event, 5 * 60_000 + 1_000),
      (event: SigningEvent) => after(event, -DAY_MS - 1_000),
    ]) {
      const evil = await proposed(world, String(answer.event), (event) => madeAt(event, time(event)))
      const refused = await sign('bob', evil)
      expect.soft(refused, evil.id).toMatchObject({ status: 7, stdout: '' })
      expect.soft(refused.stderr).toContain(`${version} says that it was made at ${time(evil)}`)
      const early = await world.publish('publish', evil.id, '--dir', 'alice')
      expect.soft(early).toMatchObject({ status: 7, stderr: expect.stringContaining('says that it was made at') })
    }

    const old = await proposed(world, String(answer.event), (event) => madeAt(event, after(event, -DAY_MS)))
    const shown = await good(sign('bob', old))
    expect(shown.stderr).toContain('! made 24h ago: hosts with a minimum_soak count from then')
    const recent = await proposed(world, String(answer.event), (event) => madeAt(event, after(event, -DAY_MS / 2)))
    expect((await good(sign('bob', recent))).stderr).not.toContain('minimum_soak')
    await good(sign('carol', recent))
    await good(world.publish('publish', recent.id, '--dir', 'alice'))
    expect(await versionsOf(world)).toContain(version)
  },
  120_000,
)

test('what waits in a folder is held against the time at which it is said to have been signed', async () => {
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  const alone = await world.signing(['alice'], 'release', '0a1', '--from', 'app-v1', '--dir', 'pub')
  expect(alone).toMatchObject({ status: 7 })
  const fileOf = (name: string) => join(world.folder, 'pub', 'pending', '0a1', name)
  const read = async (name: string) => (await readFile(fileOf(name))).toString('base64')
  const path = 'alpha/0a1/manifest.json'
  const honest = { documents: { alpha: await read('role-alpha.json') }, manifests: { [path]: await read('manifest') } }
  const put = async ({ documents, manifests }: Parts) => {
    await writeFile(fileOf('role-alpha.json'), Buffer.from(documents.alpha ?? '', 'base64'))
    await writeFile(fileOf('manifest'), Buffer.from(manifests[path] ?? '', 'base64'))
  }
  const publish = () => world.signing(['bob', 'carol'], 'publish', '0a1', '--dir', 'pub', '--yes')

  await put(dated(honest, '2099-01-01T00:00:00Z'))
  const refused = await publish()
  expect(refused).toMatchObject({ status: 7, stderr: expect.stringContaining('was made at 2099-01-01T00:00:00Z') })

  await put(honest)
  await good(publish())
  expect(await versionsOf(world)).toEqual(['0a1'])
}, 120_000)

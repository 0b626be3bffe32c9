// The server in an attacker's hands. It hands round a signing event that it has altered, under an id that fits: the signer's own tool, which has seen nothing
// but the signed repository, says no in its own words and signs nothing. At the end the event as it was proposed is signed.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { EventRecord, SigningEvent } from '../../schema/signing-event.ts'
import { splitFolders } from './event-folders.ts'
import { altered, inBase64, openLyingServer, renamed, type Tree, withDocument, withManifest } from './lying-server.ts'
import { answerOf, asSigners, openWorld } from './world.ts'

const sha = (algorithm: string, bytes: Uint8Array) => createHash(algorithm).update(bytes).digest('hex')
const alpha = (edit: (signed: Tree) => Tree) => (event: SigningEvent) => renamed(withDocument(event, 'alpha', edit))
const manifest = (edit: (manifest: Tree) => Tree) => (event: SigningEvent) => renamed(withManifest(event, edit))

/** As a clever attacker does it: manifest, its hash in the channel role, and everything that hangs on them. */
const consistent = (edit: (manifest: Tree) => Tree) => (event: SigningEvent) => {
  const changed = withManifest(event, edit)
  const [path = '', text = ''] = Object.entries(changed.manifests)[0] ?? []
  const bytes = Buffer.from(text, 'base64')
  return renamed(
    withDocument(changed, 'alpha', (signed) => {
      const entry = { ...signed.targets[path], length: bytes.length }
      entry.hashes = { sha256: sha('sha256', bytes), sha512: sha('sha512', bytes) }
      return { ...signed, targets: { ...signed.targets, [path]: entry } }
    }),
  )
}

const otherArtifact = (value: Tree) => ({
  ...value,
  artifacts: [{ ...value.artifacts[0], sha256: 'ab'.repeat(32) }],
})
const otherTree = (value: Tree) => ({
  ...value,
  artifacts: [{ ...value.artifacts[0], tree_sha256: 'ab'.repeat(32) }],
})
const otherList = (event: SigningEvent): SigningEvent => ({
  ...event,
  trees: Object.fromEntries(
    Object.entries(event.trees).map(([digest, text]) => [digest, text.replace('server.mjs', 'harmless.mjs')]),
  ),
})
const otherChangelog = (value: Tree) => ({ ...value, changelog: { ...value.changelog, summary: 'nothing to see' } })

const attacks: readonly [name: string, alter: (event: SigningEvent) => SigningEvent, status: number, words: RegExp][] =
  [
    ['another artifact in the manifest', manifest(otherArtifact), 7, /artifacts to be uploaded are not those/],
    [
      'another artifact, in the list of uploads too',
      (event) =>
        renamed({
          ...manifest(otherArtifact)(event),
          artifacts: [{ sha256: 'ab'.repeat(32), length: event.artifacts[0]?.length ?? 1 }],
        }),
      7,
      /a listed file was changed/,
    ],
    ['another changelog in the manifest', manifest(otherChangelog), 7, /a listed file was changed/],
    [
      'a manifest of another product',
      manifest((value) => ({ ...value, product: 'other' })),
      7,
      /names the product other/,
    ],
    ['a manifest of another version', manifest((value) => ({ ...value, version: '0a9' })), 7, /names the version 0a9/],
    [
      'a manifest with the bytes of another release',
      manifest((value) => ({ ...value, promoted_from: '0a1' })),
      7,
      /claims the bytes/,
    ],
    [
      'a second manifest',
      (event) => renamed({ ...event, manifests: { ...event.manifests, 'alpha/0a8/manifest.json': inBase64({}) } }),
      7,
      /expected one manifest/,
    ],
    [
      'a manifest that is none',
      (event) => renamed({ ...event, manifests: { 'alpha/0a3/manifest.json': inBase64({}) } }),
      7,
      /is not what it should be: alpha\/0a3\/manifest.json/,
    ],
    [
      'a document that is none',
      (event) => ({ ...event, documents: { ...event.documents, alpha: 'bm9uc2Vuc2U=' } }),
      7,
      /alpha: expected/,
    ],
    ['a document of another type', alpha((signed) => ({ ...signed, _type: 'root' })), 7, /_type expected/],
    ['no manifest at all', (event) => renamed({ ...event, manifests: {} }), 7, /expected one manifest/],
    [
      'a delegation more',
      alpha((signed) => ({
        ...signed,
        delegations: {
          keys: {},
          roles: [{ name: 'alpha-0-0', keyids: [], threshold: 1, terminating: true, paths: ['alpha/*/manifest.json'] }],
        },
      })),
      7,
      /a delegation was added/,
    ],
    [
      'a raised document version',
      alpha((signed) => ({ ...signed, version: signed.version + 5 })),
      7,
      /raises alpha from v4 to v10, and v5 is the next/,
    ],
    [
      'the document version of now',
      alpha((signed) => ({ ...signed, version: signed.version - 1 })),
      3,
      /alpha is at v4 by now/,
    ],
    [
      'a withdrawal taken out',
      alpha((signed) => ({ ...signed, channel: { ...signed.channel, withdrawn: [] } })),
      7,
      /a withdrawal was taken out/,
    ],
    [
      'a release withdrawn besides',
      alpha((signed) => {
        const [first] = signed.channel.withdrawn
        return { ...signed, channel: { ...signed.channel, withdrawn: [first, { ...first, version: '0a2' }] } }
      }),
      7,
      /a withdrawal was added/,
    ],
    [
      'a lower minimum',
      alpha((signed) => ({ ...signed, channel: { ...signed.channel, minimum: '0a1' } })),
      7,
      /minimum was changed/,
    ],
    [
      'a barrier',
      alpha((signed) => ({
        ...signed,
        channel: { ...signed.channel, barriers: [{ version: '0a2', reason: 'wait' }] },
      })),
      7,
      /barriers\/0 was added/,
    ],
    [
      'an old release dropped',
      alpha(({ targets: { 'alpha/0a2/manifest.json': _gone, ...targets }, ...signed }) => ({ ...signed, targets })),
      7,
      /a listed file was taken out/,
    ],
    ['a longer life', alpha((signed) => ({ ...signed, expires: '2199-01-01T00:00:00Z' })), 7, /expires was changed/],
    [
      'a field that nobody knows',
      alpha((signed) => ({ ...signed, allow_everything: true })),
      7,
      /allow_everything was added/,
    ],
    [
      'another role’s document',
      (event) =>
        renamed({
          ...event,
          documents: {
            ...event.documents,
            targets: inBase64({
              signatures: [],
              signed: {
                _type: 'targets',
                spec_version: '1.0.34',
                version: 2,
                expires: '2099-01-01T00:00:00Z',
                targets: {},
              },
            }),
          },
        }),
      7,
      /a release has no business there/,
    ],
    [
      'a role that nobody signs by hand',
      (event) => renamed({ ...event, documents: { ...event.documents, timestamp: event.documents.alpha ?? '' } }),
      7,
      /nobody (is named to sign|signs) for timestamp/,
    ],
    ['no document', (event) => renamed({ ...event, documents: {} }), 7, /has to change alpha too/],
    ['a list of other files', otherList, 7, /is another proposal/],
    [
      'a list of other files, under its own id',
      (event) => renamed(otherList(event)),
      7,
      /list of files that came along is not that of the tree/,
    ],
    [
      'no list of files, and an archive that nobody has',
      (event) => consistent(otherArtifact)({ ...event, artifacts: [] }),
      7,
      /artifacts to be uploaded are not those/,
    ],
    [
      'another root',
      (event) => renamed({ ...event, base: { ...event.base, root: { ...event.base.root, sha256: 'cd'.repeat(32) } } }),
      7,
      /made from another root v1/,
    ],
    [
      'a root to come',
      (event) => renamed({ ...event, base: { ...event.base, root: { ...event.base.root, version: 2 } } }),
      7,
      /was shown no later one/,
    ],
    [
      'a proposal from the future',
      (event) => renamed({ ...event, proposed_at: '2099-01-01T00:00:00Z', until: '2099-01-02T00:00:00Z' }),
      7,
      /still to come/,
    ],
    [
      'a proposal of yesteryear, kept alive',
      (event) => renamed({ ...event, proposed_at: '2020-01-01T00:00:00Z' }),
      7,
      /at most 90 days are allowed/,
    ],
    [
      'a proposal whose time is over',
      (event) => renamed({ ...event, proposed_at: '2020-01-01T00:00:00Z', until: '2020-01-02T00:00:00Z' }),
      3,
      /expired at 2020-01-02/,
    ],
    ['another proposal under the same id', (event) => ({ ...event, proposed_by: 'mallory' }), 7, /is another proposal/],
    [
      'a release passed off as a withdrawal',
      (event) => renamed({ ...event, kind: 'yank' }),
      7,
      /brings no release, and this one does/,
    ],
    [
      'a release passed off as a refresh',
      (event) => renamed({ ...event, kind: 'refresh' }),
      7,
      /is no name for a change of the kind refresh/,
    ],
    [
      'a release passed off as a change of root',
      (event) => renamed({ ...event, kind: 'root' }),
      3,
      /--yes is not taken for that/,
    ],
  ]

test('whatever a server alters in a signing event is refused in words, and as it was proposed it is signed', async () => {
  // given: 0a1 withdrawn, 0a2 out, 0a3 proposed
  const world = await openWorld()
  await world.init(['alice', 'bob', 'carol'], '--threshold', '2')
  const two = (...args: readonly string[]) => world.signing(['alice', 'bob'], ...args)
  for (const version of ['0a1', '0a2']) await two('release', version, '--from', 'app-v1')
  const yanked = await two('yank', '0a1', '--reason', 'it loses data', '--dir', 'pub')
  expect(yanked, yanked.stderr).toMatchObject({ status: 0 })
  await splitFolders(world)
  const proposed = await world.publish('propose', '0a3', '--from', 'app-v2', '--dir', 'alice', '--json')
  expect(proposed, proposed.stderr).toMatchObject({ status: 0 })
  const id = String(answerOf(proposed).event)
  const server = await openLyingServer(world.port)
  const sign = (name: string) =>
    world.publish('sign', name, '--dir', 'bob', '--server', server.url, '--yes', ...asSigners(['bob']))

  const url = `http://127.0.0.1:${world.port}/api/v1/signing-events/${id}`
  const honest = (await (await fetch(url, { headers: await authorization(world.folder) })).json()) as EventRecord

  // when, then
  for (const [name, alter, status, words] of attacks) {
    server.tell(altered(honest, alter))
    const outcome = await sign('0a3')
    expect.soft(outcome.status, `${name}: ${outcome.stderr}`).toBe(status)
    expect.soft(outcome.stderr, name).toMatch(words)
    expect.soft(outcome.stdout, name).toBe('')
  }

  // what is consistent in itself is another proposal: whoever was told the id sees that
  for (const [name, edit] of [
    ['files', otherTree],
    ['changelog', otherChangelog],
  ] as const) {
    server.tell(altered(honest, consistent(edit)))
    const outcome = await sign(id)
    expect.soft(outcome, name).toMatchObject({ status: 7 })
    expect.soft(outcome.stderr, name).toContain(`${id} was asked for, and e_`)
  }

  // signatures that nobody made are not counted, and say nothing about who has signed
  const junk = [{ role: 'alpha', keyid: 'ab'.repeat(32), sig: 'cd'.repeat(64) }]
  server.tell({ ...honest, summary: { ...honest.summary, signatures: junk } })
  const signed = await sign('0a3')
  expect(signed, signed.stderr).toMatchObject({ status: 0, stdout: expect.stringContaining('1 of 2 signatures (bob)') })
  expect(signed.stderr).toContain(`compare the id ${id}`)
  expect((await readdir(join(world.folder, 'bob', 'events'))).sort()).toEqual([`${id}.json`])
}, 180_000)

async function authorization(folder: string): Promise<Record<string, string>> {
  const token = (await readFile(join(folder, 'srv', 'secrets', 'publish.token'), 'utf8')).trim()
  return { authorization: `Bearer ${token}` }
}

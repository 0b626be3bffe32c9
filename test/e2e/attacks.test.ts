// A server in an attacker's hands, seen from a host: real server, real publisher, real agent. Every attack changes files behind the
// server's back; its control is the same command after they were put back.
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { onHost, versionOf, type WorldHost } from '../world/host.ts'
import { run, stopAll } from '../world/programs.ts'
import { changePublished, flipped, newestOf, publishedFile } from '../world/storage.ts'
import { expectDone } from '../world/world.ts'
import { agentHere, buildWorldHere, soonStable } from './here.ts'

const examples = join(import.meta.dirname, '..', '..', 'docs', 'examples')
let folder: string
let world: Awaited<ReturnType<typeof buildWorldHere>>
let host: WorldHost

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-attacks-'))
  for (const name of ['app-v1', 'app-v2']) {
    await cp(join(examples, name), join(folder, name), { recursive: true })
    await soonStable(join(folder, name))
  }
  world = await buildWorldHere(folder)
  expectDone(await world.publish(['release', '0a1', '--from', 'app-v1']))
  host = await world.enrol('victim', 'alpha')
  expectDone(await onHost(folder, host, ['update', 'upgrade', '--latest', '--yes']))
}, 120_000)

afterAll(async () => {
  await agentHere(folder, host, ['service', 'stop'])
  await stopAll()
  await world.end()
  await rm(folder, { recursive: true, force: true })
})

describe('a server in an attacker’s hands', () => {
  let older: Buffer
  beforeAll(async () => {
    older = await readFile(publishedFile(folder, 'metadata/timestamp.json'))
    expectDone(await world.publish(['release', '0a2', '--from', 'app-v2']))
    expectDone(await agentHere(folder, host, ['update', 'check']))
  }, 60_000)

  const timestamp = () => Promise.resolve('metadata/timestamp.json')
  const attacks: readonly {
    name: string
    file: () => Promise<string>
    change: (bytes: Buffer) => Uint8Array
    words: RegExp
  }[] = [
    { name: 'an older timestamp is replayed', file: timestamp, change: () => older, words: /rollback/ },
    {
      name: 'the timestamp is cut short',
      file: timestamp,
      change: (bytes) => bytes.subarray(0, 40),
      words: /malformed|strict JSON/i,
    },
    {
      name: 'the timestamp is endless',
      file: timestamp,
      change: () => Buffer.alloc(1_000_000, 0x20),
      words: /too.large/i,
    },
    {
      name: 'one bit of the timestamp is turned',
      file: timestamp,
      change: (bytes) => flipVersion(bytes),
      words: /sign/i,
    },
    {
      name: 'the timestamp is another kind of document',
      file: timestamp,
      change: () => Buffer.from('{"signed":{},"signatures":[]}'),
      words: /sign/i,
    },
  ]

  test.each(attacks)(
    '$name: refused with exit 7, the host stays',
    async ({ file, change, words }) => {
      const putBack = await changePublished(folder, await file(), change)
      try {
        const refused = await agentHere(folder, host, ['update', 'upgrade', '--latest', '--yes'])
        expect(refused.stderr).toMatch(/^error E-/)
        expect(refused.stderr).toMatch(words)
        expect(refused.status).toBe(7)
        expect(await versionOf(host)).toBe('0a1')
      } finally {
        await putBack()
      }
      expect((await agentHere(folder, host, ['update', 'check'])).status).toBe(0)
    },
    60_000,
  )

  test('an artifact with one byte turned is refused, and installed once it is whole again', async () => {
    const { stdout } = expectDone(await run(folder, 'netlink-publish', ['show', '0a2', '--dir', 'pub', '--json']))
    const artifact = `artifacts/${JSON.parse(stdout).artifacts[0].sha256}`
    const putBack = await changePublished(folder, artifact, (bytes) => flipped(bytes, 100))

    const refused = await agentHere(folder, host, ['update', 'upgrade', '--to', '0a2', '--yes'])
    expect(refused.status, refused.stderr).toBe(7)
    expect(await versionOf(host)).toBe('0a1')

    await putBack()
    expectDone(await agentHere(folder, host, ['update', 'upgrade', '--to', '0a2', '--yes']))
    expect(await versionOf(host)).toBe('0a2')
  }, 60_000)

  test('the channel’s role is swapped for an older one: refused', async () => {
    expectDone(await world.publish(['release', '0a3', '--from', 'app-v2']))
    const newest = await newestOf(folder, 'alpha')
    const older = newest.replace(/\d+/, (number) => String(Number(number) - 1))
    const old = await readFile(publishedFile(folder, older))
    const putBack = await changePublished(folder, newest, () => old)
    const refused = await agentHere(folder, host, ['update', 'upgrade', '--latest', '--yes'])
    expect(refused.status, refused.stderr).toBe(7)
    await putBack()
    expect((await agentHere(folder, host, ['update', 'check'])).stdout).toContain('0a3')
  }, 60_000)
})

describe('a host that was told the wrong things', () => {
  test('a root that is not the repository’s is refused before the token is shown', async () => {
    await writeFile(join(folder, 'other-root.json'), '{"signed":{"_type":"root"},"signatures":[]}')
    const stranger = { ...host, home: join(folder, 'hosts', 'stranger') }
    const args = [
      'agent',
      'enroll',
      '--server',
      world.server,
      '--token-file',
      'enroll.token',
      '--trust-root',
      'other-root.json',
    ]
    const refused = await agentHere(folder, stranger, args)
    expect(refused.status, refused.stderr).toBe(7)
  })

  test('plain http to another machine is refused', async () => {
    const stranger = { ...host, home: join(folder, 'hosts', 'stranger') }
    const args = [
      'agent',
      'enroll',
      '--server',
      'http://update.example:8400',
      '--token-file',
      'enroll.token',
      '--trust-root',
      'pub/root.json',
    ]
    const refused = await agentHere(folder, stranger, args)
    expect(refused.status, refused.stderr).toBe(2)
    expect(refused.stderr).toContain('--insecure-http')
  })

  test('an enrolment token works as often as it says and not once more', async () => {
    expectDone(
      await run(folder, 'netlink-server', [
        'enroll-token',
        'create',
        '--dir',
        'srv',
        '--uses',
        '1',
        '--out',
        'once.token',
      ]),
    )
    const args = [
      'agent',
      'enroll',
      '--server',
      world.server,
      '--token-file',
      'once.token',
      '--trust-root',
      'pub/root.json',
    ]
    expectDone(await agentHere(folder, { ...host, home: join(folder, 'hosts', 'first') }, args))
    const refused = await agentHere(folder, { ...host, home: join(folder, 'hosts', 'second') }, args)
    expect(refused.status, refused.stderr).toBe(5)
  })
})

/** Another version number in otherwise intact bytes: what no signature covers any more. */
function flipVersion(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1')
  const changed = text.replace(/"version":\s*(\d+)/, (_whole, digits: string) => `"version":${Number(digits) + 1}`)
  return Buffer.from(changed, 'latin1')
}

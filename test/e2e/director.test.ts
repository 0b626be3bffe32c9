// A fleet's host is directed from afar, as people type it: real server, real publisher, real agent with its socket.
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pageOf, reaches, setAutomatic, startAgent, versionOf, type WorldHost } from '../world/host.ts'
import { run, stopAll, until } from '../world/programs.ts'
import { expectDone } from '../world/world.ts'
import { agentHere, buildWorldHere, soonStable } from './here.ts'

const examples = join(import.meta.dirname, '..', '..', 'docs', 'examples')
let folder: string
let world: Awaited<ReturnType<typeof buildWorldHere>>
let host: WorldHost
let hostId: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-director-'))
  for (const name of ['app-v1', 'app-v2']) {
    await cp(join(examples, name), join(folder, name), { recursive: true })
    await soonStable(join(folder, name))
  }
  world = await buildWorldHere(folder)
  expectDone(await world.publish(['release', '0a1', '--from', 'app-v1']))
  host = await world.enrol('web-1', 'alpha')
  await setAutomatic(host, 'auto')
  startAgent(folder, host)
  expect(await reaches(host, '0a1', 60)).toBe(true)
  hostId = JSON.parse(expectDone(await world.admin(['hosts', 'show', 'web-1', '--json'])).stdout).host_id
}, 180_000)

afterAll(async () => {
  await agentHere(folder, host, ['service', 'stop'])
  await stopAll()
  await world.end()
  await rm(folder, { recursive: true, force: true })
})

/** What the server has heard of what runs there, and why the host does not go on. */
const waits = (version: string, reason: string) =>
  until(30, async () => {
    const { stdout } = await world.admin(['hosts', 'show', 'web-1', '--json'])
    const { inventory } = JSON.parse(stdout)
    return (inventory?.version === version && inventory.waiting === reason) || undefined
  })

/** What the host says of its assignment: before that it may go on as it was about to. */
const hears = (words: RegExp) =>
  until(
    30,
    async () => words.test((await agentHere(folder, host, ['update', 'status', '--explain'])).stdout) || undefined,
  )

test('a host is pinned, led up, sent down with an authorisation, and let go', async () => {
  // Pinned to what it runs, it stays there although two newer ones come.
  expectDone(await world.admin(['hosts', 'pin', 'web-1', '--to', '0a1', '--reason', 'wait for the others']))
  expect(await hears(/assigned +update to 0a1 until/)).toBe(true)
  for (const version of ['0a2', '0a3']) expectDone(await world.publish(['release', version, '--from', 'app-v2']))
  expect(await waits('0a1', 'assigned')).toBe(true)
  expect(await versionOf(host)).toBe('0a1')

  // Led to one of them and no further; the socket brings the word.
  expectDone(await world.admin(['hosts', 'pin', 'web-1', '--to', '0a2']))
  expect(await reaches(host, '0a2', 60)).toBe(true)
  expect(await waits('0a2', 'assigned')).toBe(true)
  expect((await agentHere(folder, host, ['update', 'status', '--explain'])).stdout).toMatch(
    /assigned +update to 0a2 until/,
  )

  // Down without an authorisation: the server says so before it asks the host.
  const alone = await world.admin(['hosts', 'pin', 'web-1', '--to', '0a1'])
  expect(alone.status).toBe(3)
  expect(alone.stderr).toContain('authorize-downgrade')

  // With one that was signed offline it goes, once.
  const authorize = ['authorize-downgrade', '--host', hostId, '--from', '0a2', '--to', '0a1']
  expectDone(await world.publish([...authorize, '--reason', 'it eats mail', '--out', 'down.json']))
  expectDone(await world.admin(['hosts', 'pin', 'web-1', '--to', '0a1', '--authorization', 'down.json']))
  expect(await reaches(host, '0a1', 60)).toBe(true)
  expect(await pageOf(host)).toBeDefined()
  const history = expectDone(await agentHere(folder, host, ['update', 'history', '--json'])).stdout
  expect(JSON.parse(history).history[0]).toMatchObject({ kind: 'downgrade', from: '0a2', to: '0a1' })

  // Let go, it takes the newest, not the one that it was sent away from.
  expectDone(await world.admin(['hosts', 'unpin', 'web-1']))
  expect(await reaches(host, '0a3', 60)).toBe(true)
  expectDone(
    await run(folder, 'netlink-admin', [
      'hosts',
      'assignment',
      'web-1',
      '--server',
      world.server,
      '--token-file',
      'srv/secrets/admin.token',
    ]),
  )
}, 240_000)

test('a host without a socket hears of it with its next look', async () => {
  const quiet = await world.enrol('quiet', 'alpha')
  await setAutomatic(quiet, 'off')
  expectDone(await world.admin(['hosts', 'pin', 'quiet', '--to', '0a2', '--rollout', 'wave 1']))
  const checked = expectDone(await agentHere(folder, quiet, ['update', 'check', '--json']))
  expect(JSON.parse(checked.stdout).assignment).toMatchObject({
    in_force: { action: 'update', version: '0a2', rollout: 'wave 1' },
    refusal: null,
  })
}, 60_000)

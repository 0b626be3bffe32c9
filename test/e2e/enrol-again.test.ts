// One host, one daemon that runs all the while, and who the host is changes under it: it leaves, comes back under another name, is forgotten. Real server,
// real agent.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { access, cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { onHost, startAgent, versionOf, type WorldHost } from '../world/host.ts'
import { stopAll, until } from '../world/programs.ts'
import { expectDone } from '../world/world.ts'
import { agentHere, buildWorldHere, soonStable } from './here.ts'

const examples = join(import.meta.dirname, '..', '..', 'docs', 'examples')
let folder: string
let world: Awaited<ReturnType<typeof buildWorldHere>>
let host: WorldHost
let first: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-again-'))
  await cp(join(examples, 'app-v1'), join(folder, 'app-v1'), { recursive: true })
  await soonStable(join(folder, 'app-v1'))
  world = await buildWorldHere(folder)
  expectDone(await world.publish(['release', '0a1', '--from', 'app-v1']))
  host = await world.enrol('first', 'alpha')
  startAgent(folder, host)
  expect(await until(10, async () => (await shown('first')).online || undefined)).toBe(true)
  first = (await shown('first')).host_id
}, 120_000)

afterAll(async () => {
  await agentHere(folder, host, ['service', 'stop'])
  await stopAll()
  await world.end()
  await rm(folder, { recursive: true, force: true })
})

const shown = async (name: string) =>
  JSON.parse(expectDone(await world.admin(['hosts', 'show', name, '--json'])).stdout)
const historyOf = async (name: string) =>
  JSON.parse(expectDone(await world.admin(['hosts', 'history', name, '--json'])).stdout).items
/** How many hosts the server has a socket to, as it knows at this moment; what it says of a single host is a few seconds old. */
const online = async () => JSON.parse(expectDone(await world.admin(['fleet', 'status', '--json'])).stdout).online
const comesOnline = (name: string) =>
  until(10, async () => {
    const { name: own, daemon } = await status()
    return (own === name && daemon.connected && (await online()) === 1) || undefined
  })
const goesOffline = () => until(10, async () => (await online()) === 0 || undefined)
const status = async () => JSON.parse((await agentHere(folder, host, ['agent', 'status', '--json'])).stdout)
const enrol = (...args: string[]) => {
  const trust = ['--token-file', 'enroll.token', '--trust-root', 'pub/root.json', '--channel', 'alpha']
  return agentHere(folder, host, ['agent', 'enroll', '--server', world.server, ...trust, ...args])
}
const isThere = (file: string) =>
  access(join(host.home, 'state', file)).then(
    () => true,
    () => false,
  )

describe('a daemon whose host changes its identity', () => {
  test('after leaving nothing is said or heard any more, and the same process goes on', async () => {
    const left = expectDone(await onHost(folder, host, ['agent', 'leave', '--yes']))
    expect(left.stdout).toContain('netlink-admin hosts forget first')
    expect(await goesOffline()).toBe(true)
    expectDone(await world.admin(['pause', '--reason', 'of the server that was left']))
    expectDone(await world.admin(['resume', '--reason', 'enough']))
    for (const file of ['agent.json', 'host.key', 'brake.json', 'outbox.json', 'trust'])
      expect(await isThere(file), file).toBe(false)
    expect((await agentHere(folder, host, ['agent', 'status'])).status).toBe(2)
    expect(host.agent?.exitCode).toBeNull()
  }, 60_000)

  test('enrolled under another name it is that host within a moment, and all that it reports is that host’s', async () => {
    const before = await historyOf(first)
    expectDone(await enrol('--name', 'second'))
    expect(await comesOnline('second')).toBe(true)
    const second = await shown('second')
    expect(second.host_id).not.toBe(first)

    expectDone(await agentHere(folder, host, ['update', 'upgrade', '--latest', '--yes']))
    expect(await versionOf(host)).toBe('0a1')
    const told = await until(10, async () => {
      const states = (await historyOf('second')).map(
        (event: { body: { attempt?: { state: string } } }) => event.body.attempt?.state,
      )
      return states.includes('succeeded') ? states : undefined
    })
    expect(told).toContain('offered')
    expect(await historyOf(first)).toEqual(before)
    expect((await shown(first)).inventory).toMatchObject({ version: null })
    expect(await until(10, async () => !(await shown(first)).online || undefined)).toBe(true)
    expect(host.agent?.exitCode).toBeNull()
  }, 60_000)

  test('another machine does not get its name, nor the name that it left, and is told what helps', async () => {
    const other = { ...host, home: join(folder, 'hosts', 'impostor') }
    const trust = ['--token-file', 'enroll.token', '--trust-root', 'pub/root.json', '--channel', 'alpha']
    const comes = (name: string) =>
      agentHere(folder, other, ['agent', 'enroll', '--server', world.server, ...trust, '--name', name])
    for (const name of ['first', 'second']) {
      const refused = await comes(name)
      expect(refused).toMatchObject({ status: 3, stderr: expect.stringContaining('E-NAME-TAKEN') })
      expect(refused.stderr).toContain(`netlink-admin hosts forget ${name}`)
      expect(refused.stderr).toContain('--name OTHER')
      expect((await shown(name)).host_id).toMatch(/^h_/)
    }
    expectDone(await comes('third'))
    expectDone(await world.admin(['hosts', 'forget', 'third', '--reason', 'only looked']))
  }, 60_000)

  test('forgotten by the server it says so, with the whole command that helps, and comes back by it at once', async () => {
    expectDone(await world.admin(['hosts', 'forget', 'second', '--reason', 'by mistake']))
    const forgotten = await until(10, async () => ((await status()).forgotten_at === null ? undefined : true))
    expect(forgotten).toBe(true)
    const words = (await agentHere(folder, host, ['agent', 'status'])).stdout
    expect(words).toContain('the server has forgotten this host')
    const next = `netlink agent enroll --force --server ${world.server} --token-file FILE --trust-root FILE`
    expect(words).toContain(`Next: ${next}`)
    expect(words).toContain('If its key was stolen: netlink agent leave, and the same without --force')
    expect((await enrol()).stderr).toContain(next)

    expectDone(await enrol('--force', '--name', 'second'))
    expect(await comesOnline('second')).toBe(true)
    expect(await status()).toMatchObject({ forgotten_at: null, daemon: { running: true, connected: true } })
  }, 60_000)

  test('forgotten while no daemon runs: status finds out, and a command whose reports are refused says so', async () => {
    const daemon = host.agent as ChildProcess
    const gone = once(daemon, 'exit')
    daemon.kill('SIGTERM')
    await gone
    expect(await goesOffline()).toBe(true)
    expect(await status()).toMatchObject({ forgotten_at: null, daemon: { running: false } })
    expectDone(await world.admin(['hosts', 'forget', 'second', '--reason', 'again']))
    const changed = expectDone(await agentHere(folder, host, ['agent', 'set-channel', 'release']))
    expect(changed.stderr).toContain('the server has forgotten this host')
    expect((await status()).forgotten_at).toMatch(/^20/)
    const left = expectDone(await agentHere(folder, host, ['agent', 'leave', '--yes']))
    expect(left.stdout).not.toContain('keeps what this host reported')
    expect((await onHost(folder, host, ['agent', 'status'])).status).toBe(2)
  }, 60_000)
})

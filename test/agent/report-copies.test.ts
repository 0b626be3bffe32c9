// Two machines with one identity, as real processes against a real server: the folder of a host is copied, and both go on.
import type { ChildProcess } from 'node:child_process'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Host } from '../../schema/rest.ts'
import { agentHere, buildWorldHere } from '../e2e/here.ts'
import { startAgent, type WorldHost } from '../world/host.ts'
import { run, stopAll, until } from '../world/programs.ts'
import { expectDone } from '../world/world.ts'

let folder: string
let world: Awaited<ReturnType<typeof buildWorldHere>>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-copies-'))
  world = await buildWorldHere(join(folder, 'world'))
}, 120_000)
afterAll(async () => {
  await stopAll()
  await world.end()
  await rm(folder, { recursive: true, force: true })
}, 30_000)

const shown = async (name: string): Promise<Host> =>
  JSON.parse(expectDone(await world.admin(['hosts', 'show', name, '--json'])).stdout)
const newestReport = async (name: string): Promise<number> => {
  const page = JSON.parse(expectDone(await world.admin(['hosts', 'history', name, '--limit', '1', '--json'])).stdout)
  return page.items[0]?.seq ?? 0
}
/** A command that reports. What it costs is nothing beside a daemon's start, so a daemon speaks where the story is about one. */
async function mention(host: WorldHost): Promise<void> {
  const before = await newestReport(host.name)
  expectDone(await agentHere(world.folder, host, ['agent', 'set-channel', 'alpha']))
  expect(await newestReport(host.name)).toBeGreaterThan(before)
}
/** Runs the daemon until the server has stored more of this host than before. */
async function speak(host: WorldHost, name = host.name): Promise<void> {
  const before = await newestReport(name)
  startAgent(world.folder, host)
  const told = await until(30, async () => ((await newestReport(name)) > before ? true : undefined))
  await stop(host.agent)
  if (!told) throw new Error(`${host.home} reported nothing`)
}

function stop(child: ChildProcess | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (!child || child.exitCode !== null) return resolve()
    child.once('exit', () => resolve())
    child.kill('SIGTERM')
  })
}

test('a copied host folder shows as soon as both machines have spoken, and enrolling again with another token ends it', async () => {
  // given: a host that goes on over several starts is one machine
  const host = await world.enrol('web-01', 'alpha')
  await speak(host)
  await speak(host)
  expect((await shown('web-01')).identity).toEqual({ state: 'single' })

  // when
  const copy: WorldHost = { ...host, home: `${host.home}-copy` }
  await cp(host.home, copy.home, { recursive: true })
  await speak(copy)
  expect((await shown('web-01')).identity).toEqual({ state: 'single' })
  await speak(host)

  // then
  expect((await shown('web-01')).identity).toMatchObject({ state: 'forked', kind: 'broken_chain' })
  expect(expectDone(await world.admin(['hosts', 'list'])).stdout).toContain('web-01 is forked since')
  expect(expectDone(await world.admin(['fleet', 'status'])).stdout).toContain('1 host forked')
  const audit = JSON.parse(expectDone(await world.admin(['api', 'GET', '/api/v1/audit?action=host.forked'])).stdout)
  expect(audit.items).toHaveLength(1)

  // and then
  const token = ['enroll-token', 'create', '--dir', 'srv', '--uses', '1', '--out', 'again.token']
  expectDone(await run(world.folder, 'netlink-server', token))
  const enroll = ['agent', 'enroll', '--force', '--server', world.server, '--token-file', 'again.token']
  expectDone(
    await agentHere(world.folder, host, [
      ...enroll,
      '--trust-root',
      'pub/root.json',
      '--channel',
      'alpha',
      '--name',
      'web-01',
    ]),
  )
  await mention(host)
  await speak(host)
  expect((await shown('web-01')).identity).toEqual({ state: 'single' })
}, 240_000)

test('a host that was put back from a snapshot shows as a fork; one that was only switched off does not', async () => {
  const host = await world.enrol('web-02', 'alpha')
  await mention(host)
  const snapshot = `${host.home}-snapshot`
  await cp(host.home, snapshot, { recursive: true })
  await speak(host)
  expect((await shown('web-02')).identity).toEqual({ state: 'single' })
  await rm(host.home, { recursive: true })
  await cp(snapshot, host.home, { recursive: true })
  await speak(host)
  expect((await shown('web-02')).identity).toMatchObject({ state: 'forked', kind: 'broken_chain' })
}, 180_000)

// Two machines with one identity, as real processes against a real server: the folder of a host is copied, and both go on.
import type { ChildProcess } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MAX_STORED_SEQ } from '../../schema/report-number.ts'
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

/** With a new token and the key that the host has. */
async function enrolAgain(host: WorldHost): Promise<void> {
  const file = `${host.name}-again.token`
  const token = ['enroll-token', 'create', '--dir', 'srv', '--uses', '1', '--out', file]
  expectDone(await run(world.folder, 'netlink-server', token))
  const trust = ['--server', world.server, '--token-file', file, '--trust-root', 'pub/root.json', '--channel', 'alpha']
  expectDone(await agentHere(world.folder, host, ['agent', 'enroll', '--force', ...trust, '--name', host.name]))
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
  await enrolAgain(host)
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

test('a copy that makes up the greatest number shows at once, and neither mutes the host nor uses up its numbers', async () => {
  // given
  const host = await world.enrol('web-03', 'alpha')
  for (let time = 0; time < 3; time++) await mention(host)
  const before = await newestReport('web-03')
  const copy: WorldHost = { ...host, home: `${host.home}-copy` }
  await cp(host.home, copy.home, { recursive: true })
  const outbox = join(copy.home, 'state', 'outbox.json')
  const said = JSON.parse(await readFile(outbox, 'utf8'))

  // when
  await writeFile(outbox, JSON.stringify({ ...said, stored: { ...said.stored, seq: MAX_STORED_SEQ } }))
  await agentHere(world.folder, copy, ['agent', 'set-channel', 'alpha'])

  // then
  expect((await shown('web-03')).identity).toMatchObject({ state: 'forked', kind: 'number_jump' })
  // The copy's agent came back to the next number and was faster: what the host says under that one is lost, and the next is heard.
  expectDone(await agentHere(world.folder, host, ['agent', 'set-channel', 'alpha']))
  await mention(host)
  expect(await newestReport('web-03')).toBeLessThan(before + 100)

  // and then, as on the runbook's page: forgotten, and enrolled with the key that it has
  expectDone(await world.admin(['hosts', 'forget', 'web-03', '--reason', 'copied']))
  await enrolAgain(host)
  await mention(host)
  expect((await shown('web-03')).identity).toEqual({ state: 'single' })
  expect(await newestReport('web-03')).toBe(1)
}, 240_000)

test('a copy that makes up a hole shows when the host speaks, which is heard', async () => {
  const host = await world.enrol('web-04', 'alpha')
  await mention(host)
  const copy: WorldHost = { ...host, home: `${host.home}-copy` }
  await cp(host.home, copy.home, { recursive: true })
  const outbox = join(copy.home, 'state', 'outbox.json')
  const said = JSON.parse(await readFile(outbox, 'utf8'))
  await writeFile(outbox, JSON.stringify({ ...said, stored: { ...said.stored, seq: said.stored.seq + 900_000 } }))
  await mention(copy)
  expect((await shown('web-04')).identity).toEqual({ state: 'single' })
  await mention(host)
  expect((await shown('web-04')).identity).toMatchObject({ state: 'forked' })
  await enrolAgain(host)
  await mention(host)
  expect((await shown('web-04')).identity).toEqual({ state: 'single' })
}, 240_000)

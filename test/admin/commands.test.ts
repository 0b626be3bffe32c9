// netlink-admin against a real server on a port: its command line in this process, and as a process of its own where that makes a difference.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SocketClient } from '../server-http/socket-client.ts'
import { BY_TEST, type HttpWorld, inventoryReport } from '../server-http/world.ts'
import type { Outcome } from '../world/programs.ts'
import { type AdminWorld, adminBin, adminProcess, openAdminWorld } from './admin-world.ts'

let opened: AdminWorld
let world: HttpWorld
let server: string
let tokenFile: string

beforeAll(async () => {
  opened = await openAdminWorld()
  ;({ world, server, tokenFile } = opened)
}, 60_000)
afterAll(() => world?.[Symbol.asyncDispose]())

const admin = (args: readonly string[], env: Record<string, string> = {}) => opened.admin(args, env)
const asked = (...args: string[]) => opened.asked(...args)

async function jsonOf(outcome: Promise<Outcome>) {
  const { status, stdout, stderr } = await outcome
  expect(status, stderr).toBe(0)
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

describe('what is asked', () => {
  test('fleet status shows versions, hosts, who waits and the brake', async () => {
    const { status, stdout, stderr } = await asked('fleet', 'status')
    expect(status, stderr).toBe(0)
    expect(stderr).toBe('')
    expect(stdout).toContain('Fleet of demo: 2 hosts, 0 online')
    expect(stdout).toContain('newest  alpha 0r2   beta 0r2   release 0r2')
    expect(stdout).toContain('brake   off')
    expect(stdout).toMatch(/^0a1 +1 +50%/m)
    expect(stdout).toMatch(/^web-1 +0a1 +0r2 +alpha +healthy +idle +window_closed +\S/m)
    expect(stdout).toContain('1 host waits: its update window is closed (window_closed)')
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
  })

  test('--json is one document with the same facts', async () => {
    const answer = await jsonOf(asked('fleet', 'status', '--json'))
    expect(answer).toMatchObject({ schema: 'netlink.fleet.status/v1', ok: true, product: 'demo', hosts: 2 })
    expect(answer.hosts_listed.map((host: { name: string }) => host.name)).toEqual(['web-1', 'web-2'])
  })

  test('hosts can be listed, filtered, paged, shown', async () => {
    expect((await asked('hosts', 'list', '--sort=-name')).stdout).toMatch(/HOST[\s\S]*web-2[\s\S]*web-1/)
    const filtered = await jsonOf(asked('hosts', 'list', '--where', 'version=0r2', '--json'))
    expect(filtered.items.map((host: { name: string }) => host.name)).toEqual(['web-2'])
    const first = await asked('hosts', 'list', '--limit', '1', '--sort', 'name')
    const cursor = /--cursor (\S+)/.exec(first.stderr)?.[1] ?? ''
    expect((await asked('hosts', 'list', '--limit', '1', '--sort', 'name', '--cursor', cursor)).stdout).toContain(
      'web-2',
    )
    const nobody = await asked('hosts', 'list', '--where', 'version=none')
    expect(nobody).toMatchObject({ status: 0, stdout: '', stderr: 'No host is like that.\n' })
    expect(
      await jsonOf(asked('hosts', 'list', '--where', 'version=none', '--json').then((one) => ({ ...one, stderr: '' }))),
    ).toMatchObject({ items: [] })
    expect((await asked('hosts', 'show', 'web-1')).stdout).toContain('waits     its update window is closed')
    expect((await asked('hosts', 'history', 'web-1')).stdout).toContain('runs 0a1, service healthy')
  })

  test('releases can be listed, shown, read', async () => {
    expect((await asked('releases', 'list')).stdout).toMatch(/^0r2 +release[\s\S]*^0a1 +alpha/m)
    expect((await asked('releases', 'show', '0r2')).stdout).toContain('signed by  1, 1 needed')
    expect((await asked('releases', 'changelog', '0r2')).stdout).toContain('release 0r2')
    expect((await asked('releases', 'changelog', '0r2', '--format', 'markdown')).stdout).toMatch(/^# 0r2/)
    expect(await jsonOf(asked('releases', 'changelog', '0r2', '--json'))).toMatchObject({
      ok: true,
      releases: [{ version: '0r2' }],
    })
  })

  test('api answers as the server does', async () => {
    expect(await jsonOf(asked('api', 'GET', '/api/v1/channels'))).toMatchObject({
      items: [{ channel: 'alpha', newest: '0r2' }, {}, {}],
    })
    const made = await jsonOf(asked('api', 'post', '/api/v1/tokens', '--data', '{"name":"wall","scope":"read"}'))
    expect(made.token).toMatchObject({ name: 'wall' })
    expect((await asked('api', 'DELETE', `/api/v1/tokens/${made.token.id}`)).status).toBe(0)
  })

  test('settings come from the environment too, and a flag comes first', async () => {
    const env = { NETLINK_SERVER: server, NETLINK_TOKEN: world.tokens.read }
    expect((await adminProcess(['fleet', 'status'], env)).status).toBe(0)
    const wrong = { NETLINK_SERVER: 'http://127.0.0.1:1', NETLINK_TOKEN: 'nlk_wrong' }
    expect((await admin(['fleet', 'status', '--server', server, '--token-file', tokenFile], wrong)).status).toBe(0)
  })

  test('help says what there is, and shows it', async () => {
    const help = await admin(['--help'])
    expect(help).toMatchObject({ status: 0, stderr: '' })
    expect(help.stdout).toContain('Examples:')
    expect(help.stdout.split('\n').length).toBeLessThan(45)
    expect((await admin(['hosts', 'list', '--help'])).stdout).toContain('--where <filter>')
    const nothing = await admin([])
    expect(nothing).toMatchObject({ status: 2, stdout: '' })
    expect(nothing.stderr).toContain('Usage: netlink-admin')
    expect((await adminProcess(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  // What is run in this process everywhere else is what a process does, for each group of commands and for mistakes.
  test.each([
    [['fleet', 'status'], 0],
    [['hosts', 'list'], 0],
    [['hosts', 'show', 'nobody'], 2],
    [['releases', 'list', '--json'], 0],
    [['api', 'GET', '/api/v1/channels'], 0],
    [['pause'], 2],
    [['fleat'], 2],
    [['--help'], 0],
  ])('%j: exit %d, and the same words, from a process of its own', async (args, status) => {
    const whole = [...args, '--server', server, '--token-file', tokenFile]
    const told = await adminProcess(whole)
    expect(told.status, told.stderr).toBe(status)
    const steady = (text: string) =>
      text
        .replace(/\d+s ago|just now/g, 'AGO')
        .replace(/[\d-]{10} \d\d:\d\d:\d\d UTC/g, 'NOW')
        .replace(/request [0-9a-f-]{36}/, 'request ID')
    const here = await admin(whole)
    expect([steady(told.stdout), steady(told.stderr)]).toEqual([steady(here.stdout), steady(here.stderr)])
  })
})

describe('what is done', () => {
  test('pause and resume put the brake on and off, with a reason that the audit log keeps', async () => {
    const paused = await asked('pause', '--reason', 'looking into web-1')
    expect(paused.status, paused.stderr).toBe(0)
    expect((await asked('fleet', 'status')).stdout).toContain('looking into web-1')
    expect(await jsonOf(asked('resume', '--reason', 'found it', '--json'))).toMatchObject({ ok: true, paused: false })
    const [line] = (await world.core.audit.list({ action: 'brake.pause' })).items
    expect(line).toMatchObject({ reason: 'looking into web-1', actor: { name: 'test-admin' } })
    const without = await asked('pause')
    expect(without.status).toBe(2)
    expect(without.stderr).toContain("required option '--reason <text>'")
    expect(world.core.fleet.brake()).toMatchObject({ paused: false })
  })

  test('check-now reaches a host that is there', async () => {
    // given
    const host = await world.enrol('live')
    const client = await SocketClient.live(server, host)

    // when
    const told = await asked('hosts', 'check-now', 'live', '--reason', 'curious')

    // then
    expect(told.status, told.stderr).toBe(0)
    expect(await client.next('hint')).toMatchObject({ cause: 'check_now' })
    client.ws.terminate()
    await world.core.hosts.forget(host.id, BY_TEST)
  })

  test('forget says who was forgotten, and asks nothing', async () => {
    // given
    const host = await world.enrol('sold')
    await world.core.reports.ingest(host.known, await host.reports([inventoryReport(1, { version: '0a1' })]))

    // when
    const tried = await asked('hosts', 'forget', 'sold', '--dry-run')
    const told = await asked('hosts', 'forget', 'sold', '--reason', 'sold it')

    // then
    expect(tried).toMatchObject({ status: 0, stderr: '' })
    expect(tried.stdout).toMatch(
      /^sold would be forgotten: this server would delete .*all of its history.*Nothing was changed\./,
    )
    // A new key: the old one may have been stolen.
    const enrol = `netlink agent enroll --server ${server} --token-file FILE --trust-root FILE`
    const back = `\n  netlink agent leave --yes\n  ${enrol} --channel alpha --name sold\n`
    expect(tried.stdout).toContain(back)
    expect(told).toMatchObject({ status: 0, stderr: '' })
    expect(told.stdout).toMatch(/^sold is forgotten: this server has deleted its key, .*all of its history/)
    expect(told.stdout).toContain(back)
    expect(told.stdout).toMatch(new RegExp(`^id +${host.id}$`, 'm'))
    expect(told.stdout).toMatch(/^version +0a1$/m)
    const [line] = (await world.core.audit.list({ action: 'host.forget' })).items
    expect(line).toMatchObject({ subject: host.id, reason: 'sold it', actor: { name: 'test-admin' } })
    expect((await asked('hosts', 'forget', 'sold')).status).toBe(2)
    await world.enrol('again')
    expect(await jsonOf(asked('hosts', 'forget', 'again', '--json'))).toMatchObject({
      schema: 'netlink.hosts.forget/v1',
      ok: true,
      name: 'again',
      dry_run: false,
    })
  })

  test('--watch goes on until it is interrupted', async () => {
    // given
    const child = spawn(process.execPath, [adminBin, 'fleet', 'status', '--watch', '--json'], {
      env: { PATH: process.env.PATH, NETLINK_SERVER: server, NETLINK_TOKEN: world.tokens.read },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))

    // when
    while (output.split('\n').length < 3) await once(child.stdout, 'data')
    child.kill('SIGINT')

    // then
    expect(await once(child, 'exit')).toEqual([130, null])
    for (const line of output.trim().split('\n')) expect(JSON.parse(line)).toMatchObject({ ok: true, hosts: 2 })
  })

  test('a reader that has seen enough is no failure', async () => {
    // given
    const child = spawn(process.execPath, [adminBin, 'api', 'GET', '/api/v1/openapi.json'], {
      env: { PATH: process.env.PATH, NETLINK_SERVER: server, NETLINK_TOKEN: world.tokens.read },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stderr = ''
    child.stderr.on('data', (chunk) => (stderr += chunk))

    // when
    child.stdout.destroy()

    // then
    expect(await once(child, 'exit')).toEqual([0, null])
    expect(stderr).toBe('')
  })
})

// `netlink` as a real process that is stopped, killed or kept waiting.
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { buildEngine } from '../../agent/engine-building.ts'
import { openHost } from '../../agent/host.ts'
import { install } from '../../agent/install.ts'
import { buildMachine } from '../../agent/machine.ts'
import { acquireLock } from '../../keys/platform/lock.ts'
import { until } from '../world/programs.ts'
import { type AgentWorld, publishedWorld } from './agent-world.ts'

const lockOf = ({ home }: AgentWorld) => acquireLock(join(home, 'state', 'locks', 'update'), { owner: 'the test' })

describe.concurrent('in the middle of an update', () => {
  test('two updates at once: the second one names the first and exits 12, and goes through when that is over', async () => {
    await using world = await publishedWorld()
    await world.run('update', 'check')
    const lock = await lockOf(world)
    const refused = await world.process('update', 'upgrade', '--latest', '--yes')
    expect(refused.status, refused.stderr).toBe(12)
    expect(refused.stderr).toMatch(/^error E-LOCKED/m)
    expect(refused.stderr).toMatch(/update: held by the test \(process \d+, since /)
    expect((await world.run('update', 'status')).status).toBe(0)
    await lock.release()
    expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
  })

  // A command that was typed right after `netlink agent run &` met the daemon's first look and ended with E-LOCKED.
  test.each([
    [['update', 'upgrade', '--latest', '--yes'], 0],
    [['update', 'rollback', '--yes'], 3],
  ])('%j waits for somebody who holds the lock for a moment, says so once, and does its work', async (args, status) => {
    await using world = await publishedWorld()
    await world.run('update', 'check')
    const lock = await lockOf(world)
    const waiting = world.start(...args)
    const words = /^waiting for the update lock, held by the test \(process \d+, since /gm
    expect(await until(20, () => words.test(waiting.output()) || undefined), waiting.output()).toBe(true)
    await lock.release()
    const { status: ended, stderr } = await waiting.end
    expect(ended, stderr).toBe(status)
    expect(stderr.match(words)).toHaveLength(1)
    expect(stderr).not.toContain('E-LOCKED')
  })

  test('Ctrl-C while waiting for another update: ends at once with 130', async () => {
    await using world = await publishedWorld()
    await world.run('update', 'check')
    const lock = await lockOf(world)
    const { child, end, output } = world.start('update', 'upgrade', '--latest', '--yes')
    await until(20, () => output().includes('waiting for') || undefined)
    child.kill('SIGINT')
    expect(await end).toMatchObject({ status: 130, stderr: expect.stringContaining('E-CANCELLED') })
    await lock.release()
  })

  test('what another update did while this one waited for an answer is looked at again: nothing is left to do', async () => {
    await using world = await publishedWorld()
    const around = { env: world.env, platform: process.platform, arch: process.arch, cwd: () => world.folder }
    const host = await openHost(buildMachine(around, Math.random, 'the test'))
    const end = await install(host, buildEngine(host), {
      what: { kind: 'upgrade', goal: { kind: 'latest' } },
      asked: { by: 'person' },
      force: false,
      dryRun: false,
      listener: {
        confirm: async () => {
          expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
          return 'agreed'
        },
        onPlan: () => undefined,
        onEvent: () => undefined,
      },
    })
    expect(end).toMatchObject({ kind: 'up-to-date', installed: '0a1' })
    expect((await world.json('update', 'history')).history).toHaveLength(1)
  })

  test('Ctrl-C while the server says nothing: ends at once with 130, nothing is installed', async () => {
    await using world = await publishedWorld()
    world.tricks.set('/repo/artifacts/', (_request, response) =>
      response.writeHead(200, { 'content-length': 1_000_000 }),
    )
    const { child, end } = world.start('update', 'upgrade', '--latest', '--yes')
    await until(20, () => world.requests.some((request) => request.includes('/artifacts/')) || undefined)
    child.kill('SIGINT')
    const { status, stderr } = await end
    expect(status, stderr).toBe(130)
    expect(await world.installed()).toBe(null)
    world.tricks.clear()
    expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
  })

  test('a server that takes the connection and never answers is left at once with 143, and the host is as it was', async () => {
    await using world = await publishedWorld()
    world.requests.length = 0
    world.tricks.set('/repo/metadata/timestamp.json', () => undefined)
    const { child, end } = world.start('update', 'check')
    await until(20, () => world.requests.some((request) => request.endsWith('/timestamp.json')) || undefined)
    child.kill('SIGTERM')
    const { status, stderr } = await end
    expect(status, stderr).toBe(143)
    world.tricks.clear()
    expect((await world.run('update', 'check')).status).toBe(0)
  })

  test('abort stops an update that somebody else runs', async () => {
    await using world = await publishedWorld()
    world.tricks.set('/repo/artifacts/', (_request, response) =>
      response.writeHead(200, { 'content-length': 1_000_000 }),
    )
    const { end } = world.start('update', 'upgrade', '--latest', '--yes')
    await until(20, () => world.requests.some((request) => request.includes('/artifacts/')) || undefined)
    expect((await world.run('update', 'status', '--exit-code')).status).toBe(8)
    expect((await world.run('update', 'abort')).status).toBe(0)
    const { status, stderr } = await end
    expect(status, stderr).not.toBe(0)
    expect(stderr).toContain('E-CANCELLED')
    expect((await world.run('update', 'abort')).status).toBe(3)
    expect(await world.installed()).toBe(null)
  })

  test('kill -9 in the middle: the next command recovers first, then does its own work', async () => {
    await using world = await publishedWorld()
    world.tricks.set('/repo/artifacts/', (_request, response) =>
      response.writeHead(200, { 'content-length': 1_000_000 }),
    )
    const { child, end } = world.start('update', 'upgrade', '--latest', '--yes')
    await until(20, () => world.requests.some((request) => request.includes('/artifacts/')) || undefined)
    child.kill('SIGKILL')
    await end
    expect((await world.json('update', 'status')).running).not.toBe(null)
    world.tricks.clear()
    expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
    const { history } = await world.json('update', 'history')
    expect(history.map((one: { state: string }) => one.state)).toEqual(['succeeded', 'failed'])
    const told = world.reports.flatMap(({ body }) =>
      body.type === 'attempt' ? [`${body.attempt.update_id.slice(-6)} ${body.attempt.state}`] : [],
    )
    expect(told).toContain(`${history[1].update_id.slice(-6)} failed`)
  })
})

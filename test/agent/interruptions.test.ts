// `netlink` as a real process that is stopped, killed or kept waiting.
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { acquireLock } from '../../keys/platform/lock.ts'
import { until } from '../world/programs.ts'
import { publishedWorld } from './agent-world.ts'

describe.concurrent('in the middle of an update', () => {
  test('two updates at once: the second one exits 12, and goes through when the first is over', async () => {
    await using world = await publishedWorld()
    await world.run('update', 'check')
    const lock = await acquireLock(join(world.home, 'state', 'locks', 'update'), { owner: 'the test' })
    const refused = await world.process('update', 'upgrade', '--latest', '--yes')
    expect(refused.status, refused.stderr).toBe(12)
    expect((await world.run('update', 'status')).status).toBe(0)
    await lock.release()
    expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
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

// `netlink` as a real process on hosts that are a little special.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildAgentWorld } from './agent-world.ts'

test.concurrent('a home of 200 characters works like any other', async () => {
  await using world = await buildAgentWorld({ home: `${'long-folder-name/'.repeat(10)}${'x'.repeat(20)}` })
  expect(world.home.length).toBeGreaterThan(200)
  expect((await world.enrol()).status).toBe(0)
  await world.publish('0a1')
  const { status, stderr } = await world.run('update', 'upgrade', '--latest', '--yes')
  expect(status, stderr).toBe(0)
  expect(await world.installed()).toBe('0a1')
})

test.concurrent('the service is started, stopped, and stays as its people left it; after a stop nothing of ours runs', async () => {
  await using world = await buildAgentWorld()
  const state = async () => (await world.json('service', 'status')).service.state
  try {
    await world.enrol()
    expect((await world.run('service', 'start')).status).toBe(3)
    await world.publish('0a1', { service: { argv: ['sleep', '1000'], ready_ms: 5_000, stability_ms: 100 } })
    expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
    expect(await state()).toBe('running')
    const { pid } = (await world.json('service', 'status')).service.identity
    expect((await world.run('service', 'restart')).status).toBe(0)
    expect((await world.json('service', 'status')).service.identity.pid).not.toBe(pid)
    expect((await world.run('service', 'stop')).status).toBe(0)
    expect(await state()).toBe('stopped')
    const log = await readFile(join(world.home, 'state', 'service', 'supervisor.log'), 'utf8')
    expect(log.trim().split('\n').at(-1)).toContain('asked to')
    expect((await world.run('service', 'start')).status).toBe(0)
    expect(await state()).toBe('running')
  } finally {
    await world.run('service', 'stop')
  }
}, 60_000)

test.concurrent('bytes that a rollback left do not come back under another version, until somebody names it', async () => {
  // given
  await using world = await buildAgentWorld()
  await world.enrol()
  for (const version of ['0a1', '0a2']) {
    await world.publish(version)
    expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
  }
  expect((await world.run('update', 'rollback', '--yes')).status).toBe(0)

  // when, then
  await world.publish('0a3', {}, { 'app.txt': '0a2' })
  const refused = await world.run('update', 'upgrade', '--latest', '--yes')
  expect([refused.status, refused.stderr]).toEqual([3, expect.stringContaining('the same bytes as 0a2')])
  expect((await world.run('update', 'upgrade', '--to', '0a3', '--yes')).status).toBe(0)
  await world.publish('0a4', {}, { 'app.txt': '0a2' })
  expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
  expect(await world.installed()).toBe('0a4')
})

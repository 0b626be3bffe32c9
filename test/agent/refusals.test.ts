// What `netlink` refuses, as a real process against real signed bytes. Each refusal has its control: the same story one edit away succeeds.
import { describe, expect, test } from 'vitest'
import { changelog, publishedWorld } from './agent-world.ts'

describe.concurrent('is refused', () => {
  test('a held host stays, says why, and goes on when the hold is lifted or --force is said', async () => {
    await using world = await publishedWorld()
    expect((await world.run('update', 'hold', '--for', '24h', '--reason', 'launch day')).status).toBe(0)
    const refused = await world.run('update', 'upgrade', '--latest', '--yes')
    expect(refused.status).toBe(3)
    expect(refused.stderr).toContain('launch day')
    expect((await world.json('update', 'status')).hold.reason).toBe('launch day')
    expect((await world.run('update', 'unhold')).status).toBe(0)
    expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
  })

  test('a release that asks for engines that are not there: exit 3 naming them, dry runs show what they would do', async () => {
    await using world = await publishedWorld()
    await world.run('update', 'upgrade', '--latest', '--yes')
    const migration = { id: '0007', up: 'up.sql', verify: null, down: null }
    await world.publish('0a2', { database_migrations: [migration], database_version: '0007' })
    const refused = await world.run('update', 'upgrade', '--to', '0a2', '--force')
    expect(refused.status).toBe(3)
    expect(refused.stderr).toContain('database_migrations')
    expect(await world.installed()).toBe('0a1')
    const dry = await world.run('update', 'upgrade-db', '--to', '0a2', '--dry-run')
    expect([dry.status, dry.stdout]).toEqual([0, expect.stringContaining('migration 0007')])
    expect((await world.run('update', 'upgrade-db', '--to', '0a2', '--yes')).status).toBe(3)
    expect((await world.run('update', 'reinstall-deps')).status).toBe(0)
    expect((await world.run('update', 'upgrade-db', '--dry-run')).status).toBe(0)
  })

  test('an artifact that is not what was signed: exit 7, --force or not, and installed once it is whole', async () => {
    await using world = await publishedWorld()
    await world.run('update', 'upgrade', '--latest', '--yes')
    await world.publish('0a2')
    const [name = '', whole = new Uint8Array()] = [...world.artifacts].at(-1) ?? []
    world.artifacts.set(
      name,
      Uint8Array.from(whole, (byte, index) => (index === 20 ? byte ^ 1 : byte)),
    )
    const refused = await world.run('update', 'upgrade', '--to', '0a2', '--force')
    expect(refused.status, refused.stderr).toBe(7)
    expect(await world.installed()).toBe('0a1')
    world.artifacts.set(name, whole)
    expect((await world.run('update', 'upgrade', '--to', '0a2', '--force')).status).toBe(0)
  })

  test('a downgrade that the installed release does not allow; one that it does goes through', async () => {
    await using world = await publishedWorld()
    await world.run('update', 'upgrade', '--latest', '--yes')
    await world.publish('0a2')
    await world.run('update', 'upgrade', '--latest', '--yes')
    const refused = await world.run('update', 'downgrade', '--to', '0a1', '--force')
    expect(refused.status).toBe(3)
    expect(await world.installed()).toBe('0a2')
    await world.publish('0a3', { compatibility: { downgrade_to: ['0a1'] } })
    await world.run('update', 'upgrade', '--latest', '--yes')
    expect((await world.run('update', 'downgrade', '--to', '0a1', '--yes')).status).toBe(0)
    expect(await world.installed()).toBe('0a1')
  })

  test('a barrier is installed on the way, each hop an update of its own', async () => {
    await using world = await publishedWorld()
    await world.run('update', 'upgrade', '--latest', '--yes')
    await world.publish('0a2', { compatibility: { barrier: { reason: 'new store' } } })
    await world.publish('0a3')
    world.repo.role('alpha').channel = {
      name: 'alpha',
      minimum: null,
      withdrawn: [],
      barriers: [{ version: '0a2', reason: 'new store' }],
      dead_ends: [],
    }
    await world.repo.publish('alpha')
    expect((await world.run('update', 'check')).stdout).toContain('by way of 0a2')
    expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
    const { history } = await world.json('update', 'history')
    expect(history.map((one: { to: string }) => one.to)).toEqual(['0a3', '0a2', '0a1'])
  })

  test('a less stable channel is never followed silently', async () => {
    await using world = await publishedWorld()
    expect((await world.run('agent', 'set-channel', 'release')).status).toBe(0)
    expect((await world.json('update', 'check')).updates_available).toBe(false)
    const refused = await world.run('update', 'upgrade', '--to', '0a1', '--yes')
    expect(refused.status).toBe(3)
    expect(refused.stderr).toContain('--allow-channel-change')
    expect((await world.run('agent', 'set-channel', 'alpha')).status).toBe(3)
    expect((await world.run('update', 'upgrade', '--to', '0a1', '--allow-channel-change', '--yes')).status).toBe(0)
  })

  test('words that no terminal should obey come out as plain text', async () => {
    await using world = await publishedWorld()
    const evil = 'safe \u001b]0;owned\u0007\u001b[31mred\u001b[0m \u202egnp.exe'
    await world.publish('0a2', { changelog: changelog('0a2', evil, [{ type: 'added', text: evil }]) })
    for (const args of [
      ['update', 'changelog', '--version', '0a2'],
      ['update', 'changelog', '--version', '0a2', '--format', 'markdown'],
      ['update', 'changelog', '--version', '0a2', '--format', 'json'],
    ]) {
      const { status, stdout } = await world.run(...args)
      expect(status).toBe(0)
      expect(stdout).toContain('safe')
      for (const obeyed of ['\u001b', '\u0007', '\u202e']) expect(stdout).not.toContain(obeyed)
    }
  })

  test('a withdrawn version is never installed, by name or by --force, and offered again once it stands', async () => {
    await using world = await publishedWorld()
    await world.run('update', 'upgrade', '--latest', '--yes')
    await world.publish('0a2')
    const channel = { name: 'alpha', minimum: null, withdrawn: [] as object[], barriers: [], dead_ends: [] }
    const withdrawn = [
      { version: '0a2', reason: 'eats data', severity: 'critical', replace_with: null, at: '2026-11-23T10:00:00Z' },
    ]
    world.repo.role('alpha').channel = { ...channel, withdrawn }
    await world.repo.publish('alpha')
    for (const args of [
      ['--latest', '--yes'],
      ['--to', '0a2', '--force'],
    ]) {
      const refused = await world.run('update', 'upgrade', ...args)
      expect(refused.status).toBe(3)
      expect(refused.stderr).toContain('eats data')
    }
    world.repo.role('alpha').channel = channel
    await world.repo.publish('alpha')
    expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
  })
})

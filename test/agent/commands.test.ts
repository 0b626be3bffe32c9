// `netlink` against real signed bytes, from the first version on: one host, one story. A few of its commands are processes of their own.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AgentWorld, buildAgentWorld, changelog } from './agent-world.ts'

let world: AgentWorld

describe('a host from its first version on', () => {
  beforeAll(async () => {
    world = await buildAgentWorld()
    await world.enrol()
    const entries = [
      { type: 'added', text: 'one' },
      { type: 'fixed', text: 'two' },
    ]
    await world.publish('0a1', { changelog: changelog('0a1', 'first', entries) })
  }, 30_000)
  afterAll(() => world.close())

  test('check says what is there, who signed it, what it changes, and what to run next', async () => {
    const { status, stdout, stderr } = await world.process('update', 'check')
    expect(status, stderr).toBe(0)
    const shown = stdout
      .replace(/key [0-9a-f]{4}…/g, 'key KEY')
      .replace(/just now|\d+s ago/, 'AGO')
      .replace(/\d+ B/, 'SIZE')
    expect(shown).toBe(
      [
        'none → 0a1 available   alpha · published AGO · SIZE',
        '  signed by 1 (threshold 1): key KEY',
        '  changes   1 added, 1 fixed · database migration: no · restart: no',
        'Next: netlink update upgrade --to 0a1 --dry-run',
        '',
      ].join('\n'),
    )
    expect((await world.process('update', 'check', '--exit-code')).status).toBe(100)
    expect(await world.json('update', 'check')).toMatchObject({
      schema: 'netlink.update.check/v1',
      ok: true,
      updates_available: true,
      current_version: null,
      latest_version: '0a1',
      channel: 'alpha',
    })
  })

  test('without a terminal and without --yes: exit 4 with the exact command, and nothing is there', async () => {
    const { status, stderr } = await world.run('update', 'upgrade', '--latest')
    expect(status).toBe(4)
    expect(stderr).toContain('netlink update upgrade --latest --yes')
    expect(await readdir(world.home)).toEqual(['state'])
  })

  test('a dry run shows the plan and does nothing', async () => {
    const { status, stdout } = await world.run('update', 'upgrade', '--to', '0a1', '--dry-run')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^Plan {2}none → 0a1 on host web-03\n/)
    expect(stdout).toContain('this release has no database')
    expect(await readdir(world.home)).toEqual(['state'])
    expect(await world.json('update', 'history')).toMatchObject({ history: [] })
  })

  test('upgrade installs it, one plain line a phase, and the end is reported', async () => {
    const { status, stdout, stderr } = await world.process('update', 'upgrade', '--latest', '--yes')
    expect(status, stderr).toBe(0)
    expect(stdout).toMatch(/none → 0a1 done: generation 1\n$/)
    expect(stderr).toMatch(/^done {4}download: /m)
    expect((await world.run('update', 'version')).stdout).toBe('0a1\n')
    const states = world.reports.flatMap(({ body }) => (body.type === 'attempt' ? [body.attempt.state] : []))
    expect(states[0]).toBe('offered')
    expect(states.at(-1)).toBe('succeeded')
    expect(world.reports.at(-1)?.body).toMatchObject({
      type: 'inventory',
      inventory: { version: '0a1', service: 'none' },
    })
  })

  test('installed is installed: nothing to do, exit 0', async () => {
    const { status, stdout } = await world.run('update', 'upgrade', '--to', '0a1', '--yes')
    expect([status, stdout]).toEqual([0, 'nothing to do: 0a1 is installed\n'])
    expect((await world.run('update', 'upgrade', '--stable', '--yes')).status).toBe(0)
    expect((await world.run('update', 'check', '--exit-code')).status).toBe(0)
  })

  test('with --json a long operation prints an event a line, the result last', async () => {
    await world.publish('0a2')
    const { stdout } = await world.process('update', 'upgrade', '--latest', '--yes', '--json')
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(new Set(events.slice(0, -1).map((event) => event.type))).toContain('phase')
    expect(events.at(-1)).toMatchObject({
      type: 'result',
      ok: true,
      schema: 'netlink.update.upgrade/v1',
      current_version: '0a2',
    })
  })

  test('history, version --detailed and status agree', async () => {
    const { history } = await world.json('update', 'history')
    expect(history.map((one: { to: string; state: string }) => `${one.to} ${one.state}`)).toEqual([
      '0a2 succeeded',
      '0a1 succeeded',
    ])
    expect((await world.json('update', 'history', '--limit', '1')).history).toHaveLength(1)
    expect((await world.json('update', 'history', '--failed')).history).toEqual([])
    expect(await world.json('update', 'version', '--detailed')).toMatchObject({
      current_version: '0a2',
      channel: 'alpha',
      generation: 2,
      product: 'demo',
    })
    expect(await world.json('update', 'status')).toMatchObject({
      current_version: '0a2',
      running: null,
      last: { to: '0a2', state: 'succeeded' },
    })
    const [{ update_id }] = history
    expect(await world.json('update', 'status', '--update-id', update_id)).toMatchObject({
      update_id,
      state: 'succeeded',
    })
    expect((await world.run('update', 'log', update_id)).stdout).toContain('0a1 -> 0a2 committed as generation 2')
    expect(await readFile(join(world.home, 'logs', 'update.log'), 'utf8')).toContain('download: done')
  })

  test('rollback returns to what the last update left, and what was left is quarantined until somebody names it', async () => {
    expect((await world.run('update', 'rollback')).status).toBe(4)
    expect((await world.run('update', 'rollback', '--dry-run')).stdout).toContain('0a2 → 0a1')
    expect((await world.process('update', 'rollback', '--yes')).status).toBe(0)
    expect(await world.installed()).toBe('0a1')
    const refused = await world.run('update', 'upgrade', '--latest', '--yes')
    expect(refused.status).toBe(3)
    expect(refused.stderr).toContain('E-QUARANTINED')
    expect((await world.run('update', 'upgrade', '--to', '0a2', '--yes')).status).toBe(0)
    expect(await world.installed()).toBe('0a2')
  })

  test('verify reads every file: what was changed is found, what was put back is good', async () => {
    expect((await world.run('update', 'verify', '--deep')).status).toBe(0)
    const [tree = ''] = (await readdir(join(world.home, 'store'))).filter((name) => name.startsWith('0a2'))
    const file = join(world.home, 'store', tree, 'app.txt')
    await rm(file)
    await writeFile(file, 'changed')
    const found = await world.process('update', 'verify')
    expect(found.status).toBe(7)
    expect(found.stderr).toContain('E-VERIFY')
    await rm(file)
    await writeFile(file, '0a2', { mode: 0o644 })
    expect((await world.run('update', 'verify', '--deep')).status).toBe(0)
  })

  test('without the server: check --offline and the changelog say what was verified before, check alone exits 6', async () => {
    world.tricks.set('/', (_request, response) => response.destroy())
    try {
      expect((await world.run('update', 'check')).status).toBe(6)
      expect((await world.run('update', 'check', '--offline')).status).toBe(0)
      const { status, stdout, stderr } = await world.run('update', 'changelog', '--version', '0a1')
      expect(status, stderr).toBe(0)
      expect(stdout).toContain('first')
      expect((await world.run('update', 'changelog', '--version', '0a1', '--verify')).status).toBe(6)
      expect((await world.run('update', 'version')).stdout).toBe('0a2\n')
    } finally {
      world.tricks.clear()
    }
    expect((await world.run('update', 'check')).status).toBe(0)
  })

  test.each(['timestamp.json', 'snapshot.json', 'alpha.json'])(
    'check --offline where %s is gone or damaged: nothing verified is kept, exit 2; whole again, it answers',
    async (name) => {
      const file = join(world.home, 'state', 'trust', name)
      const whole = await readFile(file)
      for (const damage of [() => rm(file), () => writeFile(file, whole.subarray(0, 40), { mode: 0o600 })]) {
        await damage()
        const refused = await world.run('update', 'check', '--offline')
        expect(refused.status, refused.stderr).toBe(2)
        expect(refused.stderr).toContain('E-NOTHING-KEPT')
        expect(refused.stderr).not.toContain('the repository is not there')
      }
      await writeFile(file, whole, { mode: 0o600 })
      expect((await world.run('update', 'check', '--offline')).status).toBe(0)
    },
  )

  test('a record of the greatest version that was deleted does not let an older one in: exit 7 until the host is enrolled again', async () => {
    await rm(join(world.home, 'state', 'floor.json'))
    const refused = await world.run('update', 'check')
    expect(refused.status, refused.stdout).toBe(7)
    expect(refused.stderr).toContain('E-FLOOR-MISSING')
    expect((await world.enrol('--force')).status).toBe(0)
    expect((await world.run('update', 'check')).status).toBe(0)
  })
})

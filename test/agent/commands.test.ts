// `netlink` as a real process against real signed bytes. Each refusal has its control: the same story one edit away succeeds.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { acquireLock } from '../../keys/platform/lock.ts'
import { until } from '../world/programs.ts'
import { type AgentWorld, buildAgentWorld } from './agent-world.ts'

let world: AgentWorld
const json = async (...args: string[]) => JSON.parse((await world.run(...args, '--json')).stdout)
const installed = async () => (await json('update', 'version')).current_version

function changelog(version: string, summary: string, entries: object[] = []) {
  return JSON.parse(
    JSON.stringify({ schema: 'netlink.changelog/v1', version, previous: null, date: '2026-11-23', summary, entries }),
  )
}

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
    const { status, stdout, stderr } = await world.run('update', 'check')
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
    expect((await world.run('update', 'check', '--exit-code')).status).toBe(100)
    expect(await json('update', 'check')).toMatchObject({
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
    expect(await json('update', 'history')).toMatchObject({ history: [] })
  })

  test('upgrade installs it, one plain line a phase, and the end is reported', async () => {
    const { status, stdout, stderr } = await world.run('update', 'upgrade', '--latest', '--yes')
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
    const { stdout } = await world.run('update', 'upgrade', '--latest', '--yes', '--json')
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
    const { history } = await json('update', 'history')
    expect(history.map((one: { to: string; state: string }) => `${one.to} ${one.state}`)).toEqual([
      '0a2 succeeded',
      '0a1 succeeded',
    ])
    expect((await json('update', 'history', '--limit', '1')).history).toHaveLength(1)
    expect((await json('update', 'history', '--failed')).history).toEqual([])
    expect(await json('update', 'version', '--detailed')).toMatchObject({
      current_version: '0a2',
      channel: 'alpha',
      generation: 2,
      product: 'demo',
    })
    expect(await json('update', 'status')).toMatchObject({
      current_version: '0a2',
      running: null,
      last: { to: '0a2', state: 'succeeded' },
    })
    const [{ update_id }] = history
    expect(await json('update', 'status', '--update-id', update_id)).toMatchObject({ update_id, state: 'succeeded' })
    expect((await world.run('update', 'log', update_id)).stdout).toContain('0a1 -> 0a2 committed as generation 2')
    expect(await readFile(join(world.home, 'logs', 'update.log'), 'utf8')).toContain('download: done')
  })

  test('rollback returns to what the last update left, and what was left is quarantined until somebody names it', async () => {
    expect((await world.run('update', 'rollback')).status).toBe(4)
    expect((await world.run('update', 'rollback', '--dry-run')).stdout).toContain('0a2 → 0a1')
    expect((await world.run('update', 'rollback', '--yes')).status).toBe(0)
    expect(await installed()).toBe('0a1')
    const refused = await world.run('update', 'upgrade', '--latest', '--yes')
    expect(refused.status).toBe(3)
    expect(refused.stderr).toContain('E-QUARANTINED')
    expect((await world.run('update', 'upgrade', '--to', '0a2', '--yes')).status).toBe(0)
    expect(await installed()).toBe('0a2')
  })

  test('verify reads every file: what was changed is found, what was put back is good', async () => {
    expect((await world.run('update', 'verify', '--deep')).status).toBe(0)
    const [tree = ''] = (await readdir(join(world.home, 'store'))).filter((name) => name.startsWith('0a2'))
    const file = join(world.home, 'store', tree, 'app.txt')
    await rm(file)
    await writeFile(file, 'changed')
    const found = await world.run('update', 'verify')
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

  test('a record of the greatest version that was deleted does not let an older one in: exit 7 until the host is enrolled again', async () => {
    await rm(join(world.home, 'state', 'floor.json'))
    const refused = await world.run('update', 'check')
    expect(refused.status, refused.stdout).toBe(7)
    expect(refused.stderr).toContain('E-FLOOR-MISSING')
    expect((await world.enrol('--force')).status).toBe(0)
    expect((await world.run('update', 'check')).status).toBe(0)
  })
})

describe('what is refused', () => {
  beforeEach(async () => {
    world = await buildAgentWorld()
    await world.enrol()
    await world.publish('0a1')
    return () => world.close()
  }, 30_000)

  test('two updates at once: the second one exits 12, and goes through when the first is over', async () => {
    await world.run('update', 'check')
    const lock = await acquireLock(join(world.home, 'state', 'locks', 'update'), { owner: 'the test' })
    const refused = await world.run('update', 'upgrade', '--latest', '--yes')
    expect(refused.status, refused.stderr).toBe(12)
    expect((await world.run('update', 'status')).status).toBe(0)
    await lock.release()
    expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
  })

  test('a held host stays, says why, and goes on when the hold is lifted or --force is said', async () => {
    expect((await world.run('update', 'hold', '--for', '24h', '--reason', 'launch day')).status).toBe(0)
    const refused = await world.run('update', 'upgrade', '--latest', '--yes')
    expect(refused.status).toBe(3)
    expect(refused.stderr).toContain('launch day')
    expect((await json('update', 'status')).hold.reason).toBe('launch day')
    expect((await world.run('update', 'unhold')).status).toBe(0)
    expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
  })

  test('a release that asks for engines that are not there: exit 3 naming them, dry runs show what they would do', async () => {
    await world.run('update', 'upgrade', '--latest', '--yes')
    const migration = { id: '0007', up: 'up.sql', verify: null, down: null }
    await world.publish('0a2', { database_migrations: [migration], database_version: '0007' })
    const refused = await world.run('update', 'upgrade', '--to', '0a2', '--force')
    expect(refused.status).toBe(3)
    expect(refused.stderr).toContain('database_migrations')
    expect(await installed()).toBe('0a1')
    const dry = await world.run('update', 'upgrade-db', '--to', '0a2', '--dry-run')
    expect([dry.status, dry.stdout]).toEqual([0, expect.stringContaining('migration 0007')])
    expect((await world.run('update', 'upgrade-db', '--to', '0a2', '--yes')).status).toBe(3)
    expect((await world.run('update', 'reinstall-deps')).status).toBe(0)
    expect((await world.run('update', 'upgrade-db', '--dry-run')).status).toBe(0)
  })

  test('an artifact that is not what was signed: exit 7, --force or not, and installed once it is whole', async () => {
    await world.run('update', 'upgrade', '--latest', '--yes')
    await world.publish('0a2')
    const [name = '', whole = new Uint8Array()] = [...world.artifacts].at(-1) ?? []
    world.artifacts.set(
      name,
      Uint8Array.from(whole, (byte, index) => (index === 20 ? byte ^ 1 : byte)),
    )
    const refused = await world.run('update', 'upgrade', '--to', '0a2', '--force')
    expect(refused.status, refused.stderr).toBe(7)
    expect(await installed()).toBe('0a1')
    world.artifacts.set(name, whole)
    expect((await world.run('update', 'upgrade', '--to', '0a2', '--force')).status).toBe(0)
  })

  test('a downgrade that the installed release does not allow; one that it does goes through', async () => {
    await world.run('update', 'upgrade', '--latest', '--yes')
    await world.publish('0a2')
    await world.run('update', 'upgrade', '--latest', '--yes')
    const refused = await world.run('update', 'downgrade', '--to', '0a1', '--force')
    expect(refused.status).toBe(3)
    expect(await installed()).toBe('0a2')
    await world.publish('0a3', { compatibility: { downgrade_to: ['0a1'] } })
    await world.run('update', 'upgrade', '--latest', '--yes')
    expect((await world.run('update', 'downgrade', '--to', '0a1', '--yes')).status).toBe(0)
    expect(await installed()).toBe('0a1')
  })

  test('a barrier is installed on the way, each hop an update of its own', async () => {
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
    const { history } = await json('update', 'history')
    expect(history.map((one: { to: string }) => one.to)).toEqual(['0a3', '0a2', '0a1'])
  })

  test('a less stable channel is never followed silently', async () => {
    expect((await world.run('agent', 'set-channel', 'release')).status).toBe(0)
    expect((await json('update', 'check')).updates_available).toBe(false)
    const refused = await world.run('update', 'upgrade', '--to', '0a1', '--yes')
    expect(refused.status).toBe(3)
    expect(refused.stderr).toContain('--allow-channel-change')
    expect((await world.run('agent', 'set-channel', 'alpha')).status).toBe(3)
    expect((await world.run('update', 'upgrade', '--to', '0a1', '--allow-channel-change', '--yes')).status).toBe(0)
  })

  test('words that no terminal should obey come out as plain text', async () => {
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

  test('Ctrl-C while the server says nothing: ends at once with 130, nothing is installed', async () => {
    world.tricks.set('/repo/artifacts/', (_request, response) =>
      response.writeHead(200, { 'content-length': 1_000_000 }),
    )
    const { child, end } = world.start('update', 'upgrade', '--latest', '--yes')
    await until(20, () => world.requests.some((request) => request.includes('/artifacts/')) || undefined)
    child.kill('SIGINT')
    const { status, stderr } = await end
    expect(status, stderr).toBe(130)
    expect(await installed()).toBe(null)
    world.tricks.clear()
    expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
  })

  test('a server that takes the connection and never answers is left at once with 143, and the host is as it was', async () => {
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

  test('a withdrawn version is never installed, by name or by --force, and offered again once it stands', async () => {
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

  test('abort stops an update that somebody else runs', async () => {
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
    expect(await installed()).toBe(null)
  })

  test('kill -9 in the middle: the next command recovers first, then does its own work', async () => {
    world.tricks.set('/repo/artifacts/', (_request, response) =>
      response.writeHead(200, { 'content-length': 1_000_000 }),
    )
    const { child, end } = world.start('update', 'upgrade', '--latest', '--yes')
    await until(20, () => world.requests.some((request) => request.includes('/artifacts/')) || undefined)
    child.kill('SIGKILL')
    await end
    expect((await json('update', 'status')).running).not.toBe(null)
    world.tricks.clear()
    expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
    const { history } = await json('update', 'history')
    expect(history.map((one: { state: string }) => one.state)).toEqual(['succeeded', 'failed'])
    const told = world.reports.flatMap(({ body }) =>
      body.type === 'attempt' ? [`${body.attempt.update_id.slice(-6)} ${body.attempt.state}`] : [],
    )
    expect(told).toContain(`${history[1].update_id.slice(-6)} failed`)
  })
})

describe('the command line itself', () => {
  beforeAll(async () => {
    world = await buildAgentWorld()
  })
  afterAll(() => world.close())

  test.each([
    [['update', 'chekc'], /did you mean "check"/],
    [['updat'], /did you mean "update"/],
    [['update', 'version', '--detaild'], /did you mean "--detailed"/],
    [['update', 'upgrade'], /--latest/],
    [['update', 'upgrade', '--latest', '--stable'], /one of/],
    [['update', 'upgrade', '--to', '1.2.3'], /0a1/],
    [['update', 'upgrade', '--to', '00a1'], /leading zeros/],
    [['update', 'downgrade'], /--to VERSION/],
    [['update', 'upgrade', '--latest', '--skip-backup'], /--force/],
    [['update', 'upgrade', '--latest', '--timeout', 'soon'], /30s/],
    [['update', 'hold', '--for', '1h', '--forever'], /one of/],
    [['update', 'history', '--limit', '0'], /from 1/],
    [['agent', 'config', 'set', 'automatic.mod', 'auto'], /automatic.mode/],
    [['agent', 'config', 'set', 'automatic.mode', 'always'], /mode/],
    [['backup', 'create', '--full'], /not in this version/],
    [['cluster', 'status'], /not in this version/],
    [['update', 'check'], /not enrolled/],
    [['help', 'E-SIG-TRESHOLD'], /E-SIG-THRESHOLD/],
  ])('%j: exit 2 and what was meant', async (args, expected) => {
    const { status, stdout, stderr } = await world.run(...args)
    expect(status, stderr).toBe(2)
    expect(stderr).toMatch(/^error E-/)
    expect(stderr).toMatch(expected)
    expect(stdout).toBe('')
    const document = JSON.parse((await world.run(...args, '--json')).stdout)
    expect(document).toMatchObject({
      ok: false,
      error: { code: expect.stringMatching(/^E-/), next: expect.any(Array) },
    })
  })

  test('a setting that is good is set, and nothing else of the file changes', async () => {
    expect((await world.run('agent', 'config', 'set', 'automatic.mode', 'auto')).status).toBe(0)
    expect((await world.run('agent', 'config', 'validate')).status).toBe(0)
    await writeFile(join(world.home, 'config', 'update.yml'), 'update_system:\n  automtic: {}\n')
    const wrong = await world.run('agent', 'config', 'validate')
    expect(wrong.status).toBe(2)
    expect(wrong.stderr).toContain('automatic')
    await rm(join(world.home, 'config', 'update.yml'))
  })

  test('every help fits a screen and shows an example', async () => {
    for (const args of [
      [],
      ['update'],
      ['agent'],
      ['update', 'upgrade'],
      ['update', 'rollback'],
      ['agent', 'enroll'],
    ]) {
      const { status, stdout } = await world.run(...args, '--help')
      expect(status).toBe(0)
      expect(stdout.split('\n').length, args.join(' ')).toBeLessThanOrEqual(42)
    }
    expect((await world.run('update', 'upgrade', '--help')).stdout).toContain(
      'netlink update upgrade --to 0b1 --dry-run',
    )
    expect((await world.run('help', 'E-SIG-THRESHOLD')).stdout).toContain('signed')
  })
})

test('a home of 200 characters works like any other', async () => {
  world = await buildAgentWorld({ home: `${'long-folder-name/'.repeat(10)}${'x'.repeat(20)}` })
  try {
    expect(world.home.length).toBeGreaterThan(200)
    expect((await world.enrol()).status).toBe(0)
    await world.publish('0a1')
    const { status, stderr } = await world.run('update', 'upgrade', '--latest', '--yes')
    expect(status, stderr).toBe(0)
    expect(await installed()).toBe('0a1')
  } finally {
    await world.close()
  }
})

test('the service is started, stopped, and stays as its people left it; after a stop nothing of ours runs', async () => {
  world = await buildAgentWorld()
  const state = async () => (await json('service', 'status')).service.state
  try {
    await world.enrol()
    expect((await world.run('service', 'start')).status).toBe(3)
    await world.publish('0a1', { service: { argv: ['sleep', '1000'], ready_ms: 5_000, stability_ms: 100 } })
    expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
    expect(await state()).toBe('running')
    const { pid } = (await json('service', 'status')).service.identity
    expect((await world.run('service', 'restart')).status).toBe(0)
    expect((await json('service', 'status')).service.identity.pid).not.toBe(pid)
    expect((await world.run('service', 'stop')).status).toBe(0)
    expect(await state()).toBe('stopped')
    const log = await readFile(join(world.home, 'state', 'service', 'supervisor.log'), 'utf8')
    expect(log.trim().split('\n').at(-1)).toContain('asked to')
    expect((await world.run('service', 'start')).status).toBe(0)
    expect(await state()).toBe('running')
  } finally {
    await world.run('service', 'stop')
    await world.close()
  }
}, 60_000)

describe('bytes that a rollback left', () => {
  beforeAll(async () => {
    world = await buildAgentWorld()
    await world.enrol()
    for (const version of ['0a1', '0a2']) {
      await world.publish(version)
      expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
    }
    expect((await world.run('update', 'rollback', '--yes')).status).toBe(0)
  }, 60_000)
  afterAll(() => world.close())

  test('do not come back under another version, until somebody names it', async () => {
    await world.publish('0a3', {}, { 'app.txt': '0a2' })
    const refused = await world.run('update', 'upgrade', '--latest', '--yes')
    expect([refused.status, refused.stderr]).toEqual([3, expect.stringContaining('the same bytes as 0a2')])
    expect((await world.run('update', 'upgrade', '--to', '0a3', '--yes')).status).toBe(0)
    await world.publish('0a4', {}, { 'app.txt': '0a2' })
    expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
    expect(await installed()).toBe('0a4')
  })
})

// The program as people run it: real processes, real signals, real kills.
import { execFile } from 'node:child_process'
import { chmod, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { acquireLock, readHolder } from '../../keys/platform/lock.ts'
import { freePorts } from '../services/free-port.ts'
import { type Outcome, start, until } from '../world/programs.ts'
import { createServerFolders } from './server-folders.ts'

const BIN = join(import.meta.dirname, '..', '..', 'server', 'bin.cjs')
// Each test has a folder and a port of its own, and waits most of the time.
vi.setConfig({ testTimeout: 180_000, maxConcurrency: 3 })

const { folder, server, copy, serve, publisherOf, close } = await createServerFolders()
const json = (outcome: Outcome) => JSON.parse(outcome.stdout)
let made: Outcome
beforeAll(async () => {
  made = await server('init', '--dir', 'made', '--json')
}, 120_000)
afterAll(close)

describe.concurrent('a server’s folder', () => {
  test('is made once, closed to others, and says what comes next', async () => {
    expect(made).toMatchObject({ status: 0, stderr: '' })
    expect(json(made)).toMatchObject({
      schema: 'netlink.server.init/v1',
      ok: true,
      database: 'embedded',
      storage: 'fs',
    })
    expect(json(made).next).toHaveLength(3)
    for (const path of [
      '',
      'secrets',
      'secrets/online.keys',
      'secrets/admin.token',
      'secrets/publish.token',
      'server.yml',
      'db',
    ]) {
      expect((await stat(join(folder, 'made', path))).mode & 0o077, path).toBe(0)
    }
    expect(await readFile(join(folder, 'made', 'secrets', 'admin.token'), 'utf8')).toMatch(
      /^nlk_admin_[0-9a-f]{12}_[0-9a-f]{72}\n$/,
    )
    const again = await server('init', '--dir', 'made')
    expect(again).toMatchObject({ status: 3, stdout: '' })
    expect(again.stderr).toMatch(
      /E-ALREADY-SERVER[\s\S]*Nothing was changed\.[\s\S]*Next: netlink-server serve --dir made/,
    )
  })

  test('commands work on it while serve runs and while it does not', async () => {
    await copy('made', 'both')
    const port = await freePorts(1)
    const without = await server(
      'token',
      'create',
      '--dir',
      'both',
      '--name',
      'ci',
      '--scope',
      'publish',
      '--expires',
      '90d',
      '--out',
      'ci.token',
      '--json',
    )
    expect(json(without)).toMatchObject({ token: { name: 'ci', scope: 'publish' }, file: 'ci.token' })
    const child = await serve('both', port)
    const within = await server(
      'enroll-token',
      'create',
      '--dir',
      'both',
      '--uses',
      '2',
      '--out',
      'both.token',
      '--reason',
      'a new rack',
    )
    expect(within).toMatchObject({ status: 0, stderr: '' })
    expect((await stat(join(folder, 'both.token'))).mode & 0o777).toBe(0o600)
    expect(await readFile(join(folder, 'both.token'), 'utf8')).toMatch(/^nlk_host-enroll_/)
    expect(await server('enroll-token', 'create', '--dir', 'both', '--uses', '2', '--out', 'both.token')).toMatchObject(
      { status: 3 },
    )
    const { items } = json(await server('token', 'list', '--dir', 'both', '--json'))
    expect(items.map(({ name }: { name: string }) => name).sort()).toEqual(['admin', 'ci', 'enrolment', 'publish'])
    const ci = items.find(({ name }: { name: string }) => name === 'ci').id
    const rotated = json(await server('token', 'rotate', ci, '--dir', 'both', '--json'))
    expect(rotated).toMatchObject({ replaces: ci, secret: expect.stringMatching(/^nlk_publish_/) })
    expect(await server('token', 'revoke', 'nothing', '--dir', 'both')).toMatchObject({ status: 3 })

    const doctor = json(await server('doctor', '--dir', 'both', '--json'))
    expect(doctor).toMatchObject({ healthy: true })
    expect(doctor.checks).toContainEqual({ check: 'serve', state: 'ok', detail: 'runs on this folder' })
    const second = await server('serve', '--dir', 'both', '--listen', '127.0.0.1:0')
    expect(second).toMatchObject({ status: 12 })
    expect(second.stderr).toMatch(/held by netlink-server serve[\s\S]*Next: netlink-server doctor --dir both$/m)

    expect(await child.stop()).toEqual({ code: 0, signal: null })
    expect(json(await server('doctor', '--dir', 'both', '--json')).checks).toContainEqual({
      check: 'serve',
      state: 'ok',
      detail: 'does not run on this folder',
    })
    expect(json(await server('token', 'list', '--dir', 'both', '--json')).items).toHaveLength(5)
    const admin = (await readFile(join(folder, 'both', 'secrets', 'admin.token'), 'utf8')).trim()
    expect(await readFile(join(folder, 'both.log'), 'utf8')).not.toContain(admin)
  })

  test('a port that is taken is a clear end', async () => {
    await copy('made', 'taken')
    const port = await freePorts(1)
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve))
    const outcome = await server('serve', '--dir', 'taken', '--listen', `127.0.0.1:${port}`)
    expect(outcome.status).toBe(2)
    expect(outcome.stderr).toMatch(
      new RegExp(`E-PORT-IN-USE: can't listen on 127.0.0.1:${port}[\\s\\S]*Next: netlink-server serve`),
    )
    await new Promise((resolve) => other.close(resolve))
    const nonsense = await server('serve', '--dir', 'taken', '--listen', 'nonsense')
    expect(nonsense).toMatchObject({ status: 2, stderr: expect.stringContaining('HOST:PORT') })
    const child = await serve('taken', port)
    await child.stop()
  })

  test('a misspelt key of its configuration is named with the nearest right one', async () => {
    await copy('made', 'typo')
    const file = join(folder, 'typo', 'server.yml')
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace('public_url', 'publik_url'))
    const outcome = await server('serve', '--dir', 'typo')
    expect(outcome.status).toBe(2)
    expect(outcome.stderr).toMatch(/did you mean "public_url"/)
    await writeFile(file, text)
    expect(await server('migrate', 'status', '--dir', 'typo')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('0001_initial'),
    })
    expect(await server('migrate', 'up', '--dir', 'typo')).toMatchObject({ status: 0, stdout: 'nothing was pending\n' })
  })

  test('serve waits for a command that has the database open, says which, and gives up on one that stays', async () => {
    await copy('made', 'busy')
    const held = await acquireLock(join(folder, 'busy', 'db.lock'), { owner: 'netlink-server keys export' })
    const refused = await server('serve', '--dir', 'busy', '--listen', '127.0.0.1:0')
    expect(refused).toMatchObject({ status: 12 })
    expect(refused.stderr).toMatch(/E-LOCKED[\s\S]*held by netlink-server keys export/)

    const starting = serve('busy', await freePorts(1))
    const log = () => readFile(join(folder, 'busy.log'), 'utf8')
    const waits = await until(30, async () => ((await log()).includes('server.waits_for_lock') ? true : undefined))
    expect(waits, await log()).toBe(true)
    expect(await log()).toContain('netlink-server keys export')
    await held.release()
    const child = await starting
    // And asked to stop while it waits it stops.
    expect(await child.stop()).toEqual({ code: 0, signal: null })
    const again = await acquireLock(join(folder, 'busy', 'db.lock'), { owner: 'netlink-server keys export' })
    const third = start(folder, 'netlink-server', ['serve', '--dir', 'busy', '--listen', '127.0.0.1:0'], 'third.log')
    const ended = new Promise((resolve) => third.once('exit', resolve))
    const waiting = async () =>
      (await readFile(join(folder, 'third.log'), 'utf8')).includes('waits_for_lock') ? true : undefined
    expect(await until(30, waiting)).toBe(true)
    third.kill('SIGTERM')
    expect(await ended).toBe(0)
    await again.release()
  })

  test('a command that has the database open is named as it was typed', async () => {
    await copy('made', 'named')
    let isOver = false
    const exported = server('keys', 'export', '--dir', 'named', '--out', 'named.json').finally(() => {
      isOver = true
    })
    const held = await until(30, async () => {
      const holder = await readHolder(join(folder, 'named', 'db.lock'))
      return holder?.command.includes('keys') ? holder.command : isOver ? 'over' : undefined
    })
    expect(held).toBe('netlink-server keys export')
    // Before there is a root it is for the first one.
    expect(await exported).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/Next: netlink-publish init --online-keys named\.json$/m),
    })
    const one = await server('keys', 'rotate', 'director', '--dir', 'named', '--out', 'one.json')
    expect(one.stdout).toMatch(/Next: netlink-server keys export --dir named --out one\.json$/m)
  })

  test('doctor tells which online keys are there', async () => {
    await copy('made', 'keyed')
    const keysIn = async () => {
      const outcome = await server('doctor', '--dir', 'keyed', '--json')
      return json(outcome).checks.find(({ check }: { check: string }) => check === 'online keys')
    }
    expect(await keysIn()).toEqual({ check: 'online keys', state: 'ok', detail: 'snapshot, timestamp and director' })
    const file = join(folder, 'keyed', 'secrets', 'online.keys')
    const ring = JSON.parse(await readFile(file, 'utf8'))
    await writeFile(file, JSON.stringify({ ...ring, keys: ring.keys.slice(0, 2) }), { mode: 0o600 })
    expect(await keysIn()).toMatchObject({
      state: 'warning',
      next: expect.stringMatching(/^netlink-server keys rotate director --dir /),
    })
  })

  test('doctor sees what is open to others, and what is no server at all', async () => {
    await copy('made', 'open')
    await chmod(join(folder, 'open', 'secrets', 'online.keys'), 0o644)
    const sick = await server('doctor', '--dir', 'open')
    expect(sick.status).toBe(3)
    expect(sick.stdout).toMatch(/error +permissions .*online\.keys is open to others[\s\S]*Next: chmod go=/)
    await chmod(join(folder, 'open', 'secrets', 'online.keys'), 0o600)
    expect(await server('doctor', '--dir', 'open')).toMatchObject({ status: 0 })
    const nowhere = await server('doctor', '--dir', 'nowhere')
    expect(nowhere.status).toBe(3)
    expect(nowhere.stdout).toMatch(/not a server's folder[^\n]*\n +Next: netlink-server init --dir nowhere$/m)
    for (const command of [['serve'], ['token', 'list'], ['migrate', 'status']]) {
      const outcome = await server(...command, '--dir', 'nowhere')
      expect(outcome.stderr).toMatch(
        /^error E-NOT-SERVER: nowhere is not a server's folder\.\n[\s\S]*Nothing was done\.\n +Next: netlink-server init --dir nowhere$/m,
      )
      expect(outcome.status).toBe(2)
    }
  })

  test('doctor sees a published timestamp that is older, forged or gone', async () => {
    // given
    await copy('made', 'sealed')
    const timestamp = join(folder, 'sealed', 'storage', 'repo', 'metadata', 'timestamp.json')
    const port = await freePorts(1)
    const child = await serve('sealed', port)
    const publisher = await publisherOf('sealed', port)
    await publisher.begin()
    const first = await readFile(timestamp, 'utf8')
    expect(await publisher.publish('0a1')).toBe(200)
    const second = await readFile(timestamp, 'utf8')
    const doctor = () => server('doctor', '--dir', 'sealed')

    // when, then
    await writeFile(timestamp, first)
    const served = await doctor()
    expect(served.status).toBe(3)
    expect(served.stdout).toMatch(/error +timestamp .*number 1 lies in the storage, 2 was published.*within a minute/)
    expect(served.stdout).toMatch(/Next: netlink-server doctor --dir \S*sealed$/m)
    await child.stop()
    await writeFile(timestamp, second)
    const well = await doctor()
    expect(well.stdout).toMatch(/ok +timestamp +number 2 is published and verifies/)
    expect(well.status).toBe(0)
    for (const [text, words] of [
      [first, /number 1 lies in the storage, 2 was published/],
      [second.replace('"version": 2', '"version": 3'), /does not verify, and hosts refuse it/],
      [undefined, /number 2 was published and is not in the storage/],
    ] as const) {
      await (text === undefined ? rm(timestamp) : writeFile(timestamp, text))
      const sick = await doctor()
      expect(sick.stdout).toMatch(words)
      expect(sick.stdout).toMatch(/error +timestamp [^\n]*at start\n +Next: netlink-server serve --dir \S*sealed$/m)
      expect(sick.status).toBe(3)
    }
    const again = await serve('sealed', port)
    expect((await publisher.refreshHost()).timestampVersion).toBe(3)
    expect(await doctor()).toMatchObject({ status: 0 })
    await again.stop()
  })
})

describe.concurrent('kill -9', () => {
  test('in the middle of publishing leaves the old or the new, and the publisher just goes on', async () => {
    await copy('made', 'killed')
    const port = await freePorts(1)
    let child = await serve('killed', port)
    const publisher = await publisherOf('killed', port)
    await publisher.begin()
    const delaysMs = process.env.SLOW === '1' ? [0, 15, 30, 45, 60, 90] : [0, 30, 60]
    for (const [index, delayMs] of delaysMs.entries()) {
      const version = `0a${index + 1}`
      const request = await publisher.prepare(version)
      const underway = publisher.submit(request).catch(() => 0)
      await new Promise((resolve) => setTimeout(resolve, delayMs))
      await child.killHard()
      await underway
      child = await serve('killed', port)
      // A host that was up to date is never stuck, whatever was cut off.
      const before = await publisher.refreshHost()
      expect(await publisher.submit(request)).toBe(200)
      const after = await publisher.refreshHost()
      expect(after.timestampVersion).toBeGreaterThanOrEqual(before.timestampVersion)
      expect((await after.loadChannel('alpha')).value.targets.size).toBe(index + 1)
    }
    const { items } = await publisher.get('/api/v1/releases')
    expect(items).toHaveLength(delaysMs.length)
    expect(await child.stop()).toEqual({ code: 0, signal: null })
  })
})

describe.concurrent('the end of serve', () => {
  test('readyz says no first, an open socket is sent elsewhere, and a second signal ends at once', async () => {
    await copy('made', 'ending')
    const port = await freePorts(1)
    const child = await serve('ending', port)
    const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/agent/socket`)
    await new Promise((resolve) => socket.addEventListener('message', resolve, { once: true }))
    const closed = new Promise<number>((resolve) =>
      socket.addEventListener('close', (event) => resolve(event.code), { once: true }),
    )
    const end = child.stop()
    expect(await closed).toBe(1012)
    expect(await end).toEqual({ code: 0, signal: null })

    const again = await serve('ending', port)
    again.kill('SIGINT')
    again.kill('SIGINT')
    // At the very end the process listens to no signal any more: then it ends by it.
    const { code, signal } = await again.end
    expect([0, 130, 'SIGINT']).toContain(code ?? signal)
    expect(await server('token', 'list', '--dir', 'ending')).toMatchObject({ status: 0 })
  })
})

test('whoever reads the output may stop, and that is no failure', async () => {
  const { stdout, stderr } = await promisify(execFile)('sh', [
    '-c',
    `"${process.execPath}" "${BIN}" --help | head -1; "${process.execPath}" "${BIN}" serve --help | true`,
  ])
  expect({ stdout, stderr }).toEqual({ stdout: 'Usage: netlink-server [options] [command]\n', stderr: '' })
})

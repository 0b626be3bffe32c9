// The daemon as a process: its local REST interface, who may use it, what it does by itself, and that its death harms nothing.
import { spawn } from 'node:child_process'
import { chmod, mkdir, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { until } from '../world/programs.ts'
import { type AgentWorld, buildAgentWorld } from './agent-world.ts'

let world: AgentWorld
let daemons: ReturnType<AgentWorld['start']>[] = []

beforeEach(async () => {
  daemons = []
  world = await buildAgentWorld()
  await world.enrol()
  await world.publish('0a1')
}, 30_000)

afterEach(async () => {
  for (const { child, end } of daemons) {
    child.kill('SIGTERM')
    await end
  }
  await world.close()
})

const socketPath = () => join(world.home, 'state', 'run', 'agent.sock')
const installed = async () => (await world.run('update', 'version')).stdout.trim()

async function startDaemon() {
  const daemon = world.start('agent', 'run')
  daemons.push(daemon)
  const isUp = await until(20, async () => ((await ask('GET', '/api/v1/agent')).status === 200 ? true : undefined))
  expect(isUp, daemon.output()).toBe(true)
  return daemon
}

async function setAutomatic(mode: string): Promise<void> {
  await mkdir(join(world.home, 'config'), { recursive: true })
  await writeFile(
    join(world.home, 'config', 'update.yml'),
    `update_system:\n  automatic:\n    mode: ${mode}\n    jitter: 0s\n`,
  )
}

interface Answer {
  readonly status: number
  readonly location: string | undefined
  readonly body: Readonly<Record<string, unknown>> & { readonly update_id?: string; readonly ended_at?: string | null }
}

function ask(method: string, path: string, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: socketPath(), method, path }, (response) => {
      let text = ''
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, location: response.headers.location, body: JSON.parse(text) }),
      )
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

const send = (path: string, body: object) => ask('POST', path, JSON.stringify(body))

/** Asks the daemon, for whom every answer is a worker's, once the command line says that the update is over. */
async function endOf({ location, body: { update_id: id = '' } }: Answer): Promise<Answer['body']> {
  await until(20, async () =>
    (await world.json('update', 'status', '--update-id', id)).ended_at === null ? undefined : true,
  )
  return (await ask('GET', location ?? '')).body
}

describe('the local REST interface', () => {
  test('answers the specification’s paths: check, version, upgrade with 202, status, rollback', async () => {
    await startDaemon()
    expect((await ask('GET', '/api/v1/system/updates/check')).body).toMatchObject({
      updates_available: true,
      current_version: null,
      latest_version: '0a1',
    })
    expect((await ask('GET', '/api/v1/system/version')).body).toEqual({ current_version: null })

    const started = await send('/api/v1/system/updates/upgrade', { target_version: '0a1', force: false })
    expect(started.status).toBe(202)
    expect(started.body).toMatchObject({ update_id: expect.stringMatching(/^update_none_0a1_/), status: 'started' })
    expect(started.location).toBe(`/api/v1/system/updates/status/${started.body.update_id}`)
    expect(await endOf(started)).toMatchObject({ to: '0a1', state: 'succeeded', status: 'succeeded' })

    await world.publish('0a2')
    await endOf(await send('/api/v1/system/updates/upgrade', { target_version: 'latest' }))
    expect((await ask('GET', '/api/v1/system/version?detailed=true')).body).toMatchObject({
      current_version: '0a2',
      generation: 2,
    })
    const { history } = JSON.parse((await world.run('update', 'history', '--json')).stdout)
    const back = await send('/api/v1/system/updates/rollback', { update_id: history[0].update_id })
    expect(back.status).toBe(202)
    await endOf(back)
    expect(await installed()).toBe('0a1')
  }, 60_000)

  test('whatever is wrong with a request is a problem document', async () => {
    await startDaemon()
    const wrong: readonly [words: string, method: string, path: string, body: string | undefined, status: number][] = [
      ['a path that is none', 'GET', '/api/v1/system/nothing', undefined, 404],
      ['a method that is none', 'GET', '/api/v1/system/updates/upgrade', undefined, 405],
      ['no JSON', 'POST', '/api/v1/system/updates/upgrade', '{"target', 400],
      ['no object', 'POST', '/api/v1/system/updates/upgrade', '[]', 400],
      ['a flag that is text', 'POST', '/api/v1/system/updates/upgrade', '{"force":"yes"}', 400],
      ['a version that is none', 'POST', '/api/v1/system/updates/upgrade', '{"target_version":"1.2.3"}', 400],
      ['a version that is not there', 'POST', '/api/v1/system/updates/upgrade', '{"target_version":"7r7"}', 409],
      ['a body without end', 'POST', '/api/v1/system/updates/upgrade', `{"x":"${'x'.repeat(70_000)}"}`, 413],
      ['an update id that climbs out', 'POST', '/api/v1/system/updates/rollback', '{"update_id":"../../etc"}', 400],
      [
        'an update that is not there',
        'GET',
        '/api/v1/system/updates/status/update_0a1_0a2_20260101_000000',
        undefined,
        404,
      ],
    ]
    for (const [words, method, path, body, status] of wrong) {
      const answer = await ask(method, path, body)
      expect(answer.status, words).toBe(status)
      expect(answer.body, words).toMatchObject({ status, code: expect.any(String), detail: expect.any(String) })
    }
  }, 60_000)

  test.runIf(process.getuid?.() === 0)(
    'lies where no other user gets in: they are told exit 5, and nothing happens',
    async () => {
      await startDaemon()
      expect((await stat(join(world.home, 'state', 'run'))).mode & 0o777).toBe(0o700)
      expect((await stat(socketPath())).mode & 0o777).toBe(0o600)
      await chmod(world.folder, 0o755)
      await chmod(world.home, 0o755)
      const stranger = await runAs(65_534, ['update', 'upgrade', '--latest', '--yes'])
      expect(stranger.status, stranger.stderr).toBe(5)
      expect(stranger.stderr).toContain('E-NOT-PERMITTED')
      expect(await installed()).toBe('nothing is installed on this host')
      expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
    },
    60_000,
  )
})

/** `netlink` as another user, straight on this Node: a stranger may not be able to write the launcher's cache. */
function runAs(uid: number, args: readonly string[]): Promise<{ status: number | null; stderr: string }> {
  return new Promise((resolve) => {
    const bin = join(import.meta.dirname, '..', '..', 'agent', 'bin.cjs')
    const child = spawn(process.execPath, [bin, ...args], {
      uid,
      gid: uid,
      cwd: '/',
      env: world.env,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    child.once('close', (status) => resolve({ status, stderr }))
  })
}

describe('the daemon by itself', () => {
  test('installs with auto, and reports it without a socket too', async () => {
    await setAutomatic('auto')
    await startDaemon()
    expect(await until(20, async () => ((await installed()) === '0a1' ? true : undefined))).toBe(true)
    const told = await until(
      20,
      () =>
        world.reports.some(({ body }) => body.type === 'attempt' && body.attempt.state === 'succeeded') || undefined,
    )
    expect(told).toBe(true)
  }, 60_000)

  test('only tells with notify, and says why; a command line that changes this is heard at once', async () => {
    await setAutomatic('notify')
    await startDaemon()
    const why = await until(20, async () => {
      const { check } = JSON.parse((await world.run('update', 'status', '--json')).stdout)
      return check?.waiting ?? undefined
    })
    expect(why).toBe('notify_only')
    expect(await installed()).toBe('nothing is installed on this host')
    await world.run('agent', 'config', 'set', 'automatic.mode', 'auto')
    expect(await until(20, async () => ((await installed()) === '0a1' ? true : undefined))).toBe(true)
  }, 60_000)

  test('a hold keeps it from installing until it is lifted', async () => {
    await setAutomatic('auto')
    await world.run('update', 'hold', '--forever')
    await startDaemon()
    const why = await until(20, async () => {
      const { check } = JSON.parse((await world.run('update', 'status', '--json')).stdout)
      return check?.waiting ?? undefined
    })
    expect(why).toBe('hold')
    await world.run('update', 'unhold')
    expect(await until(20, async () => ((await installed()) === '0a1' ? true : undefined))).toBe(true)
  }, 60_000)

  test('a second one does not start while the first runs, and takes over when that was killed', async () => {
    const first = await startDaemon()
    const second = world.start('agent', 'run')
    expect((await second.end).status).toBe(12)
    expect(second.output()).toContain('runs already')
    first.child.kill('SIGKILL')
    await first.end
    await startDaemon()
  }, 60_000)

  test('ends by the signal it was sent, and takes its socket along', async () => {
    const { child, end } = await startDaemon()
    child.kill('SIGTERM')
    expect((await end).signal).toBe('SIGTERM')
    await expect(stat(socketPath())).rejects.toThrow()
    expect(JSON.parse((await world.run('agent', 'status', '--json')).stdout).daemon.running).toBe(false)
  }, 60_000)

  test('a daemon of a host that is not enrolled does not start: exit 2', async () => {
    await world.run('agent', 'leave', '--yes')
    expect((await world.run('agent', 'run')).status).toBe(2)
  })
})

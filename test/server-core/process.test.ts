// The program as people run it: real processes, real signals, real kills.

import { chmod, cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { JsonObject } from '../../keys/json.ts'
import { keyIdOf, parsePublicKey } from '../../keys/key.ts'
import { refresh } from '../../keys/refresh.ts'
import type { Signer } from '../../keys/signer.ts'
import type { PublishState } from '../../schema/rest.ts'
import { memoryTrustStore } from '../../server/core/candidate.ts'
import { freePorts } from '../services/free-port.ts'
import { killHard, type Outcome, run, start, stopAll, until } from '../world/programs.ts'
import { TestPublisher } from './publisher.ts'

vi.setConfig({ testTimeout: 120_000 })

let folder: string
let made: Outcome
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-serve-'))
  made = await server('init', '--dir', 'made', '--json')
}, 120_000)
afterAll(async () => {
  await stopAll()
  await rm(folder, { recursive: true, force: true })
})

const server = (...args: string[]): Promise<Outcome> => run(folder, 'netlink-server', args)
/** A server's folder is whole: a copy is a server too, and making one takes seconds. */
const serverLike = (dir: string) => cp(join(folder, 'made'), join(folder, dir), { recursive: true })
const json = (outcome: Outcome) => JSON.parse(outcome.stdout)

async function serve(dir: string, port: number, ...more: string[]) {
  const child = start(
    folder,
    'netlink-server',
    ['serve', '--dir', dir, '--listen', `127.0.0.1:${port}`, ...more],
    `${dir}.log`,
  )
  const ready = await until(60, async () => ((await fetch(`http://127.0.0.1:${port}/readyz`)).ok ? true : undefined))
  if (!ready) throw new Error(await readFile(join(folder, `${dir}.log`), 'utf8'))
  return child
}

const ended = (child: ReturnType<typeof start>) =>
  new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once('exit', (code, signal) => resolve({ code, signal })),
  )

describe('a server’s folder', () => {
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
    await serverLike('both')
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

    const end = ended(child)
    child.kill('SIGTERM')
    expect(await end).toEqual({ code: 0, signal: null })
    expect(json(await server('doctor', '--dir', 'both', '--json')).checks).toContainEqual({
      check: 'serve',
      state: 'ok',
      detail: 'does not run on this folder',
    })
    expect(json(await server('token', 'list', '--dir', 'both', '--json')).items).toHaveLength(5)
    const admin = (await readFile(join(folder, 'both', 'secrets', 'admin.token'), 'utf8')).trim()
    expect(await readFile(join(folder, 'both.log'), 'utf8')).not.toContain(admin)
  }, 180_000)

  test('a port that is taken is a clear end', async () => {
    await serverLike('taken')
    const port = await freePorts(1)
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve))
    const outcome = await server('serve', '--dir', 'taken', '--listen', `127.0.0.1:${port}`)
    expect(outcome.status).toBe(2)
    expect(outcome.stderr).toMatch(
      new RegExp(`E-PORT-IN-USE: can't listen on 127.0.0.1:${port}[\\s\\S]*Next: netlink-server serve`),
    )
    await new Promise((resolve) => other.close(resolve))
    const child = await serve('taken', port)
    child.kill('SIGTERM')
    await ended(child)
  }, 180_000)

  test('a misspelt key of its configuration is named with the nearest right one', async () => {
    await serverLike('typo')
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

  test('doctor sees what is open to others, and what is no server at all', async () => {
    await serverLike('open')
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
    await serverLike('sealed')
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
    const end = ended(child)
    child.kill('SIGTERM')
    await end
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
    const gone = ended(again)
    again.kill('SIGTERM')
    await gone
  }, 180_000)

  test.each([
    [['tokn', 'list'], /did you mean "token"/],
    [['token', 'lst'], /did you mean "list"/],
    [['serve', '--lisen', 'x'], /did you mean "--listen"/],
    [['init', '--storage', 'tape'], /expected fs or s3/],
    [['init', '--dir', 'x', '--storage', 's3'], /--s3-endpoint/],
    [['init', '--dir', 'x', '--db', 'mysql://x'], /postgres:\/\//],
    [['token', 'create', '--name', 'x'], /--scope/],
    [['enroll-token', 'create', '--dir', 'made', '--uses', 'many', '--out', 'x.token'], /expected 1 to 1000000/],
    [['token', 'create', '--dir', 'made', '--name', 'x', '--scope', 'god'], /expected one of read/],
    [['token', 'create', '--dir', 'made', '--name', 'x', '--scope', 'read', '--expires', 'soon'], /90d/],
    [['serve', '--dir', 'made', '--listen', 'nonsense'], /HOST:PORT/],
    [[], /a command is missing/],
  ])('%j is a usage error', async (args, words) => {
    const outcome = await server(...args)
    expect(outcome.stderr).toMatch(words)
    expect(outcome.status).toBe(2)
  })

  test('help has examples and goes to stdout', async () => {
    for (const args of [['--help'], ['init', '--help'], ['serve', '--help'], ['token', 'create', '--help']]) {
      const outcome = await server(...args)
      expect(outcome).toMatchObject({ status: 0, stderr: '' })
      expect(outcome.stdout).toMatch(/Examples:\n {2}netlink-server/)
    }
  })
})

const postgres = process.env.NETLINK_TEST_POSTGRES
const s3 = process.env.NETLINK_TEST_S3
describe.skipIf(!postgres || !s3)(
  'on a PostgreSQL server and S3 (skipped unless NETLINK_TEST_POSTGRES and NETLINK_TEST_S3 are set)',
  () => {
    test('a server is made, serves, and is not made twice on one database', async () => {
      const { default: client } = await import('postgres')
      const { Client } = await import('minio')
      const [database, bucket] = [new URL(postgres ?? ''), new URL(s3 ?? '')]
      const name = `process_${process.pid}`
      const admin = client(database.href, { max: 1 })
      await admin.unsafe(`create database ${name}`)
      await admin.end()
      database.pathname = `/${name}`
      const [accessKey, secretKey] = [bucket.username, bucket.password].map(decodeURIComponent)
      const storage = new Client({
        endPoint: bucket.hostname,
        port: Number(bucket.port),
        useSSL: false,
        accessKey,
        secretKey,
        region: 'us-east-1',
        pathStyle: true,
      })
      await storage.makeBucket(`process-${process.pid}`, 'us-east-1')
      await writeFile(join(folder, 'db.url'), `${database.href}\n`, { mode: 0o600 })
      await writeFile(join(folder, 's3.yml'), `access_key: ${accessKey}\nsecret_key: ${secretKey}\n`, { mode: 0o600 })
      const options = [
        '--db-file',
        'db.url',
        '--storage',
        's3',
        '--s3-endpoint',
        `http://${bucket.host}`,
        '--s3-bucket',
        `process-${process.pid}`,
        '--s3-credentials',
        's3.yml',
      ]
      const made = await server('init', '--dir', 'big', ...options)
      expect(made.stderr).toBe('')
      expect(await server('init', '--dir', 'big2', ...options)).toMatchObject({
        status: 3,
        stderr: expect.stringContaining('E-DATABASE-IN-USE'),
      })
      const port = await freePorts(1)
      const child = await serve('big', port)
      const publisher = await publisherOf('big', port)
      await publisher.begin()
      expect(await publisher.publish('0a1')).toBe(200)
      expect((await publisher.refreshHost()).timestampVersion).toBe(2)
      expect(await server('doctor', '--dir', 'big')).toMatchObject({ status: 0 })
      const end = ended(child)
      child.kill('SIGTERM')
      expect(await end).toEqual({ code: 0, signal: null })
    }, 180_000)
  },
)

describe('kill -9', () => {
  test('in the middle of publishing leaves the old or the new, and the publisher just goes on', async () => {
    await serverLike('killed')
    const port = await freePorts(1)
    let child = await serve('killed', port)
    const publisher = await publisherOf('killed', port)
    await publisher.begin()
    for (const [index, delayMs] of [0, 15, 30, 45, 60, 90].entries()) {
      const version = `0a${index + 1}`
      const request = await publisher.prepare(version)
      const underway = publisher.submit(request).catch(() => 0)
      await new Promise((resolve) => setTimeout(resolve, delayMs))
      const end = ended(child)
      killHard(child)
      await end
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
    expect(items).toHaveLength(6)
    const end = ended(child)
    child.kill('SIGTERM')
    expect(await end).toEqual({ code: 0, signal: null })
  }, 300_000)
})

describe('the end of serve', () => {
  test('readyz says no first, an open socket is sent elsewhere, and a second signal ends at once', async () => {
    await serverLike('ending')
    const port = await freePorts(1)
    const child = await serve('ending', port)
    const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/agent/socket`)
    await new Promise((resolve) => socket.addEventListener('message', resolve, { once: true }))
    const closed = new Promise<number>((resolve) =>
      socket.addEventListener('close', (event) => resolve(event.code), { once: true }),
    )
    const end = ended(child)
    child.kill('SIGTERM')
    expect(await closed).toBe(1012)
    expect(await end).toEqual({ code: 0, signal: null })

    const again = await serve('ending', port)
    const gone = ended(again)
    again.kill('SIGINT')
    again.kill('SIGINT')
    const { code } = await gone
    expect([0, 130]).toContain(code)
    expect(await server('token', 'list', '--dir', 'ending')).toMatchObject({ status: 0 })
  }, 180_000)
})

/** A publisher that speaks REST to a server process. */
async function publisherOf(dir: string, port: number) {
  const base = `http://127.0.0.1:${port}`
  const token = (await readFile(join(folder, dir, 'secrets', 'publish.token'), 'utf8')).trim()
  const admin = (await readFile(join(folder, dir, 'secrets', 'admin.token'), 'utf8')).trim()
  const call = (method: string, path: string, body: unknown, bearer = token) =>
    fetch(base + path, {
      method,
      headers: {
        authorization: `Bearer ${bearer}`,
        ...(body instanceof Uint8Array
          ? { 'content-type': 'application/octet-stream' }
          : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body) }),
    })
  const state = (await (await call('GET', '/api/v1/publish/state', undefined)).json()) as PublishState
  const verifier = (object: unknown): Signer => {
    const key = object as JsonObject
    return {
      publicKey: parsePublicKey(keyIdOf(key), key),
      sign: () => Promise.reject(new Error('the server keeps its keys')),
    }
  }
  const online = {
    snapshot: state.online_keys.snapshot.map(verifier),
    timestamp: state.online_keys.timestamp.map(verifier),
  }
  const publisher = new TestPublisher(online, () => new Date())
  const source = {
    load: async (file: string) => {
      const answer = await fetch(`${base}/repo/metadata/${file}`)
      return answer.status === 404 ? ('missing' as const) : new Uint8Array(await answer.arrayBuffer())
    },
  }
  let store: ReturnType<typeof memoryTrustStore>
  const prepare = async (version: string) => {
    const { artifact, ...request } = await publisher.release(version)
    const put = await call(
      'PUT',
      `/api/v1/publish/artifacts/${artifact.sha256}?offset=0&length=${artifact.bytes.length}`,
      artifact.bytes,
    )
    if (!put.ok) throw new Error(await put.text())
    return request
  }
  const submit = async (request: object) => (await call('POST', '/api/v1/publish/releases', request)).status
  return {
    begin: async () => {
      const root = await publisher.root()
      const answer = await call('POST', '/api/v1/publish/root', { roots: [root], targets: await publisher.targets() })
      if (!answer.ok) throw new Error(await answer.text())
      store = memoryTrustStore(Buffer.from(root))
    },
    prepare,
    submit,
    publish: async (version: string) => submit(await prepare(version)),
    refreshHost: () => refresh({ source, store, startedAt: new Date() }),
    get: async (path: string) => (await call('GET', path, undefined, admin)).json() as Promise<{ items: unknown[] }>,
  }
}

// kill -9 of the engine at every record of its journal, and of the recovery at every record of its own: real processes, a real service under the real
// supervisor, real health checks, and a customer who orders all the time.
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readJournal } from '../../agent/engine/journal.ts'
import { exists, listGenerations, loadGeneration, loadInstalled } from '../../agent/engine/layout.ts'
import { hashTree } from '../../agent/engine/unpack.ts'
import { buildPaths, generationDir, updateFiles } from '../../agent/paths.ts'
import { buildExecControl } from '../../agent/service/exec-control.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { freePorts } from '../services/free-port.ts'
import type { ChildOrder } from './engine-child.ts'

const slow = process.env.SLOW === '1'
const folder = await mkdtemp(join(tmpdir(), 'netlink-kill-'))
const home = join(folder, 'host')
const paths = buildPaths({ home })
const layout = { disk: nodeDisk, paths }
const port = await freePorts(1)
const control = buildExecControl({ disk: nodeDisk, clock: systemClock, paths, env: process.env })

let minor = 1
let records = 0
const customer = startCustomer()

beforeAll(async () => {
  expect((await child({ version: '0a1' })).outcome).toMatchObject({ kind: 'committed' })
  minor = 2
  expect((await child({ version: '0a2' })).outcome).toMatchObject({ kind: 'committed' })
  records = await countRecords()
}, 60_000)

afterAll(async () => {
  await customer.stop()
  await rm(paths.undecided, { force: true })
  await control.end('shutdown')
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
})

describe('an engine that is killed', () => {
  test('at every record of an upgrade leaves the old or the new version, which then runs', async () => {
    expect(records).toBeGreaterThan(25)
    const ends = new Set<string>()
    for (const killAt of some(records)) {
      const { before, after } = await killAndRecover({ killAt })
      ends.add(before === after ? 'old' : 'new')
    }
    expect([...ends].sort()).toEqual(['new', 'old'])
  }, 300_000)

  test('at every record of an upgrade that fails leaves the old version', async () => {
    for (const killAt of some(records)) {
      const { before, after } = await killAndRecover({ killAt, behaviour: killAt % 2 ? 'dies' : 'sick' })
      expect(after).toBe(before)
    }
  }, 300_000)

  test('again while it recovers', async () => {
    for (const killAt of some(records, 3)) {
      for (const again of slow ? [1, 3, 6] : [2]) await killAndRecover({ killAt, again })
    }
  }, 900_000)
})

test('two upgrades at once: one of them finds the lock taken', async () => {
  const version = `0a${++minor}`
  const ends = await Promise.all([child({ version }), child({ version })])
  const kinds = ends.map(({ outcome }) => outcome.kind).sort()
  expect(kinds).toEqual(['committed', 'refused'])
  const refused = ends.find(({ outcome }) => outcome.kind === 'refused')?.outcome
  // Whoever comes when the other one is over finds the host changed instead.
  expect(['locked', 'stale_plan']).toContain(refused.reason.code)
  expect(await assertWhole()).toBe(version)
}, 30_000)

test('nothing that was acknowledged was lost', async () => {
  await customer.stop()
  const kept = new Set((await readFile(join(paths.data, 'orders'), 'utf8')).trim().split('\n'))
  expect(customer.acknowledged.length).toBeGreaterThan(50)
  expect(customer.acknowledged.filter((order) => !kept.has(order))).toEqual([])
})

async function killAndRecover(how: { killAt: number; again?: number; behaviour?: ChildOrder['behaviour'] }) {
  const before = (await loadInstalled(layout))?.version
  const version = `0a${++minor}`
  const where = `${version} killed at ${JSON.stringify(how)}`
  const { signal } = await child({
    version,
    killAt: how.killAt,
    ...(how.behaviour ? { behaviour: how.behaviour } : {}),
  })
  // A failing upgrade may have fewer records than were asked for.
  if (!how.behaviour) expect(signal, where).toBe('SIGKILL')
  if (how.again) await child({ killAt: how.again })
  const { outcome } = await child({})
  expect(['clean', 'finished'], where).toContain(outcome.kind)
  const after = await assertWhole()
  expect([before, version], where).toContain(after)
  return { before, after }
}

/** One version, whole, running, and nothing left over. */
async function assertWhole(): Promise<string> {
  const installed = await loadInstalled(layout)
  if (!installed) throw new Error('nothing is installed')
  for (const number of await listGenerations(layout)) {
    const generation = await loadGeneration(layout, number)
    expect(await hashTree(nodeDisk, join(generationDir(paths, number), 'app'))).toBe(generation.tree_sha256)
  }
  expect(await exists(nodeDisk, paths.undecided)).toBe(false)
  expect(await exists(nodeDisk, paths.staging)).toBe(false)
  expect(await control.status()).toMatchObject({ state: 'running', generation: installed.number })
  expect(await untilAnswers()).toBe(installed.version)
  return installed.version
}

/** The service may have been started this very moment. */
async function untilAnswers(): Promise<string> {
  for (let left = 200; ; left--) {
    const answer = await ask('GET', '/health')
    if (answer?.status === 200) return answer.body
    if (left === 0) throw new Error('the service does not answer')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

interface ChildEnd {
  // biome-ignore lint/suspicious/noExplicitAny: an outcome or a recovery, as the child printed it
  readonly outcome: any
  readonly signal: NodeJS.Signals | null
}

function child(order: Omit<ChildOrder, 'home' | 'port'>): Promise<ChildEnd> {
  const { promise, resolve, reject } = Promise.withResolvers<ChildEnd>()
  const script = join(import.meta.dirname, 'engine-child.ts')
  const args = ['--disable-warning=ExperimentalWarning', script, JSON.stringify({ home, port, ...order })]
  // None takes five seconds: one that hangs is named, instead of the whole test running into its limit.
  const process_ = spawn(process.execPath, args, { timeout: 60_000 })
  let out = ''
  let error = ''
  process_.stdout.on('data', (chunk) => {
    out += chunk
  })
  process_.stderr.on('data', (chunk) => {
    error += chunk
  })
  process_.once('close', (code, signal) => {
    if (code === 0 || signal === 'SIGKILL') resolve({ outcome: out ? JSON.parse(out) : null, signal })
    else reject(new Error(`${JSON.stringify(order)} ended with ${code ?? signal}: ${error}`))
  })
  return promise
}

async function countRecords(): Promise<number> {
  const [newest] = (await nodeDisk.list(paths.updates)).map(({ name }) => name).filter((name) => name.includes('_0a2_'))
  const journal = await readJournal(nodeDisk, updateFiles(paths, newest ?? '').journal)
  return journal.kind === 'damaged' ? 0 : journal.records.length
}

/** All numbers from 1 to `last`, or some of them where nobody has the time. */
function some(last: number, most = 6): number[] {
  const all = Array.from({ length: last }, (_, index) => index + 1)
  if (slow) return all
  return all.filter((number) => number % Math.ceil(last / most) === 1 || number === last)
}

function startCustomer() {
  const acknowledged: string[] = []
  let isOpen = true
  const done = (async () => {
    for (let number = 1; isOpen; number++) {
      const order = `order-${number}`
      const answer = await ask('POST', `/${order}`)
      if (answer) acknowledged.push(order)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  })()
  return {
    acknowledged,
    stop: async () => {
      isOpen = false
      await done
    },
  }
}

function ask(method: string, path: string): Promise<{ status: number; body: string } | undefined> {
  const { promise, resolve } = Promise.withResolvers<{ status: number; body: string } | undefined>()
  const sent = request({ host: '127.0.0.1', port, path, method, agent: false, timeout: 2000 }, (response) => {
    let body = ''
    response.on('data', (chunk) => {
      body += chunk
    })
    response.once('end', () => resolve({ status: response.statusCode ?? 0, body }))
    response.once('error', () => resolve(undefined))
  })
  sent.once('error', () => resolve(undefined))
  sent.once('timeout', () => sent.destroy())
  sent.end()
  return promise
}

import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { applyProbe, beginCheck } from '../../agent/health/check.ts'
import { nodeProbes } from '../../agent/health/node-probes.ts'
import { type ProbeContext, type Probes, probe } from '../../agent/health/probe.ts'
import { proveReady, proveStable, takeBaseline, type WatchRequest } from '../../agent/health/watch.ts'
import type { ResolvedCheck } from '../../agent/service/definition.ts'
import { parseUnitFacts } from '../../agent/service/systemctl.ts'
import { lastLines } from '../../agent/service/tail.ts'
import { freePorts } from '../services/free-port.ts'
import { paths } from './sim-host.ts'
import { createSimService } from './sim-service.ts'
import { createVirtualClock } from './virtual-clock.ts'

const common = {
  name: 'c',
  severity: 'required' as const,
  interval_ms: 100,
  timeout_ms: 300,
  success_threshold: 1,
  failure_threshold: 2,
}
const context = (): ProbeContext => ({ env: { PATH: process.env.PATH ?? '' }, cwd: '/', unitRestarts: new Map() })
const http = (url: string, changes: Partial<ResolvedCheck & { type: 'http' }> = {}): ResolvedCheck => ({
  ...common,
  type: 'http',
  url,
  status: 200,
  body: null,
  ...changes,
})

describe('a check', () => {
  const fold = (answers: string, thresholds: Partial<ResolvedCheck>) =>
    [...answers].reduce(
      (state, answer) => applyProbe(state, answer === '+' ? { kind: 'passed' } : { kind: 'failed', words: 'no' }),
      beginCheck({ ...http('http://x/'), ...thresholds } as ResolvedCheck),
    ).health

  test.each([
    ['', 1, 1, 'unknown'],
    ['+', 1, 1, 'healthy'],
    ['-', 1, 2, 'unknown'],
    ['--', 1, 2, 'unhealthy'],
    ['+-', 1, 2, 'healthy'],
    ['+--', 1, 2, 'unhealthy'],
    ['-+-+-', 1, 2, 'healthy'],
    ['++', 3, 1, 'unknown'],
    ['++-++', 3, 2, 'unknown'],
    ['+++', 3, 1, 'healthy'],
    ['--+', 1, 2, 'healthy'],
  ])('that heard %j with thresholds %i and %i is %s', (answers, success_threshold, failure_threshold, health) => {
    expect(fold(answers, { success_threshold, failure_threshold })).toBe(health)
  })
})

describe('a real probe', () => {
  let server: Server
  let url: string
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'netlink-health-'))
    server = createServer((request, response) => {
      if (request.url === '/slow') return
      if (request.url === '/away') return void response.writeHead(302, { location: '/' }).end()
      if (request.url === '/endless') {
        const timer = setInterval(() => response.write(Buffer.alloc(100_000, 'x')), 1)
        response.once('close', () => clearInterval(timer))
        return
      }
      response.writeHead(request.url === '/ill' ? 500 : 200).end('all is well')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  })
  afterAll(async () => {
    server.closeAllConnections()
    server.close()
    await rm(folder, { recursive: true, force: true })
  })

  const ask = (check: ResolvedCheck) => probe(nodeProbes, check, context())

  test.each<[string, () => ResolvedCheck, string | null]>([
    ['passes', () => http(`${url}/`), null],
    ['passes with the expected body', () => http(`${url}/`, { body: 'well' }), null],
    ['fails with another body', () => http(`${url}/`, { body: 'ill' }), 'without "ill"'],
    ['fails with another status', () => http(`${url}/ill`), 'answered 500, expected 200'],
    ['does not follow', () => http(`${url}/away`), 'answered 302'],
    ['passes where a redirect is expected', () => http(`${url}/away`, { status: 302 }), null],
    ['fails for want of an answer', () => http(`${url}/slow`), 'did not answer within 300 ms'],
    ['reads no more than it needs', () => http(`${url}/endless`, { body: 'xxx' }), null],
    ['fails for an address that is none', () => http('not a url'), 'Invalid URL'],
  ])('over http %s', async (_, check, words) => {
    const result = await ask(check())
    if (words === null) expect(result).toEqual({ kind: 'passed' })
    else expect(result).toMatchObject({ kind: 'failed', words: expect.stringContaining(words) })
  })

  test('over tcp passes where somebody listens and fails where nobody does', async () => {
    const listener = createTcpServer().listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const address = listener.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    expect(await ask({ ...common, type: 'tcp', host: '127.0.0.1', port })).toEqual({ kind: 'passed' })
    listener.close()
    await once(listener, 'close')
    expect(await ask({ ...common, type: 'tcp', host: '127.0.0.1', port: await freePorts(1) })).toMatchObject({
      kind: 'failed',
    })
  })

  test.each<[string, readonly string[], string | null]>([
    ['passes', ['true'], null],
    ['fails', ['sh', '-c', 'echo because >&2; exit 3'], 'ended with 3: because'],
    ['is killed', ['sh', '-c', 'kill -9 $$'], 'killed by SIGKILL'],
    ['takes too long', ['sh', '-c', 'sleep 60 & wait'], 'did not end in time'],
    ['is not there', ['no-such-program-anywhere'], 'could not be started'],
  ])('by a program that %s', async (_, argv, words) => {
    const result = await ask({ ...common, type: 'exec', argv })
    if (words === null) expect(result).toEqual({ kind: 'passed' })
    else expect(result).toMatchObject({ kind: 'failed', words: expect.stringContaining(words) })
  })

  test('by a program gets only the environment it is given', async () => {
    await writeFile(join(folder, 'env'), '#!/bin/sh\n[ -z "$HOME" ] && [ "$A" = 1 ]\n', { mode: 0o755 })
    const given = { ...context(), env: { PATH: process.env.PATH ?? '', A: '1' } }
    expect(await probe(nodeProbes, { ...common, type: 'exec', argv: [join(folder, 'env')] }, given)).toEqual({
      kind: 'passed',
    })
  })
})

describe('a unit', () => {
  test('is read from what systemctl shows', () => {
    expect(parseUnitFacts('ActiveState=failed\nSubState=failed\nResult=exit-code\nNRestarts=4\n')).toEqual({
      active: false,
      restarts: 4,
      words: 'failed/failed (exit-code)',
    })
    expect(parseUnitFacts('ActiveState=active\nNRestarts=[not set]\n').restarts).toBe(0)
    expect(parseUnitFacts('ActiveState=active\nSubState=running\nResult=success\nNRestarts=0\n')).toEqual({
      active: true,
      restarts: 0,
      words: 'active/running',
    })
  })

  test('that is restarted again and again fails although it is active', async () => {
    let restarts = 2
    const probes: Probes = {
      ...nodeProbes,
      unit: async () => ({ active: true, restarts: restarts++, words: 'active/running' }),
    }
    const watched = context()
    const check: ResolvedCheck = { ...common, type: 'unit', unit: 'a.service' }
    expect(await probe(probes, check, watched)).toEqual({ kind: 'passed' })
    expect(await probe(probes, check, watched)).toMatchObject({
      kind: 'failed',
      words: 'a.service was restarted 1 times',
    })
  })
})

describe('a watch', () => {
  function world(answer: (nowMs: number, name: string) => boolean) {
    const clock = createVirtualClock()
    const service = createSimService(undefined, paths)
    const probes: Probes = {
      ...nodeProbes,
      http: async (url) => ({ status: answer(clock.monotonicMs(), new URL(url).hostname) ? 200 : 500, body: '' }),
    }
    const deps = { clock, probes, service }
    const request = (changes: Partial<WatchRequest> = {}): WatchRequest => ({
      checks: [http('http://page/', { name: 'page' })],
      context: context(),
      generation: 1,
      excused: new Set(),
      isStopped: () => false,
      ...changes,
    })
    const startService = () =>
      service.start({
        generation: 1,
        version: '0a1',
        argv: [],
        env: {},
        cwd: '/',
        stopSignal: 'SIGTERM',
        stopTimeoutMs: 1,
      })
    return { clock, service, deps, request, startService }
  }

  test('is over as soon as the service is ready', async () => {
    const { deps, request, startService } = world((now) => now >= 1000)
    await startService()
    const end = await proveReady(deps, request(), 5000)
    expect(end).toMatchObject({ kind: 'well', failing: [] })
    expect(end.kind === 'well' && end.tookMs).toBeLessThan(1200)
  })

  test('is over with the reason when the time is', async () => {
    const { clock, deps, request, startService } = world(() => false)
    await startService()
    const end = await proveReady(deps, request(), 2000)
    expect(end).toMatchObject({
      kind: 'unwell',
      words: 'check page is not healthy within 2000 ms',
      details: ['page: http://page/ answered 500, expected 200'],
    })
    expect(clock.monotonicMs()).toBe(2000)
  })

  test('is over at once when the process ends, with its last lines', async () => {
    const { clock, service, deps, request, startService } = world(() => false)
    await startService()
    void clock.sleep(700).then(() => service.crash(['out of cheese']))
    expect(await proveReady(deps, request(), 60_000)).toMatchObject({ kind: 'crashed', tail: ['out of cheese'] })
    expect(clock.monotonicMs()).toBeLessThan(1000)
  })

  test('sees that somebody restarted the service behind its back', async () => {
    const { clock, service, deps, request, startService } = world(() => true)
    await startService()
    void clock.sleep(700).then(() =>
      service.restart({
        generation: 1,
        version: '0a1',
        argv: [],
        env: {},
        cwd: '/',
        stopSignal: 'SIGTERM',
        stopTimeoutMs: 1,
      }),
    )
    expect(await proveStable(deps, request(), 5000)).toMatchObject({ kind: 'crashed' })
  })

  test('of stability lasts its whole time, and not longer', async () => {
    const { clock, deps, request, startService } = world(() => true)
    await startService()
    expect(await proveStable(deps, request(), 5000)).toMatchObject({ kind: 'well' })
    expect(clock.monotonicMs()).toBe(5000)
  })

  test('of stability forgives one failure and not two', async () => {
    const once = world((now) => now < 1000 || now > 1050)
    await once.startService()
    expect(await proveStable(once.deps, once.request(), 5000)).toMatchObject({ kind: 'well' })
    const twice = world((now) => now < 1000)
    await twice.startService()
    expect(await proveStable(twice.deps, twice.request(), 5000)).toMatchObject({ kind: 'unwell' })
    expect(twice.clock.monotonicMs()).toBeLessThan(1500)
  })

  test('does not ask for more than it was before', async () => {
    const checks = [
      http('http://page/', { name: 'page' }),
      http('http://ill/', { name: 'ill' }),
      http('http://ill/', { name: 'extra', severity: 'wanted' }),
    ]
    const { deps, request, startService } = world((_, name) => name === 'page')
    await startService()
    expect(await takeBaseline(deps, request({ checks }))).toEqual(['ill', 'extra'])
    expect(await proveReady(deps, request({ checks, excused: new Set(['ill']) }), 1000)).toMatchObject({
      kind: 'well',
      failing: ['ill', 'extra'],
    })
    expect(await proveReady(deps, request({ checks }), 1000)).toMatchObject({
      kind: 'unwell',
      words: 'check ill is not healthy within 1000 ms',
    })
  })

  test('ends when it is asked to', async () => {
    const { clock, deps, request, startService } = world(() => false)
    await startService()
    expect(await proveReady(deps, request({ isStopped: () => clock.monotonicMs() > 500 }), 60_000)).toEqual({
      kind: 'stopped',
    })
  })

  test('of a release without a service only asks its checks', async () => {
    const { deps, request } = world(() => true)
    expect(await proveReady(deps, request({ generation: null }), 1000)).toMatchObject({ kind: 'well', identity: null })
  })
})

test('last lines are few, short and harmless', () => {
  const text = Array.from({ length: 50 }, (_, index) => `line ${index}`).join('\n')
  expect(lastLines(Buffer.from(`${text}\n\u001b[31mred\u001b[0m\u0007\r\n\n`)).slice(-2)).toEqual(['line 49', 'red'])
  expect(lastLines(Buffer.from(text))).toHaveLength(20)
  expect(lastLines(Buffer.alloc(100_000, 'x')).join('').length).toBe(8192)
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildApp } from '../../server/http/app.ts'
import { parseTrustedProxies } from '../../server/ws/client-address.ts'
import { jsonOf, problemOf } from './answers.ts'
import { HttpWorld } from './world.ts'

let world: HttpWorld
beforeAll(async () => {
  world = await HttpWorld.create()
  await world.publishRoot()
}, 60_000)
afterAll(() => world?.[Symbol.asyncDispose]())

describe('tokens', () => {
  test('one is made, its secret is shown once, it works, and once revoked it does not', async () => {
    // given
    const body = { name: 'watcher', scope: 'read', reason: 'for the wall' }
    const made = await world.request('POST', '/api/v1/tokens', { scope: 'admin', body })
    const { token, secret } = await jsonOf(made, 201)

    // then
    expect(made.headers.get('cache-control')).toBe('no-store')
    expect(token).toMatchObject({ name: 'watcher', scope: 'read' })
    expect((await world.request('GET', '/api/v1/hosts', { token: secret })).status).toBe(200)
    const listed = await (await world.request('GET', '/api/v1/tokens', { scope: 'admin' })).text()
    expect(listed).toContain(token.id)
    expect(listed).not.toContain(secret)

    // when
    const revoked = await world.request('DELETE', `/api/v1/tokens/${token.id}?reason=done`, { scope: 'admin' })

    // then
    expect(await jsonOf(revoked)).toMatchObject({ id: token.id, revoked_at: expect.any(String) })
    await problemOf(await world.request('GET', '/api/v1/hosts', { token: secret }), 401, 'unauthenticated')
    await problemOf(await world.request('DELETE', '/api/v1/tokens/ffffffffffff', { scope: 'admin' }), 404, 'not-found')
  })

  test('a dry run makes none', async () => {
    const answer = await world.request('POST', '/api/v1/tokens?dry_run=true', {
      scope: 'admin',
      body: { name: 'ghost', scope: 'read' },
    })
    const { secret } = await jsonOf(answer, 201)
    await problemOf(await world.request('GET', '/api/v1/hosts', { token: secret }), 401, 'unauthenticated')
  })

  test('a token of a group sees the hosts of that group, and nothing that concerns all', async () => {
    // given
    const token = (
      await world.core.tokens.create(
        { name: 'eu', scope: 'rollout', group: 'eu', expiresAt: null, uses: null },
        { actor: { kind: 'local', user: 'test' }, reason: null },
      )
    ).secret
    const inside = await world.enrol('paris', { group: 'eu' })
    await world.enrol('boston', { group: 'us' })

    // when, then
    const list = await jsonOf(await world.request('GET', '/api/v1/hosts', { token }))
    expect(list.items.map((host: { name: string }) => host.name)).toEqual(['paris'])
    expect(await jsonOf(await world.request('GET', `/api/v1/hosts/${inside.id}`, { token }))).toMatchObject({
      group: 'eu',
    })
    for (const path of ['/api/v1/hosts/boston', '/api/v1/hosts/boston/history']) {
      await problemOf(await world.request('GET', path, { token }), 404, 'not-found')
    }
    await problemOf(await world.request('POST', '/api/v1/hosts/boston/check-now', { token }), 404, 'not-found')
    await problemOf(await world.request('DELETE', '/api/v1/hosts/boston', { token }), 404, 'not-found')
    await jsonOf(await world.request('GET', '/api/v1/hosts/boston', { scope: 'read' }))
    await jsonOf(await world.request('DELETE', '/api/v1/hosts/paris', { token }))
    await problemOf(await world.request('GET', '/api/v1/fleet/summary', { token }), 403, 'forbidden')
    const brake = { token, body: { paused: true, reason: 'mine' } }
    await problemOf(await world.request('PUT', '/api/v1/fleet/brake', brake), 403, 'forbidden')
  })

  test('a token of a group publishes nothing: releases are for all', async () => {
    const create = async (scope: 'publish' | 'admin', group: string | null) =>
      (
        await world.core.tokens.create(
          { name: `${scope} of ${group}`, scope, group, expiresAt: null, uses: null },
          { actor: { kind: 'local', user: 'test' }, reason: null },
        )
      ).secret
    await expect(create('publish', 'eu')).rejects.toMatchObject({
      code: 'invalid',
      facts: { issues: [{ pointer: '/group' }] },
    })
    const [bound, free] = [await create('admin', 'eu'), await create('publish', null)]
    await jsonOf(await world.request('GET', '/api/v1/publish/state', { token: free }))
    const none = { metadata: {}, manifests: {} }
    const calls = [
      ['GET', '/api/v1/publish/state', undefined],
      ['POST', '/api/v1/publish/root', { roots: ['{}'] }],
      ['GET', `/api/v1/publish/artifacts/${'a'.repeat(64)}`, undefined],
      ['POST', '/api/v1/publish/releases', none],
      ['GET', '/api/v1/signing-events', undefined],
    ] as const
    for (const [method, path, body] of calls) {
      const asked = await world.request(method, path, body === undefined ? { token: bound } : { token: bound, body })
      await problemOf(asked, 403, 'forbidden')
    }
  })
})

describe('for whoever runs it', () => {
  test('livez, readyz and the index answer without a token', async () => {
    expect(await (await world.request('GET', '/livez')).text()).toBe('ok\n')
    expect(await (await world.request('GET', '/readyz')).text()).toBe('ready\n')
    const verbose = await jsonOf(await world.request('GET', '/readyz?verbose'))
    expect(verbose).toMatchObject({
      ready: true,
      checks: [{ name: 'database' }, { name: 'storage' }, { name: 'seal' }],
    })
    expect(await (await world.request('GET', '/')).text()).toContain('/api/v1/openapi.json')
  })

  test('a server that is not ready says what is wrong, and why only to its log', async () => {
    // given
    world.logs.length = 0
    const checks = [{ name: 'database' as const, ok: false, detail: 'connect ECONNREFUSED 10.0.0.5:5432' }]
    const app = buildApp(
      { ...world.core, readiness: async () => ({ ready: false, draining: false, checks }) },
      { version: '0', trustedProxies: parseTrustedProxies([]) },
    )

    // when
    const answers = [await app.request('/readyz'), await app.request('/readyz?verbose')]

    // then
    expect(answers.map(({ status }) => status)).toEqual([503, 503])
    expect(await answers[0]?.text()).toBe('not ready: database\n')
    expect(await answers[1]?.text()).not.toContain('10.0.0.5')
    expect(world.logs.filter(({ event }) => event === 'server.not_ready')).toMatchObject([
      { level: 'warn', fields: { checks } },
    ])
  })

  test('every problem leads to a page that explains it', async () => {
    const { type } = await problemOf(await world.request('GET', '/api/v1/hosts'), 401, 'unauthenticated')
    const page = await world.request('GET', type)
    expect(page.status).toBe(200)
    expect(await page.text()).toContain('authorization: Bearer')
    expect((await world.request('GET', '/docs/errors')).status).toBe(200)
    await problemOf(await world.request('GET', '/docs/errors/constructor'), 404, 'not-found')
  })

  test('what is not there is a problem, and what cannot be done to it says what can', async () => {
    await problemOf(await world.request('GET', '/api/v2/hosts'), 404, 'not-found')
    const answer = await world.request('DELETE', '/api/v1/hosts', { scope: 'admin' })
    await problemOf(answer, 405, 'method-not-allowed')
    expect(answer.headers.get('allow')).toBe('GET, HEAD')
  })

  test('every answer has its id and the headers that keep browsers from guessing', async () => {
    const answer = await world.request('GET', '/api/v1/hosts', {
      scope: 'read',
      headers: { 'x-request-id': 'chosen-by-me' },
    })
    expect(answer.headers.get('x-request-id')).toBe('chosen-by-me')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(answer.headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'")
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const forged = await world.request('GET', '/livez', { headers: { 'x-request-id': 'a"b{}' } })
    expect(forged.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('each request leaves a line with its route and who asked, and never a token or a query', async () => {
    // given
    await world.enrol('web-1')
    world.logs.length = 0

    // when
    await world.request('GET', '/api/v1/hosts/web-1?secret=shown', { scope: 'read' })

    // then
    const [line] = world.logs.filter(({ event }) => event === 'http.request')
    expect(line).toMatchObject({
      level: 'info',
      fields: {
        method: 'GET',
        route: '/api/v1/hosts/:host',
        path: '/api/v1/hosts/web-1',
        status: 200,
        actor: 'token:test-read',
      },
    })
    expect(JSON.stringify(world.logs)).not.toContain(world.tokens.read)
    expect(JSON.stringify(world.logs)).not.toContain('shown')
  })

  test('a host that asks for a root that is not there yet is nothing to write home about', async () => {
    // given
    world.logs.length = 0

    // when
    await world.request('GET', '/repo/metadata/2.root.json')
    await world.request('GET', '/repo/metadata%2f2.root.json')

    // then
    const levels = world.logs
      .filter(({ event }) => event === 'http.request')
      .map(({ level, fields }) => [level, fields.status])
    expect(levels).toEqual([
      ['debug', 404],
      ['info', 400],
    ])
  })

  test('what nobody foresaw is told to the log and not to the client', async () => {
    // given
    world.logs.length = 0
    const broken = {
      ...world.core,
      fleet: { ...world.core.fleet, summary: () => Promise.reject(new Error('password is hunter2')) },
    }
    const app = buildApp(broken, {
      version: '0',
      trustedProxies: parseTrustedProxies([]),
    })

    // when
    const answer = await app.request('/api/v1/fleet/summary', {
      headers: { authorization: `Bearer ${world.tokens.read}` },
    })

    // then
    expect(JSON.stringify(await problemOf(answer, 500, 'internal'))).not.toContain('hunter2')
    expect(JSON.stringify(world.logs)).toContain('hunter2')
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildApp } from '../../server/http/app.ts'
import { parseTrustedProxies } from '../../server/ws/client-address.ts'
import { HttpWorld, hexOf, inventoryReport, type TestHost } from './world.ts'

let world: HttpWorld
beforeAll(async () => {
  world = await HttpWorld.create()
}, 60_000)
afterAll(() => world?.[Symbol.asyncDispose]())

/** The answer's body, which must be a problem document of this status and code. */
async function problemOf(answer: Response, status: number, code: string) {
  const text = await answer.text()
  expect(answer.status, text).toBe(status)
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  const problem = JSON.parse(text)
  expect(problem).toMatchObject({ code, status, type: `/docs/errors/${code}` })
  expect(problem.request_id).toBe(answer.headers.get('x-request-id'))
  return problem
}

async function jsonOf(answer: Response, status = 200) {
  const text = await answer.text()
  expect(answer.status, text).toBe(status)
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
  return JSON.parse(text)
}

function sendReports(host: TestHost, items: unknown[], signed: { path?: string; time?: number; body?: string } = {}) {
  const body = JSON.stringify({ items })
  const path = '/api/v1/agent/reports'
  const headers = host.headers('POST', signed.path ?? path, signed.body ?? body, signed.time)
  return world.app.request(path, { method: 'POST', headers, body })
}

describe('before anything is published', () => {
  test('no host can enrol: there is no product to follow', async () => {
    const body = world.newHost('early').enrollRequest(world.tokens['host-enroll'])
    const problem = await problemOf(await world.request('POST', '/api/v1/agent/enroll', { body }), 409, 'conflict')
    expect(problem.next).toEqual(['netlink-publish init'])
  })

  test('the first root is taken from whoever holds the publish token, and then the product is known', async () => {
    // given
    const decoder = new TextDecoder()
    const root = decoder.decode(world.repo.file('1.root.json'))
    const targets = decoder.decode(world.repo.file('1.targets.json'))

    // when
    const answer = await world.request('POST', '/api/v1/publish/root', {
      scope: 'publish',
      body: { roots: [root], targets },
    })

    // then
    expect(await jsonOf(answer)).toMatchObject({ product: 'demo', root_version: 1 })
    const again = await world.request('POST', '/api/v1/publish/root', {
      scope: 'publish',
      body: { roots: [root], targets },
    })
    expect(await jsonOf(again)).toMatchObject({ product: 'demo', root_version: 1 })
  })

  test('a root that is not signed as it says does not verify', async () => {
    const root = new TextDecoder().decode(world.repo.file('1.root.json')).replace('"version": 1', '"version": 2')
    const answer = await world.request('POST', '/api/v1/publish/root', { scope: 'publish', body: { roots: [root] } })
    await problemOf(answer, 422, 'unverified')
  })
})

describe('publishing', () => {
  test('an artifact goes up in chunks that continue where the last one ended', async () => {
    // given
    const bytes = new TextEncoder().encode('archive of 0a1')
    const path = `/api/v1/publish/artifacts/${hexOf(bytes)}`
    const put = (offset: number, end: number) =>
      world.request('PUT', `${path}?offset=${offset}&length=${bytes.length}`, {
        scope: 'publish',
        body: bytes.slice(offset, end),
        headers: { 'content-type': 'application/octet-stream' },
      })

    // when, then
    expect(await jsonOf(await world.request('GET', path, { scope: 'publish' }))).toMatchObject({
      received: 0,
      complete: false,
    })
    expect(await jsonOf(await put(0, 5))).toMatchObject({ received: 5, length: bytes.length, complete: false })
    const wrong = await problemOf(await put(9, 14), 409, 'offset')
    expect(wrong).toMatchObject({ expected: '5', actual: '9' })
    expect(await jsonOf(await put(5, 14))).toMatchObject({ received: 14, complete: true })
    expect(await jsonOf(await world.request('GET', path, { scope: 'publish' }))).toMatchObject({ complete: true })
  })

  test('a chunk with more bytes than the artifact has left is refused and the rest can still be sent', async () => {
    // given
    const bytes = new TextEncoder().encode('exactly this long')
    const path = `/api/v1/publish/artifacts/${hexOf(bytes)}?offset=0&length=${bytes.length}`
    const headers = { 'content-type': 'application/octet-stream' }
    const longer = new TextEncoder().encode('exactly this long, and then some')

    // when, then
    await problemOf(await world.request('PUT', path, { scope: 'publish', body: longer, headers }), 413, 'too-large')
    expect(await jsonOf(await world.request('PUT', path, { scope: 'publish', body: bytes, headers }))).toMatchObject({
      complete: true,
    })
  })

  test('bytes that hash to something else start again from nothing', async () => {
    const sha256 = 'ab'.repeat(32)
    const answer = await world.request('PUT', `/api/v1/publish/artifacts/${sha256}?offset=0&length=4`, {
      scope: 'publish',
      body: new Uint8Array(4),
      headers: { 'content-type': 'application/octet-stream' },
    })
    expect(await problemOf(answer, 422, 'unverified')).toMatchObject({ expected: sha256 })
    const state = await world.request('GET', `/api/v1/publish/artifacts/${sha256}`, { scope: 'publish' })
    expect(await jsonOf(state)).toMatchObject({ received: 0, complete: false })
  })

  test('an artifact is sent as octets, not as anything else', async () => {
    const answer = await world.request('PUT', `/api/v1/publish/artifacts/${'ab'.repeat(32)}?offset=0&length=4`, {
      scope: 'publish',
      body: { not: 'octets' },
    })
    await problemOf(answer, 415, 'unsupported-media-type')
  })

  test('a release whose artifact is missing is refused, and accepted once it is there', async () => {
    // given
    await world.repo.release('0a2')
    const body = world.submission('0a2')

    // when, then
    await problemOf(await world.request('POST', '/api/v1/publish/releases', { scope: 'publish', body }), 422, 'refused')
    await world.prepareRelease('0a2')
    const fresh = world.submission('0a2')
    const dry = { ...fresh, dry_run: true }
    expect(
      await jsonOf(await world.request('POST', '/api/v1/publish/releases', { scope: 'publish', body: dry })),
    ).toMatchObject({ versions: ['0a2'] })
    await problemOf(await world.request('GET', '/api/v1/releases/0a2', { scope: 'read' }), 404, 'not-found')
    const accepted = await world.request('POST', '/api/v1/publish/releases', { scope: 'publish', body: fresh })
    expect(await jsonOf(accepted)).toMatchObject({ versions: ['0a2'], unchanged: false })
    const again = await world.request('POST', '/api/v1/publish/releases', { scope: 'publish', body: fresh })
    expect(await jsonOf(again)).toMatchObject({ versions: ['0a2'], unchanged: true })
  })

  test('what is published can be looked at: list, one, changelog, channels', async () => {
    const list = await jsonOf(await world.request('GET', '/api/v1/releases', { scope: 'read' }))
    expect(list.items.map((release: { version: string }) => release.version)).toEqual(['0a2'])
    const one = await jsonOf(await world.request('GET', '/api/v1/releases/0a2', { scope: 'read' }))
    expect(one).toMatchObject({ version: '0a2', channel: 'alpha', threshold: 1, changelog: { summary: 'release 0a2' } })
    const changelog = await jsonOf(await world.request('GET', '/api/v1/releases/0a2/changelog', { scope: 'read' }))
    expect(changelog).toMatchObject({ version: '0a2', summary: 'release 0a2' })
    const channels = await jsonOf(await world.request('GET', '/api/v1/channels', { scope: 'publish' }))
    expect(channels.items).toEqual([
      { channel: 'alpha', newest: '0a2' },
      { channel: 'beta', newest: null },
      { channel: 'release', newest: null },
    ])
    await problemOf(await world.request('GET', '/api/v1/releases/9a9', { scope: 'read' }), 404, 'not-found')
    await problemOf(await world.request('GET', '/api/v1/releases/1.2.3', { scope: 'read' }), 400, 'invalid')
  })
})

describe('hosts', () => {
  test('a machine with a token and a key becomes a host; the same key again is the same host', async () => {
    // given
    const host = world.newHost('web-1')
    const body = host.enrollRequest(world.tokens['host-enroll'])

    // when
    const answer = await jsonOf(await world.request('POST', '/api/v1/agent/enroll', { body }))

    // then
    expect(answer).toMatchObject({ host_id: host.id, product: 'demo', group: null, brake: { paused: false } })
    expect(await jsonOf(await world.request('POST', '/api/v1/agent/enroll', { body }))).toMatchObject({
      host_id: host.id,
    })
    expect(await jsonOf(await world.request('GET', '/api/v1/hosts/web-1', { scope: 'read' }))).toMatchObject({
      host_id: host.id,
    })
    expect(await jsonOf(await world.request('GET', `/api/v1/hosts/${host.id}`, { scope: 'read' }))).toMatchObject({
      name: 'web-1',
    })
  })

  test.each([
    ['with a token of another kind', (body: Record<string, unknown>) => ({ ...body, token: world.tokens.admin }), 401],
    [
      'with a token nobody gave out',
      (body: Record<string, unknown>) => ({ ...body, token: 'nlk_host-enroll_0_0' }),
      401,
    ],
    ['with a proof of another key', (body: Record<string, unknown>) => ({ ...body, proof: '00'.repeat(64) }), 401],
    ['under another name than it proved', (body: Record<string, unknown>) => ({ ...body, name: 'other' }), 401],
    ['with a key that is no key', (body: Record<string, unknown>) => ({ ...body, public_key: 'zz' }), 400],
    ['with a name that needs quoting', (body: Record<string, unknown>) => ({ ...body, name: 'a b' }), 400],
  ])('a machine does not become a host %s', async (_, change, status) => {
    const host = world.newHost('intruder')
    const body = change(host.enrollRequest(world.tokens['host-enroll']))
    const answer = await world.request('POST', '/api/v1/agent/enroll', { body })
    await problemOf(answer, status, status === 401 ? 'unauthenticated' : 'invalid')
    await problemOf(await world.request('GET', `/api/v1/hosts/${host.id}`, { scope: 'read' }), 404, 'not-found')
  })

  test('signed reports are stored once, however often they come', async () => {
    // given
    const host = await world.enrol('web-2')
    const items = [inventoryReport(1, { version: '0a2' }), inventoryReport(2, { version: '0a2', waiting: 'hold' })]

    // when
    const first = await jsonOf(await sendReports(host, items))
    const again = await jsonOf(await sendReports(host, items))

    // then
    expect(first).toMatchObject({ stored_seq: 2, brake: { paused: false }, timestamp_version: expect.any(Number) })
    expect(again).toMatchObject({ stored_seq: 2 })
    const history = await jsonOf(await world.request('GET', '/api/v1/hosts/web-2/history', { scope: 'read' }))
    expect(history.items.map((event: { seq: number }) => event.seq)).toEqual([2, 1])
    const shown = await jsonOf(await world.request('GET', '/api/v1/hosts/web-2', { scope: 'read' }))
    expect(shown.inventory).toMatchObject({ version: '0a2', waiting: 'hold' })
  })

  test('reports that another host signed, for another path, over another body or at another time are not taken', async () => {
    // given
    const host = await world.enrol('web-3')
    const items = [inventoryReport(1)]
    const now = Math.floor(Date.now() / 1000)
    const other = await world.enrol('web-4')
    const headers = {
      ...other.headers('POST', '/api/v1/agent/reports', JSON.stringify({ items })),
      'netlink-host': host.id,
    }

    // when, then
    const path = '/api/v1/agent/reports'
    const foreign = await world.app.request(path, { method: 'POST', headers, body: JSON.stringify({ items }) })
    await problemOf(foreign, 401, 'unauthenticated')
    await problemOf(await sendReports(host, items, { path: `${path}?x=1` }), 401, 'unauthenticated')
    await problemOf(await sendReports(host, items, { body: '{"items":[]}' }), 401, 'unauthenticated')
    await problemOf(await sendReports(host, items, { time: now - 301 }), 401, 'unauthenticated')
    await problemOf(await sendReports(host, items, { time: now + 302 }), 401, 'unauthenticated')
    await problemOf(await world.app.request(path, { method: 'POST', body: '{"items":[]}' }), 401, 'unauthenticated')
    expect(await jsonOf(await sendReports(host, items, { time: now - 290 }))).toMatchObject({ stored_seq: 1 })
  })

  test('reports that no calendar, no index and no database could hold are refused before they get there', async () => {
    const host = await world.enrol('web-5')
    const attempt = {
      update_id: 'update_none_0a2_20261123_100000',
      kind: 'install',
      from: null,
      to: '0a2',
      state: 'succeeded',
    }
    const report = (changes: object) => ({
      seq: 1,
      at: '2026-11-23T10:00:00Z',
      body: { type: 'attempt', attempt: { ...attempt, ...changes } },
    })
    const refused = [
      { ...report({}), at: '2026-02-30T10:00:00Z' },
      report({ update_id: `update_none_${'9'.repeat(3000)}_20261123_100000` }),
      report({ reason: 'nul \u0000' }),
      report({ reason: 'half a pair \ud800' }),
      { ...report({}), seq: 0 },
      { ...report({}), seq: 1e300 },
    ]
    for (const item of refused) await problemOf(await sendReports(host, [item]), 400, 'invalid')
    expect(await jsonOf(await sendReports(host, [report({ reason: 'fine \u{1f600}' })]))).toMatchObject({
      stored_seq: 1,
    })
  })

  test('lists are filtered, sorted and paged; the next page is linked', async () => {
    // given
    const list = (query: string) => world.request('GET', `/api/v1/hosts?${query}`, { scope: 'read' })
    const names = async (query: string) =>
      (await jsonOf(await list(query))).items.map((host: { name: string }) => host.name)

    // when, then
    expect(await names('where=version%3D0a2+and+waiting%3Dhold')).toEqual(['web-2'])
    expect(await names('sort=name&limit=2')).toEqual(['web-1', 'web-2'])
    const page = await list('sort=name&limit=2')
    const link = page.headers.get('link')
    expect(link).toMatch(/^<\/api\/v1\/hosts\?sort=name&limit=2&cursor=[^>]+>; rel="next"$/)
    const next = await world.request('GET', link?.slice(1, link.indexOf('>')) ?? '', { scope: 'read' })
    expect((await jsonOf(next)).items.map((host: { name: string }) => host.name)).toEqual(['web-3', 'web-4'])
    expect(await problemOf(await list('where=colour%3Dred'), 400, 'invalid')).toMatchObject({ reason: 'filter' })
    await problemOf(await list('sort=colour'), 400, 'invalid')
    await problemOf(await list('cursor=AAAA'), 400, 'invalid')
    await problemOf(await list('limit=501'), 400, 'invalid')
  })

  test.each(['host_id', '-host_id', 'name', '-name', 'version', '-version', 'last_seen', '-last_seen'])(
    'page by page in the order of %s every host comes once',
    async (sort) => {
      const seen: string[] = []
      let cursor: string | null = ''
      while (cursor !== null) {
        const path: string = `/api/v1/hosts?limit=2&sort=${sort}${cursor === '' ? '' : `&cursor=${cursor}`}`
        const page = await jsonOf(await world.request('GET', path, { scope: 'read' }))
        seen.push(...page.items.map((one: { host_id: string }) => one.host_id))
        cursor = page.next_cursor
      }
      const { items } = await world.core.hosts.list({ limit: 500 })
      expect([...seen].sort()).toEqual(items.map((one) => one.host_id))
    },
  )

  test('two hosts of one name can only be told apart by their ids', async () => {
    const one = await world.enrol('twin')
    await world.enrol('twin')
    const problem = await problemOf(
      await world.request('GET', '/api/v1/hosts/twin', { scope: 'read' }),
      409,
      'conflict',
    )
    expect(problem).toMatchObject({ reason: 'ambiguous' })
    expect(problem.next).toContain(`netlink-admin hosts show ${one.id}`)
    expect(await jsonOf(await world.request('GET', `/api/v1/hosts/${one.id}`, { scope: 'read' }))).toMatchObject({
      name: 'twin',
    })
  })

  test('a host that is asked to look now and is offline is told nothing, and the answer says so', async () => {
    const answer = await world.request('POST', '/api/v1/hosts/web-1/check-now?reason=curious', { scope: 'rollout' })
    expect(await jsonOf(answer, 202)).toMatchObject({ name: 'web-1', online: false })
    const audit = await jsonOf(await world.request('GET', '/api/v1/audit?action=host.check_now', { scope: 'admin' }))
    expect(audit.items[0]).toMatchObject({
      action: 'host.check_now',
      reason: 'curious',
      actor: { kind: 'token', name: 'test-rollout' },
    })
  })

  test('a host that is forgotten is shown as it was, is nobody from then on, and comes back by enrolling', async () => {
    // given
    const leaver = await world.enrol('leaver')
    await sendReports(leaver, [inventoryReport(1, { version: '0a1' })])
    const path = '/api/v1/hosts/leaver'

    // when
    const tried = await jsonOf(await world.request('DELETE', `${path}?dry_run=true`, { scope: 'rollout' }))
    const before = await jsonOf(await world.request('GET', path, { scope: 'read' }))
    const told = await jsonOf(await world.request('DELETE', `${path}?reason=sold`, { scope: 'rollout' }))

    // then
    expect(tried).toMatchObject({ host_id: leaver.id })
    expect(before).toMatchObject({ host_id: leaver.id })
    expect(told).toMatchObject({ host_id: leaver.id, name: 'leaver', inventory: { version: '0a1' } })
    for (const method of ['GET', 'DELETE']) {
      await problemOf(await world.request(method, path, { scope: 'rollout' }), 404, 'not-found')
      await problemOf(await world.request(method, `/api/v1/hosts/${leaver.id}`, { scope: 'rollout' }), 404, 'not-found')
    }
    const refused = await problemOf(await sendReports(leaver, [inventoryReport(2)]), 401, 'unauthenticated')
    expect(refused.detail).toMatch(/is not enrolled here/)
    const audit = await jsonOf(await world.request('GET', '/api/v1/audit?action=host.forget', { scope: 'admin' }))
    expect(audit.items).toHaveLength(1)
    expect(audit.items[0]).toMatchObject({
      subject: leaver.id,
      reason: 'sold',
      actor: { kind: 'token', name: 'test-rollout' },
      before: { name: 'leaver', version: '0a1' },
    })
    const body = leaver.enrollRequest(world.tokens['host-enroll'])
    await jsonOf(await world.request('POST', '/api/v1/agent/enroll', { body }))
    await jsonOf(await sendReports(leaver, [inventoryReport(2)]))
  })
})

describe('the fleet', () => {
  test('the summary counts what hosts said', async () => {
    const summary = await jsonOf(await world.request('GET', '/api/v1/fleet/summary', { scope: 'read' }))
    expect(summary).toMatchObject({ product: 'demo', newest: { alpha: '0a2' }, brake: { paused: false } })
    expect(summary.by_version).toContainEqual({ key: '0a2', hosts: 1 })
    expect(summary.by_waiting).toEqual([{ key: 'hold', hosts: 1 }])
  })

  test('the brake needs a reason, can be tried dry, is written down, and comes off again', async () => {
    // given
    const put = (body: object, query = '') =>
      world.request('PUT', `/api/v1/fleet/brake${query}`, { scope: 'rollout', body })
    const isOn = async () =>
      (await jsonOf(await world.request('GET', '/api/v1/fleet/summary', { scope: 'read' }))).brake.paused

    // when, then
    await problemOf(await put({ paused: true }), 400, 'invalid')
    await problemOf(await put({ paused: true, reason: '' }), 400, 'invalid')
    expect(await jsonOf(await put({ paused: true, reason: 'dry' }, '?dry_run=true'))).toMatchObject({ paused: true })
    expect(await isOn()).toBe(false)
    expect(await jsonOf(await put({ paused: true, reason: 'smoke' }))).toMatchObject({ paused: true, reason: 'smoke' })
    expect(await isOn()).toBe(true)
    expect(await jsonOf(await put({ paused: false, reason: 'aired' }))).toMatchObject({ paused: false })
    const audit = await jsonOf(await world.request('GET', '/api/v1/audit?limit=2', { scope: 'admin' }))
    expect(audit.items).toMatchObject([
      { action: 'brake.resume', reason: 'aired', actor: { name: 'test-rollout' } },
      { action: 'brake.pause', reason: 'smoke', request_id: expect.any(String) },
    ])
  })
})

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

import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Report } from '../../schema/report.ts'
import { tokenScopes } from '../../schema/rest.ts'
import { jsonOf, problemOf } from './answers.ts'
import { HttpWorld, inventoryReport, type TestHost } from './world.ts'

let world: HttpWorld
beforeAll(async () => {
  world = await HttpWorld.create()
  await world.publishRoot()
  await world.publishRelease('0a2')
}, 60_000)
afterAll(() => world?.[Symbol.asyncDispose]())

async function sendReports(
  host: TestHost,
  items: Report[],
  signed: { path?: string; time?: number; body?: string } = {},
) {
  const body = JSON.stringify({ items: await host.reports(items) })
  const path = '/api/v1/agent/reports'
  const headers = host.headers('POST', signed.path ?? path, signed.body ?? body, signed.time)
  return world.app.request(path, { method: 'POST', headers, body })
}

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

  test('nobody can report for a host without its key: not with any token, not as another host', async () => {
    // given
    const path = '/api/v1/agent/reports'
    const host = await world.enrol('web-forged')
    const other = await world.enrol('web-forger')
    const [genuine] = await host.reports([inventoryReport(1, { waiting_detail: 'genuine' })])
    const forged = await other.reports([inventoryReport(1, { waiting_detail: 'forged' })])

    // when, then: the operator has tokens of every scope, and no host's key
    for (const scope of tokenScopes) {
      const answer = await world.request('POST', path, { scope, body: { items: forged } })
      await problemOf(answer, 401, 'unauthenticated')
    }
    const post = (body: string) =>
      world.app.request(path, { method: 'POST', headers: host.headers('POST', path, body), body })
    await problemOf(await post(JSON.stringify({ items: forged })), 422, 'unverified')
    const altered = { ...genuine, body: genuine?.body.replace('genuine', 'forged') }
    await problemOf(await post(JSON.stringify({ items: [altered] })), 422, 'unverified')
    expect((await world.core.hosts.show(host.id)).inventory).toBeNull()
    expect(await jsonOf(await post(JSON.stringify({ items: [genuine] })))).toMatchObject({ stored_seq: 1 })
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
      body: { type: 'attempt', attempt: { ...attempt, ...changes } } as Report['body'],
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

  test('a token does not get a machine the name of a host, in whatever way the host is asked for', async () => {
    const host = await world.enrol('honest')
    const thief = world.newHost('honest')
    const comes = (machine: typeof thief) =>
      world.request('POST', '/api/v1/agent/enroll', { body: machine.enrollRequest(world.tokens['host-enroll']) })
    const problem = await problemOf(await comes(thief), 409, 'conflict')
    expect(problem).toMatchObject({ reason: 'name-taken' })
    expect(JSON.stringify(problem)).not.toContain(host.id)
    await problemOf(await comes(world.newHost(host.id)), 400, 'invalid')

    const ask = (method: string, more = '', body?: object) =>
      world.request(method, `/api/v1/hosts/honest${more}`, { scope: 'admin', ...(body && { body }) })
    expect(await jsonOf(await ask('GET'))).toMatchObject({ host_id: host.id })
    expect((await ask('GET', '/history')).status).toBe(200)
    expect((await comes(host)).status).toBe(200)
    expect(await jsonOf(await ask('DELETE'))).toMatchObject({ host_id: host.id })
    expect((await comes(thief)).status).toBe(200)
  })

  test('two hosts that had one name before names were kept apart can only be told apart by their ids', async () => {
    const one = await world.enrol('twin')
    const other = await world.enrol('other-twin')
    await world.db.queries.execute(sql`update hosts set name = 'twin' where host_id = ${other.id}`)
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

  test('a host is told to look three times at once, then it is spared; others are told all the same', async () => {
    await world.enrol('pressed')
    await world.enrol('left-alone')
    const ask = (host: string, query = '') =>
      world.request('POST', `/api/v1/hosts/${host}/check-now${query}`, { scope: 'rollout' })
    for (let time = 0; time < 3; time++) {
      expect((await ask('pressed', '?dry_run=true')).status).toBe(202)
      expect((await ask('pressed')).status).toBe(202)
    }
    const refused = await ask('pressed')
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(5)
    expect(await problemOf(refused, 429, 'rate-limited')).toMatchObject({
      detail: expect.stringContaining('pressed was told to look often enough'),
    })
    await problemOf(await ask('pressed', '?dry_run=true'), 429, 'rate-limited')
    expect((await ask('left-alone')).status).toBe(202)
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
    const forgotten = audit.items.filter((one: { subject: string }) => one.subject === leaver.id)
    expect(forgotten).toHaveLength(1)
    expect(forgotten[0]).toMatchObject({
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

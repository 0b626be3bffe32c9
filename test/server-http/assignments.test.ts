// Assignments over REST and over the socket: who may direct, who is told, and that the host alone gets the signed document.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { verifyAssignment } from '../../keys/assignment.ts'
import { refresh } from '../../keys/refresh.ts'
import { SimTrustStore } from '../sim/trust-store.ts'
import { jsonOf, problemOf } from './answers.ts'
import { SocketClient } from './socket-client.ts'
import { BY_TEST, HttpWorld, type TestHost } from './world.ts'

let world: HttpWorld
let url: string
let host: TestHost
const PATH = '/api/v1/hosts/web-1/assignments'

beforeAll(async () => {
  world = await HttpWorld.create()
  await world.publishRoot()
  await world.publishRelease('0a1')
  await world.publishRelease('0a2')
  host = await world.enrol('web-1')
  url = (await world.listen()).url
}, 60_000)
afterAll(() => world?.[Symbol.asyncDispose]())

async function verified(document: string) {
  const source = { load: world.repo.load.bind(world.repo) }
  const store = new SimTrustStore(world.repo.file('1.root.json'))
  const { targets } = await refresh({ source, store, startedAt: world.repo.now })
  return verifyAssignment(targets, Buffer.from(document)).value
}

describe('over REST', () => {
  test('rollout directs, read sees, and nobody else does either', async () => {
    const body = { version: '0a1', reason: 'wait' }
    for (const scope of ['read', 'publish', 'host-enroll'] as const)
      await problemOf(await world.request('POST', PATH, { scope, body }), 403, 'forbidden')
    await problemOf(await world.request('POST', PATH, { body }), 401, 'unauthenticated')
    await problemOf(await world.request('GET', PATH, { scope: 'read' }), 404, 'not-found')

    const tried = await jsonOf(await world.request('POST', `${PATH}?dry_run=true`, { scope: 'rollout', body }))
    expect(tried).toMatchObject({ action: 'update', version: '0a1' })
    await problemOf(await world.request('GET', PATH, { scope: 'read' }), 404, 'not-found')

    const made = await jsonOf(await world.request('POST', PATH, { scope: 'rollout', body }))
    expect(await jsonOf(await world.request('GET', PATH, { scope: 'read' }))).toEqual(made)
    const audit = await jsonOf(await world.request('GET', '/api/v1/audit?action=host.assign', { scope: 'admin' }))
    expect(audit.items).toMatchObject([{ subject: host.id, reason: 'wait', actor: { name: 'test-rollout' } }])

    await problemOf(await world.request('DELETE', PATH, { scope: 'read' }), 403, 'forbidden')
    const none = await jsonOf(await world.request('DELETE', `${PATH}?reason=done`, { scope: 'rollout' }))
    expect(none).toMatchObject({ action: 'none', version: null })
  })

  test('what can’t be read or done is a problem with its reason', async () => {
    const post = (body: object) => world.request('POST', PATH, { scope: 'rollout', body })
    await problemOf(await post({}), 400, 'invalid')
    await problemOf(await post({ version: '1.2.3' }), 400, 'invalid')
    await problemOf(await post({ version: '0a1', expires: 'soon' }), 400, 'invalid')
    await problemOf(await post({ version: '0a9' }), 404, 'not-found')
    await problemOf(await post({ version: '0a1', authorization: '{}' }), 422, 'unverified')
    await problemOf(
      await world.request('POST', '/api/v1/hosts/nobody/assignments', { scope: 'rollout', body: { version: '0a1' } }),
      404,
      'not-found',
    )
  })

  test('a token that is bound to a group directs its own hosts only', async () => {
    const wanted = { name: 'eu', scope: 'rollout', group: 'eu', expiresAt: null, uses: null } as const
    const { secret: token } = await world.core.tokens.create(wanted, BY_TEST)
    await problemOf(await world.request('POST', PATH, { token, body: { version: '0a1' } }), 404, 'not-found')
    await world.enrol('eu-1', { group: 'eu' })
    const answer = await world.request('POST', '/api/v1/hosts/eu-1/assignments', { token, body: { version: '0a1' } })
    expect(await jsonOf(answer)).toMatchObject({ name: 'eu-1' })
  })

  test('a host gets its own document, signed, and nobody gets it for it', async () => {
    await world.request('POST', PATH, { scope: 'rollout', body: { version: '0a2' } })
    const path = '/api/v1/agent/assignment'
    const own = await jsonOf(await world.request('GET', path, { headers: host.headers('GET', path, '') }))
    expect(await verified(String(own.document))).toMatchObject({ host_id: host.id, version: '0a2' })
    const other = await world.enrol('web-2')
    expect(await jsonOf(await world.request('GET', path, { headers: other.headers('GET', path, '') }))).toEqual({
      document: null,
    })
    await problemOf(
      await world.request('GET', path, { headers: { ...other.headers('GET', path, ''), 'netlink-host': host.id } }),
      401,
      'unauthenticated',
    )
    await problemOf(await world.request('GET', path, { scope: 'admin' }), 401, 'unauthenticated')
  })
})

describe('over the socket', () => {
  test('a host is told after its welcome, and when it changes; nobody else is', async () => {
    await world.request('POST', PATH, { scope: 'rollout', body: { version: '0a1' } })
    const other = await SocketClient.live(url, await world.enrol('web-3'))
    const client = await SocketClient.live(url, host)
    expect(await verified((await client.next('assignment')).document)).toMatchObject({ version: '0a1' })
    await world.request('POST', PATH, { scope: 'rollout', body: { version: '0a2' } })
    expect(await verified((await client.next('assignment')).document)).toMatchObject({ version: '0a2' })
    await world.request('DELETE', PATH, { scope: 'rollout' })
    expect(await verified((await client.next('assignment')).document)).toMatchObject({ action: 'none' })
    expect(other.received).toEqual([])
    client.ws.terminate()
    other.ws.terminate()
  })
})

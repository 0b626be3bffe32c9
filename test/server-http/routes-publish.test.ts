import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { jsonOf, problemOf } from './answers.ts'
import { HttpWorld, hexOf } from './world.ts'

let world: HttpWorld
beforeAll(async () => {
  world = await HttpWorld.create()
}, 60_000)
afterAll(() => world?.[Symbol.asyncDispose]())

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

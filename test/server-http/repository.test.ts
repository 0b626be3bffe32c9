import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rawRequest } from './raw-http.ts'
import { HttpWorld, hexOf } from './world.ts'

let world: HttpWorld
let artifact: Uint8Array
let artifactPath: string
let url: string

beforeAll(async () => {
  world = await HttpWorld.create()
  await world.publishRoot()
  artifact = await world.publishRelease('0a1+build.1')
  artifactPath = `/repo/artifacts/${hexOf(artifact)}`
  url = (await world.listen()).url
}, 60_000)
afterAll(() => world?.[Symbol.asyncDispose]())

describe('the published repository', () => {
  test('an artifact comes whole, for ever, and as what it is', async () => {
    const answer = await fetch(url + artifactPath)
    expect(answer.status).toBe(200)
    expect(Buffer.from(await answer.arrayBuffer()).equals(artifact)).toBe(true)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
      'content-type': 'application/octet-stream',
      'content-length': String(artifact.length),
      'accept-ranges': 'bytes',
      etag: expect.stringMatching(/^"[^"]+"$/),
      'x-content-type-options': 'nosniff',
    })
  })

  test('metadata with a number never changes, timestamp.json is asked for each time', async () => {
    const root = await fetch(`${url}/repo/metadata/1.root.json`)
    expect(root.headers.get('cache-control')).toContain('immutable')
    expect(await root.json()).toMatchObject({ signed: { _type: 'root' } })
    const timestamp = await fetch(`${url}/repo/metadata/timestamp.json`)
    expect(timestamp.headers.get('cache-control')).toContain('no-cache')
    expect(await timestamp.json()).toMatchObject({ signed: { _type: 'timestamp' } })
  })

  test('a version with a build can be asked for in either spelling of its plus', async () => {
    const file = [...world.repo.targetFiles.keys()].find((name) => name.includes('0a1')) ?? ''
    const plain = decodeURIComponent(file)
    expect(plain).toContain('+')
    for (const spelled of [plain, plain.replace('+', '%2B')]) {
      const answer = await fetch(`${url}/repo/targets/${spelled}`)
      expect(answer.status, spelled).toBe(200)
      expect(await answer.json()).toMatchObject({ version: '0a1+build.1' })
    }
  })

  test('what is known already is not sent again', async () => {
    const path = `${url}/repo/metadata/timestamp.json`
    const etag = (await fetch(path)).headers.get('etag') ?? ''
    const again = await fetch(path, { headers: { 'if-none-match': etag } })
    expect(again.status).toBe(304)
    expect(await again.text()).toBe('')
    expect(again.headers.get('etag')).toBe(etag)
    expect((await fetch(path, { headers: { 'if-none-match': '"older"' } })).status).toBe(200)
    await world.publishRelease('0a9')
    expect((await fetch(path, { headers: { 'if-none-match': etag } })).status).toBe(200)
  })

  test('HEAD says how long it is and sends nothing', async () => {
    const answer = await fetch(url + artifactPath, { method: 'HEAD' })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-length')).toBe(String(artifact.length))
    expect(await answer.text()).toBe('')
  })

  test('a part of it comes as a part', async () => {
    const answer = await fetch(url + artifactPath, { headers: { range: 'bytes=3-6' } })
    expect(answer.status).toBe(206)
    expect(answer.headers.get('content-range')).toBe(`bytes 3-6/${artifact.length}`)
    expect(answer.headers.get('content-length')).toBe('4')
    expect(Buffer.from(await answer.arrayBuffer()).equals(artifact.slice(3, 7))).toBe(true)
    const rest = await fetch(url + artifactPath, { headers: { range: `bytes=${artifact.length - 2}-` } })
    expect(Buffer.from(await rest.arrayBuffer()).equals(artifact.slice(-2))).toBe(true)
  })

  test('a download that goes on does so only with the same file', async () => {
    const etag = (await fetch(url + artifactPath)).headers.get('etag') ?? ''
    const range = 'bytes=3-'
    expect((await fetch(url + artifactPath, { headers: { range, 'if-range': etag } })).status).toBe(206)
    const other = await fetch(url + artifactPath, { headers: { range, 'if-range': '"other"' } })
    expect(other.status).toBe(200)
    expect(Buffer.from(await other.arrayBuffer()).equals(artifact)).toBe(true)
  })

  test('a part behind the end does not exist, and the answer says where the end is', async () => {
    const answer = await fetch(url + artifactPath, { headers: { range: 'bytes=1000-' } })
    expect(answer.status).toBe(416)
    expect(answer.headers.get('content-range')).toBe(`bytes */${artifact.length}`)
    expect(await answer.json()).toMatchObject({ code: 'range-not-satisfiable' })
  })

  test.each([
    'metadata/9.root.json',
    'metadata/',
    'targets/',
    'artifacts/',
    'artifacts/nothing',
    'spool/x',
    'metadata/1.root.json/x',
    '',
  ])('there is no %s, and no cache may remember that', async (path) => {
    const answer = await fetch(`${url}/repo/${path}`)
    expect(answer.status).toBe(404)
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer.headers.get('cache-control')).toBe('no-store')
  })
})

describe('paths that mean one thing here and another in between', () => {
  test.each([
    '/repo/metadata/../../secrets/admin.token',
    '/repo/metadata/..%2f..%2fsecrets/admin.token',
    '/repo/metadata/%2e%2e/%2e%2e/secrets/admin.token',
    '/repo/metadata/%2E%2E/timestamp.json',
    '/repo/metadata/./timestamp.json',
    '/repo/metadata//timestamp.json',
    '//repo/metadata/timestamp.json',
    '/repo//metadata/timestamp.json',
    '/repo/metadata%2ftimestamp.json',
    '/repo/metadata%5ctimestamp.json',
    '/repo/metadata\\timestamp.json',
    '/repo/metadata/..%5c..%5cadmin.token',
    '/repo/metadata/timestamp.json%00',
    '/repo/metadata/%zz',
    '/repo/../api/v1/hosts',
    '/repo/%2e%2e/api/v1/hosts',
    '/api/v1//hosts',
  ])('%s is refused', async (path) => {
    const answer = await rawRequest(url, `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    expect(answer.status).toBe(400)
    expect(answer.body).not.toContain('timestamp"')
  })

  test('the same path in plain words is answered', async () => {
    const answer = await rawRequest(
      url,
      'GET /repo/metadata/timestamp.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    )
    expect(answer.status).toBe(200)
    expect(answer.body).toContain('timestamp"')
  })
})

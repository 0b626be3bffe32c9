// Where a request may go, by which way, and what it takes along.
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { decideRedirect } from '../../keys/platform/fetch-policy.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { codeOf, fetcherWith, limits, text, using } from './fetching.ts'
import { makeCertificate, serve, serveProxy, serveRaw } from './servers.ts'

describe('where it may go', () => {
  test.each([
    ['http://192.0.2.1/', 'insecure'],
    ['http://127.0.0.1.evil.test/', 'insecure'],
    ['http://localhost.evil.test/', 'insecure'],
    ['ftp://127.0.0.1/', 'insecure'],
    ['file:///etc/passwd', 'insecure'],
  ])('not to %s', async (url, code) => {
    expect(await codeOf(fetcherWith().bytes(url, limits))).toBe(code)
  })

  test('plain http to another machine only if that was said', async () => {
    const fetching = fetcherWith({ insecureHttp: true }).bytes('http://192.0.2.1/', { ...limits, deadlineMs: 50 })
    expect(await codeOf(fetching)).toMatch(/timeout|unreachable/)
  })

  const redirecting = (location: () => string | undefined, status = 302) =>
    using(
      serve((request, response) => {
        const to = location()
        if (request.url === '/end') response.end(`end ${request.headers.authorization} ${request.headers.range}`)
        else response.writeHead(status, to === undefined ? {} : { location: to }).end()
      }),
    )

  test('along redirects on its own origin, with everything it says: the control', async () => {
    for (const status of [301, 302, 303, 307, 308]) {
      const server = await redirecting(() => '/end', status)
      const answer = fetcherWith().bytes(server.url, {
        ...limits,
        headers: { authorization: 'me' },
        range: { from: 0 },
      })
      expect(text(await answer)).toBe('end me bytes=0-')
    }
  })

  test('three times and no further', async () => {
    let left = 3
    const server = await redirecting(() => (left-- > 1 ? '/again' : '/end'))
    expect(text(await fetcherWith().bytes(server.url, limits))).toMatch(/^end/)
    const round = await redirecting(() => '/again')
    expect(await codeOf(fetcherWith().bytes(round.url, limits))).toBe('redirect')
    expect(round.requests).toHaveLength(4)
  })

  test.each([
    ['another host', () => 'http://192.0.2.1/end'],
    ['another port of this machine', () => 'http://127.0.0.1:9/end'],
    ['another scheme', () => 'https://127.0.0.1/end'],
    ['a file', () => 'file:///etc/passwd'],
    ['data', () => 'data:text/plain,hello'],
    ['nowhere', () => undefined],
    ['nonsense', () => 'http://[::'],
    ['a password', () => 'http://me:secret@127.0.0.1/end'],
  ])('not to %s', async (_, location) => {
    const server = await redirecting(location)
    expect(await codeOf(fetcherWith().bytes(server.url, limits))).toBe('redirect')
  })

  test('not to another scheme that has the same origin', async () => {
    const server = await using(
      serve((_, response) => response.writeHead(302, { location: `blob:http://127.0.0.1:${server.port}/end` }).end()),
    )
    expect(await codeOf(fetcherWith().bytes(server.url, limits))).toBe('redirect')
    const from = new URL('https://a.example/x')
    expect(decideRedirect(from, 'blob:https://a.example/y').kind).toBe('refused')
    expect(decideRedirect(from, 'https://a.example/y')).toMatchObject({ kind: 'follow' })
  })

  test('T51: not to https elsewhere, a certificate that counts or not, and nobody there hears of it', async () => {
    const certificate = makeCertificate()
    const storage = await using(serve((_, response) => response.end('stored'), { ...certificate }))
    const fetcher = fetcherWith({ ca: certificate.cert })
    const server = await redirecting(() => `${storage.url}/object?signature=1`)
    expect(await codeOf(fetcher.bytes(server.url, { ...limits, headers: { authorization: 'me' } }))).toBe('redirect')
    const secure = await using(
      serve((_, response) => response.writeHead(302, { location: `${storage.url}/object` }).end(), { ...certificate }),
    )
    expect(await codeOf(fetcher.bytes(secure.url, limits))).toBe('redirect')
    expect(storage.connections()).toBe(0)
    expect(text(await fetcher.bytes(storage.url, limits))).toBe('stored')
  })

  test('what writes is never redirected', async () => {
    const server = await redirecting(() => '/end', 307)
    const sending = fetcherWith().request('PUT', server.url, { ...limits, body: Buffer.from('x') })
    expect(await codeOf(sending)).toBe('redirect')
  })
})

describe('certificates', () => {
  test('count if the machine trusts them or --ca names them', async () => {
    const certificate = makeCertificate()
    const server = await using(serve((_, response) => response.end('secure'), { ...certificate }))
    expect(await codeOf(fetcherWith().bytes(server.url, limits))).toBe('unreachable')
    expect(text(await fetcherWith({ ca: Buffer.from(certificate.cert) }).bytes(server.url, limits))).toBe('secure')
    expect(await codeOf(fetcherWith({ ca: makeCertificate().cert }).bytes(server.url, limits))).toBe('unreachable')
  })

  test('are checked whatever the environment says', async () => {
    const server = await using(serve((_, response) => response.end('stolen'), makeCertificate()))
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    onTestFinished(() => void vi.unstubAllEnvs())
    expect(await codeOf(fetcherWith().bytes(server.url, limits))).toBe('unreachable')
  })
})

describe('a proxy', () => {
  const secureWorld = async () => {
    const certificate = makeCertificate()
    const server = await using(serve((_, response) => response.end('through'), { ...certificate }))
    return { ca: certificate.cert, port: server.port }
  }

  test.each([
    ['', 'http://'],
    ['without its scheme', ''],
  ])('is asked to CONNECT, named %s', async (_, scheme) => {
    const { ca, port } = await secureWorld()
    const proxy = await using(serveProxy())
    const fetcher = fetcherWith({ ca, proxy: { HTTPS_PROXY: `${scheme}127.0.0.1:${proxy.port}` } })
    expect(text(await fetcher.bytes(`https://files.test:${port}/`, limits))).toBe('through')
    expect(text(await fetcher.bytes(`https://files.test:${port}/`, limits))).toBe('through')
    expect(proxy.tunnels).toEqual([`CONNECT files.test:${port}`])
  })

  test('is left out for this machine and for what NO_PROXY lists', async () => {
    const { ca, port } = await secureWorld()
    const proxy = await using(serveProxy())
    const fetcher = fetcherWith({ ca, proxy: { HTTPS_PROXY: proxy.url, NO_PROXY: 'example.test,.invalid' } })
    expect(text(await fetcher.bytes(`https://127.0.0.1:${port}/`, limits))).toBe('through')
    expect(await codeOf(fetcher.bytes(`https://nothing.invalid:${port}/`, limits))).toBe('unreachable')
    expect(proxy.tunnels).toEqual([])
  })

  test('that says nothing is not waited for longer than an answer', async () => {
    const proxy = await using(serveProxy('mute'))
    const fetcher = fetcherWith({ proxy: { HTTPS_PROXY: proxy.url } })
    expect(await codeOf(fetcher.bytes('https://files.test/', { ...limits, answerMs: 100 }))).toBe('timeout')
    expect(proxy.tunnels).toHaveLength(1)
    await expect.poll(() => proxy.open()).toBe(0)
  })

  test('that is not there is unreachable', async () => {
    const fetcher = fetcherWith({ proxy: { HTTPS_PROXY: 'http://127.0.0.1:1' } })
    expect(await codeOf(fetcher.bytes('https://files.test/', limits))).toBe('unreachable')
  })
})

describe('sending', () => {
  const echo = () =>
    using(
      serve((request, response) => {
        const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
        response.writeHead(201)
        response.write(`${request.method} ${length} ${encoding} `)
        request.pipe(response)
      }),
    )
  const parts = async function* (count: number, part: Uint8Array) {
    for (let index = 0; index < count; index++) yield part
  }
  const answerText = async (answer: { body: AsyncIterable<Uint8Array> }) => {
    const all: Uint8Array[] = []
    for await (const chunk of answer.body) all.push(chunk)
    return Buffer.concat(all).toString()
  }

  test('bytes, a stream of known length, a stream of unknown length, nothing', async () => {
    const server = await echo()
    const fetcher = fetcherWith()
    const send = async (method: string, options: object) =>
      answerText(await fetcher.request(method, server.url, { ...limits, ...options }))
    expect(await send('PUT', { body: Buffer.from('bytes') })).toBe('PUT 5 undefined bytes')
    expect(await send('PUT', { body: parts(2, Buffer.from('ab')), bodyLength: 4 })).toBe('PUT 4 undefined abab')
    expect(await send('POST', { body: parts(2, Buffer.from('ab')) })).toBe('POST undefined chunked abab')
    expect(await send('DELETE', {})).toMatch(/^DELETE /)
  })

  test('stops when the server has answered before the end', async () => {
    const server = await using(serve((_, response) => response.writeHead(413).end('too long')))
    let taken = 0
    const endless = async function* () {
      for (;;) {
        taken += 1
        yield Buffer.alloc(65_536)
      }
    }
    const answer = await fetcherWith().request('PUT', server.url, { ...limits, body: endless() })
    expect([answer.status, await answerText(answer)]).toEqual([413, 'too long'])
    const before = taken
    await expect.poll(() => server.open()).toBe(0)
    expect(taken).toBeLessThanOrEqual(before + 2)
  })

  test('a stream that fails says why itself', async () => {
    const server = await echo()
    const failing = async function* () {
      yield Buffer.from('x')
      throw new PlatformError('io', 'the disk said no')
    }
    const sending = fetcherWith().request('PUT', server.url, { ...limits, body: failing() })
    await expect(sending).rejects.toMatchObject({ code: 'io', message: 'the disk said no' })
  })

  test('to somebody who does not read ends at the deadline', async () => {
    const server = await using(serveRaw((socket) => socket.pause()))
    const body = parts(10_000, Buffer.alloc(65_536))
    const sending = fetcherWith().request('PUT', server.url, { ...limits, deadlineMs: 200, body })
    expect(await codeOf(sending)).toBe('timeout')
  })
})

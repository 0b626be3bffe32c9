import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { type Clock, systemClock } from '../../keys/platform/clock.ts'
import { bodyOf } from '../../keys/platform/fetch-body.ts'
import { startWatch } from '../../keys/platform/fetch-watch.ts'
import { codeOf, fetcherWith, limits, text, using } from './fetching.ts'
import { serve, serveRaw } from './servers.ts'

describe('a plain answer', () => {
  test('comes as it is, over one connection kept for the next, asked for without encodings', async () => {
    const seen: unknown[] = []
    const server = await using(
      serve((request, response) => {
        seen.push([request.headers['accept-encoding'], request.headers['user-agent'], request.headers.authorization])
        response.setHeader('x-two', ['a', 'b'])
        response.end('hello')
      }),
    )
    const fetcher = fetcherWith()
    const headers = { authorization: 'Bearer 1' }
    expect(text(await fetcher.bytes(`${server.url}/x`, { ...limits, headers }))).toBe('hello')
    const answer = await fetcher.get(`${server.url}/x`, { ...limits, headers })
    expect(answer).toMatchObject({ status: 200, url: `${server.url}/x`, headers: { 'x-two': 'a, b' } })
    answer.discard()
    expect(seen).toEqual(Array(2).fill(['identity', 'netlink-test/1', 'Bearer 1']))
    expect(server.connections()).toBe(1)
  })

  test('of another status is an answer for get, typed for bytes, and keeps its connection', async () => {
    const server = await using(serve((_, response) => response.writeHead(404).end('no such thing')))
    const fetcher = fetcherWith()
    expect((await fetcher.get(`${server.url}/x?secret=1`, limits)).status).toBe(404)
    const refused = fetcher.bytes(`${server.url}/x?secret=1`, limits)
    await expect(refused).rejects.toMatchObject({ code: 'http-status', facts: { status: 404, url: `${server.url}/x` } })
    await expect(refused).rejects.not.toThrow(/secret/)
  })

  test('may be empty, may be a 304, may be asked for by HEAD', async () => {
    const server = await using(
      serve((request, response) => {
        if (request.url === '/304') response.writeHead(304).end()
        else response.writeHead(200, { 'content-length': request.method === 'HEAD' ? 5_000_000 : 0 }).end()
      }),
    )
    const fetcher = fetcherWith()
    expect(await fetcher.bytes(`${server.url}/`, limits)).toHaveLength(0)
    expect((await fetcher.get(`${server.url}/304`, limits)).status).toBe(304)
    const head = await fetcher.request('HEAD', `${server.url}/`, limits)
    expect(head.headers['content-length']).toBe('5000000')
    head.discard()
  })

  test('of many bytes comes in chunks that nobody joined', async () => {
    const whole = Buffer.alloc(5_000_000, 7)
    const server = await using(serve((_, response) => response.end(whole)))
    const answer = await fetcherWith().get(server.url, { ...limits, maxBytes: whole.length })
    const sizes: number[] = []
    for await (const chunk of answer.body) sizes.push(chunk.length)
    expect(sizes.reduce((sum, size) => sum + size)).toBe(whole.length)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(65_536)
  })

  test('that breaks off before anybody reads it is still an error for who reads it later', async () => {
    const server = await using(serveRaw((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf')))
    const answer = await fetcherWith().get(server.url, limits)
    await expect.poll(() => server.open()).toBe(0)
    const read = async () => {
      for await (const _ of answer.body);
    }
    expect(await codeOf(read())).toBe('unreachable')
  })

  test('is asked for again when the kept connection turns out closed', async () => {
    const server = await using(
      serveRaw((socket, _, turn) => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
        // The first connection looks alive and is reset by the next request.
        if (turn === 1) socket.once('data', () => socket.resetAndDestroy())
      }),
    )
    const fetcher = fetcherWith()
    expect(text(await fetcher.bytes(server.url, limits))).toBe('ok')
    expect(text(await fetcher.bytes(server.url, limits))).toBe('ok')
    expect(server.connections()).toBe(2)
  })
})

describe('what is over', () => {
  test('leaves no timer that keeps the program alive', async () => {
    let timers = 0
    const sleep = async (ms: number, signal?: AbortSignal) => {
      timers += 1
      await systemClock.sleep(ms, signal).finally(() => {
        timers -= 1
      })
    }
    const server = await using(
      serve((request, response) => response.writeHead(request.url === '/missing' ? 404 : 200).end('hello')),
    )
    const fetcher = fetcherWith({ clock: { ...systemClock, sleep } })
    const asked = { ...limits, minBytesPerSecond: 1 }
    await fetcher.bytes(server.url, asked)
    const answer = await fetcher.get(`${server.url}/missing`, asked)
    expect(timers).toBeGreaterThan(0)
    answer.discard()
    expect(await codeOf(fetcher.bytes('http://127.0.0.1:1/', asked))).toBe('unreachable')
    await expect.poll(() => timers).toBe(0)
  })

  test('closes the connection of a body that is read no further', async () => {
    const server = await using(serve((_, response) => response.end(Buffer.alloc(20_000_000))))
    const answer = await fetcherWith().get(server.url, { ...limits, maxBytes: 20_000_000 })
    for await (const _ of answer.body) break
    await expect.poll(() => server.open()).toBe(0)
  })

  test('ends the reading of a body that is let go', async () => {
    const server = await using(serve((_, response) => void response.writeHead(200).write('half')))
    const answer = await fetcherWith().get(server.url, limits)
    const read = async () => {
      for await (const _ of answer.body) setTimeout(answer.discard, 10)
    }
    expect(await codeOf(read())).toBe('unreachable')
  })
})

describe('too much', () => {
  const forever = (_: unknown, response: ServerResponse) => {
    const more = () => {
      while (response.write(Buffer.alloc(65_536)));
      response.once('drain', more)
    }
    more()
  }

  test('a length that is announced is refused before a byte is taken, one byte less is fine', async () => {
    const server = await using(serve((_, response) => response.end(Buffer.alloc(1000))))
    const fetcher = fetcherWith()
    expect(await codeOf(fetcher.get(server.url, { ...limits, maxBytes: 999 }))).toBe('too-large')
    expect(await fetcher.bytes(server.url, { ...limits, maxBytes: 1000 })).toHaveLength(1000)
  })

  test('an endless chunked body ends at the limit', async () => {
    const server = await using(serve(forever))
    const answer = await fetcherWith().get(server.url, { ...limits, maxBytes: 1_000_000 })
    let taken = 0
    const read = async () => {
      for await (const chunk of answer.body) taken += chunk.length
    }
    await expect(read()).rejects.toMatchObject({ code: 'too-large', facts: { limit: 1_000_000 } })
    expect(taken).toBeLessThanOrEqual(1_000_000)
  })

  test('a body longer than its content-length ends where that said', async () => {
    const server = await using(
      serveRaw((socket) => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood${'evil'.repeat(1000)}`)),
    )
    expect(text(await fetcherWith().bytes(server.url, limits))).toBe('good')
  })

  test('a body shorter than its content-length is not a body', async () => {
    const server = await using(serveRaw((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\nshort')))
    expect(await codeOf(fetcherWith().bytes(server.url, limits))).toBe('unreachable')
  })

  test('headers without end are refused', async () => {
    const server = await using(
      serveRaw((socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(1_000_000)}\r\n\r\n`)),
    )
    expect(await codeOf(fetcherWith().bytes(server.url, limits))).toBe('unreachable')
  })

  test('what nobody reads is not taken from the network', async () => {
    let sent = 0
    const server = await using(
      serve((_, response) => {
        const more = () => {
          do sent += 65_536
          while (response.write(Buffer.alloc(65_536)))
          response.once('drain', more)
        }
        more()
      }),
    )
    const answer = await fetcherWith().get(server.url, { ...limits, maxBytes: 1e12 })
    let before = -1
    const hasSettled = () => {
      const isSame = sent === before
      before = sent
      return isSame
    }
    await expect.poll(hasSettled, { interval: 100 }).toBe(true)
    // Our megabyte, the socket's megabyte, and what two kernels buffer between them.
    expect(sent).toBeLessThan(30_000_000)
    answer.discard()
    await expect.poll(() => server.open()).toBe(0)
  })

  test.each([
    ['gzip', { 'content-encoding': 'gzip' }],
    ['br', { 'content-encoding': 'br' }],
    ['two of them', { 'content-encoding': 'identity, gzip' }],
    ['gzip as a transfer encoding', { 'transfer-encoding': 'gzip, chunked' }],
  ])('a body that is encoded with %s is refused', async (_, headers) => {
    const body = gzipSync(Buffer.alloc(10_000_000))
    const server = await using(serve((__, response) => response.writeHead(200, headers).end(body)))
    expect(await codeOf(fetcherWith().bytes(server.url, { ...limits, maxBytes: 1e9 }))).toBe('encoding')
  })
})

describe('too slow', () => {
  test('no answer at all', async () => {
    const server = await using(serveRaw(() => undefined))
    const fetcher = fetcherWith()
    expect(await codeOf(fetcher.bytes(server.url, { ...limits, answerMs: 100 }))).toBe('timeout')
    expect(await codeOf(fetcher.bytes(server.url, { ...limits, deadlineMs: 100 }))).toBe('timeout')
  })

  test('an answer that stops in the middle', async () => {
    const server = await using(serve((_, response) => void response.writeHead(200).write('half')))
    expect(await codeOf(fetcherWith().bytes(server.url, { ...limits, deadlineMs: 200 }))).toBe('timeout')
  })

  test('one byte now and then, long before the deadline; the same rate will do where it is allowed', async () => {
    const server = await using(
      serve((request, response) => {
        response.writeHead(200, { 'content-length': Number(request.url?.slice(1)) })
        let left = Number(request.url?.slice(1))
        const timer = setInterval(() => {
          response.write('x')
          if (--left === 0) response.end()
        }, 20)
        response.once('close', () => clearInterval(timer))
      }),
    )
    const rate = { rateWindowMs: 200 }
    const started = systemClock.monotonicMs()
    const slow = fetcherWith().bytes(`${server.url}/1000`, { ...limits, ...rate, minBytesPerSecond: 1000 })
    await expect(slow).rejects.toMatchObject({ code: 'too-slow', facts: { limit: 1000 } })
    expect(systemClock.monotonicMs() - started).toBeLessThan(5000)
    const allowed = fetcherWith().bytes(`${server.url}/30`, { ...limits, ...rate, minBytesPerSecond: 5 })
    expect(await allowed).toHaveLength(30)
  })

  test('a reader that takes his time is not the server’s fault', async () => {
    const server = await using(serve((_, response) => response.end(Buffer.alloc(3_000_000))))
    const rate = { minBytesPerSecond: 1_000_000, rateWindowMs: 50 }
    const answer = await fetcherWith().get(server.url, { ...limits, ...rate, maxBytes: 3_000_000 })
    let taken = 0
    for await (const chunk of answer.body) {
      taken += chunk.length
      if (taken < 500_000) await systemClock.sleep(30)
    }
    expect(taken).toBe(3_000_000)
  })

  test('a window in which we hardly waited says nothing about the server', async () => {
    let now = 0
    const timers: { at: number; resolve: () => void }[] = []
    const clock: Clock = {
      now: () => new Date(0),
      monotonicMs: () => now,
      sleep: (ms) => new Promise((resolve) => timers.push({ at: now + ms, resolve })),
    }
    const pass = async (ms: number) => {
      now += ms
      for (const timer of timers.splice(0)) timer.at <= now ? timer.resolve() : timers.push(timer)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const watch = startWatch(clock, 'http://x/', 1_000_000, undefined)
    const message = new PassThrough() as unknown as IncomingMessage
    const rates = { maxBytes: 1e9, minBytesPerSecond: 1000, rateWindowMs: 10_000 }
    const body = bodyOf(message, rates, watch, clock)
    // Busy with something else until just before the window ends.
    await pass(9_000)
    const reading = body.next().catch((error) => error)
    await pass(1_000)
    expect(watch.signal.aborted).toBe(false)
    await pass(10_000)
    expect(await reading).toMatchObject({ code: 'too-slow' })
  })

  test.each(['before the answer', 'in the body'])('the caller stops it %s', async (when) => {
    const server = await using(
      serve((_, response) => {
        if (when === 'in the body') response.writeHead(200).write('half')
      }),
    )
    const stop = new AbortController()
    const fetching = fetcherWith().bytes(server.url, { ...limits, signal: stop.signal })
    setTimeout(() => stop.abort(new Error('enough')), 50)
    await expect(fetching).rejects.toMatchObject({ code: 'cancelled', cause: { message: 'enough' } })
    expect(await codeOf(fetcherWith().bytes(server.url, { ...limits, signal: stop.signal }))).toBe('cancelled')
  })
})

describe('nobody there', () => {
  test.each([
    ['a closed port', 'http://127.0.0.1:1/'],
    ['a name that does not exist', 'https://nothing.invalid/'],
    ['no address', 'not an address'],
  ])('%s', async (_, url) => {
    expect(await codeOf(fetcherWith().bytes(url, limits))).toBe('unreachable')
  })

  test('somebody who speaks no HTTP', async () => {
    const server = await using(serveRaw((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')))
    expect(await codeOf(fetcherWith().bytes(server.url, limits))).toBe('unreachable')
  })
})

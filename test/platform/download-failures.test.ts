import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { checkFile } from '../../keys/platform/checked-file.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { downloadArtifact } from '../../keys/platform/download.ts'
import { createSimDisk } from '../sim/disk.ts'
import { digest, fileServer, rangeStart, requestFor, using, WHOLE } from './downloading.ts'
import { serve, serveRaw } from './servers.ts'

describe('a network that fails', () => {
  test('is tried again a bounded number of times, and what came is kept', async () => {
    const server = await using(serve(fileServer((turn) => ({ breakAfter: turn === 1 ? 300_000 : 0 }))))
    const request = requestFor(server.url)
    await expect(downloadArtifact(request)).rejects.toMatchObject({ name: 'PlatformError', code: 'unreachable' })
    expect(server.requests).toHaveLength(5)
    expect(await nodeDisk.stat(request.path)).toMatchObject({ size: 300_000 })
  })

  test('that brings a mebibyte each time may fail as often as it likes', async () => {
    const server = await using(serve(fileServer(() => ({ breakAfter: 1_100_000 }))))
    const limits = { deadlineMs: 20_000, minBytesPerSecond: 0, backoffMs: 1, attempts: 2 }
    await downloadArtifact(requestFor(server.url, { limits }))
    expect(server.requests).toHaveLength(5)
  })

  test('a server that starts over with another entity each time does not keep us for ever', async () => {
    const server = await using(
      serve(fileServer((turn) => ({ etag: `"${turn}"`, content: randomBytes(WHOLE.length), breakAfter: 1_100_000 }))),
    )
    await expect(downloadArtifact(requestFor(server.url))).rejects.toMatchObject({ code: 'unreachable' })
    expect(server.requests.length).toBeLessThan(12)
  })

  test.each([500, 503, 429, 408])('status %d passes', async (status) => {
    let turn = 0
    const server = await using(
      serve((request, response) => {
        if (++turn === 1) response.writeHead(status).end()
        else fileServer(() => ({}))(request, response)
      }),
    )
    await downloadArtifact(requestFor(server.url))
  })

  test.each([401, 403, 404, 410])('status %d does not', async (status) => {
    const server = await using(serve((_, response) => response.writeHead(status).end()))
    const downloading = downloadArtifact(requestFor(server.url))
    await expect(downloading).rejects.toMatchObject({ code: 'http-status', facts: { status } })
    expect(server.requests).toHaveLength(1)
  })

  test('a body that just stops, without having told its length, may have been cut', async () => {
    const server = await using(
      serveRaw((socket, request) => {
        const from = Number(/bytes=(\d+)-/.exec(request)?.[1] ?? 0)
        const range = `content-range: bytes ${from}-${WHOLE.length - 1}/${WHOLE.length}\r\n`
        socket.write(from ? `HTTP/1.1 206 Partial\r\n${range}connection: close\r\n\r\n` : 'HTTP/1.0 200 OK\r\n\r\n')
        socket.end(from ? WHOLE.subarray(from) : WHOLE.subarray(0, 2_000_000))
      }),
    )
    await downloadArtifact(requestFor(server.url))
    expect(server.requests).toHaveLength(2)
  })

  test('one byte a second is too slow, each time', async () => {
    const server = await using(
      serve((_, response) => {
        response.writeHead(200, { 'content-length': WHOLE.length })
        const timer = setInterval(() => response.write('x'), 50)
        response.once('close', () => clearInterval(timer))
      }),
    )
    const limits = { deadlineMs: 20_000, minBytesPerSecond: 10_000, rateWindowMs: 100, backoffMs: 1, attempts: 2 }
    await expect(downloadArtifact(requestFor(server.url, { limits }))).rejects.toMatchObject({ code: 'too-slow' })
  })

  test('a stall at 99 % ends at the deadline of the whole', async () => {
    const server = await using(
      serve((request, response) => {
        const from = rangeStart(request)
        const range = `bytes ${from}-${WHOLE.length - 1}/${WHOLE.length}`
        response.writeHead(from ? 206 : 200, from ? { 'content-range': range } : {})
        response.write(WHOLE.subarray(from, 4_950_000))
      }),
    )
    const request = requestFor(server.url, { limits: { deadlineMs: 500, minBytesPerSecond: 0, backoffMs: 1 } })
    await expect(downloadArtifact(request)).rejects.toMatchObject({ code: 'timeout' })
    expect(await nodeDisk.stat(request.path)).toMatchObject({ size: 4_950_000 })
  })

  test.each(['in the body', 'between two tries'])('the caller stops it %s and what came is kept', async (when) => {
    const server = await using(
      serve((_, response) => {
        response.writeHead(200, { 'content-length': WHOLE.length })
        response.write(WHOLE.subarray(0, 100_000), () => {
          if (when === 'between two tries') setTimeout(() => response.destroy(), 20)
        })
      }),
    )
    const stop = new AbortController()
    const limits = { deadlineMs: 600_000, minBytesPerSecond: 0, backoffMs: 300_000 }
    const request = requestFor(server.url, { signal: stop.signal, limits })
    setTimeout(() => stop.abort(), 300)
    await expect(downloadArtifact(request)).rejects.toMatchObject({ code: 'cancelled' })
    expect(await nodeDisk.stat(request.path)).toMatchObject({ size: 100_000 })
  })

  test('waits longer each time, never as long as another host', async () => {
    const waits: number[] = []
    const clock = { ...systemClock, sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(wait(ms), signal) }
    const wait = (ms: number) => {
      if (ms >= 20_000) return ms
      waits.push(ms)
      return 0
    }
    const limits = { deadlineMs: 600_000, minBytesPerSecond: 0, backoffMs: 1000 }
    const random = () => 0.5
    await expect(downloadArtifact(requestFor('http://127.0.0.1:1/', { clock, limits, random }))).rejects.toMatchObject({
      code: 'unreachable',
    })
    expect(waits).toEqual([750, 1500, 3000, 6000])
  })
})

describe('a disk that fails', () => {
  test('without room from the start asks nobody', async () => {
    const disk = createSimDisk({ capacityBytes: WHOLE.length - 1 })
    const downloading = downloadArtifact(requestFor('http://127.0.0.1:1/', { disk, path: '/part' }))
    await expect(downloading).rejects.toMatchObject({ code: 'no-space', facts: { limit: WHOLE.length - 1 } })
  })

  test('that fills up on the way keeps what came, and with room again the rest comes', async () => {
    const server = await using(serve(fileServer(() => ({}))))
    const disk = createSimDisk()
    disk.failAt(5, { errno: 'ENOSPC' })
    const request = requestFor(server.url, { disk, path: '/part' })
    await expect(downloadArtifact(request)).rejects.toMatchObject({ name: 'PlatformError', code: 'no-space' })
    expect((await disk.stat('/part')).size).toBeGreaterThan(0)
    await downloadArtifact({ ...request, disk: disk.fork() })
    expect(server.requests).toHaveLength(2)
  })

  test('at every effect: typed, and never a proof', async () => {
    const server = await using(serve(fileServer(() => ({}))))
    const whole = createSimDisk()
    await downloadArtifact(requestFor(server.url, { disk: whole, path: '/part' }))
    for (let n = 1; n <= whole.effects; n++) {
      const disk = createSimDisk()
      disk.failAt(n, { errno: 'EIO' })
      const downloading = downloadArtifact(requestFor(server.url, { disk, path: '/part' }))
      await expect(downloading).rejects.toMatchObject({ name: 'PlatformError', code: 'io' })
    }
  })

  test('that loses power afterwards still has what was proven', async () => {
    const server = await using(serve(fileServer(() => ({}))))
    const disk = createSimDisk()
    await downloadArtifact(requestFor(server.url, { disk, path: '/part' }))
    const after = disk.afterCut({ seed: 1, samples: 20 })
    expect(after).toHaveLength(1)
    for (const state of after) await checkFile(state.disk, '/part', digest(WHOLE))
  })
})

import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { buildHttpSource } from '../../keys/http-source.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { createFetcher } from '../../keys/platform/fetch.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'

const fetcher = createFetcher({ userAgent: 'test', clock: systemClock })
let server: Server | undefined

afterEach(async () => {
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)))
})

async function serve(answer: RequestListener): Promise<string> {
  server = createServer(answer)
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/repo/metadata/`
}

async function failure(act: () => Promise<unknown>): Promise<PlatformError> {
  const error = await act().catch((reason: unknown) => reason)
  if (error instanceof PlatformError) return error
  throw new Error('expected a PlatformError', { cause: error })
}

describe('a repository over HTTP', () => {
  it('asks for the encoded name as it is, and takes the bytes as they are', async () => {
    const paths: (string | undefined)[] = []
    const base = await serve((request, response) => {
      paths.push(request.url)
      response.end(Buffer.from([0, 255, 10]))
    })
    const bytes = await buildHttpSource(fetcher, base).load('2...%2Fx.json', 100)
    expect(Uint8Array.from(bytes as Uint8Array)).toEqual(Uint8Array.of(0, 255, 10))
    expect(paths).toEqual(['/repo/metadata/2...%2Fx.json'])
  })

  it.each([403, 404, 410])('takes %i for "there is none"', async (status) => {
    const base = await serve((_, response) => response.writeHead(status).end('no'))
    expect(await buildHttpSource(fetcher, base).load('2.root.json', 100)).toBe('missing')
  })

  it.each([204, 400, 500, 503])('does not take %i for an answer', async (status) => {
    const base = await serve((_, response) => response.writeHead(status).end())
    expect((await failure(() => buildHttpSource(fetcher, base).load('2.root.json', 100))).code).toBe('http-status')
  })

  it('T31 stops reading at the limit', async () => {
    const base = await serve((_, response) => response.end(Buffer.alloc(101)))
    expect((await failure(() => buildHttpSource(fetcher, base).load('timestamp.json', 100))).code).toBe('too-large')
    expect(await buildHttpSource(fetcher, base).load('timestamp.json', 101)).toHaveLength(101)
  })
})

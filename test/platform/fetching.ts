// What the tests of fetch share: limits, a fetcher and servers that are gone after each test.
import { afterEach } from 'vitest'
import { systemClock } from '../../keys/platform/clock.ts'
import { createFetcher, type Fetcher, type FetcherOptions } from '../../keys/platform/fetch.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import type { TestServer } from './servers.ts'

export const limits = { maxBytes: 1000, deadlineMs: 10_000 }
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})
export const using = async <T extends TestServer>(starting: Promise<T>): Promise<T> => {
  const server = await starting
  cleanups.push(() => server.close())
  return server
}
export const fetcherWith = (options: Partial<FetcherOptions> = {}): Fetcher => {
  const fetcher = createFetcher({ userAgent: 'netlink-test/1', clock: systemClock, ...options })
  cleanups.push(() => fetcher.close())
  return fetcher
}
export const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()
export const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise
    return 'no error'
  } catch (error) {
    return error instanceof PlatformError ? error.code : `not typed: ${error}`
  }
}

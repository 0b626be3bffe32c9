// What the tests of fetch share: limits, a fetcher and servers that are gone after each test.
import { onTestFinished } from 'vitest'
import { systemClock } from '../../keys/platform/clock.ts'
import { createFetcher, type Fetcher, type FetcherOptions } from '../../keys/platform/fetch.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import type { TestServer } from './servers.ts'

export const limits = { maxBytes: 1000, deadlineMs: 10_000 }
export const using = async <T extends TestServer>(starting: Promise<T>): Promise<T> => {
  const server = await starting
  onTestFinished(async () => void (await server.close()))
  return server
}
export const fetcherWith = (options: Partial<FetcherOptions> = {}): Fetcher => {
  const fetcher = createFetcher({ userAgent: 'netlink-test/1', clock: systemClock, ...options })
  onTestFinished(async () => void (await fetcher.close()))
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

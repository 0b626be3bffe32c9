import { PlatformError } from './platform-error.ts'

/** What node:http, node:net or node:tls said while `url` was asked, in this project's words. A PlatformError passes through as it is. */
export function transportError(url: string, cause: unknown): PlatformError {
  if (cause instanceof PlatformError) return cause
  return new PlatformError('unreachable', `${url}: ${wordsOf(cause)}`, { url }, { cause })
}

function wordsOf(cause: unknown): string {
  // A name with several addresses: Node gives one error an address and no message of its own.
  if (cause instanceof AggregateError && cause.errors.length > 0) return cause.errors.map(wordsOf).join('; ')
  return cause instanceof Error ? cause.message : String(cause)
}

import { CoreError } from './core-error.ts'
import type { ByteRange } from './ports.ts'

const SEGMENT = /^[A-Za-z0-9._~%+-]{1,255}$/

/** Whether a store may hold this key: segments of a fixed alphabet, none of them a step up or hidden. */
export function isBlobKey(key: string): boolean {
  return key.length <= 1000 && key.split('/').every((segment) => SEGMENT.test(segment) && !segment.startsWith('.'))
}

/** The key as it came. Throws CoreError 'invalid'. */
export function parseBlobKey(key: string): string {
  if (isBlobKey(key)) return key
  throw new CoreError('invalid', `expected a key of plain segments, found ${JSON.stringify(key.slice(0, 200))}`)
}

/** First byte and number of bytes of a range in an object of `size`. Throws CoreError 'invalid' with reason `range` if it starts past the end or ends before it starts. */
export function clampRange(range: ByteRange | undefined, size: number): { start: number; length: number } {
  if (!range) return { start: 0, length: size }
  const end = Math.min(range.end ?? size - 1, size - 1)
  if (range.start >= size || end < range.start) {
    throw new CoreError('invalid', `range ${range.start}-${range.end ?? ''} lies outside an object of ${size} bytes`, {
      reason: 'range',
      actual: String(size),
    })
  }
  return { start: range.start, length: end - range.start + 1 }
}

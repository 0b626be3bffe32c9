import { createHash, type Hash } from 'node:crypto'
import { TrustError } from '../trust-error.ts'
import type { Disk } from './disk.ts'

/** What signed metadata says about a file's bytes; hashes in lower-case hex. */
export interface FileDigest {
  readonly length: number
  readonly sha256: string
  readonly sha512?: string | undefined
}

/**
 * Proof that the file at `path` had this length and these hashes when it was last read. Only this module makes one.
 * It says nothing about what somebody does to the file afterwards: the folder must be one that only we can write in.
 */
class CheckedFile {
  readonly #checked = true
  readonly path: string
  readonly length: number
  readonly sha256: string

  constructor(path: string, digest: FileDigest) {
    this.path = path
    this.length = digest.length
    this.sha256 = digest.sha256
  }

  static is(value: unknown): value is CheckedFile {
    return value instanceof CheckedFile && value.#checked
  }
}

export type { CheckedFile }

/** Reads the file at `path` and proves it. TrustError `hash` if it is not what `digest` says; the file stays where it is. */
export async function checkFile(disk: Disk, path: string, digest: FileDigest): Promise<CheckedFile> {
  const reading = startReading(path, digest)
  for await (const chunk of disk.readChunks(path, 'reused')) reading.update(chunk)
  return reading.proof()
}

/** Hashes that grow with a file. */
export interface Reading {
  /** Bytes so far. */
  readonly length: number
  /** TrustError `hash` as soon as there are more bytes than there should be. */
  update(bytes: Uint8Array): void
  /** TrustError `hash` if what was read is not all of it, or not it. The reading is over. */
  proof(): CheckedFile
}

/** Starts hashing what goes into, or comes out of, the file at `path`. */
export function startReading(path: string, digest: FileDigest): Reading {
  const hashes: readonly (readonly [Hash, string | undefined])[] = [
    [createHash('sha256'), digest.sha256],
    ...(digest.sha512 === undefined ? [] : [[createHash('sha512'), digest.sha512] as const]),
  ]
  let length = 0
  return {
    get length() {
      return length
    },
    update(bytes) {
      length += bytes.length
      if (length > digest.length) throw wrong(path, `${digest.length} bytes`, `${length} or more`)
      for (const [hash] of hashes) hash.update(bytes)
    },
    proof() {
      if (length !== digest.length) throw wrong(path, `${digest.length} bytes`, `${length}`)
      for (const [hash, expected] of hashes) {
        const actual = hash.digest('hex')
        if (actual !== expected) throw wrong(path, `${expected}`, actual)
      }
      return new CheckedFile(path, digest)
    },
  }
}

/** The message names the beginnings of hashes, which is what people compare; the facts hold them whole. */
function wrong(path: string, expected: string, actual: string): TrustError {
  const words = `hash: these are not the bytes that were signed: expected ${short(expected)}, got ${short(actual)}`
  return new TrustError('hash', words, { path, expected, actual })
}

function short(value: string): string {
  return value.length > 32 ? `${value.slice(0, 16)}…` : value
}

// Small published files, kept in memory: after a release every host asks for the same few within a second, and reading each of them costs more than
// answering. What is kept is what the storage holds: whoever asks has just asked the storage for the entity tag, and another tag is another file.
import type { BlobStore, Stored } from './ports.ts'

export interface SmallFiles {
  /** The whole object that `stored` speaks of; undefined if it is not small, or has gone or changed since. The bytes are shared: nobody may change them. */
  load(key: string, stored: Stored): Promise<Uint8Array<ArrayBuffer> | undefined>
}

/** Up to here a file is small. */
const SMALL_BYTES = 1 << 16
/** Of all that is kept; the oldest goes first. */
const KEPT_BYTES = 8 << 20

export function buildSmallFiles(blobs: Pick<BlobStore, 'open'>): SmallFiles {
  const kept = new Map<
    string,
    { readonly etag: string; readonly bytes: Promise<Uint8Array<ArrayBuffer> | undefined> }
  >()
  const sizes = new Map<string, number>()
  let held = 0

  function forget(key: string): void {
    kept.delete(key)
    held -= sizes.get(key) ?? 0
    sizes.delete(key)
  }

  function keep(key: string, stored: Stored, bytes: Promise<Uint8Array<ArrayBuffer> | undefined>): void {
    forget(key)
    kept.set(key, { etag: stored.etag, bytes })
    sizes.set(key, stored.size)
    held += stored.size
    for (const oldest of kept.keys()) {
      if (held <= KEPT_BYTES) return
      forget(oldest)
    }
  }

  async function read(key: string, stored: Stored): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const opened = await blobs.open(key)
    if (!opened) return undefined
    if (opened.etag !== stored.etag || opened.size !== stored.size) {
      await opened.stream.cancel()
      return undefined
    }
    return readExactly(opened.stream, stored.size)
  }

  return {
    load: async (key, stored) => {
      if (stored.size > SMALL_BYTES) return undefined
      const known = kept.get(key)
      if (known?.etag === stored.etag) return known.bytes
      const bytes = read(key, stored)
      keep(key, stored, bytes)
      const drop = () => {
        if (kept.get(key)?.bytes === bytes) forget(key)
      }
      bytes.then((found) => found ?? drop(), drop)
      return bytes
    },
  }
}

/** undefined if the storage sends more or less than it said; never more in memory than that and one chunk. */
async function readExactly(
  stream: ReadableStream<Uint8Array>,
  size: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const bytes = new Uint8Array(size)
  let at = 0
  for await (const chunk of stream) {
    if (at + chunk.length > size) return undefined
    bytes.set(chunk, at)
    at += chunk.length
  }
  return at === size ? bytes : undefined
}

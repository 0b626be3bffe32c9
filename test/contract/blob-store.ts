// What every BlobStore does, run against each adapter.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BlobStore, Bytes } from '../../server/core/ports.ts'

/** Registers the suite. `open` makes a store that shows nothing yet; calling it again opens the same one. */
export function describeBlobStore(name: string, open: () => Promise<BlobStore>, options: { largeBytes: number }): void {
  describe(`BlobStore: ${name}`, () => {
    test('what was put comes back, with its length and a tag', async () => {
      const store = await open()
      const stored = await put(store, 'back/one.bin', text('hello'))
      const found = await store.open('back/one.bin')
      expect(found).toMatchObject({ size: 5, start: 0, length: 5, etag: stored.etag })
      expect(await readAll(found?.stream)).toBe('hello')
      expect(await store.stat('back/one.bin')).toEqual(stored)
      expect(Buffer.from((await store.read('back/one.bin', 5)) ?? []).toString()).toBe('hello')
    })

    test('what is not there is undefined, and a name that others lie below is not there', async () => {
      const store = await open()
      await put(store, 'folder/inside', text('x'))
      for (const key of ['nowhere', 'folder', 'folder/inside/deeper']) {
        expect(await store.open(key)).toBeUndefined()
        expect(await store.stat(key)).toBeUndefined()
        expect(await store.read(key, 10)).toBeUndefined()
      }
      await store.delete('nowhere')
    })

    test('an empty object is an object', async () => {
      const store = await open()
      await put(store, 'empty', text(''))
      expect(await readAll((await store.open('empty'))?.stream)).toBe('')
      expect(await store.stat('empty')).toMatchObject({ size: 0 })
    })

    test('putting again replaces whole content and changes the tag, except of what is immutable', async () => {
      const store = await open()
      const first = await put(store, 'again/timestamp.json', text('version 1'))
      const second = await put(store, 'again/timestamp.json', text('version 2'))
      expect(second.etag).not.toBe(first.etag)
      expect(await readAll((await store.open('again/timestamp.json'))?.stream)).toBe('version 2')
      const kept = await put(store, 'again/immutable', text('abc'), { immutable: true })
      expect((await put(store, 'again/immutable', text('abc'), { immutable: true })).etag).toBe(kept.etag)
    })

    test('bytes that are not the announced ones never show', async () => {
      const store = await open()
      const right = { length: 5, sha256: sha256(text('right')), immutable: true }
      await expect(store.put('wrong/hash', text('wrong'), right)).rejects.toMatchObject({
        code: 'unverified',
        facts: { reason: 'hash' },
      })
      await expect(store.put('wrong/short', text('rig'), right)).rejects.toMatchObject({
        code: 'unverified',
        facts: { reason: 'length' },
      })
      await expect(store.put('wrong/long', text('right and more'), right)).rejects.toMatchObject({ code: 'unverified' })
      expect(await keysOf(store, 'wrong/')).toEqual([])
      await store.put('wrong/hash', text('right'), right)
      expect(await keysOf(store, 'wrong/')).toEqual(['wrong/hash'])
    })

    test('a source that breaks leaves nothing', async () => {
      const store = await open()
      const broken = async function* () {
        yield text('half of ')
        throw new Error('the cable was pulled')
      }
      await expect(
        store.put('broken/one', broken(), { length: 20, sha256: sha256(text('?')), immutable: true }),
      ).rejects.toThrow(/cable/)
      expect(await keysOf(store, 'broken/')).toEqual([])
    })

    test('a range gives its bytes and the size of the whole', async () => {
      const store = await open()
      const content = '0123456789'
      await put(store, 'range/digits', text(content))
      const part = await store.open('range/digits', { start: 2, end: 4 })
      expect(part).toMatchObject({ size: 10, start: 2, length: 3 })
      expect(await readAll(part?.stream)).toBe('234')
      expect(await readAll((await store.open('range/digits', { start: 7 }))?.stream)).toBe('789')
      expect(await readAll((await store.open('range/digits', { start: 8, end: 99 }))?.stream)).toBe('89')
      await expect(store.open('range/digits', { start: 10 })).rejects.toMatchObject({
        code: 'invalid',
        facts: { reason: 'range' },
      })
      expect(await store.open('range/none', { start: 0 })).toBeUndefined()
    })

    test('any range of any content is that slice of it', async () => {
      const store = await open()
      const content = Buffer.from(Array.from({ length: 3000 }, (_, index) => index % 251))
      await put(store, 'slice', content)
      await fc.assert(
        fc.asyncProperty(fc.nat(2999), fc.nat(4000), async (start, more) => {
          const found = await store.open('slice', { start, end: start + more })
          expect(await bytesOf(found?.stream)).toEqual(content.subarray(start, start + more + 1))
        }),
        { numRuns: 20 },
      )
    })

    test('lists what lies below a prefix in byte order, and nothing else', async () => {
      const store = await open()
      for (const key of ['list/b', 'list/a/z', 'list/a-1', 'list/a.1', 'list/B', 'listing'])
        await put(store, key, text(key))
      expect(await keysOf(store, 'list/')).toEqual(['list/B', 'list/a-1', 'list/a.1', 'list/a/z', 'list/b'])
      expect(await keysOf(store, 'list/a/')).toEqual(['list/a/z'])
      expect(await keysOf(store, 'nothing/')).toEqual([])
      expect(await keysOf(store, '')).toContain('listing')
    })

    test('what was deleted is gone', async () => {
      const store = await open()
      await put(store, 'gone/one', text('x'))
      await store.delete('gone/one')
      expect(await store.stat('gone/one')).toBeUndefined()
      expect(await keysOf(store, 'gone/')).toEqual([])
    })

    test('reading stops at its limit', async () => {
      const store = await open()
      await put(store, 'limit', text('123456'))
      await expect(store.read('limit', 5)).rejects.toMatchObject({ code: 'too-large' })
      expect(await store.read('limit', 6)).toHaveLength(6)
    })

    test.each([
      '../up',
      'a/../b',
      '/absolute',
      'a//b',
      '',
      '.hidden',
      'a/.',
      'back\\slash',
      'nul\0',
      'a/',
      `${'x'.repeat(256)}`,
      'ümlaut',
    ])('the key %j is refused by every method', async (key) => {
      const store = await open()
      const invalid = { code: 'invalid' }
      await expect(put(store, key, text('x'))).rejects.toMatchObject(invalid)
      for (const effect of [
        () => store.open(key),
        () => store.stat(key),
        () => store.read(key, 1),
        () => store.delete(key),
      ]) {
        await expect((async () => effect())()).rejects.toMatchObject(invalid)
      }
    })

    test('names of role files are keys: percent, plus, dots inside', async () => {
      const store = await open()
      const key = 'repo/metadata/12.%2Frole+x.json'
      await put(store, key, text('{}'))
      expect(await readAll((await store.open(key))?.stream)).toBe('{}')
      expect(await keysOf(store, 'repo/metadata/')).toEqual([key])
    })

    test('two puts of one key at once leave one of them whole', async () => {
      const store = await open()
      const [a, b] = ['a'.repeat(70_000), 'b'.repeat(70_000)]
      await Promise.all([put(store, 'race', text(a)), put(store, 'race', text(b))])
      expect([a, b]).toContain(await readAll((await store.open('race'))?.stream))
    })

    test(`a large object (${options.largeBytes} bytes) goes through in pieces, and a wrong one never shows`, async () => {
      const store = await open()
      const block = Buffer.alloc(1 << 20)
      const blocks = Math.ceil(options.largeBytes / block.length)
      const source = async function* () {
        // Equal blocks on purpose: parts of equal content must not be taken for one.
        for (let index = 0; index < blocks; index++) yield block
      }
      const hash = createHash('sha256')
      for (let index = 0; index < blocks; index++) hash.update(block)
      const wanted = { length: blocks * block.length, sha256: hash.digest('hex'), immutable: true }
      await expect(store.put('large/one', source(), { ...wanted, sha256: '0'.repeat(64) })).rejects.toMatchObject({
        code: 'unverified',
      })
      expect(await store.stat('large/one')).toBeUndefined()
      expect(await store.put('large/one', source(), wanted)).toMatchObject({ size: wanted.length })
      const back = createHash('sha256')
      for await (const chunk of (await store.open('large/one'))?.stream ?? []) back.update(chunk)
      expect(back.digest('hex')).toBe(wanted.sha256)
      await store.delete('large/one')
    })

    test('it says that it is there', async () => {
      await (await open()).ping(5_000)
    })
  })
}

function put(store: BlobStore, key: string, bytes: Uint8Array, options: { immutable: boolean } = { immutable: false }) {
  const source: Bytes = bytes
  return store.put(key, source, { length: bytes.length, sha256: sha256(bytes), ...options })
}

const text = (value: string): Buffer => Buffer.from(value)
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

async function bytesOf(stream: ReadableStream<Uint8Array> | undefined): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream ?? []) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function readAll(stream: ReadableStream<Uint8Array> | undefined): Promise<string> {
  return (await bytesOf(stream)).toString()
}

async function keysOf(store: BlobStore, prefix: string): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of store.list(prefix)) keys.push(key)
  return keys
}

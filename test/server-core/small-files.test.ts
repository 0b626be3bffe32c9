import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { buildSmallFiles } from '../../server/core/small-files.ts'
import { openFsBlobStore } from '../../server/store/fs-blob-store.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

async function world() {
  const folder = mkdtempSync(join(tmpdir(), 'netlink-small-'))
  folders.push(folder)
  const blobs = await openFsBlobStore({ folder, random: (length) => randomBytes(length) })
  let opened = 0
  let broken = false
  const files = buildSmallFiles({
    open: (key) => {
      opened += 1
      return broken ? Promise.reject(new Error('the disk is away')) : blobs.open(key)
    },
  })
  const put = (key: string, text: string | Buffer) => {
    const bytes = Buffer.from(text)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    return blobs.put(key, bytes, { length: bytes.length, sha256, immutable: false })
  }
  const stored = async (key: string) => (await blobs.stat(key)) ?? expect.fail(`no ${key}`)
  const text = async (key: string, facts = stored(key)) => {
    const bytes = await files.load(key, await facts)
    return bytes && Buffer.from(bytes).toString()
  }
  return { blobs, files, put, stored, text, opened: () => opened, breakDisk: (now: boolean) => (broken = now) }
}

describe('small published files', () => {
  it('are read once, however many ask at the same moment', async () => {
    const { put, text, opened } = await world()
    await put('a.json', 'one')
    expect(await Promise.all(Array.from({ length: 50 }, () => text('a.json')))).toEqual(Array(50).fill('one'))
    expect(opened()).toBe(1)
  })

  it('are read again as soon as the storage holds another file under the name', async () => {
    const { put, text } = await world()
    await put('timestamp.json', 'v1')
    expect(await text('timestamp.json')).toBe('v1')
    await put('timestamp.json', 'v2')
    expect(await text('timestamp.json')).toBe('v2')
  })

  it('are not given out for a tag that no longer fits, nor once they are gone', async () => {
    const { blobs, put, stored, text } = await world()
    await put('a.json', 'one')
    const before = stored('a.json')
    await before
    await put('a.json', 'two')
    expect(await text('a.json', before)).toBe(undefined)
    expect(await text('a.json')).toBe('two')
    const now = stored('a.json')
    await now
    await blobs.delete('a.json')
    await put('b.json', 'x')
    expect(await text('b.json')).toBe('x')
    expect(await blobs.stat('a.json')).toBe(undefined)
  })

  it('do not remember a failure', async () => {
    const { put, text, breakDisk } = await world()
    await put('a.json', 'one')
    breakDisk(true)
    await expect(text('a.json')).rejects.toThrow('the disk is away')
    breakDisk(false)
    expect(await text('a.json')).toBe('one')
  })

  it('are read no further than was said, whatever the storage sends', async () => {
    let sent = 0
    const stream = () =>
      new ReadableStream<Uint8Array>({
        pull: (controller) => {
          sent += 1 << 16
          controller.enqueue(new Uint8Array(1 << 16))
        },
      })
    const endless = buildSmallFiles({
      open: async () => ({ size: 100, etag: 'x', start: 0, length: 100, stream: stream() }),
    })
    expect(await endless.load('a', { size: 100, etag: 'x' })).toBe(undefined)
    expect(sent).toBeLessThan(1 << 20)
    const other = buildSmallFiles({
      open: async () => ({ size: 1 << 30, etag: 'y', start: 0, length: 1 << 30, stream: stream() }),
    })
    expect(await other.load('a', { size: 100, etag: 'x' })).toBe(undefined)
    expect(sent).toBeLessThan(1 << 20)
  })

  it('stay within their memory: the oldest is forgotten first, and a large one is never kept', async () => {
    const { put, text, files, stored, opened } = await world()
    const big = Buffer.alloc(1 << 16, 'x')
    const keys = Array.from({ length: 129 }, (_, index) => `m/${index}.json`)
    for (const key of keys) {
      await put(key, big)
      await text(key)
    }
    expect(opened()).toBe(129)
    await text('m/128.json')
    expect(opened()).toBe(129)
    await text('m/0.json')
    expect(opened()).toBe(130)
    await put('large', Buffer.alloc((1 << 16) + 1))
    expect(await files.load('large', await stored('large'))).toBe(undefined)
    expect(opened()).toBe(130)
  })
})

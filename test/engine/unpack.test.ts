// Archives that mean harm: whatever they hold, nothing appears outside the folder that they were to be unpacked into.
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hashTree, type UnpackRequest, unpack } from '../../agent/engine/unpack.ts'
import { type Disk, nodeDisk } from '../../keys/platform/disk.ts'
import { TAR_END, tarHeader, tarPadding } from '../../schema/archive/tar.ts'
import { entriesOf, type Files } from './release.ts'

let folder: string
let into: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-unpack-'))
  into = join(folder, 'deep', 'staging')
  await mkdir(into, { recursive: true })
  await writeFile(join(folder, 'precious'), 'mine')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const limits = { maxEntries: 100, maxBytes: 1 << 20 }

function run(archive: Uint8Array, changes: Partial<UnpackRequest> = {}) {
  return unpack({ disk: nodeDisk, archive: chunked(archive), into, ...limits, ...changes })
}

async function* chunked(bytes: Uint8Array, size = 1000) {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}

function tarOf(files: Files): Buffer {
  return Buffer.concat([
    ...entriesOf(files).flatMap(({ entry, data }) => [tarHeader(entry), data, tarPadding(entry.size)]),
    TAR_END,
  ])
}

interface RawEntry {
  readonly type?: string
  readonly mode?: number
  readonly data?: string
  readonly link?: string
  readonly size?: number
}

/** A tar header as any program might write it: nothing is checked. */
function rawEntry(name: string, { type = '0', mode = 0o644, data = '', link = '', size }: RawEntry = {}): Buffer {
  const block = Buffer.alloc(512)
  block.write(name, 0, 100, 'latin1')
  block.write(`${mode.toString(8).padStart(7, '0')}\0`, 100)
  block.write('0000000\x000000000\0', 108)
  block.write(`${(size ?? data.length).toString(8).padStart(11, '0')}\0`, 124)
  block.write('00000000000\0', 136)
  block.write('        ', 148)
  block.write(type, 156)
  block.write(link, 157, 100, 'latin1')
  block.write('ustar\x0000', 257)
  block.write('0000000\x000000000\0', 329)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return Buffer.concat([block, Buffer.from(data), Buffer.alloc((512 - (data.length % 512)) % 512)])
}

const bad = (...entries: Buffer[]) => zstdCompressSync(Buffer.concat([...entries, TAR_END]))

async function outside(): Promise<string[]> {
  const names = await readdir(folder, { recursive: true })
  return names.filter((name) => !name.startsWith('deep/staging/')).sort()
}

const UNTOUCHED = ['deep', 'deep/staging', 'precious']

describe('a good archive', () => {
  test('becomes the tree that was packed, with its rights and its digest', async () => {
    const files = { '!bin/app': 'program', 'www/a.txt': 'a', 'www/empty': '', 'big.bin': randomBytes(300_000) }
    const unpacked = await run(zstdCompressSync(tarOf(files)))
    expect(unpacked).toMatchObject({ entries: 6, bytes: 300_008 })
    expect(unpacked.treeSha256).toBe(await hashTree(nodeDisk, into))
    expect((await stat(join(into, 'bin/app'))).mode & 0o7777).toBe(0o755)
    expect((await stat(join(into, 'www/a.txt'))).mode & 0o7777).toBe(0o644)
    expect(
      createHash('sha256')
        .update(await readFile(join(into, 'big.bin')))
        .digest('hex'),
    ).toBe(createHash('sha256').update(files['big.bin']).digest('hex'))
  })

  test('may be of thousands of small files and of one that is large', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 3000 }, (_, index) => [`d${index % 7}/f${index}`, `content ${index}`]),
    )
    const all = { ...files, large: randomBytes(8 << 20) }
    const unpacked = await run(zstdCompressSync(tarOf(all)), { maxEntries: 5000, maxBytes: 1 << 30 })
    expect(unpacked.treeSha256).toBe(await hashTree(nodeDisk, into))
  })
})

describe('nothing gets out of its folder with', () => {
  test.each<[string, Buffer, string]>([
    ['a path upwards', rawEntry('../precious', { data: 'theirs' }), 'traversal'],
    ['a path that goes down and up', rawEntry('a/../../precious', { data: 'theirs' }), 'traversal'],
    ['a path of dots', rawEntry('./../x', { data: 'theirs' }), 'traversal'],
    ['an absolute path', rawEntry('/tmp/netlink-precious', { data: 'theirs' }), 'absolute'],
    ['a drive letter', rawEntry('C:..\\x', { data: 'theirs' }), 'absolute'],
    ['a backslash', rawEntry('..\\x', { data: 'theirs' }), 'traversal'],
    ['a symbolic link', rawEntry('link', { type: '2', link: '../../precious' }), 'link'],
    ['a hard link', rawEntry('link', { type: '1', link: '../../precious' }), 'link'],
    ['a character device', rawEntry('dev', { type: '3' }), 'device'],
    ['a fifo', rawEntry('pipe', { type: '6' }), 'device'],
    ['set-id bits', rawEntry('root', { mode: 0o6755 }), 'mode'],
    ['a mode for everybody', rawEntry('all', { mode: 0o777 }), 'mode'],
    ['a GNU long name', rawEntry('././@LongLink', { type: 'L', data: '../precious' }), 'bad-header'],
  ])('%s', async (_, entry, code) => {
    await expect(run(bad(entry))).rejects.toMatchObject({ name: 'ArchiveError', code })
    expect(await outside()).toEqual(UNTOUCHED)
    expect(await readFile(join(folder, 'precious'), 'utf8')).toBe('mine')
  })

  test("a PAX path that is not the header's", async () => {
    const pax = '22 path=../../precious\n'
    await expect(
      run(bad(rawEntry('PaxHeader', { type: 'x', data: pax }), rawEntry('x', { data: 'theirs' }))),
    ).rejects.toMatchObject({ name: 'ArchiveError' })
    expect(await outside()).toEqual(UNTOUCHED)
  })

  test('a symlink that somebody laid into the folder before', async () => {
    await symlink(join(folder, 'precious'), join(into, 'file'))
    await expect(run(zstdCompressSync(tarOf({ file: 'theirs' })))).rejects.toMatchObject({
      name: 'PlatformError',
      code: 'exists',
    })
    expect(await readFile(join(folder, 'precious'), 'utf8')).toBe('mine')
  })

  test('a folder that is a symlink: it is refused as taken', async () => {
    await symlink(folder, join(into, 'dir'))
    await expect(run(zstdCompressSync(tarOf({ 'dir/precious': 'theirs' })))).rejects.toMatchObject({
      name: 'PlatformError',
      code: 'exists',
    })
    expect(await readFile(join(folder, 'precious'), 'utf8')).toBe('mine')
  })
})

describe('is bounded by what was signed:', () => {
  test.each<[string, () => Uint8Array, Partial<UnpackRequest>, string]>([
    ['bytes', () => zstdCompressSync(tarOf({ a: Buffer.alloc(5000) })), { maxBytes: 4999 }, 'too-many-bytes'],
    ['entries', () => zstdCompressSync(tarOf({ a: '', b: '', c: '' })), { maxEntries: 2 }, 'too-many-entries'],
    [
      'a bomb of zeros behind the end',
      () => zstdCompressSync(Buffer.concat([tarOf({ a: 'x' }), Buffer.alloc(64 << 20)])),
      {},
      'trailing',
    ],
    ['a size that lies', () => bad(rawEntry('a', { data: 'x', size: 1 << 30 })), {}, 'too-many-bytes'],
  ])('%s', async (_, archive, changes, code) => {
    await expect(run(archive(), changes)).rejects.toMatchObject({ name: 'ArchiveError', code })
  })

  test('and within its bounds it passes', async () => {
    await expect(
      run(zstdCompressSync(tarOf({ a: Buffer.alloc(5000), b: '' })), { maxBytes: 5000, maxEntries: 2 }),
    ).resolves.toBeDefined()
  })

  test('thousands of empty files are not made where a hundred were signed', async () => {
    const entries = Array.from({ length: 2000 }, (_, index) =>
      tarHeader({ path: `f${String(index).padStart(7, '0')}`, type: 'file', mode: 0o644, size: 0 }),
    )
    await expect(run(zstdCompressSync(Buffer.concat(entries)))).rejects.toMatchObject({ code: 'too-many-entries' })
    expect((await readdir(into)).length).toBeLessThanOrEqual(100)
  })
})

describe('is refused as broken:', () => {
  const tar = tarOf({ a: randomBytes(10_000), b: 'b' })
  const good = zstdCompressSync(tar)

  test('not when it is whole', async () => {
    await expect(run(good)).resolves.toMatchObject({ entries: 2 })
  })

  test.each<[string, () => Uint8Array]>([
    ['an end in the middle', () => good.subarray(0, good.length - 100)],
    ['an archive that ends before its end mark', () => zstdCompressSync(tar.subarray(0, tar.length - 1024))],
    ['nothing at all', () => new Uint8Array()],
    ['something that is no zstd', () => Buffer.from('hello, world')],
    ['names that differ only in case', () => bad(rawEntry('A'), rawEntry('a'))],
    ['the same name twice', () => bad(rawEntry('a'), rawEntry('a'))],
  ])('%s', async (_, archive) => {
    await expect(run(archive())).rejects.toThrow()
    expect(await outside()).toEqual(UNTOUCHED)
  })

  test('a flipped byte is refused, or makes another digest', async () => {
    const digestOf = (archive: Uint8Array) =>
      run(archive).then(
        ({ treeSha256 }) => treeSha256,
        () => 'refused',
      )
    const flipped = Buffer.from(good.map((byte, index) => (index === 5000 ? byte ^ 1 : byte)))
    const other = await digestOf(flipped)
    await rm(into, { recursive: true })
    await mkdir(into)
    expect(other).not.toBe(await digestOf(good))
  })

  test('nothing is being written any more when it rejects', async () => {
    const stop = new AbortController()
    const { disk, pending } = countingDisk()
    const files = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`f${index}`, randomBytes(1000)]))
    const unpacking = run(zstdCompressSync(tarOf(files)), {
      disk,
      signal: stop.signal,
      maxEntries: 1000,
      onProgress: (bytes) => void (bytes > 50_000 && stop.abort(new Error('enough'))),
    })
    await expect(unpacking).rejects.toThrow('enough')
    expect(pending()).toBe(0)
  })
})

/** The real disk, and how many of its effects were asked for and are not answered yet. */
function countingDisk(): { disk: Disk; pending: () => number } {
  let pending = 0
  const counted = async <T>(effect: Promise<T>): Promise<T> => {
    pending += 1
    try {
      return await effect
    } finally {
      pending -= 1
    }
  }
  const disk: Disk = {
    ...nodeDisk,
    makeDir: (path, mode) => counted(nodeDisk.makeDir(path, mode)),
    createFile: async (path, mode) => {
      const writer = await counted(nodeDisk.createFile(path, mode))
      return {
        write: (bytes) => counted(writer.write(bytes)),
        sync: () => counted(writer.sync()),
        close: () => counted(writer.close()),
      }
    },
  }
  return { disk, pending: () => pending }
}

describe('the digest of a tree on the disk', () => {
  test.each<[string, () => Promise<unknown>]>([
    ['a byte', () => writeFile(join(into, 'www/a'), 'B')],
    ['a name', () => writeFile(join(into, 'www/b'), '')],
    ['rights', async () => (await import('node:fs/promises')).chmod(join(into, 'www/a'), 0o755)],
    ['a folder', () => mkdir(join(into, 'empty'))],
  ])('changes with %s', async (_, change) => {
    await run(zstdCompressSync(tarOf({ 'www/a': 'A' })))
    const before = await hashTree(nodeDisk, into)
    await change()
    expect(await hashTree(nodeDisk, into)).not.toBe(before)
  })

  test('is refused where there is a link', async () => {
    await run(zstdCompressSync(tarOf({ a: 'A' })))
    await symlink('a', join(into, 'b'))
    await expect(hashTree(nodeDisk, into)).rejects.toMatchObject({ name: 'ArchiveError', code: 'link' })
  })
})

// One contract for the disk of the machine and the simulated one, and then what only a real one can show.
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { createNodeDisk, type Disk, nodeDisk } from '../../keys/platform/disk.ts'
import { createSimDisk } from '../sim/disk.ts'

const folder = mkdtempSync(join(tmpdir(), 'netlink-disk-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const bytes = (text: string) => Buffer.from(text)
const text = async (disk: Disk, path: string) => Buffer.from(await disk.readFile(path)).toString()
const write = async (disk: Disk, path: string, content: string, mode = 0o644) => {
  const writer = await disk.createFile(path, mode)
  await writer.write(bytes(content))
  await writer.close()
}
const collect = async (chunks: AsyncIterable<Uint8Array>) => {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(chunk)
  return Buffer.concat(all).toString()
}

describe.each<[string, () => { disk: Disk; home: string }]>([
  ['the machine', () => ({ disk: nodeDisk, home: mkdtempSync(join(folder, 'home-')) })],
  ['the simulation', () => ({ disk: createSimDisk({ files: { '/home/.keep': '' } }), home: '/home' })],
])('a disk: %s', (_, build) => {
  let disk: Disk
  let at: (...names: string[]) => string
  beforeEach(async () => {
    const built = build()
    disk = built.disk
    at = (...names) => join(built.home, ...names)
    await disk.makeDir(at('d'), 0o755)
  })

  test('opens a file to read as one thing, whatever takes its name meanwhile', async () => {
    await write(disk, at('one'), 'first')
    await write(disk, at('two'), 'second')
    const reader = await disk.openRead(at('one'))
    expect(reader.facts).toEqual(await disk.lstat(at('one')))
    await disk.rename(at('two'), at('one'))
    expect(await collect(reader.readChunks())).toBe('first')
    await reader.close()
    expect((await disk.lstat(at('one'))).inode).not.toBe(reader.facts.inode)

    await disk.symlink('one', at('link'))
    await expect(disk.openRead(at('link'))).rejects.toMatchObject({ name: 'PlatformError' })
    await expect(disk.openRead(at('d'))).rejects.toMatchObject({ code: 'io' })
    await expect(disk.openRead(at('none'))).rejects.toMatchObject({ code: 'not-found' })
  })

  test('says when a file was changed last, and never an earlier time after a later one', async () => {
    await write(disk, at('one'), 'same')
    const before = (await disk.lstat(at('one'))).changedNs
    await expect
      .poll(async () => {
        await disk.chmod(at('one'), 0o644)
        return (await disk.lstat(at('one'))).changedNs > before
      })
      .toBe(true)
    await write(disk, at('two'), 'later')
    expect((await disk.lstat(at('two'))).changedNs >= (await disk.lstat(at('one'))).changedNs).toBe(true)
  })

  test('makes a file of exactly the mode asked for, and only where there is nothing', async () => {
    const before = process.umask(0o077)
    try {
      await write(disk, at('d/x'), 'content', 0o664)
    } finally {
      process.umask(before)
    }
    expect(await disk.lstat(at('d/x'))).toMatchObject({ kind: 'file', size: 7, mode: 0o664 })
    await disk.symlink('nowhere', at('d/dangling'))
    for (const name of ['d/x', 'd/dangling', 'd']) {
      await expect(disk.createFile(at(name), 0o600)).rejects.toMatchObject({ code: 'exists' })
    }
    await expect(disk.createFile(at('none/x'), 0o600)).rejects.toMatchObject({
      code: 'not-found',
      facts: { path: at('none/x') },
    })
  })

  test('a read-only mode does not stop its writer, and closing twice is fine', async () => {
    const writer = await disk.createFile(at('d/x'), 0o444)
    await writer.write([bytes('one '), bytes(''), bytes('two')])
    await writer.sync()
    await writer.close()
    await writer.close()
    expect(await text(disk, at('d/x'))).toBe('one two')
  })

  test('reads up to a limit, in one piece or in chunks', async () => {
    await write(disk, at('d/x'), '12345')
    expect(await text(disk, at('d/x'))).toBe('12345')
    expect(Buffer.from(await disk.readFile(at('d/x'), 5)).toString()).toBe('12345')
    await expect(disk.readFile(at('d/x'), 4)).rejects.toMatchObject({ code: 'too-large', facts: { limit: 4 } })
    expect(await collect(disk.readChunks(at('d/x')))).toBe('12345')
    await expect(disk.readFile(at('d'))).rejects.toMatchObject({ code: 'io' })
    await expect(disk.readFile(at('none'))).rejects.toMatchObject({ code: 'not-found' })
    await expect(collect(disk.readChunks(at('none')))).rejects.toMatchObject({ code: 'not-found' })
  })

  test('appends, knows its length, reads itself and cuts itself', async () => {
    const file = await disk.openAppend(at('d/j'), 0o600)
    await file.append(bytes('one\n'))
    await file.append([bytes('two\n'), bytes('three\n')])
    await file.sync()
    expect([file.length, await collect(file.readChunks())]).toEqual([14, 'one\ntwo\nthree\n'])
    await file.truncate(4)
    await file.append(bytes('four\n'))
    await file.close()
    const again = await disk.openAppend(at('d/j'), 0o644)
    expect([again.length, await collect(again.readChunks())]).toEqual([9, 'one\nfour\n'])
    await again.close()
    expect(await disk.stat(at('d/j'))).toMatchObject({ mode: 0o600 })
  })

  test('overwrites a file in its place, with a longer content or a shorter one, and makes it if need be', async () => {
    await disk.overwrite(at('d/x'), bytes('one two'), 0o600)
    expect(await text(disk, at('d/x'))).toBe('one two')
    const { inode } = await disk.stat(at('d/x'))
    await disk.overwrite(at('d/x'), bytes('three four five'), 0o600)
    expect(await text(disk, at('d/x'))).toBe('three four five')
    await disk.overwrite(at('d/x'), bytes('six'), 0o600)
    expect(await text(disk, at('d/x'))).toBe('six')
    expect(await disk.stat(at('d/x'))).toMatchObject({ mode: 0o600, inode, size: 3 })
  })

  test('never overwrites through a symlink, nor what is no file', async () => {
    await write(disk, at('d/x'), 'x')
    await disk.symlink('x', at('d/link'))
    await expect(disk.overwrite(at('d/link'), bytes('y'), 0o600)).rejects.toMatchObject({ code: 'io' })
    await expect(disk.overwrite(at('d'), bytes('y'), 0o600)).rejects.toMatchObject({ code: 'io' })
    await expect(disk.overwrite(at('none/x'), bytes('y'), 0o600)).rejects.toMatchObject({ code: 'not-found' })
    expect(await text(disk, at('d/x'))).toBe('x')
  })

  test('never appends through a symlink', async () => {
    await write(disk, at('d/x'), 'x')
    await disk.symlink('x', at('d/link'))
    await expect(disk.openAppend(at('d/link'), 0o600)).rejects.toMatchObject({ code: 'io' })
    expect(await text(disk, at('d/x'))).toBe('x')
  })

  test('renames over a file, over a symlink and over an empty folder', async () => {
    await write(disk, at('d/x'), 'x')
    await write(disk, at('d/y'), 'y')
    await disk.rename(at('d/x'), at('d/y'))
    await disk.symlink('y', at('d/link'))
    await disk.symlink('other', at('d/temporary'))
    await disk.rename(at('d/temporary'), at('d/link'))
    await disk.makeDir(at('e'), 0o755)
    await disk.rename(at('d'), at('e'))
    expect(await disk.list(at('e'))).toEqual([
      { name: 'link', kind: 'symlink' },
      { name: 'y', kind: 'file' },
    ])
    expect([await text(disk, at('e/y')), await disk.readLink(at('e/link'))]).toEqual(['x', 'other'])
  })

  test('a link is a second name that takes nobody else’s', async () => {
    await write(disk, at('d/x'), 'x')
    await disk.link(at('d/x'), at('d/y'))
    await expect(disk.link(at('d/x'), at('d/y'))).rejects.toMatchObject({ code: 'exists' })
    await disk.unlink(at('d/x'))
    expect(await text(disk, at('d/y'))).toBe('x')
    await expect(disk.unlink(at('d/x'))).rejects.toMatchObject({ code: 'not-found' })
  })

  test('removes a tree but nothing that its symlinks lead to, and nothing twice', async () => {
    await disk.makeDir(at('d/deep'), 0o755)
    await write(disk, at('d/deep/x'), 'x')
    await write(disk, at('kept'), 'kept')
    await disk.symlink(at('kept'), at('d/deep/link'))
    await disk.symlink(at('d'), at('link'))
    await disk.removeTree(at('link'))
    await disk.removeTree(at('d'))
    await disk.removeTree(at('d'))
    expect(await text(disk, at('kept'))).toBe('kept')
    await expect(disk.lstat(at('d'))).rejects.toMatchObject({ code: 'not-found' })
  })

  test('tells a symlink from what it leads to', async () => {
    await disk.symlink('d', at('link'))
    expect(await disk.stat(at('link'))).toMatchObject({ kind: 'directory' })
    expect(await disk.lstat(at('link'))).toMatchObject({ kind: 'symlink' })
    expect((await disk.stat(at('link'))).inode).toBe((await disk.lstat(at('d'))).inode)
    await disk.chmod(at('link'), 0o1777)
    expect(await disk.stat(at('d'))).toMatchObject({ mode: 0o1777 })
  })

  test('makes folders of exactly the mode asked for, one at a time', async () => {
    await disk.makeDir(at('d/m'), 0o777)
    expect(await disk.stat(at('d/m'))).toMatchObject({ mode: 0o777 })
    await expect(disk.makeDir(at('d/m'), 0o700)).rejects.toMatchObject({ code: 'exists' })
    await expect(disk.makeDir(at('none/m'), 0o700)).rejects.toMatchObject({ code: 'not-found' })
  })

  test('syncs folders and trees, and says when there is none', async () => {
    await disk.makeDir(at('d/deep'), 0o755)
    await write(disk, at('d/deep/x'), 'x')
    await disk.syncDir(at('d'))
    await disk.syncTree(at('d'))
    await expect(disk.syncDir(at('none'))).rejects.toMatchObject({ code: 'not-found' })
    await expect(disk.syncTree(at('none'))).rejects.toMatchObject({ code: 'not-found' })
  })

  test('knows how much is free', async () => {
    expect(await disk.freeBytes(at('d'))).toBeGreaterThan(1_000_000)
  })
})

describe('the machine’s disk', () => {
  test('a full device is no-space', async () => {
    const full = await nodeDisk.openAppend('/dev/full', 0o600)
    await expect(full.append(bytes('x'))).rejects.toMatchObject({ code: 'no-space', facts: { path: '/dev/full' } })
    await full.close()
  })

  test('a pipe is refused and not waited for', async () => {
    const pipe = join(folder, 'pipe')
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0)
    await expect(nodeDisk.readFile(pipe)).rejects.toMatchObject({ code: 'io' })
  })

  test('a large file goes through in chunks, and a list of many parts in one write', async () => {
    const path = join(folder, 'large')
    const parts = Array.from({ length: 5000 }, (_, index) => Buffer.alloc(700, index % 256))
    const writer = await nodeDisk.createFile(path, 0o600)
    await writer.write(parts)
    await writer.close()
    const sizes: number[] = []
    for await (const chunk of nodeDisk.readChunks(path)) sizes.push(chunk.length)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1 << 20)
    const [copies, memories]: [Buffer[], Set<ArrayBufferLike>] = [[], new Set()]
    for await (const chunk of nodeDisk.readChunks(path, 'reused')) {
      copies.push(Buffer.from(chunk))
      memories.add(chunk.buffer)
    }
    expect([copies.length, memories.size]).toEqual([4, 1])
    expect(Buffer.compare(Buffer.concat(copies), Buffer.concat(parts))).toBe(0)
    expect(Buffer.compare(await nodeDisk.readFile(path), Buffer.concat(parts))).toBe(0)
  })

  test('paths of more than 200 characters are as good as others', async () => {
    const deep = join(folder, 'p'.repeat(120), 'q'.repeat(120))
    await nodeDisk.makeDir(join(folder, 'p'.repeat(120)), 0o755)
    await nodeDisk.makeDir(deep, 0o755)
    await write(nodeDisk, join(deep, 'x'), 'x')
    expect(await text(nodeDisk, join(deep, 'x'))).toBe('x')
  })
})

describe('syncTree', () => {
  const program = (name: string, script: string) => {
    const path = join(folder, name)
    writeFileSync(path, `#!/bin/sh\n${script}\n`)
    chmodSync(path, 0o755)
    return path
  }

  test.each<[string, () => string]>([
    ['is not there', () => join(folder, 'no-such-program')],
    ['does not know -f', () => program('busybox-sync', 'echo "sync: invalid option -- f" >&2; exit 1')],
  ])('where sync %s, syncs every file and folder', async (_, path) => {
    const tree = mkdtempSync(join(folder, 'tree-'))
    writeFileSync(join(tree, 'x'), 'x')
    await createNodeDisk([path()]).syncTree(tree)
  })

  test('a sync that failed stays failed', async () => {
    const failing = program('failing-sync', 'echo "sync: error syncing: Input/output error" >&2; exit 1')
    const tree = mkdtempSync(join(folder, 'tree-'))
    const synced = createNodeDisk([failing]).syncTree(tree)
    await expect(synced).rejects.toMatchObject({ code: 'io', message: expect.stringContaining('Input/output error') })
  })
})

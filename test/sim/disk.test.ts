import { describe, expect, test } from 'vitest'
import type { Disk } from '../../keys/platform/disk.ts'
import { put, read } from './content.ts'
import { createSimDisk, type SimDisk } from './disk.ts'
import { PowerCut } from './power.ts'

const contents = async (disk: SimDisk, path: string) => {
  const found = new Set<string | undefined>()
  for (const after of disk.afterCut({ seed: 7, samples: 200 })) found.add(await read(after.disk, path))
  return found
}

describe('the simulated disk without accidents', () => {
  test('behaves like a disk', async () => {
    const disk = createSimDisk({ files: { '/etc/app/settings': 'a' } })
    await disk.makeDir('/data', 0o700)
    await put(disk, '/data/x', 'hello', 'no sync')
    await disk.symlink('../data', '/etc/link')
    expect(await read(disk, '/etc/link/x')).toBe('hello')
    expect(await disk.list('/etc')).toEqual([
      { name: 'app', kind: 'directory' },
      { name: 'link', kind: 'symlink' },
    ])
    expect(await disk.stat('/etc/link')).toMatchObject({ kind: 'directory', mode: 0o700 })
    expect(await disk.lstat('/etc/link')).toMatchObject({ kind: 'symlink' })
    await disk.removeTree('/etc')
    await disk.removeTree('/etc')
    expect(disk.describe()).toEqual(['/ (755)', '/data/ (700)', '/data/x = hello (644)'])
  })

  test.each<[string, (disk: Disk) => Promise<unknown>, string]>([
    ['a missing file', (disk) => disk.readFile('/none'), 'not-found'],
    ['a missing folder', (disk) => disk.createFile('/none/x', 0o600), 'not-found'],
    ['a name that is taken', (disk) => disk.createFile('/file', 0o600), 'exists'],
    ['a symlink to append to', (disk) => disk.openAppend('/link', 0o600), 'io'],
    ['a file that is too large', (disk) => disk.readFile('/file', 3), 'too-large'],
    ['a folder onto a file', (disk) => disk.rename('/folder', '/file'), 'io'],
    ['a folder onto a full folder', (disk) => disk.rename('/other', '/folder'), 'io'],
    ['a folder into itself', (disk) => disk.rename('/folder', '/folder/below'), 'io'],
    ['unlink of a folder', (disk) => disk.unlink('/folder'), 'io'],
  ])('refuses %s', async (_, act, code) => {
    const disk = createSimDisk({ files: { '/file': 'text', '/folder/file': '', '/other/file': '' } })
    await disk.symlink('/file', '/link')
    await expect(act(disk)).rejects.toMatchObject({ name: 'PlatformError', code })
  })

  test('a full disk takes what fits and refuses the rest', async () => {
    const disk = createSimDisk({ capacityBytes: 8 })
    const writer = await disk.createFile('/x', 0o600)
    await writer.write(Buffer.from('12345'))
    await expect(writer.write(Buffer.from('67890'))).rejects.toMatchObject({ code: 'no-space' })
    expect(await read(disk, '/x')).toBe('12345678')
  })
})

describe('a power cut', () => {
  test('is final', async () => {
    const disk = createSimDisk({ files: { '/x': 'old' } })
    disk.cutAt(2)
    await disk.makeDir('/a', 0o755)
    await expect(disk.makeDir('/b', 0o755)).rejects.toBeInstanceOf(PowerCut)
    await expect(disk.readFile('/x')).rejects.toBeInstanceOf(PowerCut)
    expect(disk.effects).toBe(2)
    expect(disk.log).toEqual(['mkdir /a', 'mkdir /b'])
  })

  test('may lose, keep, tear or blank bytes that were not synced', async () => {
    const disk = createSimDisk({ files: { '/x': 'old' } })
    const file = await disk.openAppend('/x', 0o644)
    await file.append(Buffer.from('new'))
    expect(await contents(disk, '/x')).toEqual(new Set(['old', 'oldn', 'oldne', 'oldnew', 'old\0\0\0']))
    await file.sync()
    expect(await contents(disk, '/x')).toEqual(new Set(['oldnew']))
  })

  test('may take the name of a file whose bytes are safe, and the bytes of a file whose name is', async () => {
    const disk = createSimDisk()
    await put(disk, '/x', 'new', 'sync')
    expect(await contents(disk, '/x')).toEqual(new Set([undefined, 'new']))

    const other = createSimDisk()
    await put(other, '/x', 'new', 'no sync')
    await other.syncDir('/')
    expect((await contents(other, '/x')).has('')).toBe(true)
    expect((await contents(other, '/x')).has(undefined)).toBe(false)
  })

  test('may undo a rename, a symlink and an unlink whose folder was not synced', async () => {
    const disk = createSimDisk({ files: { '/a/x': 'x', '/a/y': 'y', '/b/z': 'z' } })
    await disk.rename('/a/x', '/a/y')
    await disk.unlink('/b/z')
    expect(await contents(disk, '/a/y')).toEqual(new Set(['x', 'y']))
    expect(await contents(disk, '/b/z')).toEqual(new Set([undefined, 'z']))
    await disk.syncDir('/a')
    await disk.syncDir('/b')
    expect(await contents(disk, '/a/y')).toEqual(new Set(['x']))
    expect(await contents(disk, '/b/z')).toEqual(new Set([undefined]))
  })

  test('between two folders a file is in one of them, never in none', async () => {
    const disk = createSimDisk({ files: { '/a/x': 'x', '/b/keep': '' } })
    await disk.rename('/a/x', '/b/x')
    for (const after of disk.afterCut({ seed: 3, samples: 50 })) {
      const places = [await read(after.disk, '/a/x'), await read(after.disk, '/b/x')]
      expect(places.filter((content) => content === 'x')).toHaveLength(1)
    }
  })

  test('does not bring back a name that a synced rename took away', async () => {
    const disk = createSimDisk({ files: { '/a/keep': '', '/b/keep': '' } })
    await put(disk, '/a/x', 'x', 'sync')
    await disk.rename('/a/x', '/b/x')
    expect(await contents(disk, '/b/x')).toEqual(new Set([undefined, 'x']))
    await disk.syncDir('/b')
    expect(await contents(disk, '/b/x')).toEqual(new Set(['x']))
    // It used to: the file's first name was still waiting for a sync of its own.
    expect(await contents(disk, '/a/x')).toEqual(new Set([undefined]))
  })

  test('does not bring back any of the names on the way when the last rename of several is synced', async () => {
    const disk = createSimDisk({ files: { '/a/x': 'x', '/b/keep': '', '/c/keep': '' } })
    await disk.rename('/a/x', '/b/x')
    await disk.rename('/b/x', '/c/x')
    expect(await contents(disk, '/a/x')).toEqual(new Set([undefined, 'x']))
    await disk.syncDir('/c')
    expect(await contents(disk, '/c/x')).toEqual(new Set(['x']))
    expect(await contents(disk, '/b/x')).toEqual(new Set([undefined]))
    expect(await contents(disk, '/a/x')).toEqual(new Set([undefined]))
  })

  test('does not lose a file whose old name went to another one', async () => {
    const disk = createSimDisk({ files: { '/a/log': 'full', '/b/keep': '' } })
    await disk.rename('/a/log', '/b/log')
    await put(disk, '/a/log', 'new', 'sync')
    const whereIsFull = async () => {
      const states = disk.afterCut({ seed: 3, samples: 200 })
      return Promise.all(
        states.map(async ({ disk: after }) =>
          (await Promise.all(['/a/log', '/b/log'].map((path) => read(after, path)))).indexOf('full'),
        ),
      )
    }
    expect(new Set(await whereIsFull())).toEqual(new Set([0, 1]))
    await disk.syncDir('/a')
    expect(new Set(await whereIsFull())).toEqual(new Set([1]))
  })

  test('leaves a tree that was synced as a whole, if its own name was synced too', async () => {
    const disk = createSimDisk()
    await disk.makeDir('/t', 0o755)
    await disk.makeDir('/t/deep', 0o755)
    await put(disk, '/t/deep/x', 'x', 'no sync')
    await disk.syncTree('/t')
    expect(await contents(disk, '/t/deep/x')).toEqual(new Set([undefined, 'x']))
    await disk.syncDir('/')
    expect(await contents(disk, '/t/deep/x')).toEqual(new Set(['x']))
  })

  test('on a journal that any sync flushes, the sync of a file saves its name', async () => {
    const disk = createSimDisk({ names: 'any-sync' })
    await put(disk, '/x', 'new', 'sync')
    expect(await contents(disk, '/x')).toEqual(new Set(['new']))
  })

  test('gives the same possibilities for the same seed, each once, the extremes first', async () => {
    const disk = createSimDisk({ files: { '/x': 'old' } })
    await put(disk, '/t', 'new', 'no sync')
    await disk.rename('/t', '/x')
    const words = () => disk.afterCut({ seed: 5, samples: 30 }).map((after) => [after.words, ...after.disk.describe()])
    expect(words()).toEqual(words())
    expect(words().map(([first]) => first)).toEqual(
      expect.arrayContaining(['nothing un-synced survived', 'everything survived', 'only names survived']),
    )
    expect(new Set(words().map(([, ...lines]) => lines.join())).size).toBe(words().length)
  })

  test('with freeze is never answered', async () => {
    const disk = createSimDisk()
    disk.cutAt(1, 'freeze')
    let answered = false
    disk.makeDir('/a', 0o755).finally(() => {
      answered = true
    })
    await disk.cut
    await new Promise((resolve) => setImmediate(resolve))
    expect(answered).toBe(false)
  })
})

describe('a disk that fails', () => {
  test('loses for good what a failed sync was to save, whatever a second sync says', async () => {
    const disk = createSimDisk({ files: { '/x': 'old' } })
    const file = await disk.openAppend('/x', 0o644)
    await file.append(Buffer.from('new'))
    disk.failAt(2, { errno: 'EIO' })
    await expect(file.sync()).rejects.toMatchObject({ code: 'io' })
    await file.sync()
    expect(await read(disk, '/x')).toBe('oldnew')
    expect(await contents(disk, '/x')).toEqual(new Set(['old']))
  })

  test('that is full for good still lets things be removed', async () => {
    const disk = createSimDisk({ files: { '/x': 'old' } })
    disk.failAt(1, { errno: 'ENOSPC', lasting: true })
    await expect(disk.createFile('/y', 0o600)).rejects.toMatchObject({ code: 'no-space' })
    await expect(disk.makeDir('/z', 0o700)).rejects.toMatchObject({ code: 'no-space' })
    await disk.unlink('/x')
    expect(disk.describe()).toEqual(['/ (755)'])
  })
})

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Disk, nodeDisk } from '../../keys/platform/disk.ts'
import {
  appendRecord,
  createFileDurable,
  makeDirDurable,
  openJournal,
  removeDurable,
  removeLeftovers,
  renameDurable,
  replaceFile,
  replaceSymlink,
} from '../../keys/platform/durable.ts'
import { runWithCuts } from '../sim/cuts.ts'
import { createSimDisk, type SimDisk } from '../sim/disk.ts'

const read = async (disk: Disk, path: string) => {
  try {
    return Buffer.from(await disk.readFile(path)).toString()
  } catch {
    return undefined
  }
}
const names = async (disk: Disk, folder: string) => (await disk.list(folder)).map((entry) => entry.name)
const start = () => createSimDisk({ files: { '/etc/x': 'old', '/etc/other': 'other' } })
const NEW = Buffer.from('brand new content')
const nothing = async () => undefined

interface Promised {
  readonly act: (disk: SimDisk) => Promise<unknown>
  /** What may be seen at the place before the act is done; afterwards only the last one. */
  readonly seen: readonly (string | undefined)[]
  readonly see: (disk: Disk) => Promise<string | undefined>
}

const linkOf = async (disk: Disk) =>
  (await disk.list('/')).some((e) => e.name === 'now') ? disk.readLink('/now') : undefined
const promises: Record<string, Promised> = {
  'replaceFile replaces': {
    act: (disk) => replaceFile(disk, '/etc/x', NEW, 0o600),
    see: (disk) => read(disk, '/etc/x'),
    seen: ['old', String(NEW)],
  },
  'replaceFile makes': {
    act: (disk) => replaceFile(disk, '/etc/new', NEW, 0o600),
    see: (disk) => read(disk, '/etc/new'),
    seen: [undefined, String(NEW)],
  },
  'createFileDurable makes': {
    act: (disk) => createFileDurable(disk, '/etc/new', NEW, 0o600),
    see: (disk) => read(disk, '/etc/new'),
    seen: [undefined, String(NEW)],
  },
  'replaceSymlink makes and replaces': {
    act: async (disk) => {
      await replaceSymlink(disk, '/now', 'generations/1')
      await replaceSymlink(disk, '/now', 'generations/2')
    },
    see: linkOf,
    seen: [undefined, 'generations/1', 'generations/2'],
  },
  'renameDurable moves a tree between folders': {
    act: async (disk) => {
      await disk.syncTree('/etc')
      await makeDirDurable(disk, '/store', 0o755)
      await renameDurable(disk, '/etc', '/store/etc')
    },
    see: async (disk) => (await read(disk, '/etc/x')) ?? `moved ${await read(disk, '/store/etc/x')}`,
    seen: ['old', 'moved old'],
  },
  'makeDirDurable makes every parent': {
    act: (disk) => makeDirDurable(disk, '/a/b/c', 0o700),
    see: async (disk) => {
      const found = disk as SimDisk
      return found
        .describe()
        .filter((line) => line.startsWith('/a'))
        .at(-1)
    },
    seen: [undefined, '/a/ (700)', '/a/b/ (700)', '/a/b/c/ (700)'],
  },
  'removeDurable removes': {
    act: (disk) => removeDurable(disk, '/etc/x'),
    see: (disk) => read(disk, '/etc/x'),
    seen: ['old', undefined],
  },
  'appendRecord appends': {
    act: async (disk) => {
      const journal = await openJournal(disk, '/journal', 0o600)
      await appendRecord(journal, Buffer.from('one\n'))
      await appendRecord(journal, Buffer.from('two\n'))
      await journal.close()
    },
    // What a reader of journals accepts: whole lines.
    see: async (disk) => (await read(disk, '/journal'))?.match(/^(one\n(two\n)?)?/)?.[0],
    seen: [undefined, '', 'one\n', 'one\ntwo\n'],
  },
}

describe('durable files', () => {
  test.each(Object.entries(promises))(
    '%s: old or new at every power cut, never between, and new once it said so',
    async (_, promise) => {
      const tried = await runWithCuts(
        {
          scenario: promise.act,
          recover: nothing,
          check: async (disk, cut) => {
            const seen = await promise.see(disk)
            expect(cut.isDone ? promise.seen.slice(-1) : promise.seen).toContain(seen)
            expect(await read(disk, '/etc/other').then((kept) => kept ?? read(disk, '/store/etc/other'))).toBe('other')
          },
        },
        { start: start(), samples: 40 },
      )
      expect(tried.states).toBeGreaterThan(tried.cuts)
    },
  )

  test('what a cut leaves at temporary names is found and removed', async () => {
    await runWithCuts(
      {
        scenario: (disk) => replaceFile(disk, '/etc/x', NEW, 0o600),
        recover: (disk) => removeLeftovers(disk, '/etc'),
        check: async (disk) => expect(await names(disk, '/etc')).toEqual(['other', 'x']),
      },
      { start: start(), samples: 10 },
    )
  })

  test.each(['EIO', 'ENOSPC'] as const)(
    '%s at any effect: typed, old or new, nothing at a temporary name, no second sync',
    async (errno) => {
      const whole = start()
      await replaceFile(whole, '/etc/x', NEW, 0o600)
      expect(whole.effects).toBe(5)
      for (let n = 1; n <= whole.effects; n++) {
        const disk = start()
        disk.failAt(n, { errno })
        await expect(replaceFile(disk, '/etc/x', NEW, 0o600)).rejects.toMatchObject({
          name: 'PlatformError',
          code: errno === 'EIO' ? 'io' : 'no-space',
        })
        expect(['old', String(NEW)]).toContain(await read(disk, '/etc/x'))
        expect(await names(disk, '/etc')).toEqual(['other', 'x'])
        expect(disk.log.filter((line) => line.startsWith('sync')).length).toBeLessThanOrEqual(2)
        expect(new Set(disk.log).size).toBe(disk.log.length)
      }
    },
  )

  test('a failed sync of the file never becomes its content', async () => {
    const disk = start()
    disk.failAt(3, { errno: 'EIO' })
    await expect(replaceFile(disk, '/etc/x', NEW, 0o600)).rejects.toMatchObject({ code: 'io' })
    expect(disk.log[2]).toMatch(/^sync \/etc\/\.x\./)
    await disk.syncDir('/etc')
    for (const after of disk.afterCut({ seed: 1, samples: 50 })) expect(await read(after.disk, '/etc/x')).toBe('old')
  })

  test('createFileDurable leaves what is there, a dangling symlink too', async () => {
    const disk = start()
    await disk.symlink('/nowhere', '/etc/dangling')
    for (const path of ['/etc/x', '/etc/dangling']) {
      await expect(createFileDurable(disk, path, NEW, 0o600)).rejects.toMatchObject({ code: 'exists' })
    }
    expect(await read(disk, '/etc/x')).toBe('old')
    expect(await names(disk, '/etc')).toEqual(['dangling', 'other', 'x'])
  })

  test('replaceFile replaces a symlink itself and not what it leads to', async () => {
    const disk = start()
    await disk.symlink('/etc/other', '/etc/link')
    await replaceFile(disk, '/etc/link', NEW, 0o600)
    expect(await read(disk, '/etc/other')).toBe('other')
    expect(await disk.lstat('/etc/link')).toMatchObject({ kind: 'file', mode: 0o600 })
  })

  test('makeDirDurable keeps a folder that is there and refuses a file in its place', async () => {
    const disk = start()
    await makeDirDurable(disk, '/etc', 0o700)
    expect(await disk.stat('/etc')).toMatchObject({ mode: 0o755 })
    await expect(makeDirDurable(disk, '/etc/x', 0o700)).rejects.toMatchObject({ code: 'exists' })
    await expect(makeDirDurable(disk, '/etc/x/y', 0o700)).rejects.toMatchObject({ name: 'PlatformError' })
  })

  test.runIf(process.platform === 'linux')(
    'a folder below /proc is refused at once, and not tried for ever',
    async () => {
      for (const path of ['/proc/x', '/proc/x/y/z']) {
        await expect(makeDirDurable(nodeDisk, path, 0o700)).rejects.toMatchObject({
          code: 'not-found',
          message: '/proc/x: expected a place for a folder, and /proc takes none',
        })
      }
      const folder = await mkdtemp(join(tmpdir(), 'durable-'))
      try {
        await makeDirDurable(nodeDisk, join(folder, 'x/y/z'), 0o700)
        expect(await nodeDisk.stat(join(folder, 'x/y/z'))).toMatchObject({ kind: 'directory', mode: 0o700 })
      } finally {
        await rm(folder, { recursive: true })
      }
    },
  )

  test('a name of 255 bytes can be replaced', async () => {
    const disk = start()
    await replaceFile(disk, `/etc/${'n'.repeat(255)}`, NEW, 0o600)
    expect(await read(disk, `/etc/${'n'.repeat(255)}`)).toBe(String(NEW))
  })
})

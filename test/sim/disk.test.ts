import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Disk } from '../../keys/platform/disk.ts'
import { createSimDisk, runWithCuts, type SimDisk } from './disk.ts'
import { PowerCut } from './power.ts'

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const read = async (disk: Disk, path: string) => {
  try {
    return text(await disk.readFile(path))
  } catch {
    return undefined
  }
}
const put = async (disk: Disk, path: string, content: string, sync: 'sync' | 'no sync') => {
  const writer = await disk.createFile(path, 0o644)
  await writer.write(Buffer.from(content))
  if (sync === 'sync') await writer.sync()
  await writer.close()
}
const contents = async (disk: SimDisk, path: string) => {
  const found = new Set<string | undefined>()
  for (const after of disk.afterCut({ seed: 7, samples: 200 })) found.add(await read(after.disk, path))
  return found
}

// Moves of four files between two folders, and syncs of these: what is under each name is in the file.
const folders = ['/a', '/b'] as const
const names = folders.flatMap((folder) => ['1', '2', '3', '4'].map((name) => `${folder}/${name}`))
const step = fc.oneof(
  fc.record({ kind: fc.constant('move' as const), from: fc.constantFrom(...names), to: fc.constantFrom(...names) }),
  fc.record({ kind: fc.constant('create' as const), to: fc.constantFrom(...names) }),
  fc.record({ kind: fc.constant('sync' as const), folder: fc.constantFrom(...folders) }),
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** Files are created and moved to free names only; so each has one name at any time, and after a cut, if it was ever safe, one too. */
async function namesHold(steps: readonly Step[]): Promise<void> {
  const disk = createSimDisk({ files: { '/a/1': 'first', '/b/1': 'second' } })
  const taken = new Map([
    ['/a/1', 'first'],
    ['/b/1', 'second'],
  ])
  /** What a sync said is under a name, until something happens to that name. */
  const promised = new Map<string, string | undefined>(names.map((name) => [name, taken.get(name)]))
  const everSafe = new Set(taken.values())
  for (const [index, one] of steps.entries()) {
    if (one.kind === 'sync') {
      await disk.syncDir(one.folder)
      for (const [name, content] of taken) if (name.startsWith(one.folder)) promised.set(name, content)
      for (const [name, content] of taken) if (name.startsWith(one.folder)) everSafe.add(content)
    } else if (one.kind === 'create' && !taken.has(one.to)) {
      await put(disk, one.to, `file ${index}`, 'sync')
      taken.set(one.to, `file ${index}`)
      promised.delete(one.to)
    } else if (one.kind === 'move' && taken.has(one.from) && !taken.has(one.to)) {
      await disk.rename(one.from, one.to)
      taken.set(one.to, taken.get(one.from) ?? '')
      taken.delete(one.from)
      promised.delete(one.from)
      promised.delete(one.to)
    }
  }
  for (const { words, disk: after } of disk.afterCut({ seed: 11, samples: 20 })) {
    const found = new Map<string, string | undefined>()
    for (const name of names) found.set(name, await read(after, name))
    for (const [name, content] of promised) expect(found.get(name), `${words}: ${name}`).toBe(content)
    const present = [...found.values()].filter((content) => content !== undefined)
    expect(new Set(present).size, words).toBe(present.length)
    expect(present, words).toEqual(expect.arrayContaining([...everSafe]))
  }
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

  test('leaves every file under one name, and every name as it was at its last sync', async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 14 }), namesHold), { numRuns: 400 })
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

describe('runWithCuts', () => {
  const start = () => createSimDisk({ files: { '/x': 'old' } })
  const isOldOrNew = async (disk: SimDisk, cut: { isDone: boolean }) => {
    const content = await read(disk, '/x')
    expect(cut.isDone ? ['new'] : ['old', 'new']).toContain(content)
  }
  const nothing = async () => undefined

  test('finds a rename of bytes that were not synced', async () => {
    const scenario = async (disk: Disk) => {
      await put(disk, '/t', 'new', 'no sync')
      await disk.rename('/t', '/x')
      await disk.syncDir('/')
    }
    const found = runWithCuts({ scenario, recover: nothing, check: isOldOrNew }, { start: start() })
    await expect(found).rejects.toThrow(/cut at effect \d.*: only names survived/)
  })

  test('finds a rename whose folder was not synced', async () => {
    const scenario = async (disk: Disk) => {
      await put(disk, '/t', 'new', 'sync')
      await disk.rename('/t', '/x')
    }
    const found = runWithCuts({ scenario, recover: nothing, check: isOldOrNew }, { start: start() })
    await expect(found).rejects.toThrow(/cut after the last effect: nothing un-synced survived/)
  })

  test('finds a recovery that a second cut breaks', async () => {
    const scenario = async (disk: Disk) => {
      await put(disk, '/t', 'new', 'sync')
      await disk.syncDir('/')
    }
    const finish = async (disk: Disk) => {
      if ((await read(disk, '/t')) !== 'new') return
      // After a kill the bytes may be there and not be safe.
      await (await disk.openAppend('/t', 0o644)).sync()
      await disk.rename('/t', '/x')
      await disk.syncDir('/')
    }
    // Removes the old file first, and does not know what to make of its absence.
    const removeAndFinish = async (disk: Disk) => {
      if ((await read(disk, '/x')) === undefined) return
      if ((await read(disk, '/t')) === 'new') await disk.unlink('/x')
      await finish(disk)
    }
    const check = async (disk: SimDisk) => expect(['old', 'new']).toContain(await read(disk, '/x'))
    const found = runWithCuts({ scenario, recover: removeAndFinish, check }, { start: start() })
    await expect(found).rejects.toThrow(/; recovery cut at effect 1/)
    const control = await runWithCuts({ scenario, recover: finish, check }, { start: start() })
    expect(control.states).toBeGreaterThan(control.cuts)
  })

  test('finds what was believed after a kill and then lost with the power', async () => {
    // The killed process renamed without a sync. The next one sees the new name, trusts it and says so durably.
    const scenario = async (disk: Disk) => {
      await put(disk, '/t', 'new', 'sync')
      await disk.rename('/t', '/x')
      await disk.syncDir('/')
    }
    const recover = async (disk: Disk) => {
      if ((await read(disk, '/x')) !== 'new' || (await read(disk, '/log/said')) !== undefined) return
      await put(disk, '/log/said', 'x is new', 'sync')
      await disk.syncDir('/log')
    }
    const check = async (disk: SimDisk) => {
      if ((await read(disk, '/log/said')) === 'x is new') expect(await read(disk, '/x')).toBe('new')
    }
    const files = { '/x': 'old', '/log/first': '' }
    const found = runWithCuts({ scenario, recover, check }, { start: createSimDisk({ files }) })
    await expect(found).rejects.toThrow(/killed, not cut; recovery cut after the last effect/)
  })

  test('passes what is right', async () => {
    const scenario = async (disk: Disk) => {
      await put(disk, '/t', 'new', 'sync')
      await disk.rename('/t', '/x')
      await disk.syncDir('/')
    }
    const tried = await runWithCuts({ scenario, recover: nothing, check: isOldOrNew }, { start: start() })
    expect(tried.cuts).toBe(6)
  })

  test('hands on an error that is not the cut', async () => {
    const scenario = async () => {
      throw new Error('a bug')
    }
    await expect(runWithCuts({ scenario, recover: nothing, check: () => undefined })).rejects.toThrow('a bug')
  })
})

import { describe, expect, test } from 'vitest'
import type { Disk } from '../../keys/platform/disk.ts'
import { put, read } from './content.ts'
import { runWithCuts } from './cuts.ts'
import { createSimDisk, type SimDisk } from './disk.ts'

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

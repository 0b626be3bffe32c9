import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import * as net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Disk, type FileFacts, nodeDisk } from '../../keys/platform/disk.ts'
import { assertPrivate, findSocketPath, makeSocketPath, removeSocketPath } from '../../keys/platform/private-dir.ts'
import { createSimDisk } from '../sim/disk.ts'

const US = 1000
const STRANGER = 1001

/** A simulated disk on which the named paths belong to somebody else than us. */
const diskOwnedBy = (owners: Readonly<Record<string, number>>, disk: Disk = world()): Disk => ({
  ...disk,
  lstat: async (path): Promise<FileFacts> => ({ ...(await disk.lstat(path)), uid: owners[path] ?? US }),
})
const world = () => createSimDisk({ files: { '/srv/netlink/state/file': 'x', '/tmp/x': '', '/other/y': '' }, uid: US })
const STATE = '/srv/netlink/state'

describe('assertPrivate', () => {
  test('accepts what is ours or root’s all the way', async () => {
    await assertPrivate(diskOwnedBy({ '/': 0, '/srv': 0 }), STATE, US)
    await assertPrivate(diskOwnedBy({}), `${STATE}/file`, US)
  })

  test.each(['/', '/srv', '/srv/netlink', STATE])('refuses when %s belongs to a stranger', async (path) => {
    await expect(assertPrivate(diskOwnedBy({ [path]: STRANGER }), STATE, US)).rejects.toMatchObject({
      name: 'PlatformError',
      code: 'not-permitted',
      facts: { path },
    })
  })

  test.each([
    ['/srv', 0o775],
    ['/srv', 0o757],
    ['/srv/netlink', 0o777],
    [STATE, 0o770],
    [STATE, 0o1777],
  ])('refuses when %s has mode %o', async (path, mode) => {
    const disk = world()
    await disk.chmod(path, mode)
    await expect(assertPrivate(disk, STATE, US)).rejects.toMatchObject({ code: 'not-permitted', facts: { path } })
    await disk.chmod(path, 0o755)
    await assertPrivate(disk, STATE, US)
  })

  test('trusts groups where that is said, strangers never', async () => {
    const disk = world()
    await disk.chmod('/srv', 0o775)
    await assertPrivate(disk, STATE, US, 'trusted')
    await disk.chmod('/srv', 0o777)
    await expect(assertPrivate(disk, STATE, US, 'trusted')).rejects.toMatchObject({ code: 'not-permitted' })
    await expect(assertPrivate(diskOwnedBy({ '/srv': STRANGER }), STATE, US, 'trusted')).rejects.toMatchObject({
      code: 'not-permitted',
    })
  })

  test('lets a sticky folder pass on the way', async () => {
    const disk = world()
    await disk.chmod('/srv', 0o1777)
    await assertPrivate(disk, STATE, US)
  })

  test('follows symlinks as the kernel does, and looks at every folder they lead through', async () => {
    const disk = world()
    await disk.symlink('/tmp/hop', '/srv/link')
    await disk.symlink('../srv/netlink', '/tmp/hop')
    await assertPrivate(disk, '/srv/link/state', US)
    await disk.chmod('/tmp', 0o777)
    await expect(assertPrivate(disk, '/srv/link/state', US)).rejects.toMatchObject({ facts: { path: '/tmp' } })
    await assertPrivate(disk, STATE, US)
  })

  test('refuses a stranger’s symlink, and symlinks in a circle', async () => {
    const disk = world()
    await disk.symlink('/srv/netlink', '/tmp/link')
    const owned = diskOwnedBy({ '/tmp/link': STRANGER }, disk)
    await expect(assertPrivate(owned, '/tmp/link/state', US)).rejects.toMatchObject({ facts: { path: '/tmp/link' } })
    await disk.symlink('/tmp/b', '/tmp/a')
    await disk.symlink('/tmp/a', '/tmp/b')
    await expect(assertPrivate(disk, '/tmp/a', US)).rejects.toMatchObject({ code: 'not-permitted' })
  })

  test('says when there is nothing', async () => {
    await expect(assertPrivate(world(), '/srv/none', US)).rejects.toMatchObject({ code: 'not-found' })
  })
})

describe('socket paths', () => {
  let folder: string
  const uid = process.getuid?.() ?? 0
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'nl-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
  const runtime = () => ({ disk: nodeDisk, runtimeRoot: folder, uid })
  const longFolder = async () => {
    const dir = join(folder, 'd'.repeat(200))
    await nodeDisk.makeDir(dir, 0o700)
    return dir
  }

  test('that are short stay where they are', async () => {
    expect(await makeSocketPath(runtime(), folder, 'agent.sock')).toBe(join(folder, 'agent.sock'))
    expect(await findSocketPath(nodeDisk, folder, 'agent.sock')).toBe(join(folder, 'agent.sock'))
  })

  test('that are long move to a folder of ours, can be listened at, and are found again', async () => {
    const dir = await longFolder()
    await expect(findSocketPath(nodeDisk, dir, 'agent.sock')).rejects.toMatchObject({ code: 'not-found' })
    const path = await makeSocketPath(runtime(), dir, 'agent.sock')
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(100)
    expect(await nodeDisk.stat(join(path, '..'))).toMatchObject({ kind: 'directory', mode: 0o700 })
    expect(await findSocketPath(nodeDisk, dir, 'agent.sock')).toBe(path)
    expect(await makeSocketPath(runtime(), dir, 'agent.sock')).toBe(path)
    const server = net.createServer()
    await new Promise<void>((resolve) => server.listen(path, resolve))
    await new Promise((resolve) => server.close(resolve))
    await removeSocketPath(nodeDisk, dir, 'agent.sock')
    expect(existsSync(join(path, '..'))).toBe(false)
  })

  test('get a new folder after a reboot took the old one, or somebody opened it', async () => {
    const dir = await longFolder()
    const first = await makeSocketPath(runtime(), dir, 'agent.sock')
    await nodeDisk.removeTree(join(first, '..'))
    const second = await makeSocketPath(runtime(), dir, 'agent.sock')
    expect(second).not.toBe(first)
    await nodeDisk.chmod(join(second, '..'), 0o777)
    await expect(findSocketPath(nodeDisk, dir, 'agent.sock')).rejects.toMatchObject({ code: 'not-permitted' })
    expect(await makeSocketPath(runtime(), dir, 'agent.sock')).not.toBe(second)
  })

  test('count bytes and not characters', async () => {
    const dir = join(folder, 'ü'.repeat(60))
    await nodeDisk.makeDir(dir, 0o700)
    expect(await makeSocketPath(runtime(), dir, 's')).not.toBe(join(dir, 's'))
  })

  test('that are long even there are refused', async () => {
    const dir = await longFolder()
    const made = makeSocketPath(runtime(), dir, 's'.repeat(100))
    await expect(made).rejects.toMatchObject({ name: 'PlatformError', code: 'io' })
  })

  test('do not follow a record that is not a path', async () => {
    const dir = await longFolder()
    const record = await nodeDisk.createFile(join(dir, 'agent.sock.path'), 0o600)
    await record.write(Buffer.from('not/absolute\n'))
    await record.close()
    await expect(findSocketPath(nodeDisk, dir, 'agent.sock')).rejects.toMatchObject({ code: 'io' })
  })
})

// What a host remembers, and the disk it is on: full, read-only, damaged, killed in the middle, used by two at once.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, open, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { buildFileTrustStore } from '../../keys/file-trust-store.ts'
import { checkFile } from '../../keys/platform/checked-file.ts'
import { type Disk, nodeDisk } from '../../keys/platform/disk.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { refresh } from '../../keys/refresh.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { serve } from '../platform/servers.ts'
import { createSimDisk, type Failure } from '../sim/disk.ts'
import { SimRepository } from '../sim/repository.ts'
import { NODE_FLAGS } from '../world/programs.ts'
import { refusalOf } from './refusal.ts'

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'netlink-stores-'))
})
afterEach(() => rm(home, { recursive: true }))

const over = async (repo: SimRepository, disk: Disk, folder: string) =>
  (await refresh({ source: repo, store: buildFileTrustStore(disk, folder), startedAt: repo.now })).timestampVersion

/** A repository, and what it served before its last two steps, which a thief could serve again. */
async function advancing(): Promise<{ repo: SimRepository; old: SimRepository }> {
  const repo = await SimRepository.create()
  const old = repo.copy()
  await repo.publish('root', 'targets', 'alpha')
  return { repo, old }
}

const FAILURES: [what: string, failure: Failure][] = [
  ['an input/output error', { errno: 'EIO' }],
  ['a full disk', { errno: 'ENOSPC' }],
  ['a disk that stays full', { errno: 'ENOSPC', lasting: true }],
  ['a disk that is read-only', { errno: 'EROFS', lasting: true }],
]

describe('T47 and H30: a disk that says no at any change of a refresh', () => {
  it.each(FAILURES)('%s: the reason is typed, nothing goes back, the next refresh works', async (_, failure) => {
    const { repo, old } = await advancing()
    const start = createSimDisk({ files: { '/t/root.json': repo.file('1.root.json') } })
    await over(old, start, '/t')
    start.settle()
    const whole = start.fork()
    await over(repo, whole, '/t')
    expect(whole.effects).toBeGreaterThan(8)

    for (let at = 1; at <= whole.effects; at++) {
      const disk = start.fork()
      disk.failAt(at, failure)
      const end = await over(repo, disk, '/t').catch((error: unknown) => error)
      expect(end instanceof PlatformError || end === 2, `${failure.errno} at ${disk.log[at - 1]}: ${end}`).toBe(true)
      const mended = disk.fork()
      const floors = await buildFileTrustStore(mended, '/t').loadFloors()
      if ((floors?.timestamp?.version ?? 0) > 1)
        expect((await refusalOf(() => over(old, mended, '/t'))).code).toBe('rollback')
      expect(await over(repo, mended, '/t')).toBe(2)
    }
  })
})

describe('processes', () => {
  it('T47 kill -9 at any change of a refresh: the next one works, and nothing older is believed', async () => {
    const { repo, old } = await advancing()
    const server = await serve((request, response) => {
      const bytes = repo.files.get((request.url ?? '').slice(1))
      response.writeHead(bytes ? 200 : 404).end(bytes)
    })
    try {
      const whole = await hostThatSaw(old, 'whole')
      const { changes } = (await refreshing(whole, server.url, repo)) as { changes: number }
      expect(changes).toBeGreaterThan(6)
      await Promise.all(
        Array.from({ length: changes }, async (_, index) => {
          const folder = await hostThatSaw(old, String(index))
          expect(await refreshing(folder, server.url, repo, index + 1)).toBe('SIGKILL')
          const floors = await buildFileTrustStore(nodeDisk, folder).loadFloors()
          if ((floors?.timestamp?.version ?? 0) > 1)
            expect((await refusalOf(() => over(old, nodeDisk, folder))).code).toBe('rollback')
          expect(await over(repo, nodeDisk, folder)).toBe(2)
        }),
      )
    } finally {
      await server.close()
    }
  }, 60_000)

  it('H30 four refreshes of one folder at once, each under the lock, all end well', async () => {
    const { repo, old } = await advancing()
    const server = await serve((request, response) => {
      const bytes = repo.files.get((request.url ?? '').slice(1))
      response.writeHead(bytes ? 200 : 404).end(bytes)
    })
    try {
      const folder = await hostThatSaw(old, 'shared')
      const ends = await Promise.all(Array.from({ length: 4 }, () => refreshing(folder, server.url, repo)))
      expect(ends).toEqual(Array.from({ length: 4 }, () => expect.objectContaining({ timestamp: 2 })))
      expect(await over(repo, nodeDisk, folder)).toBe(2)
      expect((await refusalOf(() => over(old, nodeDisk, folder))).code).toBe('rollback')
    } finally {
      await server.close()
    }
  }, 60_000)
})

async function hostThatSaw(repo: SimRepository, name: string): Promise<string> {
  const folder = join(home, name)
  await mkdir(folder, { mode: 0o700 })
  await buildFileTrustStore(nodeDisk, folder).save('root.json', repo.file('1.root.json'))
  await over(repo, nodeDisk, folder)
  return folder
}

/** What the process said, or the signal that ended it. */
function refreshing(folder: string, url: string, repo: SimRepository, killAt?: number): Promise<unknown> {
  const args = [join(import.meta.dirname, 'refreshing.ts'), folder, url, repo.now.toISOString()]
  if (killAt !== undefined) args.push(String(killAt))
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [...NODE_FLAGS, ...args], (error, stdout, stderr) => {
      if (error?.signal) resolve(error.signal)
      else if (error) reject(new Error(stderr, { cause: error }))
      else resolve(JSON.parse(stdout))
    })
  })
}

describe('a cache that somebody cut or changed', () => {
  const cached = ['timestamp.json', 'snapshot.json', 'targets.json']
  it.each(cached)('H30 and T34: %s cut anywhere is loaded again, and nothing older comes in', async (name) => {
    const { repo, old } = await advancing()
    const folder = await hostThatSaw(old, 'cut')
    await over(repo, nodeDisk, folder)
    const whole = await readFile(join(folder, name))
    for (const length of [0, 1, 20, Math.floor(whole.length / 2), whole.length - 2]) {
      await writeFile(join(folder, name), whole)
      await truncate(join(folder, name), length)
      expect((await refusalOf(() => over(old, nodeDisk, folder))).message).toContain('rollback: ')
      expect(await over(repo, nodeDisk, folder)).toBe(2)
      expect(await readFile(join(folder, name))).toEqual(whole)
    }
  })
})

describe('T48 a trusted root that can’t be used', () => {
  const harms: [what: string, harm: (path: string) => Promise<unknown>][] = [
    ['is missing', (path) => rm(path)],
    ['is empty', (path) => truncate(path, 0)],
    ['is cut', (path) => truncate(path, 100)],
    ['is no JSON', (path) => writeFile(path, 'root')],
    ['is larger than any root', (path) => writeFile(path, Buffer.alloc(9_000_000, 0x20))],
    ['is a folder', (path) => rm(path).then(() => mkdir(path))],
    ['is a link to nowhere', (path) => rm(path).then(() => symlink('nowhere', path))],
  ]
  it.each(harms)('%s: nothing is asked for and nothing is believed', async (_, harm) => {
    const { repo, old } = await advancing()
    const folder = await hostThatSaw(old, 'host')
    const path = join(folder, 'root.json')
    const good = await readFile(path)
    repo.requests.length = 0
    await harm(path)
    const error = await over(repo, nodeDisk, folder).catch((reason: unknown) => reason)
    expect(error instanceof TrustError || error instanceof PlatformError, String(error)).toBe(true)
    if (error instanceof TrustError) expect(error.code).toBe('no-root')
    expect(repo.requests).toEqual([])
    await rm(path, { recursive: true, force: true })
    await writeFile(path, good)
    expect(await over(repo, nodeDisk, folder)).toBe(2)
  })
})

describe('T50 artifacts beyond 32 bits', () => {
  const signed = {
    31: 'b8030a8ab89280935633d8d991da3d9907c0f12e8b6fc3bfc515f4d440872b6e',
    32: 'fbb82f7b353676bb562eb82157fcf0ea42c36492ca13ee56dbf82c08b6802c5c',
  }
  /** One zero more than so many bits can count. */
  const digestOf = (bits: 31 | 32) => ({ length: 2 ** bits + 1, sha256: signed[bits], sha512: undefined })

  const hashed = async (bits: 31 | 32) => {
    const digest = digestOf(bits)
    const zeros = Buffer.alloc(1 << 20)
    const endingWith = (last: number): Disk => ({
      ...nodeDisk,
      readChunks: async function* () {
        for (let left = digest.length - 1; left > 0; left -= zeros.length) yield zeros
        yield Buffer.of(last)
      },
    })
    expect(await checkFile(endingWith(0), 'artifact', digest)).toMatchObject({ length: digest.length })
    expect((await refusalOf(() => checkFile(endingWith(1), 'artifact', digest))).code).toBe('hash')
  }
  it('are hashed to the last byte: turned over, it is refused', () => hashed(31), 60_000)
  // Some seconds more.
  it.skipIf(process.env.REHEARSALS !== '1')('beyond 4 GiB too (REHEARSALS=1)', () => hashed(32), 120_000)

  // The kernel takes ten seconds to make the pages of a file with a hole.
  it.skipIf(process.env.REHEARSALS !== '1')(
    'on a real disk too (REHEARSALS=1)',
    async () => {
      const path = join(home, 'artifact')
      await writeFile(path, '')
      const digest = digestOf(31)
      await truncate(path, digest.length)
      expect(await checkFile(nodeDisk, path, digest)).toMatchObject({ length: digest.length })

      const file = await open(path, 'r+')
      await file.write(Buffer.of(1), 0, 1, digest.length - 1)
      await file.close()
      expect((await refusalOf(() => checkFile(nodeDisk, path, digest))).code).toBe('hash')
    },
    300_000,
  )
})

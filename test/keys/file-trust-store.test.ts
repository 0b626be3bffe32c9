import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { buildFileTrustStore, fileNameOf } from '../../keys/file-trust-store.ts'
import { type Disk, nodeDisk } from '../../keys/platform/disk.ts'
import { refresh } from '../../keys/refresh.ts'
import { testTrustStore } from '../contract/trust-store.ts'
import { createSimDisk } from '../sim/disk.ts'
import { PowerCut } from '../sim/power.ts'
import { SimRepository } from '../sim/repository.ts'
import { SimTrustStore } from '../sim/trust-store.ts'
import { refusalOf } from './refusal.ts'

const folders: string[] = []

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'netlink-trust-'))
  folders.push(folder)
  return folder
}

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true })
})

testTrustStore('a folder', async () => {
  const folder = await newFolder()
  return { store: buildFileTrustStore(nodeDisk, folder), open: () => buildFileTrustStore(nodeDisk, folder) }
})

testTrustStore('the simulated store', async () => {
  const store = new SimTrustStore()
  return { store, open: () => store }
})

describe('a trust store in a folder', () => {
  it('T26 keeps every file in its folder, under a name that no disk confuses with another', async () => {
    const folder = await newFolder()
    const store = buildFileTrustStore(nodeDisk, join(folder))
    const roles = ['../../x', 'a/../../b', '\0', 'x'.repeat(300), 'A', 'a', 'NUL', '..']
    for (const role of roles) await store.save(`${role}.json`, new Uint8Array(1))
    const files = await readdir(folder)
    expect(files).toHaveLength(roles.length)
    expect(new Set(files.map((file) => file.toLowerCase())).size).toBe(roles.length)
    expect(files.every((file) => /^[a-z0-9._~%A-F-]+\.json$/.test(file) && file.length <= 255)).toBe(true)
  })

  it.each([
    ['root.json', 'root.json'],
    ['release-0-50.json', 'release-0-50.json'],
    ['../x.json', '..%2Fx.json'],
    ['A.json', '%41.json'],
    ['?.json', '%3F.json'],
  ])('%s is the file %s', (name, file) => expect(fileNameOf(name)).toBe(file))

  it('shows its files to their owner only', async () => {
    const folder = await newFolder()
    const store = buildFileTrustStore(nodeDisk, folder)
    await store.save('root.json', new Uint8Array(1))
    await store.saveFloors({ root: 1, timestamp: null, snapshot: null })
    for (const file of ['root.json', 'floors.state']) expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600)
  })

  it('refuses floors that are damaged: they are not floors of zero', async () => {
    const folder = await newFolder()
    const store = buildFileTrustStore(nodeDisk, folder)
    const repo = await SimRepository.create()
    await store.save('root.json', repo.file('1.root.json'))
    const update = () => refresh({ source: repo, store, startedAt: repo.now })
    await update()
    const good = await readFile(join(folder, 'floors.state'))

    for (const spoil of [
      () => truncate(join(folder, 'floors.state'), 0),
      () => truncate(join(folder, 'floors.state'), 20),
      () => writeFile(join(folder, 'floors.state'), '{}'),
      () => writeFile(join(folder, 'floors.state'), String(good).replace('"root": 1', '"root": -1')),
    ]) {
      await spoil()
      const refusal = await refusalOf(update)
      expect([refusal.code, refusal.facts.path]).toEqual(['malformed', join(folder, 'floors.state')])
    }

    await writeFile(join(folder, 'floors.state'), good)
    await update()
  })

  it('loses nothing that counts to a power cut at any effect of a refresh, and the next refresh goes through', async () => {
    const repo = await SimRepository.create()
    const first = repo.file('1.root.json')
    const start = createSimDisk({ files: { '/t/root.json': first } })
    const over = (disk: Disk) => refresh({ source: repo, store: buildFileTrustStore(disk, '/t'), startedAt: repo.now })
    await over(start)
    start.settle()
    await repo.publish('root', 'targets')
    const whole = start.fork()
    await over(whole)
    expect(whole.effects).toBeGreaterThan(8)

    for (let n = 1; n <= whole.effects; n++) {
      const disk = start.fork()
      disk.cutAt(n)
      await expect(over(disk)).rejects.toThrow(PowerCut)
      for (const { disk: after, words } of disk.afterCut({ seed: n, samples: 6 })) {
        const floors = await buildFileTrustStore(after, '/t').loadFloors()
        expect([floors?.root, floors?.timestamp?.version], words).toEqual(
          expect.toBeOneOf([
            [1, 1],
            [2, 1],
            [2, 2],
          ]),
        )
        expect((await over(after)).timestampVersion, words).toBe(2)
      }
    }
    const { timestamp } = (await buildFileTrustStore(whole, '/t').loadFloors()) ?? expect.fail('no floors')
    expect(timestamp?.version).toBe(2)
    for (const { disk: after, words } of whole.afterCut({ seed: 1, samples: 6 })) {
      expect((await buildFileTrustStore(after, '/t').loadFloors())?.timestamp?.version, words).toBe(2)
    }
  })
})

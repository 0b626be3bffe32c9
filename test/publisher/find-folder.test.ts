import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { CONFIG_FILE, findFolder, readEnvironment } from '../../publisher/config.ts'

let cwd: string
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'netlink-find-'))
})
afterEach(() => rm(cwd, { recursive: true, force: true }))

const find = () => findFolder(nodeDisk, undefined, readEnvironment({}), cwd)

test('a command works on the folder it stands in if that is a publisher’s, else on pub', async () => {
  expect(await find()).toBe(join(cwd, 'pub'))
  await writeFile(join(cwd, CONFIG_FILE), '')
  expect(await find()).toBe(cwd)
})

test('a folder that cannot be looked into is not taken for another one', async () => {
  await symlink(CONFIG_FILE, join(cwd, CONFIG_FILE))
  await expect(find()).rejects.toMatchObject({ name: 'PlatformError', code: 'io' })
})

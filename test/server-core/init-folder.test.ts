import { mkdtemp, readdir, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { run } from '../world/programs.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-init-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test('a folder with somebody’s files does not become a server, an empty one does', async () => {
  await writeFile(join(folder, 'release.json'), '{}')
  const refused = await run(folder, 'netlink-server', ['init', '--dir', '.'])
  expect(refused.status).toBe(3)
  expect(refused.stderr).toContain('E-NOT-EMPTY')
  expect(await readdir(folder)).toEqual(['release.json'])

  await unlink(join(folder, 'release.json'))
  expect((await run(folder, 'netlink-server', ['init', '--dir', '.'])).status).toBe(0)
  expect(await readdir(folder)).toContain('server.yml')
}, 60_000)

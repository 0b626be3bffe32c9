// A server that was made before there were assignments gets a director key with their table, and keeps the keys that it had.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createServerFolders } from './server-folders.ts'

let folders: Awaited<ReturnType<typeof createServerFolders>>
beforeAll(async () => {
  folders = await createServerFolders()
})
afterAll(() => folders.close())

interface Keyring {
  keys: { name: string; role: string; public: string }[]
}

test('migrate up adds it once', async () => {
  expect(await folders.server('init', '--dir', 'srv')).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('director key'),
  })
  const file = join(folders.folder, 'srv', 'secrets', 'online.keys')
  const load = async (): Promise<Keyring> => JSON.parse(await readFile(file, 'utf8'))
  const made = await load()
  expect(made.keys.map(({ role }) => role)).toEqual(['snapshot', 'timestamp', 'director'])
  await writeFile(file, JSON.stringify({ ...made, keys: made.keys.slice(0, 2) }))

  expect(await folders.server('migrate', 'up', '--dir', 'srv')).toMatchObject({ status: 0 })
  const after = await load()
  expect(after.keys.slice(0, 2)).toEqual(made.keys.slice(0, 2))
  expect(after.keys[2]).toMatchObject({ role: 'director' })
  expect(after.keys[2]?.public).not.toBe(made.keys[2]?.public)

  expect(await folders.server('migrate', 'up', '--dir', 'srv')).toMatchObject({ status: 0 })
  expect(await load()).toEqual(after)
}, 60_000)

import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openFsBlobStore } from '../../server/store/fs-blob-store.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-blobs-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test('a symlink in an object’s place is no object: nothing outside the folder is ever served', async () => {
  // given
  const store = await openFsBlobStore({ folder: join(folder, 'store'), random: randomBytes })
  const bytes = Buffer.from('an artifact')
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const key = `artifacts/${sha256}`
  await store.put(key, bytes, { length: bytes.length, sha256, immutable: true })
  await writeFile(join(folder, 'secret'), 'outside')
  expect(Buffer.from((await store.read(key, 100)) ?? []).toString()).toBe('an artifact')

  // when
  await unlink(join(folder, 'store', key))
  await symlink(join(folder, 'secret'), join(folder, 'store', key))

  // then
  expect(await store.stat(key)).toBeUndefined()
  expect(await store.open(key)).toBeUndefined()
  expect(await store.read(key, 100)).toBeUndefined()
})

import { chmod, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openCluster } from '../../server/store/kept-cluster.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-cluster-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test('a cluster made from the kept one is closed to others and stands alone', async () => {
  // given the first, which is kept, and a kept one that others may read
  const kept = join(folder, 'kept')
  const first = await openCluster(join(folder, 'first'), kept)
  await first.exec('create table here (id int)')
  await first.close()
  await chmod(kept, 0o755)

  // when
  const second = await openCluster(join(folder, 'second'), kept)

  // then
  expect((await stat(join(folder, 'second'))).mode & 0o077).toBe(0)
  const { rows } = await second.query("select 1 from pg_tables where tablename = 'here'")
  expect(rows).toEqual([])
  await second.close()
}, 60_000)

import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openCluster } from '../../server/store/kept-cluster.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'netlink-cluster-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const refuse = (error: unknown) => expect.unreachable(String(error))

test('a cluster made from the kept one is closed to others and stands alone', async () => {
  // given the first, which is kept, and a kept one that others may read
  const kept = join(folder, 'kept')
  const first = await openCluster(join(folder, 'first'), refuse, kept)
  await first.exec('create table here (id int)')
  await first.close()
  await chmod(kept, 0o755)

  // when
  const second = await openCluster(join(folder, 'second'), refuse, kept)

  // then
  expect((await stat(join(folder, 'second'))).mode & 0o077).toBe(0)
  const { rows } = await second.query("select 1 from pg_tables where tablename = 'here'")
  expect(rows).toEqual([])
  await second.close()
}, 60_000)

test('a first cluster that cannot be kept is told about, and works', async () => {
  // given a place for it that cannot be made, because a file lies there
  await writeFile(join(folder, 'file'), '')
  const told: unknown[] = []

  // when
  const first = await openCluster(join(folder, 'first'), (error) => told.push(error), join(folder, 'file', 'kept'))

  // then
  expect(told).toEqual([expect.objectContaining({ code: 'EEXIST' })])
  expect((await first.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  await first.close()
}, 60_000)

test('of two that make the first one at once, both are content', async () => {
  // given
  const told: unknown[] = []
  const kept = join(folder, 'kept')

  // when
  const both = await Promise.all(
    ['one', 'two'].map((name) => openCluster(join(folder, name), (error) => told.push(error), kept)),
  )

  // then
  expect(told).toEqual([])
  for (const one of both) await one.close()
  expect((await readdir(folder)).toSorted()).toEqual(['kept', 'one', 'two'])
}, 60_000)

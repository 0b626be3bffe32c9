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

test('a first cluster that cannot be kept is told about, and works', async () => {
  // given a place for it that cannot be made, because a file lies there
  await writeFile(join(folder, 'file'), '')
  const told: unknown[] = []

  // when
  const first = await openCluster(join(folder, 'first'), (error) => told.push(error), join(folder, 'file', 'kept'))

  // then
  expect(told).toEqual([expect.objectContaining({ code: 'exists' })])
  expect((await first.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  await first.close()
}, 60_000)

test('of two that make the first one at once, both are content; the next is made from it, closed to others, and stands alone', async () => {
  // given
  const told: unknown[] = []
  const kept = join(folder, 'kept')

  // when
  const both = await Promise.all(
    ['one', 'two'].map((name) => openCluster(join(folder, name), (error) => told.push(error), kept)),
  )

  // then
  expect(told).toEqual([])
  for (const one of both) {
    await one.exec('create table here (id int)')
    await one.close()
  }
  expect((await readdir(folder)).toSorted()).toEqual(['kept', 'one', 'two'])

  // and when others may read what was kept
  await chmod(kept, 0o755)
  const next = await openCluster(join(folder, 'next'), refuse, kept)

  // then
  expect((await stat(join(folder, 'next'))).mode & 0o077).toBe(0)
  const { rows } = await next.query("select 1 from pg_tables where tablename = 'here'")
  expect(rows).toEqual([])
  await next.close()
}, 60_000)

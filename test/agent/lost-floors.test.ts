// How far a repository had come is kept in a file. Whoever takes that away, with all that was cached, must not get an older repository in by it.
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fingerprintOf } from '../../keys/release.ts'
import { publishedWorld } from './agent-world.ts'

test('floors that were deleted with the cache are damage, not zero; a reset to the same root is the way out', async () => {
  await using world = await publishedWorld()
  const { repo, home, folder } = world
  expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
  const old = new Map(repo.files)
  await world.publish('0a2')
  expect((await world.run('update', 'check')).status).toBe(0)
  const now = new Map(repo.files)
  const serve = (files: ReadonlyMap<string, Uint8Array>) => {
    repo.files.clear()
    for (const [name, bytes] of files) repo.files.set(name, bytes)
  }
  serve(old)
  expect(await world.run('update', 'check')).toMatchObject({ status: 7, stderr: expect.stringContaining('E-ROLLBACK') })

  const trust = join(home, 'state', 'trust')
  for (const name of await readdir(trust)) if (name !== 'root.json') await rm(join(trust, name))
  for (const files of [old, now]) {
    serve(files)
    const refused = await world.run('update', 'check')
    expect(refused).toMatchObject({ status: 7, stderr: expect.stringContaining('E-MALFORMED') })
    expect(refused.stderr).toContain(`the rollback floors in ${join(trust, 'floors.state')} are gone`)
    expect(refused.stderr).toContain('netlink agent trust reset --root FILE --expect-sha256 HASH')
    expect((await world.enrol('--force')).status).toBe(7)
  }

  const bytes = repo.file('1.root.json')
  await writeFile(join(folder, 'same.json'), bytes)
  const reset = ['agent', 'trust', 'reset', '--root', 'same.json', '--expect-sha256', fingerprintOf(bytes), '--yes']
  expect(await world.run(...reset)).toMatchObject({ status: 0 })
  expect(await world.run('update', 'check')).toMatchObject({ status: 0 })
})

test('a reset that did not ask the server leaves floors too', async () => {
  await using world = await publishedWorld()
  const bytes = world.repo.file('1.root.json')
  await writeFile(join(world.folder, 'same.json'), bytes)
  const reset = ['agent', 'trust', 'reset', '--root', 'same.json', '--expect-sha256', fingerprintOf(bytes), '--yes']
  expect(await world.run(...reset, '--offline')).toMatchObject({ status: 0 })
  expect(await readdir(join(world.home, 'state', 'trust'))).toContain('floors.state')
  expect(await world.run('update', 'check')).toMatchObject({ status: 0 })
})

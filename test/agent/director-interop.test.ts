// A stolen director key that signs metadata: a role that lists releases changes nothing, neither for this project's agent nor for another TUF client.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { manifestPath } from '../../schema/release-path.ts'
import { parseVersion } from '../../schema/version.ts'
import { tufJs } from '../interop/clients.ts'
import { buildAgentWorld } from './agent-world.ts'

const path = (version: string) => manifestPath(parseVersion(version))

test('a director that lists releases is asked by nobody', async () => {
  await using world = await buildAgentWorld()
  const { repo } = world
  repo.delegate('targets', { name: 'director', paths: ['assignments/*'], terminating: true })
  await repo.publish('targets')
  await world.enrol()
  await world.publish('0a1')
  const root = join(world.folder, 'root.json')
  const evil = new TextEncoder().encode('{"evil":true}')
  const read = (folder: string, ...more: string[]) =>
    tufJs(join(world.folder, folder), root, world.address, [path('0a1'), path('0a9'), ...more])
  const before = await read('before')
  expect(before.targets[path('0a9')]).toBeNull()

  for (const version of ['0a1', '0a9']) repo.addTarget('director', path(version), evil, { version })
  repo.addTarget('director', 'assignments/one', evil)
  await repo.publish('director')

  const after = await read('after', 'assignments/one')
  expect(after.targets[path('0a1')]).toBe(before.targets[path('0a1')])
  expect(after.targets[path('0a9')]).toBeNull()
  expect(after.targets['assignments/one']).toBe('{"evil":true}')
  expect((await world.json('update', 'check')).latest_version).toBe('0a1')
  const named = await world.run('update', 'upgrade', '--to', '0a9', '--yes')
  expect(named.status, named.stderr).toBe(3)
  expect((await world.run('update', 'upgrade', '--latest', '--yes')).status).toBe(0)
  expect(await world.installed()).toBe('0a1')
}, 60_000)

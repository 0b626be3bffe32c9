// A delegation that two holders signed without seeing it: `alpha-9`, one key of two, for all of alpha's manifests. From then on one holder and whoever owns the
// server would release by themselves.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { JsonObject } from '../../keys/json.ts'
import { manifestPath } from '../../schema/release-path.ts'
import { parseVersion } from '../../schema/version.ts'
import { pack } from '../engine/release.ts'
import { utf8 } from '../sim/repository.ts'
import { type AssignmentWorld, assignmentWorld, short } from './assignment-world.ts'
import { makeBundle, readParts, writeParts } from './bundle-making.ts'

const UP = ['update', 'upgrade', '--latest', '--yes']

/** A host on 0a2 of a channel of two of two, and alpha with a delegation more. */
async function smuggledWorld(): Promise<AssignmentWorld> {
  const world = await assignmentWorld()
  for (const version of ['0a1', '0a2']) await world.publish(version)
  expect((await world.run(...UP)).status).toBe(0)
  return world
}

async function smuggle({ repo }: AssignmentWorld): Promise<void> {
  const [alice] = repo.signersOf('alpha')
  if (!alice) throw new Error('expected a key of alpha')
  repo.delegate('alpha', { name: 'alpha-9', paths: ['alpha/*/manifest.json'], terminating: true, keyids: [] })
  repo.addKey('alpha-9', alice)
  await repo.publish('alpha', 'alpha-9')
}

/** A release that alice alone signs, in this role. */
async function release({ repo, artifacts }: AssignmentWorld, role: string, text: string): Promise<void> {
  const { archive, artifact } = pack({ 'app.txt': 'of one holder' })
  artifacts.set(String(artifact.sha256), archive)
  const version = parseVersion(text)
  const manifest: JsonObject = { ...repo.manifest(version), artifacts: [artifact as JsonObject] }
  const custom = { version, platforms: ['any'], released_at: String(manifest.released_at) }
  repo.addTarget(role, manifestPath(version), utf8(JSON.stringify(manifest)), custom)
  await repo.publish(role)
}

test('an assignment by the director does not make a host install what one holder signed', async () => {
  await using world = await smuggledWorld()
  await smuggle(world)
  await release(world, 'alpha-9', '0a9')
  world.say(await world.sign(world.assignment('0a9')))
  const refused = await world.look().catch((error: unknown) => error)
  expect(refused).toMatchObject({ name: 'TrustError', code: 'bad-delegation' })
  await world.tick()
  expect(await world.runs()).toBe('0a2')
})

test('nobody at the host gets it either: not by name, not the newest, not out of a bundle, not as a way down', async () => {
  await using world = await smuggledWorld()
  const carried = await makeBundle(world, '0a2', join(world.folder, 'smuggled.bundle'))
  await smuggle(world)
  await release(world, 'alpha-9', '0a9')
  const parts = await readParts(carried)
  for (const [name, bytes] of world.repo.files) parts.files.set(`repo/metadata/${name}`, bytes)
  await writeParts(carried, parts)
  for (const asked of [
    ['update', 'upgrade', '--to', '0a9', '--yes'],
    UP,
    ['update', 'check'],
    ['update', 'downgrade', '--to', '0a1', '--yes'],
    ['update', 'check', '--from', carried],
  ]) {
    const outcome = await world.run(...asked)
    expect([outcome.status, outcome.stderr], asked.join(' ')).toEqual([7, expect.stringContaining('E-DELEGATION')])
    expect(outcome.stderr).toContain('alpha delegates to "alpha-9"')
  }
  expect(await world.runs()).toBe('0a2')
  await expect(makeBundle(world, '0a9', carried)).rejects.toMatchObject({ code: 'bad-delegation' })
})

test('a line of the channel with the channel’s keys is followed, also by an assignment', async () => {
  await using world = await smuggledWorld()
  const { repo } = world
  const line = repo.delegateLine('alpha', 'alpha-0-0')
  await release(world, 'alpha-0-0', '0a9')
  expect(Object.keys(line.targets)).toEqual(['alpha/0a9/manifest.json'])
  await repo.publish('alpha')
  world.say(await world.sign(world.assignment('0a9')))
  expect(short(await world.look())).toBe('available 0a9')
  await world.tick()
  expect(await world.runs()).toBe('0a9')
})

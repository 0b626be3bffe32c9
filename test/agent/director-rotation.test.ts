// A director's key is replaced while a host remembers how far the numbers had come. Whoever kept an old assignment must not be able to bring it back by the change.
import { expect, test } from 'vitest'
import type { Signer } from '../../keys/signer.ts'
import { type AssignmentWorld, assignmentWorld, short } from './assignment-world.ts'

/** A host that was sent to 0a3 by number 100 and to 0a4 by number 200, both signed by these keys of two directors; then the first one leaves. */
async function rotated(by: (old: Signer, fresh: Signer) => readonly Signer[]) {
  const world = await assignmentWorld()
  const { repo } = world
  for (const version of ['0a1', '0a2', '0a3', '0a4']) await world.publish(version)
  expect((await world.run('update', 'upgrade', '--to', '0a2', '--yes')).status).toBe(0)
  const [old] = repo.signersOf('director')
  const fresh = repo.addKey('director')
  await repo.publish('targets')
  if (!old) throw new Error('expected a director')
  const [first, second] = [
    await world.sign(world.assignment('0a3', { sequence: 100 }), by(old, fresh)),
    await world.sign(world.assignment('0a4', { sequence: 200 }), by(old, fresh)),
  ]
  expect(await told(world, first)).toBe('available 0a3')
  expect(await told(world, second)).toBe('available 0a4')
  expect(await told(world, first)).toBe('available 0a4, refused rollback')
  repo.rotateKeys('director')
  const named = repo.targetsRole('targets').delegations?.roles.find(({ name }) => name === 'director')
  named?.keyids.splice(0)
  repo.signers.set('director', [])
  repo.addKey('director', fresh)
  await repo.publish('targets')
  return { world, first, told: (document: string) => told(world, document) }
}

async function told(world: AssignmentWorld, document: string): Promise<string> {
  world.say(document)
  return short(await world.look())
}

test('numbers that old and new key signed side by side are kept when the old key goes', async () => {
  const { world, first, told } = await rotated((old, fresh) => [old, fresh])
  await using _ = world
  expect(await told(first)).toBe('available 0a4, refused rollback')
  const next = (sequence: number) => world.sign(world.assignment('0a3', { sequence }))
  expect(await told(await next(200))).toBe('available 0a4, refused rollback')
  expect(await told(await next(201))).toBe('available 0a3')
})

test('numbers of the old key alone go with it: the new director begins anew, and what the old one signed is refused', async () => {
  const { world, first, told } = await rotated((old) => [old])
  await using _ = world
  expect(await told(first)).toBe('available 0a4, refused unsigned')
  expect(await told(await world.sign(world.assignment('0a3', { sequence: 1 })))).toBe('available 0a3')
})

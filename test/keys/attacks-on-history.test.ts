import { expect, it } from 'vitest'
import { daysFrom, type SimRepository } from '../sim/repository.ts'
import { type Attack, edit, resign, testAttacks } from './attack.ts'
import { buildTrustWorld, SEEN } from './trust-world.ts'

const attacks: Attack[] = [
  // The root chain
  {
    name: 'T8 and T9: roots 2 and 3 are good, 4 is signed by the old keys only',
    attack: async ({ repo }) => {
      await repo.publish('root')
      await repo.publish('root')
      const old = repo.signersOf('root')
      repo.rotateKeys('root')
      repo.signers.set('root', old)
      await repo.publish('root')
    },
    control: async ({ repo }) => {
      await repo.publish('root')
      await repo.publish('root')
      await rotateRoot(repo)
      await repo.publish('targets')
    },
    code: 'unsigned',
    role: 'root',
    stored: { root: 3 },
  },
  {
    name: 'T9 a root signed by its own new keys only',
    attack: async ({ repo }) => {
      repo.rotateKeys('root')
      await repo.publish('root')
    },
    control: (world) => rotateRoot(world.repo),
    code: 'unsigned',
    role: 'root',
  },
  {
    name: 'T9 one new key for a threshold of two new keys',
    attack: async ({ repo }) => {
      repo.addKey('root')
      repo.setThreshold('root', 2)
      repo.signers.set('root', repo.signersOf('root').slice(0, 1))
      await repo.publish('root')
    },
    control: async ({ repo }) => {
      repo.addKey('root')
      repo.setThreshold('root', 2)
      await repo.publish('root')
    },
    code: 'unsigned',
    role: 'root',
  },
  ...[3, 1].map(
    (version): Attack => ({
      name: `T10 2.root.json that says version ${version}`,
      attack: async ({ repo }) => {
        await repo.publish('root')
        await resign(repo, '2.root.json', 'root', (signed) => {
          signed.version = version
        })
      },
      control: ({ repo }) => repo.publish('root'),
      code: 'wrong-version',
      role: 'root',
    }),
  ),
  {
    name: 'T11 the last root has expired',
    attack: async ({ repo, now }) => {
      repo.root.expires = daysFrom(now, 0)
      await repo.publish('root')
    },
    control: async ({ repo, now }) => {
      repo.root.expires = daysFrom(now, -1)
      await repo.publish('root')
      repo.root.expires = daysFrom(now, 1)
      await repo.publish('root')
    },
    code: 'expired',
    role: 'root',
    stored: { root: 2 },
  },
  {
    name: 'a root that names another product',
    attack: async ({ repo }) => {
      repo.root.product = 'other'
      await repo.publish('root')
    },
    control: ({ repo }) => repo.publish('root'),
    code: 'foreign',
    role: 'root',
  },

  // Going back
  {
    name: 'T13 an older timestamp',
    given: ({ repo }) => repo.publish('targets'),
    attack: async ({ repo }) => {
      repo.role('timestamp').version = 2
      await repo.publishAsIs('timestamp')
    },
    control: async ({ repo }) => {
      repo.role('timestamp').version = 4
      await repo.publishAsIs('timestamp')
    },
    code: 'rollback',
    role: 'timestamp',
  },
  {
    name: 'T13 and T14: a newer timestamp with an older snapshot is not kept',
    given: ({ repo }) => repo.publish('targets'),
    attack: async ({ repo }) => {
      repo.timestampMeta['snapshot.json'] = { version: 2 }
      repo.role('timestamp').version += 1
      await repo.publishAsIs('timestamp')
    },
    control: async ({ repo }) => {
      repo.role('timestamp').version += 1
      await repo.publishAsIs('timestamp')
    },
    code: 'rollback',
    role: 'snapshot',
  },
  {
    name: 'T15 a snapshot with an older delegated role',
    given: ({ repo }) => repo.publish('alpha'),
    attack: async ({ repo }) => {
      repo.snapshotMeta['alpha.json'] = { version: 2 }
      await repo.seal()
    },
    control: ({ repo }) => repo.seal(),
    code: 'rollback',
    role: 'alpha',
    stored: { timestamp: 4 },
  },
  {
    name: 'T15 a snapshot with older targets',
    given: ({ repo }) => repo.publish('targets'),
    attack: async ({ repo }) => {
      repo.snapshotMeta['targets.json'] = { version: 1 }
      await repo.seal()
    },
    control: ({ repo }) => repo.seal(),
    code: 'rollback',
    role: 'targets',
    stored: { timestamp: 4 },
  },
  {
    name: 'T16 a role has vanished from the snapshot',
    attack: async ({ repo }) => {
      delete repo.snapshotMeta['beta.json']
      await repo.seal()
    },
    control: async ({ repo }) => {
      delete repo.snapshotMeta['beta.json']
      repo.rotateKeys('snapshot')
      await repo.publish('root')
      await repo.seal()
    },
    code: 'rollback',
    role: 'beta',
    stored: { timestamp: 3 },
  },
  {
    name: 'T44 a version past 2^53-1',
    attack: async ({ repo }) => {
      await repo.publish('targets')
      edit(
        repo,
        'timestamp.json',
        (file) => file,
        (text) => text.replace('"version": 3', '"version": 9007199254740992'),
      )
    },
    control: async ({ repo }) => {
      await repo.publish('targets')
      repo.role('timestamp').version = 9007199254740991
      await repo.publishAsIs('timestamp')
    },
    code: 'malformed',
    stored: {},
  },

  // Time
  {
    name: 'an older timestamp, under a clock that was set back so far that it is good again',
    given: async ({ repo, now }) => {
      repo.role('timestamp').expires = daysFrom(now, 40)
      await repo.publish('targets')
    },
    attack: async (world) => {
      const { repo, now } = world
      world.now = new Date(now.getTime() - 60 * 86_400_000)
      repo.role('timestamp').version = 2
      repo.role('timestamp').expires = daysFrom(world.now, 1)
      await repo.publishAsIs('timestamp')
    },
    control: async (world) => {
      world.now = new Date(world.now.getTime() - 60 * 86_400_000)
      await world.repo.publish('targets')
    },
    code: 'rollback',
    role: 'timestamp',
  },
  {
    name: 'an expired timestamp',
    attack: async ({ repo, now }) => {
      repo.role('timestamp').expires = daysFrom(now, 0)
      await repo.publish('targets')
    },
    control: async ({ repo, now }) => {
      repo.role('timestamp').expires = daysFrom(now, 1)
      await repo.publish('targets')
    },
    code: 'expired',
    role: 'timestamp',
  },
  ...(['snapshot', 'targets', 'alpha'] as const).map(
    (role): Attack => ({
      name: `an expired ${role}`,
      attack: async ({ repo, now }) => {
        repo.role(role).expires = daysFrom(now, -1)
        await repo.publish('targets', 'alpha')
      },
      control: async ({ repo, now }) => {
        repo.role(role).expires = daysFrom(now, 1)
        await repo.publish('targets', 'alpha')
      },
      code: 'expired',
      role,
      stored:
        role === 'snapshot'
          ? { timestamp: 3 }
          : { timestamp: 3, snapshot: 3, ...(role === 'alpha' ? { targets: 2 } : {}) },
    }),
  ),
  ...[
    'never',
    '2030-01-01',
    '2030-01-01T00:00:00+02:00',
    '2030-01-01T00:00:00.5Z',
    '2030-13-01T00:00:00Z',
    '2030-02-30T00:00:00Z',
    '',
  ].map(
    (expires): Attack => ({
      name: `T35 a timestamp that expires ${JSON.stringify(expires)}`,
      attack: async ({ repo }) => {
        repo.role('timestamp').expires = expires
        await repo.publish('targets')
      },
      control: async ({ repo }) => {
        repo.role('timestamp').expires = '2030-01-01T00:00:00Z'
        await repo.publish('targets')
      },
      code: 'malformed',
    }),
  ),
]

testAttacks('attacks on the order of things', attacks)

it('knows what a host has seen before any of them', async () => {
  const { store } = await buildTrustWorld()
  expect(store.versions()).toEqual(SEEN)
  expect(store.floorVersions()).toEqual({ root: 1, timestamp: 2, announced: 2, snapshot: 2 })
})

async function rotateRoot(repo: SimRepository): Promise<void> {
  const old = repo.signersOf('root')
  const fresh = repo.rotateKeys('root')
  repo.signers.set('root', [...old, fresh])
  await repo.publish('root')
  repo.signers.set('root', [fresh])
}

// Numbers are those of the catalogue of updater attacks that this project holds itself against.
import type { JsonObject } from '../../keys/json.ts'
import { keyIdOf } from '../../keys/key.ts'
import type { SimRepository } from '../sim/repository.ts'
import { ecdsaPair, ecdsaSigner, keyObject, pemOf, rsaSigner } from '../sim/signers.ts'
import { type Attack, edit, first, resign, roleIn, testAttacks } from './attack.ts'

const attacks: Attack[] = [
  {
    name: 'T1 one signature twice does not make two',
    given: async ({ repo }) => {
      repo.addKey('targets')
      repo.setThreshold('targets', 2)
      await repo.publish('root', 'targets')
    },
    attack: async ({ repo }) => {
      await repo.publish('targets')
      edit(repo, '3.targets.json', (file) => ({
        ...file,
        signatures: [first(file.signatures), first(file.signatures)],
      }))
    },
    control: ({ repo }) => repo.publish('targets'),
    code: 'duplicate-signature',
    stored: { timestamp: 4, snapshot: 4 },
  },
  {
    name: 'T1b a key id twice is refused even where the threshold is met',
    attack: async ({ repo }) => {
      await repo.publish('targets')
      edit(repo, '2.targets.json', (file) => ({
        ...file,
        signatures: [first(file.signatures), { ...first(file.signatures), sig: '' }],
      }))
    },
    control: async ({ repo }) => {
      await repo.publish('targets')
      edit(repo, '2.targets.json', (file) => ({
        ...file,
        signatures: [first(file.signatures), { keyid: 'aa', sig: '' }],
      }))
    },
    code: 'duplicate-signature',
    stored: { timestamp: 3, snapshot: 3 },
  },
  {
    name: 'T2 and T45: one key under an invented second key id',
    attack: async ({ repo }) => {
      const [signer] = repo.signersOf('snapshot')
      repo.root.keys['a'.repeat(64)] = signer!.publicKey.object
      repo.root.roles.snapshot!.keyids.push('a'.repeat(64))
      await repo.publish('root', 'targets')
    },
    control: async ({ repo }) => {
      repo.addKey('snapshot')
      await repo.publish('root', 'targets')
    },
    code: 'bad-key',
  },
  {
    name: 'T3 one P-256 key in two spellings counts once',
    attack: async ({ repo }) => {
      const pair = ecdsaPair()
      addTwo(
        repo,
        ecdsaSigner(pair),
        ecdsaSigner(pair, (pem) => pem.replaceAll('\n', '\r\n')),
      )
      await repo.publish('root', 'targets')
    },
    control: async ({ repo }) => {
      addTwo(repo, ecdsaSigner(), ecdsaSigner())
      await repo.publish('root', 'targets')
    },
    code: 'unsigned',
    role: 'targets',
    stored: { root: 2, timestamp: 3, snapshot: 3 },
  },
  ...[0, -1, '1', 1.5, null].map(
    (threshold): Attack => ({
      name: `T4 a threshold of ${JSON.stringify(threshold)}`,
      attack: async ({ repo }) => {
        await repo.publish('root')
        await resign(repo, '2.root.json', 'root', (signed) => {
          ;(signed.roles as Record<string, JsonObject>).timestamp = { ...roleIn(signed, 'timestamp'), threshold }
        })
      },
      control: ({ repo }) => repo.publish('root', 'targets'),
      code: 'malformed',
    }),
  ),
  {
    name: 'T5 no signatures at all',
    attack: async ({ repo }) => {
      await repo.publish('targets')
      edit(repo, 'timestamp.json', (file) => ({ ...file, signatures: [] }))
    },
    control: ({ repo }) => repo.publish('targets'),
    code: 'unsigned',
    role: 'timestamp',
  },
  {
    name: 'T5b a signature that is an empty string',
    attack: async ({ repo }) => {
      await repo.publish('targets')
      edit(repo, 'timestamp.json', (file) => ({ ...file, signatures: [{ ...first(file.signatures), sig: '' }] }))
    },
    control: ({ repo }) => repo.publish('targets'),
    code: 'unsigned',
  },
  ...[
    ['an ed25519 key with an rsa scheme', () => keyObject('ed25519', 'rsassa-pss-sha256', 'ab'.repeat(32))],
    ['an rsa PEM under ed25519', () => keyObject('ed25519', 'ed25519', String(keyvalOf(rsaSigner().publicKey.object)))],
    ['a P-256 PEM under rsa', () => keyObject('rsa', 'rsassa-pss-sha256', pemOf(ecdsaPair().publicKey))],
    ['a key type that nobody knows', () => keyObject('hmac', 'hmac', 'ab'.repeat(32))],
    ['a small-order ed25519 key', () => keyObject('ed25519', 'ed25519', `01${'00'.repeat(31)}`)],
  ].map(([what, key]): Attack => {
    const object = key as () => JsonObject
    return {
      name: `T6 and T7: ${what}`,
      attack: async ({ repo }) => {
        const weak = object()
        repo.root.keys[keyIdOf(weak)] = weak
        repo.root.roles.timestamp!.keyids.push(keyIdOf(weak))
        await repo.publish('root')
      },
      control: async ({ repo }) => {
        repo.addKey('timestamp')
        await repo.publish('root', 'targets')
      },
      code: 'bad-key',
    }
  }),
  {
    name: 'T30 100,000 signatures are refused by number, before any is checked',
    attack: async ({ repo }) => {
      await repo.publish('targets')
      const signatures = Array.from({ length: 100_000 }, (_, i) => ({ keyid: String(i), sig: '00' }))
      edit(repo, '2.targets.json', (file) => ({ ...file, signatures }))
    },
    control: async ({ repo }) => {
      await repo.publish('targets')
      const others = Array.from({ length: 63 }, (_, i) => ({ keyid: String(i), sig: '00' }))
      edit(repo, '2.targets.json', (file) => ({
        ...file,
        signatures: [...(file.signatures as JsonObject[]), ...others],
      }))
    },
    code: 'too-large',
    stored: { timestamp: 3, snapshot: 3 },
  },
  {
    name: 'T46 a role whose key ids lead to no key',
    attack: async ({ repo }) => {
      repo.root.roles.timestamp!.keyids = ['b'.repeat(64)]
      await repo.publish('root', 'targets')
    },
    control: async ({ repo }) => {
      repo.root.roles.timestamp!.keyids.push('b'.repeat(64))
      await repo.publish('root', 'targets')
    },
    code: 'unsigned',
    role: 'timestamp',
    stored: { root: 2, timestamp: 0 },
  },
  {
    name: 'a role with more keys than a role may have',
    attack: async ({ repo }) => {
      for (let i = 0; i < 16; i++) repo.addKey('timestamp')
      await repo.publish('root', 'targets')
    },
    control: async ({ repo }) => {
      for (let i = 0; i < 15; i++) repo.addKey('timestamp')
      await repo.publish('root', 'targets')
    },
    code: 'too-large',
    stored: { root: 2 },
  },
  {
    name: 'a key id twice in a role',
    attack: async ({ repo }) => {
      repo.root.roles.timestamp!.keyids.push(repo.root.roles.timestamp!.keyids[0]!)
      await repo.publish('root')
    },
    control: ({ repo }) => repo.publish('root', 'targets'),
    code: 'malformed',
  },
]

testAttacks('attacks on signatures and keys', attacks)

function keyvalOf(key: JsonObject): unknown {
  return (key.keyval as JsonObject).public
}

/** Two keys for targets that both have to sign. */
function addTwo(repo: SimRepository, a: ReturnType<typeof ecdsaSigner>, b: ReturnType<typeof ecdsaSigner>): void {
  repo.root.roles.targets!.keyids = []
  repo.signers.set('targets', [])
  repo.addKey('targets', a)
  repo.addKey('targets', b)
  repo.setThreshold('targets', 2)
}

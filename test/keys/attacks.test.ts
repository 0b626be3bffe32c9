// What an attacker serves, and what the host does: every row is one attack of the catalogue (its number in the name), refused for the reason named, with
// nothing stored that was not trusted; then the honest repository goes on and the next good update works. Each row's control is the same story one
// edit away, and succeeds.
import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../keys/json.ts'
import { keyIdOf } from '../../keys/key.ts'
import type { TrustErrorCode } from '../../keys/trust-error.ts'
import { daysFrom, type SimRepository, utf8 } from '../sim/repository.ts'
import { ecdsaPair, ecdsaSigner, keyObject, pemOf, rsaSigner } from '../sim/signers.ts'
import { refusalOf } from './refusal.ts'
import { buildTrustWorld, SEEN, type TrustWorld, useRelease } from './trust-world.ts'

type Story = (world: TrustWorld) => Promise<void> | void

interface Attack {
  readonly name: string
  /** What both the attack and its control begin with; the host refreshes afterwards. */
  readonly given?: Story
  readonly attack: Story
  readonly control: Story
  readonly code: TrustErrorCode
  /** What the refusal speaks of. */
  readonly role?: string
  /** Stored versions afterwards that differ from before the attack: what was good was kept. */
  readonly stored?: Readonly<Record<string, number>>
}

const attacks: Attack[] = [
  // Signatures and keys
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

  // Wrong files in the right places
  {
    name: 'T40 a snapshot served as timestamp, signed by a key of both',
    given: async ({ repo }) => {
      repo.addKey('timestamp', repo.signersOf('snapshot')[0])
      await repo.publish('root', 'targets')
    },
    attack: async ({ repo }) => {
      await repo.publish('targets')
      repo.files.set('timestamp.json', repo.file('4.snapshot.json'))
    },
    control: ({ repo }) => repo.publish('targets'),
    code: 'wrong-role',
    role: 'timestamp',
  },
  {
    name: 'T40 another targets role served as targets.json',
    attack: async ({ repo }) => {
      await repo.publish('targets')
      repo.files.set('2.targets.json', repo.file('2.alpha.json'))
    },
    control: ({ repo }) => repo.publish('targets'),
    code: 'unsigned',
    role: 'targets',
    stored: { timestamp: 3, snapshot: 3 },
  },
  ...(['snapshot', 'targets'] as const).map(
    (role): Attack => ({
      name: `T41 and T43: 3.${role}.json with another version inside`,
      given: ({ repo }) => repo.publish('targets'),
      attack: async ({ repo }) => {
        await repo.publish('targets')
        const file = role === 'snapshot' ? '4.snapshot.json' : '3.targets.json'
        await resign(repo, file, role, (signed) => {
          signed.version = 99
        })
      },
      control: ({ repo }) => repo.publish('targets'),
      code: 'wrong-version',
      role,
      stored: role === 'snapshot' ? { timestamp: 4 } : { timestamp: 4, snapshot: 4 },
    }),
  ),
  {
    name: 'T43 the right version with the wrong hash',
    given: ({ repo }) => {
      repo.withHashes = true
      return repo.publish('targets')
    },
    attack: async ({ repo }) => {
      await repo.publish('targets')
      await resign(repo, '3.targets.json', 'targets', (signed) => {
        signed.spec_version = '1.0.35'
      })
    },
    control: ({ repo }) => repo.publish('targets'),
    code: 'hash',
    stored: { timestamp: 4, snapshot: 4 },
  },
  {
    name: 'T43 the right snapshot version with the wrong hash',
    given: ({ repo }) => {
      repo.withHashes = true
      return repo.publish('targets')
    },
    attack: async ({ repo }) => {
      await repo.publish('targets')
      await resign(repo, '4.snapshot.json', 'snapshot', (signed) => {
        signed.spec_version = '1.0.35'
      })
    },
    control: ({ repo }) => repo.publish('targets'),
    code: 'hash',
    stored: { timestamp: 4 },
  },
  {
    name: 'a file that is shorter than the snapshot says, where it says no hash',
    attack: async ({ repo }) => {
      await repo.publish('targets')
      repo.snapshotMeta['targets.json'] = { version: 2, length: repo.file('2.targets.json').length + 1 }
      await repo.seal()
    },
    control: async ({ repo }) => {
      await repo.publish('targets')
      repo.snapshotMeta['targets.json'] = { version: 2, length: repo.file('2.targets.json').length }
      await repo.seal()
    },
    code: 'hash',
    stored: { timestamp: 4, snapshot: 4 },
  },
  {
    name: 'T37 a snapshot that vouches for targets with md5 only',
    attack: async ({ repo }) => {
      await repo.publish('targets')
      repo.snapshotMeta['targets.json'] = { version: 2, hashes: { md5: 'a'.repeat(32) } }
      await repo.seal()
    },
    control: async ({ repo }) => {
      await repo.publish('targets')
      repo.snapshotMeta['targets.json'] = { version: 2 }
      await repo.seal()
    },
    code: 'hash',
    stored: { timestamp: 4, snapshot: 4 },
  },
  {
    name: 'a file that the snapshot announces is not there',
    attack: async ({ repo }) => {
      await repo.publish('targets')
      repo.files.delete('2.targets.json')
    },
    control: ({ repo }) => repo.publish('targets'),
    code: 'missing',
    role: 'targets',
    stored: { timestamp: 3, snapshot: 3 },
  },
  {
    name: 'no timestamp at all',
    attack: ({ repo }) => {
      repo.files.delete('timestamp.json')
    },
    control: () => {},
    code: 'missing',
    role: 'timestamp',
  },
  ...['2.0.0', '1', 'one', '01.0', '1.0.0.0'].map(
    (version): Attack => ({
      name: `T42 spec_version ${version}`,
      attack: async ({ repo }) => {
        repo.role('timestamp').spec_version = version
        await repo.publish('targets')
      },
      control: async ({ repo }) => {
        repo.role('timestamp').spec_version = version === '2.0.0' ? '1.1.0' : '1.0'
        await repo.publish('targets')
      },
      code: 'malformed',
    }),
  ),

  // Grammar: refused before anybody looks at a signature
  ...[
    '',
    '{}',
    '[]',
    'null',
    '{"signed":[],"signatures":[]}',
    '{"signed":{},"signatures":{}}',
    '{"signed":{},"signatures":[1]}',
  ].map(
    (text): Attack => ({
      name: `T29 a timestamp that reads ${text || 'nothing'}`,
      attack: async ({ repo }) => {
        repo.files.set('timestamp.json', utf8(text))
      },
      control: ({ repo }) => repo.publish('targets'),
      code: 'malformed',
    }),
  ),
  {
    name: 'T29 a timestamp nested 5,000 deep',
    attack: ({ repo }) => {
      repo.files.set('timestamp.json', utf8('['.repeat(5_000)))
    },
    control: ({ repo }) => repo.publish('targets'),
    code: 'too-large',
  },
  {
    name: 'T29 an empty object, properly signed',
    attack: async ({ repo }) => {
      repo.files.set('timestamp.json', await repo.sign({}, repo.signersOf('timestamp')))
    },
    control: ({ repo }) => repo.publish('targets'),
    code: 'wrong-role',
  },
  {
    name: 'T29 a properly signed timestamp without its fields',
    attack: async ({ repo }) => {
      repo.files.set('timestamp.json', await repo.sign({ _type: 'timestamp' }, repo.signersOf('timestamp')))
    },
    control: ({ repo }) => repo.publish('targets'),
    code: 'malformed',
  },
  ...(
    [
      ['the version twice', (text) => text.replace('"version": 3', '"version": 3, "version": 3')],
      ['1.0 for a version', (text) => text.replace('"version": 3', '"version": 3.0')],
      ['a byte order mark', (text) => `\ufeff${text}`],
      ['something after it', (text) => `${text}{}`],
    ] as [string, (text: string) => string][]
  ).map(
    ([what, spoil]): Attack => ({
      name: `T38 a timestamp with ${what}`,
      attack: async ({ repo }) => {
        await repo.publish('targets')
        edit(repo, 'timestamp.json', (file) => file, spoil)
      },
      control: async ({ repo }) => {
        await repo.publish('targets')
        edit(
          repo,
          'timestamp.json',
          (file) => file,
          (text) => `  ${text}  `,
        )
      },
      code: 'malformed',
    }),
  ),
  {
    name: 'T31 a timestamp without end',
    attack: ({ repo }) => {
      repo.files.set('timestamp.json', new Uint8Array(16_385).fill(0x20))
    },
    control: async ({ repo }) => {
      await repo.publish('targets')
      const bytes = repo.file('timestamp.json')
      repo.files.set('timestamp.json', utf8(new TextDecoder().decode(bytes).padEnd(16_384)))
    },
    code: 'too-large',
    role: 'timestamp',
  },

  // What targets roles say
  ...(
    [
      ['T36 no hash at all', {}, 'malformed'],
      ['T36 an empty hash', { sha256: '' }, 'malformed'],
      ['T36 a hash with a leading space', { sha256: ` ${'a'.repeat(63)}` }, 'malformed'],
      ['T36 an upper-case hash', { sha256: 'A'.repeat(64) }, 'malformed'],
      ['T36 a short hash', { sha256: 'a'.repeat(63) }, 'malformed'],
      ['T37 only md5', { md5: 'a'.repeat(32) }, 'hash'],
      ['T37 only sha1', { sha1: 'a'.repeat(40) }, 'hash'],
    ] as [string, Record<string, string>, TrustErrorCode][]
  ).map(
    ([what, hashes, code]): Attack => ({
      name: `${what} for a manifest`,
      attack: async ({ repo }) => {
        manifestEntry(repo).hashes = hashes
        await repo.publish('alpha')
      },
      control: async ({ repo }) => {
        manifestEntry(repo).hashes = { sha512: manifestEntry(repo).hashes.sha512! }
        await repo.publish('alpha')
      },
      code,
      stored: { timestamp: 3, snapshot: 3, ...(code === 'hash' ? { alpha: 3 } : {}) },
    }),
  ),
  {
    name: 'a manifest whose bytes were changed',
    attack: async ({ repo }) => {
      for (const [path, bytes] of repo.targetFiles) repo.targetFiles.set(path, Uint8Array.from(bytes).fill(0x20, 0, 1))
    },
    control: () => {},
    code: 'hash',
  },
  {
    name: 'a manifest that is longer than was signed',
    attack: async ({ repo }) => {
      for (const [path, bytes] of repo.targetFiles) repo.targetFiles.set(path, Uint8Array.of(...bytes, 0x20))
    },
    control: () => {},
    code: 'hash',
  },
  {
    name: 'T28 a target whose custom names another version',
    attack: async ({ repo }) => {
      manifestEntry(repo).custom = { ...manifestEntry(repo).custom, version: '0a2' }
      await repo.publish('alpha')
    },
    control: ({ repo }) => repo.publish('alpha'),
    code: 'malformed',
    role: 'alpha',
    // TUF itself has nothing against it: it was signed by those who may. It is our reading that refuses.
    stored: { timestamp: 3, snapshot: 3, alpha: 3 },
  },
  {
    name: 'T28 a channel role that says it is another channel',
    attack: async ({ repo }) => {
      const role = repo.targetsRole('alpha')
      role.targets = {}
      role.channel = { ...(role.channel as object), name: 'beta' }
      await repo.publish('alpha')
    },
    control: ({ repo }) => repo.publish('alpha'),
    code: 'wrong-role',
    role: 'alpha',
    stored: { timestamp: 3, snapshot: 3, alpha: 3 },
  },
  ...(
    [
      ['product', { product: 'other' }],
      ['version', { version: '0a7' }],
      ['channel', { channel: 'beta' }],
    ] as [string, JsonObject][]
  ).map(
    ([what, changes]): Attack => ({
      name: `T28 a manifest of another ${what} than its path and root say`,
      attack: async ({ repo }) => {
        await repo.release('0a1', changes)
      },
      control: async ({ repo }) => {
        await repo.release('0a1', { restart_units: ['other.service'] })
      },
      code: 'foreign',
      stored: { timestamp: 3, snapshot: 3, alpha: 3 },
    }),
  ),
  {
    name: 'T20 one role name twice',
    attack: async ({ repo }) => {
      const roles = repo.targetsRole('targets').delegations!.roles
      roles.push({ ...roles[0]!, threshold: 3 })
      await repo.publish('targets')
    },
    control: async ({ repo }) => {
      repo.delegate('targets', { name: 'alpha2' })
      await repo.publish('alpha2', 'targets')
    },
    code: 'malformed',
    role: 'targets',
    stored: { timestamp: 3, snapshot: 3 },
  },
  {
    name: 'T25 a delegated role named snapshot',
    attack: async ({ repo }) => {
      const roles = repo.targetsRole('targets').delegations!.roles
      roles.push({ ...roles[0]!, name: 'snapshot' })
      await repo.publish('targets')
    },
    control: async ({ repo }) => {
      repo.delegate('targets', { name: 'Snapshot' })
      await repo.publish('Snapshot', 'targets')
    },
    code: 'malformed',
    role: 'targets',
    stored: { timestamp: 3, snapshot: 3 },
  },
  {
    name: 'a delegation with both kinds of paths',
    attack: async ({ repo }) => {
      repo.targetsRole('targets').delegations!.roles[0]!.path_hash_prefixes = ['00']
      await repo.publish('targets')
    },
    control: ({ repo }) => repo.publish('targets'),
    code: 'malformed',
    role: 'targets',
    stored: { timestamp: 3, snapshot: 3 },
  },
]

describe('attacks on a refresh', () => {
  it.each(attacks)('$name', async ({ given, attack, control, code, role, stored }) => {
    const world = await worldOf(given)
    const before = world.store.versions()
    const honest = world.repo.copy()

    await attack(world)
    const refusal = await refusalOf(() => useRelease(world))

    expect(refusal.code).toBe(code)
    if (role) expect(refusal.facts.role).toBe(role)
    const expected = Object.entries({ ...before, ...stored }).filter(([, version]) => version > 0)
    expect(world.store.versions()).toEqual(Object.fromEntries(expected))

    await goOn(world, honest)
    await useRelease(world)

    const other = await worldOf(given)
    await control(other)
    await useRelease(other)
  })

  it('knows what a host has seen before any of them', async () => {
    const { store } = await buildTrustWorld()
    expect(store.versions()).toEqual(SEEN)
    expect(store.floorVersions()).toEqual({ root: 1, timestamp: 2, announced: 2, snapshot: 2 })
  })
})

async function worldOf(given: Story | undefined): Promise<TrustWorld> {
  const world = await buildTrustWorld()
  await given?.(world)
  await useRelease(world)
  return world
}

/** The honest publisher comes back: past everything that was stored in the meantime, on the root that the host has by now. */
async function goOn(world: TrustWorld, honest: SimRepository): Promise<void> {
  const attacked = world.repo
  world.repo = honest
  const seen = world.store.versions().root ?? 1
  if (seen > honest.root.version) {
    // The new root was valid, so the honest publisher is the one who made it: it goes on from there, with the keys it had before.
    for (let version = honest.root.version + 1; version <= seen; version++) {
      honest.files.set(`${version}.root.json`, attacked.file(`${version}.root.json`))
    }
    honest.root.version = seen
    await honest.publish('root')
  }
  for (let i = 0; i < 3; i++) await honest.publish('targets', 'alpha')
}

type RawFile = Record<string, unknown> & { signatures: unknown }

/** Changes a served file without signing it again. */
function edit(
  repo: SimRepository,
  name: string,
  change: (file: RawFile) => object,
  spoil = (text: string) => text,
): void {
  const file = JSON.parse(new TextDecoder().decode(repo.file(name))) as RawFile
  repo.files.set(name, utf8(spoil(JSON.stringify(change(file), null, 1))))
}

/** Changes what a served file says and signs it again with the role's own keys. */
async function resign(
  repo: SimRepository,
  name: string,
  role: string,
  change: (signed: Record<string, unknown>) => void,
): Promise<void> {
  const { signed } = JSON.parse(new TextDecoder().decode(repo.file(name))) as { signed: Record<string, unknown> }
  change(signed)
  try {
    repo.files.set(name, await repo.sign(signed, repo.signersOf(role)))
  } catch {
    // What canonical JSON can't say can't be signed either: served all the same, under the old signature.
    edit(repo, name, (file) => ({ ...file, signed }))
  }
}

function roleIn(signed: Record<string, unknown>, role: string): JsonObject {
  const roles = signed.roles as Record<string, JsonObject>
  return roles[role] ?? {}
}

function first(signatures: unknown): JsonObject {
  return (signatures as JsonObject[])[0] ?? {}
}

function keyvalOf(key: JsonObject): unknown {
  return (key.keyval as JsonObject).public
}

function manifestEntry(repo: SimRepository) {
  return repo.targetsRole('alpha').targets['alpha/0a1/manifest.json']!
}

/** Two keys for targets that both have to sign. */
function addTwo(repo: SimRepository, a: ReturnType<typeof ecdsaSigner>, b: ReturnType<typeof ecdsaSigner>): void {
  repo.root.roles.targets!.keyids = []
  repo.signers.set('targets', [])
  repo.addKey('targets', a)
  repo.addKey('targets', b)
  repo.setThreshold('targets', 2)
}

async function rotateRoot(repo: SimRepository): Promise<void> {
  const old = repo.signersOf('root')
  const fresh = repo.rotateKeys('root')
  repo.signers.set('root', [...old, fresh])
  await repo.publish('root')
  repo.signers.set('root', [fresh])
}

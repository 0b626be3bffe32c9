import type { JsonObject } from '../../keys/json.ts'
import type { TrustErrorCode } from '../../keys/trust-error.ts'
import { type SimRepository, utf8 } from '../sim/repository.ts'
import { type Attack, edit, resign, testAttacks } from './attack.ts'

const attacks: Attack[] = [
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
    name: 'T29 a timestamp nested 10,000 deep',
    attack: ({ repo }) => {
      repo.files.set('timestamp.json', utf8('['.repeat(10_000)))
    },
    control: ({ repo }) => repo.publish('targets'),
    code: 'too-large',
  },
  ...(['spec_version', 'version', 'expires', 'meta'] as const).flatMap((field) =>
    [undefined, null, [], {}, true, '0'].map(
      (value): Attack => ({
        name: `T29 a properly signed timestamp whose ${field} is ${JSON.stringify(value) ?? 'missing'}`,
        attack: async ({ repo }) => {
          await repo.publish('targets')
          await resign(repo, 'timestamp.json', 'timestamp', (signed) => {
            if (value === undefined) delete signed[field]
            else signed[field] = value
          })
        },
        control: async ({ repo }) => {
          await repo.publish('targets')
          await resign(repo, 'timestamp.json', 'timestamp', (signed) => {
            signed[`x-${field}`] = value ?? null
          })
        },
        code: 'malformed',
      }),
    ),
  ),
  ...[
    ['roles', undefined],
    ['roles', []],
    ['roles', { root: { keyids: [], threshold: 1 } }],
    ['keys', null],
    ['keys', 'none'],
  ].map(
    ([field, value]): Attack => ({
      name: `T29 a properly signed root whose ${field} are ${JSON.stringify(value) ?? 'missing'}`,
      attack: async ({ repo }) => {
        await repo.publish('root')
        await resign(repo, '2.root.json', 'root', (signed) => {
          if (value === undefined) delete signed[String(field)]
          else signed[String(field)] = value
        })
      },
      control: ({ repo }) => repo.publish('root', 'targets'),
      code: 'malformed',
    }),
  ),
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
      ['an exponent for a version', (text) => text.replace('"version": 3', '"version": 3e0')],
      ['a version that a float rounds', (text) => text.replace('"version": 3', '"version": 9007199254740993')],
      ['minus nothing for a version', (text) => text.replace('"version": 3', '"version": -0')],
      ['half a character', (text) => text.replace('"_type"', '"x": "\\ud800", "_type"')],
      ['a name that comes twice by way of an escape', (text) => text.replace('"_type"', '"\\u005ftype": "x", "_type"')],
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
    name: 'T38 a timestamp that is no UTF-8',
    attack: async ({ repo }) => {
      await repo.publish('targets')
      repo.files.set('timestamp.json', spoilBytes(repo.file('timestamp.json'), 0xff))
    },
    control: async ({ repo }) => {
      await repo.publish('targets')
      repo.files.set('timestamp.json', spoilBytes(repo.file('timestamp.json'), 0x20))
    },
    code: 'malformed',
  },
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
  ...['root', 'timestamp', 'snapshot', 'targets'].map(
    (name): Attack => ({
      name: `T25 a delegated role named ${name}`,
      attack: async ({ repo }) => {
        const roles = repo.targetsRole('targets').delegations!.roles
        roles.push({ ...roles[0]!, name })
        await repo.publish('targets')
      },
      control: async ({ repo }) => {
        repo.delegate('targets', { name: `${name}s` })
        await repo.publish(`${name}s`, 'targets')
      },
      code: 'malformed',
      role: 'targets',
      stored: { timestamp: 3, snapshot: 3 },
    }),
  ),
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

testAttacks('attacks on what files say', attacks)

/** One byte of the white space between two tokens turned into another. */
function spoilBytes(bytes: Uint8Array, byte: number): Uint8Array {
  return Uint8Array.from(bytes, (one, index) => (index === bytes.indexOf(0x0a) ? byte : one))
}

function manifestEntry(repo: SimRepository) {
  return repo.targetsRole('alpha').targets['alpha/0a1/manifest.json']!
}

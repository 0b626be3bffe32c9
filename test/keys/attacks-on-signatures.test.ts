// Numbers are those of the catalogue of updater attacks that this project holds itself against.
import { generateKeyPairSync } from 'node:crypto'
import type { JsonObject } from '../../keys/json.ts'
import { keyIdOf, parsePublicKey } from '../../keys/key.ts'
import type { Signer } from '../../keys/signer.ts'
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
    name: 'T2 one key under two key ids that are both right counts once',
    attack: async ({ repo }) => {
      const signer = repo.newSigner()
      addTwo(repo, signer, renamed(signer, { 'x-owner': 'somebody else' }))
      await repo.publish('root', 'targets')
    },
    control: async ({ repo }) => {
      addTwo(repo, repo.newSigner(), renamed(repo.newSigner(), { 'x-owner': 'somebody else' }))
      await repo.publish('root', 'targets')
    },
    code: 'unsigned',
    role: 'targets',
    stored: { root: 2, timestamp: 3, snapshot: 3 },
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
  {
    name: 'T4 a threshold of 1e0',
    attack: async ({ repo }) => {
      await repo.publish('root')
      edit(
        repo,
        '2.root.json',
        (file) => file,
        (text) => text.replace('"threshold": 1', '"threshold": 1e0'),
      )
    },
    control: async ({ repo }) => {
      await repo.publish('root', 'targets')
      edit(repo, '2.root.json', (file) => file)
    },
    code: 'malformed',
  },
  ...[0, -1].map(
    (threshold): Attack => ({
      name: `T4 a delegation with a threshold of ${threshold}`,
      attack: async ({ repo }) => {
        repo.setThreshold('alpha', threshold)
        repo.signers.set('alpha', [])
        await repo.publish('targets', 'alpha')
      },
      control: ({ repo }) => repo.publish('targets', 'alpha'),
      code: 'malformed',
      role: 'targets',
      stored: { timestamp: 3, snapshot: 3 },
    }),
  ),
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
    ['an ed25519 key above the field prime', () => keyObject('ed25519', 'ed25519', `ee${'ff'.repeat(30)}7f`)],
    ['an ed25519 key in upper-case hexadecimal', () => keyObject('ed25519', 'ed25519', SOUND_KEY.toUpperCase())],
    ['an rsa key of 1024 bits', () => keyObject('rsa', 'rsassa-pss-sha256', shortRsaPem())],
    ['a P-256 point that is not on its curve', () => keyObject('ecdsa', 'ecdsa-sha2-nistp256', offCurvePem())],
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
    name: 'T6 a signature that names the method that it wants to be checked by',
    attack: async ({ repo }) => {
      await repo.publish('targets')
      edit(repo, 'timestamp.json', (file) => ({
        ...file,
        signatures: [{ ...first(file.signatures), method: 'none', scheme: 'none', sig: '00'.repeat(64) }],
      }))
    },
    control: async ({ repo }) => {
      await repo.publish('targets')
      edit(repo, 'timestamp.json', (file) => ({
        ...file,
        signatures: [{ ...first(file.signatures), method: 'none', scheme: 'none' }],
      }))
    },
    code: 'unsigned',
    role: 'timestamp',
  },
  {
    name: 'T7 a signature whose S was raised by the order of the group',
    attack: async ({ repo }) => {
      await repo.publish('targets')
      edit(repo, 'timestamp.json', (file) => ({
        ...file,
        signatures: [{ ...first(file.signatures), sig: raised(String(first(file.signatures).sig)) }],
      }))
    },
    control: ({ repo }) => repo.publish('targets'),
    code: 'unsigned',
    role: 'timestamp',
  },
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
    name: 'T46 a role whose threshold is above the number of its keys',
    attack: async ({ repo }) => {
      repo.setThreshold('timestamp', 2)
      await repo.publish('root', 'targets')
    },
    control: async ({ repo }) => {
      repo.setThreshold('timestamp', 2)
      repo.addKey('timestamp')
      await repo.publish('root', 'targets')
    },
    code: 'unsigned',
    role: 'timestamp',
    stored: { root: 2 },
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

const SOUND_KEY = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'
const GROUP_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n

/** The same key with more fields in its object: another key id, rightly computed. */
function renamed(signer: Signer, more: JsonObject): Signer {
  const object = { ...signer.publicKey.object, ...more }
  return { ...signer, publicKey: parsePublicKey(keyIdOf(object), object) }
}

/** The same signature to a reader who takes S modulo the order of the group. */
function raised(sig: string): string {
  const bytes = Buffer.from(sig, 'hex')
  const s = BigInt(`0x${Buffer.from(bytes.subarray(32)).reverse().toString('hex')}`) + GROUP_ORDER
  const more = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse()
  return Buffer.concat([bytes.subarray(0, 32), more]).toString('hex')
}

function shortRsaPem(): string {
  return pemOf(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey)
}

function offCurvePem(): string {
  const der = Buffer.from(pemOf(ecdsaPair().publicKey).replace(/-----[^-]+-----/g, ''), 'base64')
  der[der.length - 1] = (der.at(-1) ?? 0) ^ 1
  return `-----BEGIN PUBLIC KEY-----\n${der.toString('base64')}\n-----END PUBLIC KEY-----\n`
}

/** Two keys for targets that both have to sign. */
function addTwo(repo: SimRepository, a: ReturnType<typeof ecdsaSigner>, b: ReturnType<typeof ecdsaSigner>): void {
  repo.root.roles.targets!.keyids = []
  repo.signers.set('targets', [])
  repo.addKey('targets', a)
  repo.addKey('targets', b)
  repo.setThreshold('targets', 2)
}

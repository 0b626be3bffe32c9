// Parsers of what is trusted once it was verified: strict JSON, documents, roles, keys, assignments, events, bundles. What a signature has to cover is
// signed here after it was changed, so that the fuzzer is somebody who holds the keys.
import {
  verifyAddressed,
  verifyAssignment,
  verifyAuthorized,
  verifyDowngradeAuthorization,
} from '../../keys/assignment.ts'
import { BundleError } from '../../keys/bundle-error.ts'
import { openBundle } from '../../keys/bundle-source.ts'
import { canonicalBytes } from '../../keys/canonical.ts'
import { addSignatures, parseDocument } from '../../keys/document.ts'
import { isJsonObject, parseJson } from '../../keys/json.ts'
import { keyIdOf, parsePublicKey } from '../../keys/key.ts'
import { type KeyFileDisk, KeyFileError, openKeyring } from '../../keys/key-file.ts'
import { matchesPattern } from '../../keys/path-pattern.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { readRole, roleTypes, trustRoot, verifyRole } from '../../keys/verified.ts'
import { parseOnlineKeys } from '../../publisher/init.ts'
import { parsePublicKeys } from '../../publisher/public-keys.ts'
import { PublishError } from '../../publisher/publish-error.ts'
import { readPublicKey } from '../../publisher/signers/public-key.ts'
import { SignerError } from '../../publisher/signers/signer-error.ts'
import { loadSignersFile } from '../../publisher/signers/signers-file.ts'
import { DIRECTOR, DIRECTOR_PATHS } from '../../schema/assignment.ts'
import { bundleLayout, parseBundleIndex, writeBundleIndex } from '../../schema/bundle.ts'
import { manifestShape } from '../../schema/manifest.ts'
import { channelRoleShape } from '../../schema/metadata.ts'
import { parseShape, type Shape } from '../../schema/parse-shape.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { signatureFileShape } from '../../schema/signing-event.ts'
import { compareVersions, parseVersion } from '../../schema/version.ts'
import { keyid, ROOT, signed, signer, TARGETS } from './known-key.ts'
import { repairTar } from './tar-repair.ts'
import { same, sameBytes, type Target, textOf } from './target.ts'
import { isMisreadByV8 } from './v8.ts'

const root = trustRoot(signed(ROOT))
const targets = verifyRole(root, 'targets', roleTypes.targets, signed(TARGETS))
const director = { name: DIRECTOR, keyids: [keyid], threshold: 1, terminating: true, paths: [...DIRECTOR_PATHS] }
const { keys, roles } = TARGETS.delegations
const directing = { ...TARGETS, delegations: { keys, roles: [...roles, director] } }
const directed = verifyRole(root, 'targets', roleTypes.targets, signed(directing))
const addressee = { product: 'demo', hostId: `h_${'ab'.repeat(16)}`, at: new Date('2026-11-23T12:00:00Z') }

const ROLE_WORDS = [
  ...[
    '_type',
    'spec_version',
    'version',
    'expires',
    'keys',
    'roles',
    'root',
    'targets',
    'snapshot',
    'timestamp',
    'meta',
  ],
  ...['keyids', 'threshold', 'delegations', 'paths', 'path_hash_prefixes', 'terminating', 'name', 'length', 'hashes'],
  ...['sha256', 'sha512', 'custom', 'snapshot.json', 'targets.json', 'alpha', 'beta', '2027-01-01T00:00:00Z', keyid],
  ...['netlink', 'withdrawn', 'barriers', 'minimum', 'keytype', 'scheme', 'keyval', 'public', 'product', '0a1', '*'],
]

function role<T>(name: string, read: (bytes: Uint8Array) => T): Target {
  return {
    name: `role-${name}`,
    form: 'json',
    tokens: ROLE_WORDS,
    refusals: [TrustError],
    read: (input) => read(signed(parseJson(input))),
  }
}

function shaped<T>(name: string, shape: Shape<T>, tokens: readonly string[]): Target {
  return {
    name,
    form: 'json',
    tokens,
    refusals: [TrustError, ShapeError],
    read: (input) => parseShape(shape, parseJson(input), name),
  }
}

/** A disk that holds this one file, for adapters that take a disk. */
function diskWith(content: Uint8Array): KeyFileDisk {
  const readOnly = () => Promise.reject(new Error('nothing is written here'))
  return {
    readFile: async () => content,
    stat: async () => ({ mode: 0o600 }),
    createExclusive: readOnly,
    replace: readOnly,
  }
}

/** Parsers in keys/ and their kin. */
export const trustTargets: readonly Target[] = [
  {
    name: 'json',
    form: 'json',
    tokens: ['{', '}', '[', ']', ':', ',', '"a"', 'true', 'false', 'null', '\\u00e9', '\\n'],
    refusals: [TrustError],
    read: (input) => {
      const value = parseJson(input)
      const canonical = canonicalBytes(value)
      // What the strict parser takes, every parser takes, and reads the same out of it.
      if (!isMisreadByV8(textOf(input))) sameBytes('JSON.parse', canonicalBytes(JSON.parse(textOf(input))), canonical)
      const written = new TextEncoder().encode(JSON.stringify(value, null, 1))
      sameBytes('written and read again', canonicalBytes(parseJson(written)), canonical)
      return canonical.length
    },
  },
  {
    name: 'document',
    form: 'json',
    tokens: ['signed', 'signatures', 'keyid', 'sig', keyid],
    refusals: [TrustError],
    read: async (input) => {
      const document = parseDocument(input)
      const count = document.signatures.filter((one) => one.keyid !== keyid).length
      if (count >= 64) return count
      const added = parseDocument(await addSignatures(input, [signer]))
      sameBytes('what is signed stays', added.message, document.message)
      same('one signature more', added.signatures.length, count + 1)
      return count
    },
  },
  role('root', trustRoot),
  role('timestamp', (bytes) => verifyRole(root, 'timestamp', roleTypes.timestamp, bytes)),
  role('snapshot', (bytes) => verifyRole(root, 'snapshot', roleTypes.snapshot, bytes)),
  role('targets', (bytes) => verifyRole(root, 'targets', roleTypes.targets, bytes)),
  role('channel', (bytes) => readRole(verifyRole(targets, 'alpha', roleTypes.targets, bytes), channelRoleShape)),
  {
    name: 'key',
    form: 'json',
    tokens: [
      'ed25519',
      'ecdsa',
      'ecdsa-sha2-nistp256',
      'rsa',
      'rsassa-pss-sha256',
      'keyval',
      'public',
      '-----BEGIN PUBLIC KEY-----',
    ],
    refusals: [TrustError],
    read: (input) => {
      const object = parseJson(input)
      return isJsonObject(object) ? parsePublicKey(keyIdOf(object), object).material : 'none'
    },
  },
  {
    name: 'public-key-file',
    form: 'bytes',
    tokens: [
      '-----BEGIN PUBLIC KEY-----\n',
      '-----END PUBLIC KEY-----\n',
      '-----BEGIN PRIVATE KEY-----',
      '{"keytype":',
    ],
    refusals: [TrustError, PublishError],
    read: (input) => readPublicKey(input, 'FILE').material,
  },
  {
    name: 'keyring',
    form: 'json',
    tokens: ['netlink.keyring/v1', 'holder', 'keys', 'name', 'role', 'secret', 'age-encryption.org/v1\n', '-> scrypt '],
    refusals: [KeyFileError],
    read: async (input) => (await openKeyring({ disk: diskWith(input) }, 'FILE', 'passphrase')).keys.length,
  },
  {
    name: 'signers-file',
    form: 'text',
    tokens: [
      'exec:',
      'pkcs11:',
      'public:',
      'timeout_s:',
      'roles:',
      'root:',
      '&a ',
      '*a',
      '<<: ',
      '!!binary ',
      '? ',
      '- ',
    ],
    refusals: [ShapeError, TrustError, SignerError, PublishError],
    read: async (input) => {
      const disk = {
        ...nodeDisk,
        readFile: async (_path: string, maxBytes?: number) => input.subarray(0, maxBytes),
        stat: async () => ({ ...(await nodeDisk.stat('/')), mode: 0o600 }),
      }
      return (await loadSignersFile(disk, 'FILE', 'bob'))?.keys.length
    },
  },
  {
    name: 'public-keys',
    form: 'json',
    tokens: ['keys', 'role', 'root', 'alpha', 'beta', 'release', 'key', 'public', 'keytype'],
    refusals: [TrustError, PublishError],
    read: (input) => parsePublicKeys(input, 'FILE').size,
  },
  {
    name: 'online-keys',
    form: 'json',
    tokens: ['online_keys', 'snapshot', 'timestamp', 'director', 'keytype', 'keyval', 'public'],
    refusals: [TrustError, PublishError],
    read: (input) => Object.keys(parseOnlineKeys(input, 'FILE')).length,
  },
  shaped('manifest', manifestShape, [
    'service',
    'artifacts',
    'compatibility',
    'upgrade_from',
    'changelog',
    '>=0a1 <0a9',
    '0a1',
  ]),
  {
    name: 'assignment',
    form: 'json',
    tokens: ['_type', 'assignment', 'actions', 'host_id', 'manifest', 'sequence', '0a1', 'expires', 'downgrade'],
    refusals: [TrustError],
    read: (input) => {
      const assignment = verifyAssignment(directed, signed(parseJson(input)))
      verifyAddressed(assignment, addressee)
      return assignment.value.action
    },
  },
  {
    name: 'downgrade-authorization',
    form: 'json',
    tokens: ['_type', 'hosts', 'from', 'to', '0a1', 'expires', 'nonce'],
    refusals: [TrustError],
    read: (input) => {
      const authorization = verifyDowngradeAuthorization(directed, parseVersion('0a2'), signed(parseJson(input)))
      verifyAuthorized(authorization, addressee)
      const { from, to } = authorization.value
      same('downwards', compareVersions(to.version, from.version) < 0, true)
      return authorization.value.hosts.length
    },
  },
  shaped('signature-file', signatureFileShape, ['schema', 'signatures', 'role', 'keyid', 'sig', keyid]),
  {
    name: 'bundle-index',
    form: 'json',
    tokens: [
      'netlink.bundle/v1',
      'files',
      'repo/artifacts/',
      'repo/metadata/1.root.json',
      'repo/targets/alpha/0a1/',
      '0a1',
    ],
    refusals: [TrustError, ShapeError],
    read: (input) => {
      const index = parseBundleIndex(parseJson(input))
      const spelled = writeBundleIndex(index)
      same('one spelling', writeBundleIndex(parseBundleIndex(parseJson(Buffer.from(spelled)))), spelled)
      return bundleLayout(index, spelled.length).entries.length
    },
  },
  {
    name: 'bundle',
    form: 'bytes',
    tokens: ['ustar\u000000', 'bundle.json', 'repo/', 'repo/metadata/', '"length": '],
    refusals: [BundleError, PlatformError],
    repair: repairTar,
    read: async (input) => {
      const facts = await nodeDisk.stat(import.meta.filename)
      const disk = {
        ...nodeDisk,
        stat: async () => ({ ...facts, kind: 'file' as const, size: input.length }),
        readFile: async () => input,
        async *readChunks() {
          for (let at = 0; at < input.length; at += 1000) yield input.subarray(at, at + 1000)
        },
      }
      return (await openBundle(disk, 'FILE')).versions.length
    },
  },
  {
    name: 'path-pattern',
    form: 'text',
    tokens: ['*', '**', '?', '/', '[a-z]', 'alpha/', 'manifest.json', '\n'],
    refusals: [],
    read: (input) => {
      const [pattern = '', path = ''] = textOf(input).split('\n')
      return matchesPattern(pattern, path)
    },
  },
]

// Writes the inputs that every target begins with, made by the project's own writers where there are some:
//
//   node test/fuzz/make-corpus.ts
//
// Files that findings left behind have other names and stay.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatRecord } from '../../agent/engine/journal.ts'
import { createKeyring } from '../../keys/key-file.ts'
import { type ArchiveEntry, FILE_MODE } from '../../schema/archive/entry.ts'
import { TAR_END, tarHeader, tarPadding } from '../../schema/archive/tar.ts'
import { bundleLayout, writeBundleIndex } from '../../schema/bundle.ts'
import { parseVersion } from '../../schema/version.ts'
import { SPECIFIED } from '../schema/specified-update-yml.ts'
import { ecdsaSigner, rsaSigner } from '../sim/signers.ts'
import { CORPUS } from './corpus.ts'
import { buildFileSeeds, type Seeds } from './file-seeds.ts'
import { keyid, keyObject, ROOT, signed, TARGETS } from './known-key.ts'

const EXPIRES = '2027-01-01T00:00:00Z'
const AT = '2026-11-23T10:00:00Z'
const SHA256 = 'ab'.repeat(32)
const SHA512 = 'ab'.repeat(64)
const common = { spec_version: '1.0.31', version: 3, expires: EXPIRES }
const docs = join(import.meta.dirname, '..', '..', 'docs', 'examples')
const changelog = {
  summary: 'A page that counts its visits',
  entries: [
    { type: 'added', text: '`/` counts visits' },
    { type: 'security', text: 'Checks what it is given', security: { severity: 'high', id: 'CVE-2026-1' } },
  ],
}

const manifest = {
  schema: 'netlink.manifest/v1',
  product: 'demo',
  version: '0a2',
  channel: 'alpha',
  released_at: AT,
  artifacts: [
    ...[{ platform: 'linux-x64', length: 100, sha256: SHA256, sha512: SHA512, format: 'tar+zstd' }].map((one) => ({
      ...one,
      ...{ unpacked_bytes: 1000, entries: 3, tree_sha256: SHA256 },
    })),
  ],
  requirements: { os: ['linux'], arch: ['x64'], disk_bytes: 1, agent_version: '0.1.0' },
  compatibility: { upgrade_from: '>=0a1 <0a9 || 0b1', downgrade_to: ['0a1'], barrier: { reason: 'a new store' } },
  service: {
    argv: ['node', 'server.mjs'],
    env: { PORT: '${PORT:-8480}' },
    health_checks: [{ type: 'http', name: 'health', url: 'http://127.0.0.1/health' }],
  },
  hooks: [{ point: 'before-switch', argv: ['./hook'] }],
  changelog: { ...changelog, schema: 'netlink.changelog/v1', version: '0a2', previous: '0a1', date: '2026-11-23' },
}

const inventory = {
  ...{ version: '0a1', since: AT, channel: 'alpha', database_version: null, config_version: null, generation: 1 },
  ...{ platform: 'linux-x64', agent_version: '0.1.0', service: 'healthy', target: null, waiting: null },
  ...{ waiting_detail: null, root_version: 1, timestamp_version: 4 },
}
const report = {
  ...{ epoch: 'ab'.repeat(16), seq: 1, at: AT, previous: null },
  ...{ body: JSON.stringify({ type: 'inventory', inventory }), signature: 'ab'.repeat(64) },
}
const brake = { paused: true, reason: 'until Monday', since: AT }

const assignment = {
  ...{ _type: 'assignment', schema: 'netlink.assignment/v1', product: 'demo', host_id: `h_${'ab'.repeat(16)}` },
  ...{ rollout: 'spring', not_before: AT, expires: EXPIRES, sequence: 4, action: 'update', version: '0a2' },
  manifest_sha256: SHA256,
}
const release = (version: string) => ({ version, manifest_sha256: SHA256 })

const event = {
  ...{ schema: 'netlink.signing-event/v1', id: 'e_0123456789abcdef0123456789abcdef', kind: 'release', subject: '0a2' },
  ...{ proposed_by: 'alice', proposed_at: AT, until: EXPIRES },
  base: { root: { version: 1, sha256: SHA256 }, roles: { targets: 1, alpha: 2 } },
  documents: { alpha: Buffer.from(signed(TARGETS)).toString('base64') },
  manifests: { 'alpha/0a2/manifest.json': Buffer.from('{}').toString('base64') },
  artifacts: [{ sha256: SHA256, length: 100 }],
  trees: {},
  repository: { metadata: { '1.root.json': 'e30=' }, manifests: {} },
}

const targets = {
  ...TARGETS,
  targets: { 'alpha/0a1/manifest.json': { length: 5, hashes: { sha256: SHA256, sha512: SHA512 }, custom: { a: 1 } } },
}
const channel = {
  ...{ ...common, _type: 'targets' },
  targets: {
    'alpha/0a2/manifest.json': {
      ...{ length: 5, hashes: { sha256: SHA256 } },
      custom: { version: '0a2', platforms: ['linux-x64'], released_at: AT },
    },
  },
  delegations: {
    keys: { [keyid]: keyObject },
    roles: [
      { name: 'alpha-0-0', keyids: [keyid], threshold: 1, terminating: true, paths: ['alpha/0a?/manifest.json'] },
    ],
  },
  channel: {
    name: 'alpha',
    minimum: '0a1',
    withdrawn: [{ version: '0a1', reason: 'broken', severity: 'high', replace_with: '0a2', at: AT }],
    barriers: [{ version: '0a2', reason: 'a new store' }],
    dead_ends: [],
  },
}

const ecdsa = ecdsaSigner().publicKey.object
const rsa = rsaSigner().publicKey.object
const pemOf = (object: typeof rsa) => String((object.keyval as { public: string }).public)

const signers = `schema: netlink.signers/v1
holder: bob
roles:
  root:
    public: { keytype: ed25519, scheme: ed25519, keyval: { public: ${String((keyObject.keyval as { public: string }).public)} } }
    pkcs11: { module: /usr/lib/softhsm/libsofthsm2.so, token: releases, key_id: "01", pin_file: pin }
  alpha:
    public: { keytype: ed25519, scheme: ed25519, keyval: { public: ${String((keyObject.keyval as { public: string }).public)} } }
    exec: [/usr/local/bin/kms-sign, --key, alpha]
    timeout_s: 30
`

const journal = [
  { phase: 'DECIDE', decision: { to: 'begin', plan_sha256: SHA256 } },
  { phase: 'INTENT', step: 'stage', attempt: 1 },
] as const

const seeds: Seeds = {
  ...buildFileSeeds({ manifest, changelog, inventory, report, brake, assignment, event }),
  json: [
    { a: [1, 'é', null, true, { b: '\n😀' }] },
    '[]',
    ' {"__proto__": {"a": 1}, "constructor": [ ]}\n',
    '"\\ud83d\\ude00"',
  ],
  document: [signed(ROOT), signed(TARGETS), { signed: {}, signatures: [] }],
  'role-root': [ROOT],
  'role-timestamp': [
    { ...common, _type: 'timestamp', meta: { 'snapshot.json': { version: 3, length: 5, hashes: { sha256: SHA256 } } } },
  ],
  'role-snapshot': [
    { ...common, _type: 'snapshot', meta: { 'targets.json': { version: 3 }, 'alpha.json': { version: 2 } } },
  ],
  'role-targets': [targets, TARGETS],
  'role-channel': [channel],
  key: [keyObject, ecdsa, rsa],
  'public-key-file': [keyObject, pemOf(ecdsa), pemOf(rsa)],
  'public-keys': [
    { name: 'dave', keys: ['root', 'alpha', 'beta', 'release'].map((role) => ({ role, keyid, key: keyObject })) },
  ],
  'online-keys': [
    { online_keys: { snapshot: [keyObject], timestamp: [keyObject], director: [keyObject] } },
    { snapshot: [keyObject], timestamp: [ecdsa] },
  ],
  keyring: await keyrings(),
  'signers-file': [signers],
  manifest: [manifest],
  assignment: [assignment, { ...assignment, action: 'none', version: null, manifest_sha256: null }],
  'downgrade-authorization': [
    {
      ...{ _type: 'downgrade-authorization', schema: 'netlink.downgrade-authorization/v1', product: 'demo' },
      ...{ hosts: [`h_${'ab'.repeat(16)}`], from: release('0a3'), to: release('0a2'), reason: 'the new one is slow' },
      ...{ not_before: AT, expires: '2026-11-24T10:00:00Z', nonce: 'ab'.repeat(16) },
    },
  ],
  'signature-file': [
    {
      ...{ schema: 'netlink.signature/v1', event: 'e_0123456789abcdef0123456789abcdef', signed_by: 'bob' },
      signatures: [{ role: 'alpha', keyid, sig: 'ab'.repeat(64) }],
    },
  ],
  'bundle-index': [writeBundleIndex(bundleFacts().index)],
  bundle: [bundle()],
  'path-pattern': ['alpha/*/manifest.json\nalpha/0a1/manifest.json', '*a*a*a*b\naaaaaaaaaaaaaaaaaaaaaaaa', '?\n/'],
  archive: [
    archive([
      ['a', 'one'],
      ['a/b.txt', 'x'.repeat(600)],
      ['bin', ''],
    ]),
    Buffer.from(TAR_END),
    archive([['é'.repeat(60), 'y']]),
  ],
  'server-frame': [
    { type: 'hello', protocol: 1, host_id: 'h_1', agent_version: '0.1.0', signature: 'ab'.repeat(64) },
    { type: 'reports', items: [report, { ...report, seq: 2, previous: SHA256 }] },
    { type: 'seen', timestamp_version: 4 },
    { type: 'later' },
  ],
  'agent-frame': [
    { type: 'challenge', nonce: 'ab'.repeat(20), server_time: AT },
    { type: 'welcome', protocol: 1, brake, stored_seq: 3, timestamp_version: 4, next_check_after_ms: 1000 },
    { type: 'hint', cause: 'release', timestamp_version: 5 },
    { type: 'assignment', document: Buffer.from(signed(TARGETS)).toString() },
    { type: 'brake', brake },
    { type: 'ack', seq: 7 },
    { type: 'refused', code: 'too-many', message: 'later' },
  ],
  'supervisor-request': [{ op: 'start', generation: 3, update_id: 'u_1' }, { op: 'status' }],
  'report-body': [
    { type: 'inventory', inventory },
    { type: 'refusal', refusal: { code: 'E-HASH', message: 'not as said', version: '0a2' } },
  ],
  filter: [
    'version=0r1 and group in (eu,us) and last_seen<1h',
    'not (state=failed or waiting=disk) and label.rack=12 and name~web-*',
    'online=true and name not in ("a b", c) and enrolled>7d',
  ],
  cursor: [Buffer.from('["12"]').toString('base64url'), ''],
  token: [knownToken(), `nlk_publish_${'0'.repeat(12)}_${'0'.repeat(64)}00000000`],
  'byte-range': ['bytes=0-99', 'bytes=-5', 'bytes=500-', 'bytes=0-1,5-6'],
  'release-json': [
    readFileSync(join(docs, 'app-v1', 'release.json')),
    readFileSync(join(docs, 'app-v2', 'release.json')),
  ],
  'version-json': [
    {
      ...{ current_version: '0a2', last_updated: AT },
      history: [
        ...[{ version: '0a2', release_date: AT, status: 'development', migration_required: false }].map((one) => ({
          ...one,
          database_version: null,
          config_version: null,
        })),
      ],
    },
  ],
  'update-yml': [
    SPECIFIED,
    '',
    'update_system:\n  automatic: {mode: auto}\n',
    'update_system:\n  automatic:\n    mode: notify # why\n',
  ],
  'app-env': ['# site\nexport PORT=8480\nNAME="a b"\nURL=http://${PORT:-1}/\r\n'],
  journal: [
    journal.map((entry, at) => formatRecord({ seq: at + 1, boot: 'boot', at: AT, entry })).join(''),
    `${formatRecord({ seq: 1, boot: 'boot', at: AT, entry: journal[0] })}torn`,
  ],
  version: ['0a1', '12b345', '0r3+hotfix.1'],
  'version-range': ['>=0a1 <0a9 || 0b1', '*', '=0r2'],
  duration: ['30s', '5m', '250ms', '7d'],
  'time-window': ['always', 'mon-fri 22:00-05:00 UTC', 'sat,sun 00:00-24:00'],
  'release-path': ['alpha/0a1/manifest.json', 'alpha-0-50', 'release/0r3+hotfix.1/manifest.json'],
  'plain-text': [
    '\u001b[31mred\u001b[0m \u001b]8;;http://a\u0007link\u001b]8;;\u0007 \u202egnp.exe\u202c',
    'two\r\nlines\t',
    'plain',
  ],
  'control-throws': ['four'],
  'control-lies': ['four'],
  'control-hangs': ['four'],
  'control-burns': ['four'],
  'control-swells': ['four'],
}

for (const [target, inputs] of Object.entries(seeds)) {
  mkdirSync(join(CORPUS, target), { recursive: true })
  for (const [at, input] of inputs.entries()) writeFileSync(join(CORPUS, target, `seed-${at + 1}`), bytesOf(input))
}

function bytesOf(input: object | string | Uint8Array): Uint8Array {
  if (input instanceof Uint8Array) return input
  return Buffer.from(typeof input === 'string' ? input : JSON.stringify(input))
}

async function keyrings(): Promise<readonly Uint8Array[]> {
  const written: Uint8Array[] = []
  const disk = {
    readFile: () => Promise.reject(new Error('nothing is read here')),
    stat: async () => ({ mode: 0o600 }),
    createExclusive: async (_path: string, bytes: Uint8Array) => void written.push(bytes),
    replace: () => Promise.reject(new Error('nothing is replaced here')),
  }
  const entries = ['root', 'alpha'].map((role) => ({ name: `alice-${role}`, role }))
  await createKeyring({ disk }, 'FILE', 'alice', entries, { kind: 'none' })
  await createKeyring({ disk, scryptLogN: 4 }, 'FILE', 'alice', entries, {
    kind: 'passphrase',
    passphrase: 'passphrase',
  })
  return written
}

function archive(files: readonly (readonly [path: string, content: string])[]): Uint8Array {
  const folders = new Set(files.filter(([path]) => path.includes('/')).map(([path]) => path.split('/')[0]))
  const parts = files.flatMap(([path, content]) => {
    if (folders.has(path)) return [tarHeader({ path, type: 'directory', mode: 0o755, size: 0 })]
    return entryParts({ path, type: 'file', mode: FILE_MODE, size: Buffer.byteLength(content) }, Buffer.from(content))
  })
  return Buffer.concat([...parts, TAR_END])
}

function entryParts(entry: ArchiveEntry, content: Uint8Array): readonly Uint8Array[] {
  return [tarHeader(entry), content, tarPadding(content.length)]
}

function bundleFacts() {
  const content = new Map([
    [`repo/artifacts/${sha256('artifact')}`, 'artifact'],
    ['repo/metadata/1.root.json', '{"root":1}'],
    ['repo/metadata/timestamp.json', '{}'],
    [`repo/targets/alpha/0a2/${sha256('{"manifest":1}')}.manifest.json`, '{"manifest":1}'],
  ])
  const files = [...content].map(([path, bytes]) => ({ path, length: bytes.length, sha256: sha256(bytes) }))
  return { content, index: { product: 'demo', version: parseVersion('0a2'), files } }
}

function bundle(): Uint8Array {
  const { content, index } = bundleFacts()
  const spelled = writeBundleIndex(index)
  const { entries } = bundleLayout(index, Buffer.byteLength(spelled))
  const parts = entries.flatMap((entry) => {
    if (entry.type === 'directory') return [tarHeader(entry)]
    return entryParts(entry, Buffer.from(entry.path === 'bundle.json' ? spelled : (content.get(entry.path) ?? '')))
  })
  return Buffer.concat([...parts, TAR_END])
}

/** Spelled as a server spells tokens; nobody ever gave it out. */
function knownToken(): string {
  const body = `nlk_publish_${'ab'.repeat(6)}_${'ab'.repeat(32)}`
  return `${body}${sha256(body).slice(0, 8)}`
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

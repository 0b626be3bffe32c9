// Where the targets of host-targets, publisher-targets and server-targets begin.
import { planShape } from '../../agent/engine/plan.ts'
import { partiesOf } from '../../agent/enrolment.ts'
import { treeText } from '../../publisher/event/trees.ts'
import { manifestShape } from '../../schema/manifest.ts'
import { WHO } from './host-targets.ts'
import { keyid } from './known-key.ts'

export type Seeds = Readonly<Record<string, readonly (object | string | Uint8Array)[]>>

/** Documents that `make-corpus` has already. */
export interface Samples {
  readonly manifest: object
  readonly changelog: object
  readonly inventory: object
  readonly report: object
  readonly brake: object
  readonly assignment: object
  readonly event: object
}

const AT = '2026-11-23T10:00:00Z'
const SHA256 = 'ab'.repeat(32)
const UPDATE_ID = 'update_0a1_0a2_20261123_100000'
const HOST_ID = WHO.host_id

export function buildFileSeeds(samples: Samples): Seeds {
  return { ...hostSeeds(samples), ...publisherSeeds(samples), ...serverSeeds(samples) }
}

function hostSeeds({ manifest: written, report, inventory, brake }: Samples): Seeds {
  const manifest = manifestShape.parse(written)
  const generation = {
    ...{ schema: 'netlink.generation/v1', number: 1, update_id: UPDATE_ID, product: 'demo', version: '0a1' },
    ...{ channel: 'alpha', released_at: AT, created_at: AT, manifest_sha256: SHA256, artifact_sha256: SHA256 },
    ...{ tree_sha256: SHA256, tree: '0a1-abababababab', database_version: null, config_version: null },
    ...{ lock_digests: { npm: SHA256 }, service: manifest.service, restart_units: manifest.restart_units },
  }
  const plan = planShape.parse({
    ...{ schema: 'netlink.plan/v1', update_id: UPDATE_ID, kind: 'upgrade', created_at: AT, product: 'demo' },
    ...{ from: generation, to: '0a2', manifest_sha256: SHA256, manifest, artifact: manifest.artifacts[0] },
    ...{ generation: { kind: 'new', number: 2 }, kept: [] },
    steps: [{ step: 'download', words: 'download 100 bytes', bytes: 100, ms: null }],
  })
  const refusal = { at: AT, body: { type: 'refusal', refusal: { code: 'E-HASH', message: 'no', version: null } } }
  const outbox = { schema: 'netlink.outbox/v2', parties: partiesOf(WHO), epoch: 'ab'.repeat(16) }
  const identity = { pid: 1, startTime: '1', bootId: 'b' }
  return {
    enrolment: [
      {
        ...{ server: WHO.server, host_id: HOST_ID, name: 'web-1', product: 'demo', channel: 'alpha', group: null },
        ...{ labels: { rack: '12' }, ca: 'PEM', insecure_http: false, enrolled_at: AT },
        service: { control: 'exec', unit: 'netlink-app.service' },
      },
    ],
    'assignment-state': [
      {
        ...{ floor: { sequence: 4, keyids: [keyid] }, document: '{}', used: ['ab'.repeat(16)], heard: SHA256 },
        refused: { sha256: SHA256, code: 'expired', message: 'it expired' },
      },
      { floor: null, document: null, used: [], heard: null, refused: null },
    ],
    'assignment-offered': [{ document: '{}' }],
    hold: [
      { until: AT, reason: 'until Monday' },
      { until: null, reason: null },
    ],
    offers: [{ '0a1': AT, '0b2': AT }],
    check: [
      {
        ...{ at: AT, target: '0a2', waiting: 'held', waiting_detail: 'until Monday', root_version: 1, refusal: null },
        ...{ timestamp_version: 4, expires: { role: 'alpha', expires: AT } },
        assignment: {
          in_force: { action: 'update', version: '0a2', sequence: 4, rollout: null, expires: AT },
          refusal: { code: 'expired', message: 'it expired' },
        },
      },
    ],
    brake: [{ parties: partiesOf(WHO), ...brake }],
    standing: [{ host_id: HOST_ID, enrolled_at: AT, forgotten_at: AT }],
    outbox: [
      {
        ...outbox,
        stored: { seq: 4, sha256: SHA256 },
        numbered: [{ seq: 5, ...refusal }],
        waiting: [{ at: AT, body: { type: 'inventory', inventory } }, refusal],
        told: [[UPDATE_ID, 'succeeded']],
      },
      { ...outbox, epoch: null, stored: { seq: 0, sha256: null }, numbered: [], waiting: [], told: [] },
      report,
    ],
    'process-record': [
      {
        wanted: 'running',
        process: {
          ...{ generation: 1, version: '0a1', identity, startedAt: AT, logOffset: 0, restarts: 0 },
          ...{ stopSignal: 'SIGTERM', stopTimeoutMs: 10_000 },
        },
      },
      { wanted: 'stopped', process: null },
    ],
    generation: [generation],
    plan: [plan, { ...plan, kind: 'rollback', from: null, generation: { kind: 'return', number: 1 } }],
    quarantine: [
      {
        schema: 'netlink.quarantine/v1',
        versions: [
          {
            version: '0a2',
            tree_sha256: SHA256,
            update_id: UPDATE_ID,
            at: AT,
            code: 'E-READY',
            message: 'not healthy',
          },
          { version: '0a1', update_id: UPDATE_ID, at: AT, code: 'left', message: 'left by a rollback' },
        ],
      },
    ],
    floor: [
      { schema: 'netlink.floor/v1', floor: '0a1' },
      { schema: 'netlink.floor/v1', floor: '1r2+fix' },
    ],
    'version-record': [
      {
        ...{ current_version: '0a1', last_updated: AT },
        history: [
          {
            ...{ version: '0a1', release_date: AT, status: 'development', migration_required: false },
            ...{ database_version: null, config_version: null },
          },
        ],
      },
    ],
    floors: [
      {
        ...{ schema: 'netlink.floors/v1', root: 2 },
        timestamp: { version: 4, keyids: [keyid], announced: 3, announced_keyids: [keyid] },
        snapshot: { version: 3, keyids: [keyid], roles: [{ file: 'targets.json', version: 3 }] },
      },
      { schema: 'netlink.floors/v1', root: 0, timestamp: null, snapshot: null },
    ],
    'known-roots': [{ schema: 'netlink.known-roots/v1', roots: [{ version: 1, sha256: SHA256 }] }],
    'lock-holder': [{ pid: 1, command: 'netlink update', since: AT }],
    'socket-path': ['/run/netlink-0123\n', '/run\n'],
    'local-api': [
      `GET /api/v1/system/updates/status/${UPDATE_ID}`,
      'POST /api/v1/system/updates/upgrade\n\n{"target_version":"0a2","force":true,"deadline_ms":1000}',
      `POST /api/v1/system/updates/rollback\n\n{"update_id":"${UPDATE_ID}"}`,
      'GET /api/v1/system/version?detailed=true',
      'GET /api/v1/agent',
    ],
    'unit-facts': ['ActiveState=active\nSubState=running\nResult=success\nNRestarts=2\n'],
    'service-output': ['listening on 8480\n\u001b[31merror\u001b[0m: é\n', '\n\n\ttwo\r\n'],
  }
}

function publisherSeeds({ changelog, event }: Samples): Seeds {
  const keys = `{ root: ${keyid}, alpha: ${keyid}, beta: ${keyid}, release: ${keyid} }`
  const head = 'schema: netlink.publish/v1\nproduct: demo\nserver: https://updates.example.com/\ntoken_file: token\n'
  const file = { type: 'file', mode: 0o644, size: 3, sha256: SHA256 } as const
  const tree = [
    { path: 'bin', type: 'directory', mode: 0o755, size: 0, sha256: null } as const,
    { path: 'bin/a', ...file },
  ]
  const pending = { schema: 'netlink.pending/v1', signed_at: AT, roles: ['alpha'], manifest: 'alpha/0a2/manifest.json' }
  return {
    'publisher-config': [
      `${head}holders:\n  - name: alice # the first\n    keyring: keys/alice.age\n    keys: ${keys}\n`,
      `${head}insecure_http: true\nca_file: ca.pem\nholders: [{ name: bob, signers: bob.yml, keys: ${keys} }]\n`,
    ],
    pending: [
      { ...pending, version: '0a2', artifacts: [{ sha256: SHA256, length: 100 }] },
      { ...pending, subject: '0a2', manifest: null, artifacts: [] },
    ],
    'aborted-event': [{ at: AT, reason: 'another one is better' }],
    'signing-event': [event],
    'tree-listing': [treeText(tree), treeText([])],
    'proposed-change': [
      [
        { targets: { a: { length: 1 } }, list: [1, 2] },
        { targets: { b: 'x\u200by' }, list: [1] },
      ],
      [null, [{}, []]],
    ],
    changelog: [changelog],
    'role-file-name': ['alpha\nAlpha', `${'é'.repeat(90)}\n${'é'.repeat(91)}`, '../a\n..%2fa'],
  }
}

function serverSeeds({ manifest, changelog, inventory, report, brake, assignment, event }: Samples): Seeds {
  const hex = (bytes: number) => 'ab'.repeat(bytes)
  const token = { id: 't1', name: 'ci', scope: 'publish', group: null, created_at: AT, expires_at: null }
  const attempt = { update_id: UPDATE_ID, kind: 'upgrade', from: '0a1', to: '0a2', state: 'succeeded' }
  const host = {
    ...{
      host_id: HOST_ID,
      name: 'web-1',
      group: 'eu',
      labels: { rack: '12' },
      platform: 'linux-x64',
      channel: 'alpha',
    },
    ...{ online: true, enrolled_at: AT, last_seen: null, identity: { state: 'single' }, inventory, attempt },
  }
  const release = {
    ...{ version: '0a2', channel: 'alpha', released_at: AT, promoted_from: null, platforms: ['linux-x64'], bytes: 1 },
    ...{ withdrawn: null, summary: 'new', signed_by: [keyid], threshold: 1, hosts: 3, manifest_sha256: SHA256 },
    changelog: { ...changelog, schema: 'netlink.changelog/v1', version: '0a2', previous: null, date: '2026-11-23' },
  }
  const fleet = {
    ...{ product: 'demo', hosts: 1, online: 1, by_version: [{ key: '0a1', hosts: 1 }], by_channel: [], by_group: [] },
    ...{ by_state: [], by_waiting: [], forked: 0, newest: { alpha: '0a2', beta: null, release: null }, brake, at: AT },
    expiring: [{ role: 'alpha', expires: AT, within_days: 7 }],
  }
  const config = 'schema: netlink.server/v1\ndatabase: { kind: embedded }\nstorage: { kind: fs }\n'
  return {
    'rest-request': [
      [
        'enroll',
        {
          ...{ token: 'nlk_enroll', name: 'web-1', public_key: hex(32), proof: hex(64), platform: 'linux-x64' },
          ...{ channel: 'alpha', labels: { rack: '12' } },
        },
      ],
      ['reports', { items: [report] }],
      ['root', { roots: ['{}'], metadata: { alpha: '{}' } }],
      ['releases', { metadata: { alpha: '{}' }, manifests: { 'alpha/0a2/manifest.json': JSON.stringify(manifest) } }],
      ['brake', { paused: true, reason: 'until Monday' }],
      ['token', { name: 'ci', scope: 'host-enroll', uses: 3, expires_at: AT, reason: 'new hosts' }],
      ['assignment', { version: '0a2', rollout: 'spring', expires: AT }],
      ['event', event],
      ['signatures', { signatures: [{ role: 'alpha', keyid, sig: hex(64) }] }],
      ['abort', { reason: 'another one is better' }],
    ],
    'rest-answer': [
      [
        'problem',
        {
          ...{ type: 'about:blank', title: 'no', status: 400, code: 'invalid', detail: 'no', next: ['netlink status'] },
          errors: [{ pointer: '/a', detail: 'expected text' }],
        },
      ],
      [
        'enroll',
        {
          host_id: HOST_ID,
          product: 'demo',
          group: null,
          brake,
          stored_seq: 3,
          channel_role: JSON.stringify(assignment),
        },
      ],
      ['reports', { stored_seq: 3, brake, timestamp_version: 4 }],
      ['assigned', { document: JSON.stringify(assignment) }],
      [
        'state',
        {
          ...{ product: 'demo', root_version: 1, timestamp_version: 4, public_url: null },
          online_keys: { snapshot: [{}], timestamp: [{}] },
        },
      ],
      ['upload', { sha256: SHA256, length: 100, received: 50, complete: false }],
      ['published', { versions: ['0a2'], snapshot_version: 3, timestamp_version: 4, unchanged: false }],
      ['hosts', { items: [host], next_cursor: null }],
      ['fleet', fleet],
      ['release', release],
      ['channels', { items: [{ channel: 'alpha', newest: '0a2' }] }],
      ['token', { token: { ...token, revoked_at: null, last_used_at: null, uses_left: null }, secret: 'nlk_x' }],
      [
        'audit',
        {
          items: [
            {
              ...{ id: '1', at: AT, actor: { kind: 'local', user: 'root' }, action: 'token.create', subject: null },
              ...{ reason: null, before: null, after: {}, request_id: null },
            },
          ],
          next_cursor: 'WyIxIl0',
        },
      ],
    ],
    'rest-query': [
      'page?limit=50&cursor=WyIxIl0',
      'hosts?sort=-name&where=version%3D0a1',
      'audit?since=2026-11-23T10:00:00Z&action=token.create',
      'chunk?offset=0&length=100',
      'releases?channel=alpha',
      'reason?dry_run=true&reason=why+not',
    ],
    'signed-report': [
      JSON.stringify({ type: 'inventory', inventory }),
      JSON.stringify({ type: 'attempt', attempt }),
      JSON.stringify({
        type: 'trust_reset',
        trust_reset: { old_sha256: null, new_sha256: SHA256, root_version: 1, product: 'demo' },
      }),
    ],
    'request-target': ['/api/v1/hosts?limit=1', '/repo/metadata/1.root.json', '/a/%41%2e%2e/b', '/a/../b'],
    'forwarded-for': ['192.0.2.1, 10.0.0.1', '2001:db8::1', '::ffff:192.0.2.7'],
    'trusted-proxy': ['10.0.0.0/8', 'fd00::/8', '127.0.0.1', '0.0.0.0/0'],
    'server-config': [
      config,
      `schema: netlink.server/v1
listen: "[::1]:8400"
public_url: https://updates.example.com
database: { kind: server, url_file: secrets/database.url, connections: 5 }
storage: { kind: s3, endpoint: "http://127.0.0.1:9000", bucket: releases, credentials_file: secrets/s3.yml }
trusted_proxies: [10.0.0.0/8]
lifetimes: { timestamp: 24h, snapshot: 7d }
tls: { key_file: tls.key, cert_file: tls.pem }
`,
    ],
    's3-credentials': ['access_key: a\nsecret_key: b\n'],
    'listen-address': ['127.0.0.1:8400', '[::1]:0', 'localhost:65535'],
    'blob-key': ['metadata/1.root.json', `artifacts/${SHA256}`],
  }
}

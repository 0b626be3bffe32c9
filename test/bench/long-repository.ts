// A repository with thousands of releases, made with the publisher's own edits and the server's own seals, without thousands of publications.
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { signDocument } from '../../keys/document.ts'
import type { JsonObject } from '../../keys/json.ts'
import { generateEd25519, type Signer } from '../../keys/signer.ts'
import {
  applyRelease,
  type ChannelDraft,
  closeChannel,
  firstRoot,
  firstTargets,
  type NewRelease,
  openChannel,
  releasesIn,
  utcSeconds,
} from '../../publisher/edit.ts'
import { manifestPath } from '../../schema/release-path.ts'
import { parseVersion, type Version } from '../../schema/version.ts'
import { sha256, signSnapshot, signTimestamp, snapshotMeta } from '../../server/core/online-roles.ts'
import type { RoleDocument } from '../../server/core/role-documents.ts'
import { SimRepository, utf8 } from '../sim/repository.ts'

export interface LongRepository {
  readonly root: Uint8Array
  /** Published files by their path below the server, before the newest release and with it. */
  readonly before: ReadonlyMap<string, Uint8Array>
  readonly after: ReadonlyMap<string, Uint8Array>
  /** Target path of the newest manifest and of the oldest. */
  readonly newest: string
  readonly oldest: string
  /** What the channel's role would be if it listed every manifest itself, signed in the same way. */
  readonly naive: Uint8Array
}

interface Keys {
  readonly root: Signer
  readonly snapshot: Signer
  readonly timestamp: Signer
  readonly alpha: Signer
}

/** `count` releases of alpha, each with a manifest of its own. */
export async function buildLongRepository(count: number, now: Date): Promise<LongRepository> {
  const keys = { root: newKey(), snapshot: newKey(), timestamp: newKey(), alpha: newKey() }
  const channelKeys = { keyids: [keys.alpha.publicKey.keyid], threshold: 1, keys: objectsOf(keys.alpha) }
  const online = { snapshot: objectsOf(keys.snapshot), timestamp: objectsOf(keys.timestamp) }
  const root = await signDocument(
    firstRoot({ product: 'demo', rootKeys: objectsOf(keys.root), rootThreshold: 1, online, now }),
    [keys.root],
  )
  const targets = await signDocument(firstTargets(new Map([['alpha', channelKeys]]), {}, now), [keys.root])
  const versions = Array.from({ length: count }, (_, index) => parseVersion(`0a${index + 1}`))
  const sim = await SimRepository.create({ now })
  const manifests = new Map(versions.map((version) => [version, utf8(JSON.stringify(sim.manifest(version)))]))
  const releases = versions.map((version) => listed(version, manifests.get(version) ?? new Uint8Array(), now))

  let draft = openChannel('alpha', channelKeys, undefined, new Map())
  for (const release of releases.slice(0, -1)) draft = applyRelease(draft, release)
  const first = await closed(draft, keys, now)
  const published = openChannel('alpha', channelKeys, first.signed.get('alpha'), withoutChannel(first.signed))
  const last = releases.slice(-1).reduce(applyRelease, published)
  const second = await closed(last, keys, now)

  const files = targetFiles(manifests)
  const before = { targets, ...Object.fromEntries(first.documents) }
  const sealedBefore = await seal(before, keys, 1, now)
  const sealedAfter = await seal({ ...before, ...Object.fromEntries(second.documents) }, keys, 2, now)
  const fixed: [string, Uint8Array][] = [['repo/metadata/1.root.json', root], ...files]
  return {
    root,
    before: new Map([...fixed, ...sealedBefore]),
    after: new Map([...fixed, ...sealedBefore, ...sealedAfter]),
    newest: manifestPath(versions.at(-1) ?? parseVersion('0a1')),
    oldest: manifestPath(parseVersion('0a1')),
    naive: await naiveRole(last, second.signed, keys),
  }
}

/** Writes published files below a folder, as the server lays them out. */
export async function writePublished(folder: string, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), bytes)
  }
}

function newKey(): Signer {
  return generateEd25519().signer
}

function objectsOf({ publicKey }: Signer): JsonObject {
  return { [publicKey.keyid]: publicKey.object }
}

function listed(version: Version, bytes: Uint8Array, now: Date): NewRelease {
  return {
    custom: { version, platforms: ['any'], released_at: utcSeconds(now) },
    length: bytes.length,
    sha256: sha256(bytes),
    sha512: createHash('sha512').update(bytes).digest('hex'),
    barrier: null,
    deadEnd: null,
  }
}

interface Closed {
  readonly signed: ReadonlyMap<string, JsonObject>
  readonly documents: ReadonlyMap<string, Uint8Array>
}

async function closed(draft: ChannelDraft, keys: Keys, now: Date): Promise<Closed> {
  const roles = closeChannel(draft, now)
  const documents = new Map<string, Uint8Array>()
  for (const { role, signed } of roles) documents.set(role, await signDocument(signed, [keys.alpha]))
  return { signed: new Map(roles.map(({ role, signed }) => [role, signed])), documents }
}

function withoutChannel(signed: ReadonlyMap<string, JsonObject>): ReadonlyMap<string, JsonObject> {
  return new Map([...signed].filter(([role]) => role !== 'alpha'))
}

function targetFiles(manifests: ReadonlyMap<Version, Uint8Array>): [string, Uint8Array][] {
  return [...manifests].map(([version, bytes]) => {
    const [channel, name] = manifestPath(version).split('/')
    return [`repo/targets/${channel}/${name}/${sha256(bytes)}.manifest.json`, bytes]
  })
}

/** Every document under its name, and a snapshot and a timestamp over them. */
async function seal(
  documents: Readonly<Record<string, Uint8Array>>,
  keys: Keys,
  version: number,
  now: Date,
): Promise<[string, Uint8Array][]> {
  const roles = new Map<string, RoleDocument>()
  for (const [role, bytes] of Object.entries(documents)) {
    const { signed } = JSON.parse(Buffer.from(bytes).toString())
    const { version: own, expires } = signed
    roles.set(role, {
      ...{ role, version: own, bytes, sha256: sha256(bytes) },
      ...{ expires: new Date(expires), signedBy: [], threshold: 1 },
    })
  }
  const expires = new Date(now.getTime() + 86_400_000)
  const snapshot = await signSnapshot([keys.snapshot], version, snapshotMeta(roles), expires)
  const timestamp = await signTimestamp([keys.timestamp], version, { version, bytes: snapshot }, expires)
  return [
    ...[...roles].map(([role, one]): [string, Uint8Array] => [`repo/metadata/${one.version}.${role}.json`, one.bytes]),
    [`repo/metadata/${version}.snapshot.json`, snapshot],
    ['repo/metadata/timestamp.json', timestamp],
  ]
}

async function naiveRole(
  draft: ChannelDraft,
  signed: ReadonlyMap<string, JsonObject>,
  { alpha }: Keys,
): Promise<Uint8Array> {
  const all = [draft.role, ...draft.lines.values()].map((role) => role.targets as JsonObject)
  const targets: JsonObject = Object.assign({}, ...all)
  if (Object.keys(targets).length !== releasesIn(draft).length) throw new Error('a release was lost')
  const { delegations: _, ...role }: JsonObject = signed.get('alpha') ?? {}
  return signDocument({ ...role, targets }, [alpha])
}

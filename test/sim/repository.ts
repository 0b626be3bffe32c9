// A publisher and its repository in memory, with real keys and real signatures. A test edits a field, publishes, and lets a real client refresh:
//
//   const repo = await SimRepository.create({ product: 'demo' })
//   await repo.release('0a1')                       a manifest in the role alpha, snapshot and timestamp sealed
//   const trusted = await refresh({ source: repo, store: new SimTrustStore(repo.file('1.root.json')), startedAt: repo.now })
//
//   repo.role('targets').expires = daysFrom(repo.now, -1)
//   await repo.publish('targets')                   bumps, signs, seals
//
// An attacker has more: `files` is what is served, byte for byte; `sign` signs any tree with any keys; `copy` is the honest repository to come back to.
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { signDocument } from '../../keys/document.ts'
import type { JsonObject } from '../../keys/json.ts'
import { percentEncode } from '../../keys/percent-encode.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import type { MetadataSource } from '../../keys/refresh.ts'
import type { TargetSource } from '../../keys/release.ts'
import { buildEd25519Signer, type Signer } from '../../keys/signer.ts'
import { lineRolePatterns, manifestPath } from '../../schema/release-path.ts'
import { channelOf, channels, parseVersion, type Version } from '../../schema/version.ts'

/** The signed part of any role, to be edited at will. */
export interface SimRole {
  _type: string
  spec_version: string
  version: number
  expires: string
  [field: string]: unknown
}

export interface SimRoot extends SimRole {
  consistent_snapshot: boolean
  keys: Record<string, JsonObject>
  roles: Record<string, { keyids: string[]; threshold: number }>
}

export interface SimMeta {
  version: number
  length?: number
  hashes?: Record<string, string>
}

export interface SimTargets extends SimRole {
  targets: Record<string, { length: number; hashes: Record<string, string>; custom?: JsonObject }>
  delegations?: { keys: Record<string, JsonObject>; roles: SimDelegation[] }
}

export interface SimDelegation {
  name: string
  keyids: string[]
  threshold: number
  terminating: boolean
  paths?: string[]
  path_hash_prefixes?: string[]
}

export interface SimOptions {
  readonly now?: Date
  /** null for a repository that is not one of ours. */
  readonly product?: string | null
  /** Whether the roles alpha, beta and release are there; they are unless said otherwise. */
  readonly withChannels?: boolean
  /** For how many days a role that was just made is good; 30 unless said otherwise. */
  readonly validDays?: number
}

const NOW = new Date('2026-11-23T10:00:00Z')
const SPEC_VERSION = '1.0.34'

export class SimRepository implements MetadataSource {
  /** What is served as metadata, by file name. */
  readonly files = new Map<string, Uint8Array>()
  /** What is served as targets, by path with its hash prefix, percent-encoded. */
  readonly targetFiles = new Map<string, Uint8Array>()
  /** Every file that was asked for, in order. */
  readonly requests: string[] = []
  /** Who signs each role. */
  readonly signers = new Map<string, Signer[]>()
  /** The unsigned state of each role. */
  readonly roles = new Map<string, SimRole>()
  /** Whether meta entries carry length and hashes. */
  withHashes = false
  now: Date
  readonly #validDays: number
  #seeds = 0

  private constructor(now: Date, validDays: number) {
    this.now = now
    this.#validDays = validDays
  }

  /** A repository with version 1 of everything, one key for each role, sealed. */
  static async create(options: SimOptions = {}): Promise<SimRepository> {
    const repo = new SimRepository(options.now ?? NOW, options.validDays ?? 30)
    const product = options.product === undefined ? 'demo' : options.product
    repo.roles.set('root', {
      ...repo.#fresh('root'),
      consistent_snapshot: true,
      keys: emptyRecord(),
      roles: emptyRecord(),
      ...(product === null ? {} : { product }),
    })
    repo.roles.set('timestamp', { ...repo.#fresh('timestamp'), meta: emptyRecord() })
    repo.roles.set('snapshot', { ...repo.#fresh('snapshot'), meta: emptyRecord() })
    repo.roles.set('targets', { ...repo.#fresh('targets'), targets: emptyRecord() })
    for (const role of ['root', 'timestamp', 'snapshot', 'targets']) repo.addKey(role)
    if (options.withChannels ?? true) for (const channel of channels) repo.#addChannel(channel)
    for (const role of [...repo.roles.keys()].reverse()) if (!isSealing(role)) await repo.#publishRole(role)
    await repo.seal()
    return repo
  }

  async load(file: string, maxBytes: number): Promise<Uint8Array | 'missing'> {
    this.requests.push(file)
    return atMost(this.files.get(file), maxBytes)
  }

  /** The same repository's target files. */
  get targets(): TargetSource {
    return {
      load: async (path, maxBytes) => {
        this.requests.push(path)
        return atMost(this.targetFiles.get(path), maxBytes)
      },
    }
  }

  get root(): SimRoot {
    return this.role('root') as SimRoot
  }

  get snapshotMeta(): Record<string, SimMeta> {
    return this.role('snapshot').meta as Record<string, SimMeta>
  }

  get timestampMeta(): Record<string, SimMeta> {
    return this.role('timestamp').meta as Record<string, SimMeta>
  }

  role(name: string): SimRole {
    const role = this.roles.get(name)
    if (!role) throw new Error(`the simulated repository has no role ${name}`)
    return role
  }

  targetsRole(name: string): SimTargets {
    return this.role(name) as SimTargets
  }

  /** A served file that must be there. */
  file(name: string): Uint8Array {
    const bytes = this.files.get(name)
    if (!bytes) throw new Error(`the simulated repository serves no ${name}`)
    return bytes
  }

  /** A signer nobody has seen before; the same one in every run. */
  newSigner(): Signer {
    this.#seeds += 1
    return buildEd25519Signer(sha256(utf8(`simulated key ${this.#seeds}`)))
  }

  /** Gives a role one more key, and its signer. The delegator has to be published. */
  addKey(role: string, signer = this.newSigner()): Signer {
    const { keyid, object } = signer.publicKey
    const { keys, named } = this.#delegationOf(role)
    keys[keyid] = object
    named.keyids.push(keyid)
    this.signers.set(role, [...(this.signers.get(role) ?? []), signer])
    return signer
  }

  /** Takes all of a role's keys away and gives it a new one. The delegator has to be published. */
  rotateKeys(role: string): Signer {
    const { named } = this.#delegationOf(role)
    named.keyids.length = 0
    this.signers.set(role, [])
    return this.addKey(role)
  }

  setThreshold(role: string, threshold: number): void {
    this.#delegationOf(role).named.threshold = threshold
  }

  /** A new targets role below `delegator`, with a key of its own. Neither is published yet. */
  delegate(delegator: string, delegation: Partial<SimDelegation> & { name: string }): SimTargets {
    const parent = this.targetsRole(delegator)
    parent.delegations ??= { keys: emptyRecord(), roles: [] }
    const { paths, path_hash_prefixes } = delegation
    const where = paths === undefined && path_hash_prefixes === undefined ? { paths: ['*'] } : {}
    parent.delegations.roles.push({ keyids: [], threshold: 1, terminating: false, ...where, ...delegation })
    const role: SimTargets = { ...this.#fresh('targets'), targets: emptyRecord() }
    if (!this.roles.has(delegation.name)) this.roles.set(delegation.name, role)
    if (delegation.keyids === undefined) this.addKey(delegation.name)
    return this.targetsRole(delegation.name)
  }

  /** A line role as publishers make it: with the keys and the threshold that its channel has now. Neither is published yet. */
  delegateLine(channel: string, name: string): SimTargets {
    const { keys, named } = this.#delegationOf(channel)
    const { keyids, threshold } = named
    const line = { name, keyids: [...keyids], threshold, terminating: true, paths: lineRolePatterns(name) }
    const role = this.delegate(channel, line)
    Object.assign(this.targetsRole(channel).delegations?.keys ?? {}, keys)
    this.signers.set(name, this.signersOf(channel))
    return role
  }

  /** Puts a file under a role. The role has to be published. */
  addTarget(role: string, path: string, content: Uint8Array, custom?: JsonObject): void {
    const hashes = { sha256: bytesToHex(sha256(content)), sha512: bytesToHex(sha512(content)) }
    this.targetsRole(role).targets[path] = { length: content.length, hashes, ...(custom ? { custom } : {}) }
    const names = path.split('/').map(percentEncode)
    const last = names.pop()
    for (const digest of Object.values(hashes)) this.targetFiles.set([...names, `${digest}.${last}`].join('/'), content)
  }

  /** A manifest in its channel's role, published. Resolves with the manifest's bytes. */
  async release(text: string, changes: JsonObject = {}): Promise<Uint8Array> {
    const version = parseVersion(text)
    const content = utf8(JSON.stringify({ ...this.manifest(version), ...changes }))
    const released_at = seconds(this.now)
    this.addTarget(channelOf(version), manifestPath(version), content, { version, platforms: ['any'], released_at })
    await this.publish(channelOf(version))
    return content
  }

  /** The least manifest that a version can have. */
  manifest(version: Version): JsonObject {
    const archive = utf8(`archive of ${version}`)
    const artifact = {
      platform: 'any',
      length: archive.length,
      sha256: bytesToHex(sha256(archive)),
      sha512: bytesToHex(sha512(archive)),
      format: 'tar+zstd',
      unpacked_bytes: 1,
      entries: 1,
      tree_sha256: bytesToHex(sha256(utf8(`tree of ${version}`))),
    }
    return {
      schema: 'netlink.manifest/v1',
      product: 'demo',
      version,
      channel: channelOf(version),
      released_at: seconds(this.now),
      artifacts: [artifact],
      requirements: {},
      compatibility: {},
      changelog: {
        schema: 'netlink.changelog/v1',
        version,
        previous: null,
        date: seconds(this.now).slice(0, 10),
        summary: `release ${version}`,
        entries: [],
      },
    }
  }

  /** Bumps and signs these roles, then seals. root goes first and does not need sealing by itself. */
  async publish(...roles: string[]): Promise<void> {
    for (const role of roles) {
      this.role(role).version += 1
      await this.#publishRole(role)
    }
    if (roles.some((role) => role !== 'root')) await this.seal()
  }

  /** A new snapshot and timestamp over everything that was published. */
  async seal(): Promise<void> {
    for (const role of ['snapshot', 'timestamp']) {
      if (this.files.has('timestamp.json')) this.role(role).version += 1
      await this.#publishRole(role)
    }
  }

  /** Signs a role as it stands and serves it, without a new version and without sealing. */
  async publishAsIs(role: string): Promise<void> {
    await this.#publishRole(role)
  }

  /** Any tree signed by anyone. */
  sign(signed: unknown, signers: readonly Signer[]): Promise<Uint8Array> {
    return signDocument(JSON.parse(JSON.stringify(signed)), signers)
  }

  /** The signers of a role. */
  signersOf(role: string): Signer[] {
    return this.signers.get(role) ?? []
  }

  /** The same repository as it is now, going its own way from here. */
  copy(): SimRepository {
    const other = new SimRepository(this.now, this.#validDays)
    for (const [name, bytes] of this.files) other.files.set(name, bytes)
    for (const [name, bytes] of this.targetFiles) other.targetFiles.set(name, bytes)
    for (const [name, signers] of this.signers) other.signers.set(name, [...signers])
    for (const [name, role] of this.roles) other.roles.set(name, structuredClone(role))
    other.withHashes = this.withHashes
    // Two copies never make the same new key.
    other.#seeds = this.#seeds + 1000
    return other
  }

  #fresh(type: string): SimRole {
    return { _type: type, spec_version: SPEC_VERSION, version: 1, expires: daysFrom(this.now, this.#validDays) }
  }

  #addChannel(channel: string): void {
    const paths = [`${channel}/*/manifest.json`]
    const role = this.delegate('targets', { name: channel, paths, terminating: true })
    role.channel = { name: channel, minimum: null, withdrawn: [], barriers: [], dead_ends: [] }
  }

  #delegationOf(role: string): { keys: Record<string, JsonObject>; named: { keyids: string[]; threshold: number } } {
    if (['root', 'timestamp', 'snapshot', 'targets'].includes(role)) {
      const { keys, roles } = this.root
      roles[role] ??= { keyids: [], threshold: 1 }
      return { keys, named: roles[role] }
    }
    for (const candidate of this.roles.values()) {
      const { delegations } = candidate as SimTargets
      const named = delegations?.roles.find((delegation) => delegation.name === role)
      if (delegations && named) return { keys: delegations.keys, named }
    }
    throw new Error(`nobody delegates to ${role} in the simulated repository`)
  }

  async #publishRole(name: string): Promise<void> {
    const role = this.role(name)
    const bytes = await this.sign(role, this.signersOf(name))
    this.files.set(name === 'timestamp' ? 'timestamp.json' : `${role.version}.${percentEncode(name)}.json`, bytes)
    const meta: SimMeta = { version: role.version }
    if (this.withHashes) Object.assign(meta, { length: bytes.length, hashes: { sha256: bytesToHex(sha256(bytes)) } })
    if (name === 'snapshot') this.timestampMeta['snapshot.json'] = meta
    else if (role._type === 'targets') this.snapshotMeta[`${name}.json`] = meta
  }
}

/** As an honest transport does it: stops reading at the limit. */
function atMost(bytes: Uint8Array | undefined, limit: number): Uint8Array | 'missing' {
  if (bytes === undefined) return 'missing'
  if (bytes.length > limit) throw new PlatformError('too-large', `more than ${limit} bytes`, { limit })
  return bytes
}

/** A time that many days from then, as metadata spells it. */
export function daysFrom(time: Date, days: number): string {
  return seconds(new Date(time.getTime() + days * 86_400_000))
}

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function seconds(time: Date): string {
  return time.toISOString().replace(/\.\d{3}Z$/, 'Z')
}

function isSealing(role: string): boolean {
  return role === 'snapshot' || role === 'timestamp'
}

/** Without a prototype, so that a role may be called `__proto__`. */
function emptyRecord<T>(): Record<string, T> {
  return Object.create(null)
}

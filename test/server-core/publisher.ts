// A release engineer with real keys, as the server sees one: documents as text, artifacts as bytes. Every field can be edited before it is signed.
import { createHash, randomBytes } from 'node:crypto'
import { signDocument } from '../../keys/document.ts'
import type { JsonObject } from '../../keys/json.ts'
import { generateEd25519, type Signer } from '../../keys/signer.ts'
import { lineRolePatterns, manifestPath } from '../../schema/release-path.ts'
import type { PublishReleases } from '../../schema/rest.ts'
import { type Channel, channelOf, channels, type Version } from '../../schema/version.ts'
import type { OnlineSigners } from '../../server/core/online-roles.ts'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const sha512 = (bytes: Uint8Array) => createHash('sha512').update(bytes).digest('hex')

interface Listed {
  readonly length: number
  readonly hashes: Record<string, string>
  readonly custom: JsonObject
}

export interface Withdrawn {
  readonly version: string
  readonly reason: string
  readonly severity: 'low' | 'high' | 'critical'
  readonly replace_with: string | null
  readonly at: string
}

export class TestPublisher {
  readonly rootKeys: Signer[] = [generateEd25519().signer]
  readonly channelKeys: Record<Channel, Signer[]> = {
    alpha: [generateEd25519().signer],
    beta: [generateEd25519().signer],
    release: [generateEd25519().signer],
  }
  readonly versions: Record<string, number> = {}
  readonly listed: Record<string, Record<string, Listed>> = { alpha: {}, beta: {}, release: {} }
  readonly withdrawn: Record<Channel, Withdrawn[]> = { alpha: [], beta: [], release: [] }
  readonly lines: string[] = []
  readonly artifacts = new Map<string, Uint8Array>()
  online: OnlineSigners
  product = 'demo'
  rootThreshold = 1
  channelThreshold = 1
  now: () => Date

  constructor(online: OnlineSigners, now: () => Date) {
    this.online = online
    this.now = now
  }

  /** The next root, signed by these besides the present root keys. */
  async root(
    options: { alsoBy?: readonly Signer[]; edit?: (signed: JsonObject) => JsonObject; days?: number } = {},
  ): Promise<string> {
    const { snapshot, timestamp } = this.online
    const all = [...this.rootKeys, ...snapshot, ...timestamp]
    const role = (signers: readonly Signer[], threshold = 1) => ({ keyids: signers.map(keyId), threshold })
    const signed = {
      ...this.#common('root', options.days ?? 365),
      consistent_snapshot: true,
      product: this.product,
      keys: Object.fromEntries(all.map((signer) => [keyId(signer), signer.publicKey.object])),
      roles: {
        root: role(this.rootKeys, this.rootThreshold),
        targets: role(this.rootKeys, this.rootThreshold),
        snapshot: role(snapshot),
        timestamp: role(timestamp),
      },
    }
    return text(await signDocument(options.edit?.(signed) ?? signed, [...this.rootKeys, ...(options.alsoBy ?? [])]))
  }

  async targets(options: { by?: readonly Signer[] } = {}): Promise<string> {
    const director = this.online.director ?? []
    const signers = [...Object.values(this.channelKeys).flat(), ...director]
    const assignments = { threshold: 1, terminating: true, paths: ['assignments/*'] }
    const signed = {
      ...this.#common('targets', 365),
      targets: {},
      delegations: {
        keys: Object.fromEntries(signers.map((signer) => [keyId(signer), signer.publicKey.object])),
        roles: [
          ...channels.map((channel) => ({
            name: channel,
            keyids: this.channelKeys[channel].map(keyId),
            threshold: this.channelThreshold,
            terminating: true,
            paths: [`${channel}/*/manifest.json`],
          })),
          ...(director.length === 0 ? [] : [{ name: 'director', keyids: director.map(keyId), ...assignments }]),
        ],
      },
    }
    return text(await signDocument(signed, options.by ?? this.rootKeys))
  }

  /** The next version of a channel's role with everything that is listed. */
  async channel(
    channel: Channel,
    options: { by?: readonly Signer[]; days?: number; edit?: (signed: JsonObject) => JsonObject } = {},
  ): Promise<string> {
    const lines = this.lines.filter((line) => line.startsWith(`${channel}-`))
    const signers = this.channelKeys[channel]
    const signed: JsonObject = {
      ...this.#common(channel, options.days ?? 90, 'targets'),
      targets: this.listed[channel] ?? {},
      channel: {
        name: channel,
        minimum: null,
        withdrawn: this.withdrawn[channel],
        barriers: [],
        dead_ends: [],
      } as unknown as JsonObject,
      ...(lines.length === 0
        ? {}
        : {
            delegations: {
              keys: Object.fromEntries(signers.map((signer) => [keyId(signer), signer.publicKey.object])),
              roles: lines.map((name) => ({
                name,
                keyids: signers.map(keyId),
                threshold: 1,
                terminating: true,
                paths: lineRolePatterns(name),
              })),
            },
          }),
    } as unknown as JsonObject
    return text(await signDocument(options.edit?.(signed) ?? signed, options.by ?? signers))
  }

  async line(name: string, edit: (signed: JsonObject) => JsonObject = (signed) => signed): Promise<string> {
    const channel = channels.find((one) => name.startsWith(one)) ?? 'alpha'
    const signed = { ...this.#common(name, 90, 'targets'), targets: this.listed[name] ?? {} } as unknown as JsonObject
    return text(await signDocument(edit(signed), this.channelKeys[channel]))
  }

  artifact(bytes: Uint8Array = randomBytes(1000)): { bytes: Uint8Array; sha256: string } {
    const hash = sha256(bytes)
    this.artifacts.set(hash, bytes)
    return { bytes, sha256: hash }
  }

  /** A manifest over an artifact, and its entry in the channel's role. */
  manifest(
    version: string,
    artifact: { bytes: Uint8Array },
    edit: (manifest: JsonObject) => JsonObject = (manifest) => manifest,
  ): { path: string; text: string } {
    const channel = channelOf(version as Version)
    const { bytes } = artifact
    const date = wire(this.now())
    const manifest = edit({
      schema: 'netlink.manifest/v1',
      product: this.product,
      version,
      channel,
      released_at: date,
      promoted_from: null,
      artifacts: [
        {
          platform: 'any',
          length: bytes.length,
          sha256: sha256(bytes),
          sha512: sha512(bytes),
          format: 'tar+zstd',
          unpacked_bytes: 10,
          entries: 1,
          tree_sha256: sha256(bytes),
        },
      ],
      requirements: {},
      compatibility: {},
      changelog: {
        schema: 'netlink.changelog/v1',
        version,
        previous: null,
        date: date.slice(0, 10),
        summary: `all about ${version}`,
        entries: [],
      },
    })
    const content = Buffer.from(JSON.stringify(manifest))
    const path = manifestPath(version as Version)
    const entry: Listed = {
      length: content.length,
      hashes: { sha256: sha256(content) },
      custom: { version, platforms: ['any'], released_at: date },
    }
    this.listed[channel] = { ...this.listed[channel], [path]: entry }
    return { path, text: content.toString() }
  }

  /** A manifest whose only artifact says something else. */
  static withArtifact(changes: JsonObject): (manifest: JsonObject) => JsonObject {
    return (manifest) => {
      const [first] = Array.isArray(manifest.artifacts) ? manifest.artifacts : []
      return { ...manifest, artifacts: [{ ...(first as JsonObject), ...changes }] }
    }
  }

  /** What is handed in for one new release; its artifact still has to be uploaded. */
  async release(
    version: string,
    options: Parameters<TestPublisher['channel']>[1] & {
      manifest?: (manifest: JsonObject) => JsonObject
      artifact?: { bytes: Uint8Array }
    } = {},
  ): Promise<PublishReleases & { artifact: { bytes: Uint8Array; sha256: string } }> {
    const artifact = options.artifact ? this.artifact(options.artifact.bytes) : this.artifact()
    const manifest = this.manifest(version, artifact, options.manifest)
    const channel = channelOf(version as Version)
    return {
      metadata: { [channel]: await this.channel(channel, options) },
      manifests: { [manifest.path]: manifest.text },
      dry_run: false,
      artifact,
    }
  }

  #common(
    role: string,
    days: number,
    type = role,
  ): { _type: string; spec_version: string; version: number; expires: string } {
    const version = (this.versions[role] ?? 0) + 1
    this.versions[role] = version
    return {
      _type: type,
      spec_version: '1.0.34',
      version,
      expires: wire(new Date(this.now().getTime() + days * 86_400_000)),
    }
  }
}

export function newKey(): Signer {
  return generateEd25519().signer
}

function keyId(signer: Signer): string {
  return signer.publicKey.keyid
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8')
}

function wire(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`
}

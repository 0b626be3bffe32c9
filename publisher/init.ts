// How trust begins: keys for each holder, a root that names them and the server's online keys, and a repository without releases.
//
//   ask the server (has it a repository? which online keys?) -> make the keyrings -> sign root, targets and three empty channels ->
//   write everything down -> hand it over -> read it back as a stranger would
//
// Everything is on disk before the server hears of it: an interrupted init goes on with the same keys, because they may already be trusted.
import { join } from 'node:path'
import { isJsonArray, isJsonObject, parseJson } from '../keys/json.ts'
import { keyIdOf, type PublicKey, parsePublicKey } from '../keys/key.ts'
import { createKeyring, type Keyring } from '../keys/key-file.ts'
import { makeDirDurable, removeDurable, replaceFile } from '../keys/platform/durable.ts'
import { isLoopback } from '../keys/platform/fetch-policy.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { fingerprintOf, verifyRootBytes } from '../keys/release.ts'
import { roleTypes, verifyRole } from '../keys/verified.ts'
import type { JsonObject } from '../schema/json-value.ts'
import type { PublishState } from '../schema/rest.ts'
import { type Channel, channels } from '../schema/version.ts'
import type { PublishClient } from './client.ts'
import {
  CONFIG_FILE,
  type Holder,
  type HolderRole,
  layoutOf,
  type PublisherConfig,
  saveConfig,
  signersPath,
} from './config.ts'
import { type ChannelKeys, closeChannel, firstRoot, firstTargets, openChannel } from './edit.ts'
import { PublishError } from './publish-error.ts'
import { pinRoot } from './repository.ts'
import { buildTurns } from './signers/external-signer.ts'
import { heldHere, joinKeyring } from './signers/holder-keyring.ts'
import type { SignerDeps } from './signers/sign-call.ts'
import type { SignersFile } from './signers/signers-file.ts'
import { needsKeyring, signAll, verifyChange } from './signing.ts'
import { keyFileDeps, type Machine } from './workshop.ts'

/** Public halves of the server's online keys, as key objects by key id. */
export interface OnlineKeys {
  readonly snapshot: JsonObject
  readonly timestamp: JsonObject
  /** Signs assignments; none where nobody vouched for one. */
  readonly director: JsonObject
}

/** Somebody who is to hold keys. */
export interface NewHolder {
  readonly name: string
  /** undefined: the keyring is kept in the clear (0600), or none is needed. */
  readonly passphrase: string | undefined
  /** Keys that were imported for this holder; a keyring is made for the roles that it lacks. */
  readonly imported: SignersFile | undefined
}

export interface InitRequest {
  readonly folder: string
  readonly product: string
  readonly server: string
  readonly tokenFile: string
  readonly insecureHttp: boolean
  readonly caFile: string | null
  readonly holders: readonly NewHolder[]
  /** What imported keys need to sign. */
  readonly signers: SignerDeps
  readonly threshold: number
  readonly allowThresholdEqualsKeys: boolean
  readonly online: OnlineKeys
}

const ROLES: readonly HolderRole[] = ['root', ...channels]

/** Refuses numbers that would be regretted. `lower`: how the command at hand is asked for so many. Throws PublishError `usage`; `policy` where a long flag can insist. */
export function checkThreshold(
  count: number,
  threshold: number,
  allowEqual: boolean,
  lower = (to: number) => `--threshold ${to}`,
): void {
  if (!Number.isInteger(threshold) || threshold < 1)
    throw new PublishError('usage', `a threshold of ${threshold} protects nothing`)
  if (threshold > count)
    throw new PublishError(
      'usage',
      `a threshold of ${threshold} can't be met by ${count} holder${count === 1 ? '' : 's'}`,
    )
  if (count < 2 || threshold < count || allowEqual) return
  throw new PublishError(
    'policy',
    `a threshold of ${threshold} with ${count} holders leaves none to spare: one lost key would end this repository`,
    {
      state: 'Nothing was made.',
      next: [`${lower(count - 1)}, or one more holder, or insist with --allow-threshold-equals-keys`],
    },
  )
}

/** Refuses a first root that could not be signed here. Throws PublishError `unsigned`. */
export function checkPresent(holders: readonly NewHolder[], threshold: number): void {
  const absent = holders.filter(({ imported }) => imported?.keys.some(({ place }) => place.kind === 'elsewhere'))
  const have = holders.length - absent.length
  if (have >= threshold) return
  throw new PublishError(
    'unsigned',
    `the first root needs ${threshold} signatures and ${have} can be made here: ${absent.map(({ name }) => name).join(', ')} would sign on another machine`,
    {
      state: 'Nothing was made.',
      next: ['netlink-publish keys import --help', 'netlink-publish init --help'],
    },
  )
}

/**
 * The online keys of the server: from a file that somebody brought, else from the server itself, which only counts on this very machine. Both are compared
 * where both are there. Throws PublishError `usage` or `mismatch`, TrustError `bad-key`.
 */
export function decideOnlineKeys(server: string, state: PublishState, fromFile: OnlineKeys | undefined): OnlineKeys {
  const told = readOnlineKeys(state.online_keys)
  if (fromFile === undefined && !isLoopback(new URL(server).hostname)) {
    throw new PublishError(
      'usage',
      `${server} is another machine: bring its online keys in a file, so that nobody between can put in their own`,
      {
        state: 'Nothing was made.',
        next: ['copy online-keys.json from the server by a way you trust, then add --online-keys FILE'],
      },
    )
  }
  if (fromFile === undefined) return told
  for (const role of onlineRoles) {
    // A file of an earlier version names no director: then there is none, whatever the server says.
    if (role === 'director' && Object.keys(fromFile.director).length === 0) continue
    if (Object.keys(fromFile[role]).sort().join() !== Object.keys(told[role]).sort().join()) {
      throw new PublishError('mismatch', `the ${role} keys in the file are not those that ${server} has`, {
        state: 'Nothing was made.',
      })
    }
  }
  return fromFile
}

/** Reads `{snapshot: [key], timestamp: [key], director: [key]}`, alone or under `online_keys`, as the server prints it. Throws PublishError `usage`, TrustError `bad-key`. */
export function parseOnlineKeys(bytes: Uint8Array, file: string): OnlineKeys {
  const value = parseJson(bytes)
  if (!isJsonObject(value)) throw new PublishError('usage', `${file} does not hold online keys`)
  return readOnlineKeys(isJsonObject(value.online_keys) ? value.online_keys : value)
}

/** As `parseOnlineKeys`, for some of the roles: those that the file names, at least one. Throws as that. */
export function parseSomeOnlineKeys(bytes: Uint8Array, file: string): Partial<OnlineKeys> {
  const value = parseJson(bytes)
  const keys = isJsonObject(value) && isJsonObject(value.online_keys) ? value.online_keys : value
  const named = isJsonObject(keys) ? onlineRoles.filter((role) => keys[role] !== undefined) : []
  if (!isJsonObject(keys) || named.length === 0) throw new PublishError('usage', `${file} does not hold online keys`)
  return Object.fromEntries(named.map((role) => [role, keyObjects(keys[role], role)]))
}

const onlineRoles = ['snapshot', 'timestamp', 'director'] as const

function readOnlineKeys(keys: { readonly [role in keyof OnlineKeys]?: unknown }): OnlineKeys {
  const hasDirector = Array.isArray(keys.director) && keys.director.length > 0
  return {
    snapshot: keyObjects(keys.snapshot, 'snapshot'),
    timestamp: keyObjects(keys.timestamp, 'timestamp'),
    director: hasDirector ? keyObjects(keys.director, 'director') : {},
  }
}

function keyObjects(value: unknown, role: string): JsonObject {
  const list = parseJson(new TextEncoder().encode(JSON.stringify(value ?? null)))
  if (!isJsonArray(list) || list.length === 0) throw new PublishError('usage', `no key for ${role} is named`)
  const keys = list.map((object): PublicKey => {
    if (!isJsonObject(object)) throw new PublishError('usage', `a key for ${role} is not a TUF key object`)
    return parsePublicKey(keyIdOf(object), object)
  })
  return Object.fromEntries(keys.map(({ keyid, object }) => [keyid, object]))
}

/** What init made, or found half made. */
export interface Initial {
  readonly config: PublisherConfig
  readonly root: Uint8Array
  readonly fingerprint: string
}

/** Makes everything that a publisher's folder holds. Nothing has been told to the server yet. Throws PlatformError `exists` for keyrings that are there. */
export async function makePublisher(machine: Machine, request: InitRequest): Promise<Initial> {
  const { disk } = machine
  const layout = layoutOf(request.folder)
  for (const folder of [request.folder, layout.keys]) await makeDirDurable(disk, folder, 0o700)
  const made: string[] = []
  const { config, documents } = await signWithNewKeys(machine, request, made).catch(async (error: unknown) => {
    // Nobody has seen these keys, and the same command is to make them again.
    for (const path of made) await removeDurable(disk, path)
    throw error
  })
  const root = documents.get('root') ?? unsignedRoot()
  await makeDirDurable(disk, initFolder(layout), 0o700)
  for (const [role, bytes] of documents) await replaceFile(disk, join(initFolder(layout), `${role}.json`), bytes, 0o600)
  await replaceFile(disk, layout.root, root, 0o644)
  await replaceFile(disk, layout.ignore, new TextEncoder().encode(IGNORED), 0o644)
  await pinRoot(disk, layout.repository, root)
  // Last: a folder with this file has everything else.
  await saveConfig(disk, config)
  return { config, root, fingerprint: fingerprintOf(root) }
}

async function signWithNewKeys(machine: Machine, request: InitRequest, made: string[]) {
  const { folder, product, server, tokenFile, insecureHttp, caFile } = request
  const held = await makeKeyrings(machine, request, made)
  const holders = held.map(({ keyring, path }) => holderOf(keyring, path, signersPath(folder, keyring.holder)))
  const config = { folder, product, server, tokenFile, insecureHttp, caFile, holders }
  return { config, documents: await signFirst(machine, request, config, held) }
}

const IGNORED = `# Secrets, and what can be made again. Keep ${CONFIG_FILE} and root.json.
/keys/
/repository/
/artifacts/
/pending/
/events/
/lock*
`

function unsignedRoot(): never {
  throw new Error('root was not signed')
}

function initFolder(layout: ReturnType<typeof layoutOf>): string {
  return join(layout.pending, 'init')
}

/** A holder's keys, and where the part of them is that was made here. */
interface Held {
  readonly keyring: Keyring
  /** null: all of this holder's keys were imported. */
  readonly path: string | null
  /** The same without the keys that sign on another machine. */
  readonly here: Keyring
}

async function makeKeyrings(
  machine: Machine,
  { folder, holders, signers }: InitRequest,
  made: string[],
): Promise<readonly Held[]> {
  const held: Held[] = []
  const turns = buildTurns()
  for (const holder of holders) {
    const { name, imported } = holder
    const path = needsKeyring(imported) ? join(layoutOf(folder).keys, `${name}.age`) : null
    const own = path === null ? undefined : await makeKeyring(machine, path, holder)
    if (path !== null) made.push(path)
    const keyring = joinKeyring(signers, turns, name, own, imported)
    held.push({ keyring, path, here: heldHere(keyring, imported) })
  }
  return held
}

function makeKeyring(machine: Machine, path: string, { name, passphrase, imported }: NewHolder): Promise<Keyring> {
  const entries = ROLES.filter((role) => !imported?.keys.some((key) => key.role === role)).map((role) => ({
    name: `${name}-${role}`,
    role,
  }))
  const protection =
    passphrase === undefined ? ({ kind: 'none' } as const) : ({ kind: 'passphrase', passphrase } as const)
  return createKeyring(keyFileDeps(machine), path, name, entries, protection)
}

/** A holder's public side. Throws PublishError `config` if a key is missing. */
export function holderOf(keyring: Keyring, path: string | null, signers: string): Holder {
  const keyid = (role: HolderRole) => {
    const [signer] = keyring.signersFor(role)
    if (signer === undefined) throw new PublishError('config', `${path ?? signers} holds no ${role} key`)
    return signer.publicKey.keyid
  }
  return {
    name: keyring.holder,
    keyring: path,
    signers,
    keys: { root: keyid('root'), alpha: keyid('alpha'), beta: keyid('beta'), release: keyid('release') },
  }
}

async function signFirst(
  machine: Machine,
  request: InitRequest,
  config: PublisherConfig,
  held: readonly Held[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const now = machine.clock.now()
  const { product, threshold, online } = request
  const keysFor = (role: HolderRole): JsonObject =>
    Object.fromEntries(
      held.flatMap(({ keyring }) =>
        keyring.signersFor(role).map(({ publicKey }) => [publicKey.keyid, publicKey.object]),
      ),
    )
  const channelKeys = new Map<Channel, ChannelKeys>(
    channels.map((channel) => [channel, { keys: keysFor(channel), keyids: Object.keys(keysFor(channel)), threshold }]),
  )
  const empty = [...channelKeys].flatMap(([channel, keys]) =>
    closeChannel(openChannel(channel, keys, undefined, new Map()), now),
  )
  const documents = await signAll(
    [
      {
        role: 'root',
        signed: firstRoot({ product, rootKeys: keysFor('root'), rootThreshold: threshold, online, now }),
      },
      { role: 'targets', signed: firstTargets(channelKeys, online.director, now) },
      ...empty,
    ],
    held.map(({ here }) => here),
  )
  verifyFirst(documents, config, now)
  return documents
}

/** What was signed verifies the way everybody else will see it. */
function verifyFirst(documents: ReadonlyMap<string, Uint8Array>, { holders }: PublisherConfig, now: Date): void {
  const bytesOf = (role: string) => documents.get(role) ?? unsignedRoot()
  const root = verifyRootBytes(bytesOf('root'))
  const targets = verifyRole(root, 'targets', roleTypes.targets, bytesOf('targets'))
  verifyChange({ targets, holders, subject: 'the first repository', now }, { documents, manifests: new Map() })
}

/** What a half finished init still has to hand over; undefined if there is nothing to go on with. */
export async function loadUnfinished(
  machine: Machine,
  folder: string,
): Promise<ReadonlyMap<string, Uint8Array> | undefined> {
  const below = initFolder(layoutOf(folder))
  const documents = new Map<string, Uint8Array>()
  for (const role of ['root', 'targets', ...channels]) {
    try {
      documents.set(role, await machine.disk.readFile(join(below, `${role}.json`)))
    } catch (error) {
      if (error instanceof PlatformError && error.code === 'not-found') return undefined
      throw error
    }
  }
  return documents
}

/** Hands root and targets to the server. May be repeated: the same root again is no news. */
export function handOverRoot(client: PublishClient, documents: ReadonlyMap<string, Uint8Array>): Promise<PublishState> {
  return client.putRoot({ roots: [textOf(documents, 'root')], targets: textOf(documents, 'targets') })
}

/** Hands over the empty channels, and with them init is done. May be repeated. */
export async function handOverChannels(
  machine: Machine,
  folder: string,
  client: PublishClient,
  documents: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const metadata = Object.fromEntries(channels.map((channel) => [channel, textOf(documents, channel)]))
  await client.publish({ metadata, manifests: {}, dry_run: false })
  await removeDurable(machine.disk, initFolder(layoutOf(folder)))
}

function textOf(documents: ReadonlyMap<string, Uint8Array>, role: string): string {
  return Buffer.from(documents.get(role) ?? unsignedRoot()).toString('utf8')
}

/** Takes back what makePublisher made, where the server refused for good and so nobody trusts these keys. */
export async function unmakePublisher(machine: Machine, { config }: Initial): Promise<void> {
  const layout = layoutOf(config.folder)
  const made = [layout.config, layout.root, layout.ignore, initFolder(layout), layout.repository]
  for (const { keyring } of config.holders) if (keyring !== null) made.push(keyring)
  for (const path of made) await removeDurable(machine.disk, path)
}

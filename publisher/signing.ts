// Signing what was edited, and checking it the way everybody else will: with the functions that agent and server run, over the bytes as they will be sent.
import { verifyLine, verifyLines } from '../keys/channel-lines.ts'
import { parseDocument, type SignedDocument, signDocument } from '../keys/document.ts'
import { type KeyFileDeps, type Keyring, openKeyring } from '../keys/key-file.ts'
import type { Disk } from '../keys/platform/disk.ts'
import type { Signer } from '../keys/signer.ts'
import { countSignatures, type RoleKeys } from '../keys/threshold.ts'
import {
  readRole,
  roleKeysOf,
  roleTypes,
  targetIn,
  type Verified,
  type VerifiedRole,
  verifyRole,
  verifyTarget,
} from '../keys/verified.ts'
import { type Manifest, manifestShape } from '../schema/manifest.ts'
import { channelRoleShape, type Targets } from '../schema/metadata.ts'
import { parseManifestPath } from '../schema/release-path.ts'
import { type Channel, channels } from '../schema/version.ts'
import type { Holder, HolderRole } from './config.ts'
import type { ClosedRole } from './edit.ts'
import { requireLifetime } from './lifetime.ts'
import { PublishError } from './publish-error.ts'
import { buildTurns } from './signers/external-signer.ts'
import { joinKeyring } from './signers/holder-keyring.ts'
import type { SignerDeps } from './signers/sign-call.ts'
import { loadSignersFile, type SignersFile } from './signers/signers-file.ts'

/** Signed documents and the manifests that they list, as they go to the server. */
export interface Change {
  /** Signed documents by role, the channel's first. */
  readonly documents: ReadonlyMap<string, Uint8Array>
  /** Manifests by target path. */
  readonly manifests: ReadonlyMap<string, Uint8Array>
}

/** What opening a holder's keys needs. */
export interface OpenDeps {
  readonly keyFiles: KeyFileDeps
  readonly disk: Disk
  readonly signers: SignerDeps
}

/**
 * The keys of these holders, wherever they are: keyrings are opened one after the other, tokens and programs when they are first to sign. Throws PublishError
 * `usage` for an unknown holder, `config` for keys that are not the registered ones, KeyFileError, and as `loadSignersFile`.
 */
export async function openKeyrings(
  deps: OpenDeps,
  holders: readonly Holder[],
  passphrases: ReadonlyMap<string, string | undefined>,
): Promise<readonly Keyring[]> {
  const opened: Keyring[] = []
  const turns = buildTurns()
  for (const [name, passphrase] of passphrases) {
    const holder = holders.find((candidate) => candidate.name === name)
    if (holder === undefined) throw unknownHolder(name, holders)
    const file = await loadSignersFile(deps.disk, holder.signers, name)
    const own = needsKeyring(file) ? await ownKeyring(deps.keyFiles, holder, passphrase, file) : undefined
    const keyring = joinKeyring(deps.signers, turns, name, own, file)
    checkBelongs(keyring, holder)
    opened.push(keyring)
  }
  return opened
}

async function ownKeyring(
  deps: KeyFileDeps,
  { name, keyring }: Holder,
  passphrase: string | undefined,
  file: SignersFile | undefined,
): Promise<Keyring | undefined> {
  if (keyring !== null) return openKeyring(deps, keyring, passphrase)
  if (file !== undefined) return undefined
  throw notOnThisMachine(name)
}

/** There is nothing here to sign with for this holder. */
export function notOnThisMachine(name: string): PublishError {
  const message = `the keys of ${name} are not on this machine: there is neither a keyring nor a signer`
  return new PublishError('usage', message, {
    next: [
      `add --key ${name}=FILE      (a keyring that lies elsewhere)`,
      'netlink-publish keys import --help      (keys in a token or behind a program)',
    ],
  })
}

/** Whether a holder's keys are not all in tokens, services and other places. */
export function needsKeyring(file: SignersFile | undefined): boolean {
  return ROLES.some((role) => !file?.keys.some((key) => key.role === role))
}

const ROLES: readonly HolderRole[] = ['root', ...channels]

export function unknownHolder(name: string, holders: readonly Holder[]): PublishError {
  return new PublishError(
    'usage',
    `${name} holds no keys here; holders are ${holders.map((one) => one.name).join(', ')}`,
  )
}

/** A keyring put in another's place would sign with keys that nobody asked for. */
function checkBelongs(keyring: Keyring, holder: Holder): void {
  for (const role of ROLES) {
    const known = keyring.signersFor(role).some((signer) => signer.publicKey.keyid === holder.keys[role])
    if (known) continue
    const place = keyring.signersFor(role).length > 0 || holder.keyring === null ? holder.signers : holder.keyring
    throw new PublishError('config', `${place} does not hold the ${role} key of ${holder.name}`)
  }
}

/** Whose key signs for a role: targets is signed with the root keys, a line role with its channel's. */
export function holderRoleOf(role: string): HolderRole {
  if (role === 'root' || role === 'targets') return 'root'
  const channel = channels.find((name) => role === name || role.startsWith(`${name}-`))
  if (channel === undefined) throw new Error(`nobody signs for ${role} here`)
  return channel
}

/** Each document signed by each of these holders who has a key for it. */
export async function signAll(
  closed: readonly ClosedRole[],
  keyrings: readonly Keyring[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const documents = new Map<string, Uint8Array>()
  for (const { role, signed, keyids } of closed)
    documents.set(role, await signDocument(signed, signersFor(role, keyrings, keyids)))
  return documents
}

/** The keys of each holder that count for a document: more than one of them where a root is signed by old and new; any one where nobody says which count. */
function signersFor(role: string, keyrings: readonly Keyring[], keyids?: readonly string[]): readonly Signer[] {
  return keyrings.flatMap((keyring) => {
    const signers = keyring.signersFor(holderRoleOf(role))
    const counting = signers.filter(({ publicKey }) => keyids?.includes(publicKey.keyid))
    return counting.length > 0 ? counting : signers.slice(0, 1)
  })
}

/** Who signed, by name. */
export interface SignatureStanding {
  readonly have: readonly string[]
  readonly missing: readonly string[]
  readonly threshold: number
  readonly complete: boolean
}

/** How a document stands: valid signatures counted by the one function that counts them, key ids turned into names. */
export function standingOf(document: SignedDocument, keys: RoleKeys, holders: readonly Holder[]): SignatureStanding {
  const count = countSignatures(document, keys)
  const role = holderRoleOf(keys.role)
  const nameOf = (keyid: string) =>
    holders.find((holder) => holder.keys[role] === keyid)?.name ?? `key ${keyid.slice(0, 8)}`
  const others = keys.keys.map(({ keyid }) => keyid).filter((keyid) => !count.valid.includes(keyid))
  return {
    have: count.valid.map(nameOf),
    missing: others.map(nameOf),
    threshold: count.threshold,
    complete: count.missing === 0,
  }
}

/** The sentence that a release engineer reads: `0a2 has 1 valid signature, 2 are needed: have alice, missing one of bob, carol`. */
export function standingWords(subject: string, { have, missing, threshold }: SignatureStanding): string {
  const valid = `${have.length} valid signature${have.length === 1 ? '' : 's'}`
  const needed = `${threshold} ${threshold === 1 ? 'is' : 'are'} needed`
  const signed = have.length === 0 ? 'signed by nobody yet' : `have ${have.join(', ')}`
  return `${subject} has ${valid}, ${needed}: ${signed}, missing ${missingWords(threshold - have.length, missing)}`
}

/** Who could still sign where `left` of them have to: `one of bob, carol`, or all of them by name. */
export function missingWords(left: number, missing: readonly string[]): string {
  return left >= missing.length ? missing.join(' and ') : `${numberWord(left)} of ${missing.join(', ')}`
}

function numberWord(count: number): string {
  return ['none', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'][count] ?? String(count)
}

/** Where a channel's documents stand below: a verified targets role. */
export interface ChangeContext {
  readonly targets: VerifiedRole<Targets>
  readonly holders: readonly Holder[]
  /** What is signed, in words: `0a2`. */
  readonly subject: string
  readonly now: Date
}

/**
 * What agents and server will find: every document has its threshold, by the keys that the role above it names, and every manifest is listed with its very
 * bytes and says what its path says. Nothing holds for more than
 * a year. Throws PublishError `unsigned` with the names of those who can still sign, `altered`; TrustError for whatever else is wrong.
 */
export function verifyChange(context: ChangeContext, change: Change): readonly Verified<Manifest>[] {
  for (const [role, bytes] of change.documents) requireLifetime(role, parseDocument(bytes, role).signed, context.now)
  const verified = [...channels].flatMap((channel) => verifyChannel(context, change, channel))
  const manifests: Verified<Manifest>[] = []
  for (const [path, bytes] of change.manifests) {
    const target = verified.map((role) => targetIn(role, path)).find((found) => found !== undefined)
    if (target === undefined)
      throw new PublishError('mismatch', `${path} is listed by none of the documents that were signed`)
    const manifest = verifyTarget(target, bytes, manifestShape)
    const version = parseManifestPath(path)
    if (manifest.value.version !== version)
      throw new PublishError('mismatch', `${path} says it is ${manifest.value.version}`)
    manifests.push(manifest)
  }
  return manifests
}

function verifyChannel(context: ChangeContext, change: Change, channel: Channel): readonly VerifiedRole<Targets>[] {
  const bytes = change.documents.get(channel)
  if (bytes === undefined) return []
  requireThreshold(context, channel, bytes, roleKeysOf(context.targets, channel))
  const role = verifyRole(context.targets, channel, roleTypes.targets, bytes)
  readRole(role, channelRoleShape)
  verifyLines(context.targets, role)
  const lines = [...change.documents].filter(([name]) => name.startsWith(`${channel}-`))
  return [
    role,
    ...lines.map(([name, line]) => {
      requireThreshold(context, name, line, roleKeysOf(role, name))
      const verified = verifyRole(role, name, roleTypes.targets, line)
      verifyLine(verified)
      return verified
    }),
  ]
}

/** The same refusal as verifyRole would give, in the words of the people who can do something about it. */
function requireThreshold({ holders, subject }: ChangeContext, role: string, bytes: Uint8Array, keys: RoleKeys): void {
  const standing = standingOf(parseDocument(bytes), keys, holders)
  if (standing.complete) return
  throw new PublishError('unsigned', standingWords(subject, standing), { role, standing })
}

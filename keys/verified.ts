// The only place where something becomes Verified. Whatever installs, stages or shows signed data asks for a `Verified<T>`, so that code that forgot
// to verify does not compile. Each function here asks for the proof that comes before it:
//
//   trustRoot(bytes)                    a root that somebody vouched for out of band
//   verifyNextRoot(root, bytes)         signed by the keys of this root and by its own
//   verifyRole(delegator, role, …)      signed by the keys that a verified root or targets role names for this role
//   readRole(role, shape)               the same verified tree, read with a narrower shape
//   targetIn(role, path)                what a verified role says about a file
//   verifyTarget(target, bytes, shape)  the file that this speaks of
//
// The order inside each is always: grammar, signatures over the raw tree, then the shape over the same raw tree.
import { hash } from 'node:crypto'
import {
  type Root,
  rootShape,
  snapshotShape,
  type TargetFile,
  type Targets,
  targetsShape,
  timestampShape,
} from '../schema/metadata.ts'
import { parseShape, type Shape } from '../schema/parse-shape.ts'
import { ShapeError } from '../schema/shape-error.ts'
import { parseDocument, type SignedDocument } from './document.ts'
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from './json.ts'
import { type PublicKey, parsePublicKey } from './key.ts'
import { type RoleKeys, type SignatureCount, verifyThreshold } from './threshold.ts'
import { TrustError } from './trust-error.ts'

/** Proof that these bytes were checked against what was trusted before, and what they say. */
export type Verified<T> = VerifiedValue<T>

/** Verified metadata of one role, and who signed it. */
export type VerifiedRole<T> = VerifiedRoleValue<T>

/** What a verified role says about one file: `length` bytes, all of `hashes`. */
export type VerifiedTarget = VerifiedTargetFile

/** A role that may name the keys of other roles. */
export type Delegator = VerifiedRole<Root> | VerifiedRole<Targets>

// The classes stay in this file: outside there are only their types, and a protected member that no other object has.
class VerifiedValue<T> {
  readonly value: T
  /** The file, byte for byte as it was received. */
  readonly bytes: Uint8Array
  protected readonly proof = 'verified'

  constructor(value: T, bytes: Uint8Array) {
    this.value = value
    this.bytes = bytes
  }
}

class VerifiedRoleValue<T> extends VerifiedValue<T> {
  readonly role: string
  readonly signedBy: SignatureCount
  /** The keys that this role names for others, by key id. */
  readonly keys: ReadonlyMap<string, PublicKey>
  /** The raw tree that was signed. */
  readonly signed: JsonObject

  constructor(
    role: string,
    value: T,
    bytes: Uint8Array,
    signedBy: SignatureCount,
    keys: ReadonlyMap<string, PublicKey>,
    signed: JsonObject,
  ) {
    super(value, bytes)
    this.role = role
    this.signedBy = signedBy
    this.keys = keys
    this.signed = signed
  }
}

class VerifiedTargetFile {
  readonly path: string
  readonly length: number
  /** By algorithm, lower-case hexadecimal. */
  readonly hashes: ReadonlyMap<string, string>
  readonly custom: JsonObject | undefined
  /** The role that lists it. */
  readonly role: string
  protected readonly proof = 'verified'

  constructor(path: string, file: TargetFile, role: string) {
    this.path = path
    this.length = file.length
    this.hashes = file.hashes
    this.custom = file.custom
    this.role = role
  }
}

const MAX_KEYS = 256
const MAX_KEYS_PER_ROLE = 16

/**
 * A root that was vouched for out of band: a file on this host's disk, or one whose fingerprint was given. Checked against itself, because a file that
 * its own keys did not sign was damaged. Throws TrustError `malformed`, `too-large`, `bad-key`, `wrong-role`, `unsigned`, `duplicate-signature`.
 */
export function trustRoot(bytes: Uint8Array): VerifiedRole<Root> {
  const document = parseDocument(bytes, 'root')
  return selfSignedRoot(document, bytes)
}

/** The root that comes after `current`: signed by a threshold of both (TUF 5.3.4). Its version is for the caller to check. Throws as `trustRoot`. */
export function verifyNextRoot(current: VerifiedRole<Root>, bytes: Uint8Array): VerifiedRole<Root> {
  const document = parseDocument(bytes, 'root')
  verifyThreshold(document, roleKeysOf(current, 'root'))
  return selfSignedRoot(document, bytes)
}

/**
 * Metadata of `role`, signed by a threshold of the keys that `delegator` names for it. `type` is what `_type` must say. Throws TrustError `not-delegated`
 * if the delegator does not name the role at all, else as `trustRoot`.
 */
export function verifyRole<T>(
  delegator: Delegator,
  role: string,
  type: RoleType<T>,
  bytes: Uint8Array,
): VerifiedRole<T> {
  const document = parseDocument(bytes, role)
  const signedBy = verifyThreshold(document, roleKeysOf(delegator, role))
  const value = readSigned(document.signed, role, type)
  return new VerifiedRoleValue(role, value, bytes, signedBy, keysOf(document.signed, role), document.signed)
}

/** What `_type` says and how the rest reads. */
export interface RoleType<T> {
  readonly type: string
  readonly shape: Shape<T>
}

/** The same verified tree, read with a narrower shape. Throws TrustError `malformed` if it does not have it. */
export function readRole<T>(verified: VerifiedRole<unknown>, shape: Shape<T>): VerifiedRole<T> {
  const value = readShape(shape, verified.signed, verified.role)
  return new VerifiedRoleValue(verified.role, value, verified.bytes, verified.signedBy, verified.keys, verified.signed)
}

/** What this role says about the file at this target path, or undefined if it does not list it. */
export function targetIn(role: VerifiedRole<Targets>, path: string): VerifiedTarget | undefined {
  const file = role.value.targets.get(path)
  return file && new VerifiedTargetFile(path, file, role.role)
}

/**
 * The target's content, if it is exactly `length` bytes and has all hashes that we know, of which there must be one. Throws TrustError `hash`; `malformed`
 * if the content is not strict JSON of this shape.
 */
export function verifyTarget<T>(target: VerifiedTarget, bytes: Uint8Array, shape: Shape<T>): Verified<T> {
  const content = verifyTargetBytes(target, bytes)
  return new VerifiedValue(readShape(shape, parseJson(content.bytes, { subject: target.path }), target.path), bytes)
}

/** As `verifyTarget`, for content that is no JSON. */
export function verifyTargetBytes(target: VerifiedTarget, bytes: Uint8Array): Verified<Uint8Array> {
  checkContent(target.path, bytes, target)
  return new VerifiedValue(bytes, bytes)
}

/** Throws TrustError `hash` unless these bytes have the length, if one is said, and every known hash that is said. No known hash at all is a refusal. */
export function checkContent(
  path: string,
  bytes: Uint8Array,
  said: { length?: number | undefined; hashes?: ReadonlyMap<string, string> | undefined },
): void {
  if (said.length !== undefined && bytes.length !== said.length) {
    throw notAsSaid(path, `${said.length} bytes`, `${bytes.length} bytes`)
  }
  if (said.hashes === undefined) return
  const known = [...said.hashes].filter(([algorithm]) => KNOWN_HASHES.has(algorithm))
  if (known.length === 0) throw notAsSaid(path, 'a sha256 or sha512 hash', [...said.hashes.keys()].join(', '))
  for (const [algorithm, expected] of known) {
    const actual = hash(algorithm, bytes, 'hex')
    if (actual !== expected) throw notAsSaid(path, `${algorithm} ${expected}`, `${algorithm} ${actual}`)
  }
}

const KNOWN_HASHES: ReadonlySet<string> = new Set(['sha256', 'sha512'])

function notAsSaid(path: string, expected: string, actual: string): TrustError {
  return new TrustError('hash', `${path}: expected ${expected}, found ${actual}`, { path, expected, actual })
}

function selfSignedRoot(document: SignedDocument, bytes: Uint8Array): VerifiedRole<Root> {
  const value = readSigned(document.signed, 'root', { type: 'root', shape: rootShape })
  const keys = keysOf(document.signed, 'root')
  const signedBy = verifyThreshold(document, roleKeys('root', value.roles.get('root'), keys))
  return new VerifiedRoleValue('root', value, bytes, signedBy, keys, document.signed)
}

/** Every key that a root or targets document names, each checked before any of them is used. */
function keysOf(signed: JsonObject, role: string): ReadonlyMap<string, PublicKey> {
  const holder = role === 'root' ? signed : signed.delegations
  const keys = isJsonObject(holder) ? holder.keys : undefined
  const objects = Object.entries(isJsonObject(keys) ? keys : {})
  if (objects.length > MAX_KEYS)
    throw new TrustError('too-large', `${role} names ${objects.length} keys, at most ${MAX_KEYS} are allowed`, { role })
  return new Map(objects.map(([keyid, object]) => [keyid, parsePublicKey(keyid, isJsonObject(object) ? object : {})]))
}

/** The keys and the threshold that a verified role names for another. Throws TrustError `not-delegated` if it does not name it. */
export function roleKeysOf(delegator: Delegator, role: string): RoleKeys {
  const { value } = delegator
  const named = isRoot(value)
    ? value.roles.get(role)
    : value.delegations?.roles.find((candidate) => candidate.name === role)
  return roleKeys(role, named, delegator.keys)
}

function isRoot(value: Root | Targets): value is Root {
  return value._type === 'root'
}

function roleKeys(
  role: string,
  named: { keyids: readonly string[]; threshold: number } | undefined,
  keys: ReadonlyMap<string, PublicKey>,
): RoleKeys {
  if (named === undefined) throw new TrustError('not-delegated', `nobody is named to sign for ${role}`, { role })
  if (named.keyids.length > MAX_KEYS_PER_ROLE) {
    throw new TrustError(
      'too-large',
      `${role} has ${named.keyids.length} keys, at most ${MAX_KEYS_PER_ROLE} are allowed`,
      { role },
    )
  }
  // A key id without a key can't sign: it stays in the threshold's way, as it should.
  const present = named.keyids.flatMap((keyid) => keys.get(keyid) ?? [])
  return { role, keys: present, threshold: named.threshold }
}

function readSigned<T>(signed: JsonObject, role: string, expected: RoleType<T>): T {
  const { _type: type } = signed
  if (type !== expected.type) {
    const actual = typeof type === 'string' ? type : 'no type'
    throw new TrustError('wrong-role', `${role}: expected ${expected.type} metadata, found ${actual}`, {
      role,
      expected: expected.type,
      actual,
    })
  }
  return readShape(expected.shape, signed, role)
}

function readShape<T>(shape: Shape<T>, value: JsonValue, subject: string): T {
  try {
    return parseShape(shape, value, subject)
  } catch (cause) {
    if (cause instanceof ShapeError) throw new TrustError('malformed', cause.message, { role: subject }, { cause })
    throw cause
  }
}

/** How each type of metadata reads. */
export const roleTypes = {
  timestamp: { type: 'timestamp', shape: timestampShape },
  snapshot: { type: 'snapshot', shape: snapshotShape },
  targets: { type: 'targets', shape: targetsShape },
} as const

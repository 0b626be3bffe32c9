// One keyring file for each person who holds keys: an age file that opens with a passphrase (the `age` command opens it too), or plain JSON for whoever
// protects the disk in another way. Inside is `netlink.keyring/v1`: the holder, and each key with its name, role and secret.
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { parseShape } from '../schema/parse-shape.ts'
import { keyringShape, type StoredKeyring } from '../schema/trust-state.ts'
import { generateSecret, publicOf } from './ed25519.ts'
import { parseJson } from './json.ts'
import { buildEd25519Signer, type Signer } from './signer.ts'

/** What key files need of the disk. */
export interface KeyFileDisk {
  /** The whole file. */
  readFile(path: string): Promise<Uint8Array>
  /** A new, durable file of exactly this mode. Throws PlatformError `exists` if there is anything of that name. */
  createExclusive(path: string, bytes: Uint8Array, mode: number): Promise<void>
  /** Puts a durable file of this mode in the place of the old one, atomically. */
  replace(path: string, bytes: Uint8Array, mode: number): Promise<void>
  /** `mode` is the permission bits. */
  stat(path: string): Promise<{ readonly mode: number }>
}

export interface KeyFileDeps {
  readonly disk: KeyFileDisk
  /** age's scrypt work factor, the binary logarithm of N; 16 unless said otherwise (0.4 s). Tests take less. */
  readonly scryptLogN?: number
}

/** How a key file is kept: encrypted with a passphrase, or in the clear for whoever protects the disk in another way. */
export type Protection = { readonly kind: 'passphrase'; readonly passphrase: string } | { readonly kind: 'none' }

/** One key of a holder. `role` is the TUF role it signs for: root (and targets with it), timestamp, snapshot, alpha, beta, release. */
export interface KeyEntry {
  readonly name: string
  readonly role: string
}

export interface HeldKey extends KeyEntry {
  readonly signer: Signer
}

/** One holder's keys, decrypted. */
export interface Keyring {
  readonly holder: string
  readonly keys: readonly HeldKey[]
  /** The signers of this role, in the order of the file; an empty list if this holder has none. */
  signersFor(role: string): readonly Signer[]
}

export type KeyFileErrorCode =
  | 'wrong-passphrase' // the file is encrypted, and not with this passphrase
  | 'passphrase-needed' // the file is encrypted, and no passphrase was given
  | 'readable-by-others' // a file in the clear that group or others may read
  | 'not-a-keyring' // neither an age file nor a keyring in the clear, or damaged
  | 'duplicate-name' // a key of this name is there already

/** A key file can't be used. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError'
  readonly code: KeyFileErrorCode
  readonly path: string

  constructor(code: KeyFileErrorCode, path: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.path = path
  }
}

/** A new keyring file (0600, never over an existing one) with a fresh Ed25519 key for each entry. Throws PlatformError `exists`. */
export async function createKeyring(
  deps: KeyFileDeps,
  path: string,
  holder: string,
  entries: readonly KeyEntry[],
  protection: Protection,
): Promise<Keyring> {
  const stored = entries.reduce((keyring, entry) => withFreshKey(keyring, entry, path), emptyKeyring(holder))
  await deps.disk.createExclusive(path, await seal(deps, path, stored, protection), MODE)
  return unlock(stored)
}

/** The holder's keys. Decrypts once: keep the result for the whole command. Throws KeyFileError. */
export async function openKeyring(deps: KeyFileDeps, path: string, passphrase: string | undefined): Promise<Keyring> {
  return unlock((await open(deps, path, passphrase)).stored)
}

/**
 * Adds a fresh key to a keyring and replaces its file, protected as it was. The keyring with it is the result. Throws KeyFileError `duplicate-name`, and
 * as `openKeyring`.
 */
export async function addKey(
  deps: KeyFileDeps,
  path: string,
  entry: KeyEntry,
  passphrase: string | undefined,
): Promise<Keyring> {
  const { stored, protection } = await open(deps, path, passphrase)
  const added = withFreshKey(stored, entry, path)
  await deps.disk.replace(path, await seal(deps, path, added, protection), MODE)
  return unlock(added)
}

/** Takes these keys (by key id) out of a keyring and replaces its file, protected as it was. Their secrets are gone for good. Throws as `openKeyring`. */
export async function removeKeys(
  deps: KeyFileDeps,
  path: string,
  keyids: readonly string[],
  passphrase: string | undefined,
): Promise<Keyring> {
  const { stored, protection } = await open(deps, path, passphrase)
  const left = { ...stored, keys: stored.keys.filter((key) => !keyids.includes(signerOf(key).publicKey.keyid)) }
  await deps.disk.replace(path, await seal(deps, path, left, protection), MODE)
  return unlock(left)
}

const MODE = 0o600
const DEFAULT_SCRYPT_LOG_N = 16
const AGE_HEADER = 'age-encryption.org/v1\n'

type StoredKey = StoredKeyring['keys'][number]

function emptyKeyring(holder: string): StoredKeyring {
  return { schema: 'netlink.keyring/v1', holder, keys: [] }
}

function withFreshKey(keyring: StoredKeyring, { name, role }: KeyEntry, path: string): StoredKeyring {
  if (keyring.keys.some((key) => key.name === name))
    throw new KeyFileError('duplicate-name', path, `${path} already has a key named ${name}`)
  const secret = generateSecret()
  const key = {
    name,
    role,
    keytype: 'ed25519',
    scheme: 'ed25519',
    public: bytesToHex(publicOf(secret)),
    secret: bytesToHex(secret),
  } as const
  return { ...keyring, keys: [...keyring.keys, key] }
}

function unlock(stored: StoredKeyring): Keyring {
  const keys = stored.keys.map((key) => ({ name: key.name, role: key.role, signer: signerOf(key) }))
  return {
    holder: stored.holder,
    keys,
    signersFor: (role) => keys.filter((key) => key.role === role).map((key) => key.signer),
  }
}

function signerOf({ secret }: StoredKey): Signer {
  return buildEd25519Signer(hexToBytes(secret))
}

async function seal(
  deps: KeyFileDeps,
  path: string,
  stored: StoredKeyring,
  protection: Protection,
): Promise<Uint8Array> {
  // Through the shape, so that no file is written that could not be read again.
  const content = `${JSON.stringify(parseShape(keyringShape, stored, 'keyring'), null, 1)}\n`
  if (protection.kind === 'none') return new TextEncoder().encode(content)
  if (protection.passphrase === '')
    throw new KeyFileError('passphrase-needed', path, `${path} needs a passphrase that is not empty`)
  const { Encrypter } = await loadAge()
  const encrypter = new Encrypter()
  encrypter.setPassphrase(protection.passphrase)
  encrypter.setScryptWorkFactor(deps.scryptLogN ?? DEFAULT_SCRYPT_LOG_N)
  return encrypter.encrypt(content)
}

async function open(
  deps: KeyFileDeps,
  path: string,
  passphrase: string | undefined,
): Promise<{ stored: StoredKeyring; protection: Protection }> {
  const bytes = await deps.disk.readFile(path)
  if (!isAge(bytes)) {
    await verifyPrivate(deps, path)
    return { stored: parseKeyring(bytes, path), protection: { kind: 'none' } }
  }
  if (passphrase === undefined)
    throw new KeyFileError('passphrase-needed', path, `${path} is encrypted and needs its passphrase`)
  const content = await decrypt(bytes, path, passphrase)
  return { stored: parseKeyring(content, path), protection: { kind: 'passphrase', passphrase } }
}

function isAge(bytes: Uint8Array): boolean {
  return new TextDecoder().decode(bytes.subarray(0, AGE_HEADER.length)) === AGE_HEADER
}

async function decrypt(bytes: Uint8Array, path: string, passphrase: string): Promise<Uint8Array> {
  const { Decrypter } = await loadAge()
  const decrypter = new Decrypter()
  decrypter.addPassphrase(passphrase)
  try {
    return await decrypter.decrypt(bytes)
  } catch (cause) {
    // age can't tell a wrong passphrase from a damaged file, and neither can we: the first is what mostly happened.
    throw new KeyFileError(
      'wrong-passphrase',
      path,
      `${path} can't be decrypted: the passphrase is wrong, or the file is damaged`,
      { cause },
    )
  }
}

async function verifyPrivate(deps: KeyFileDeps, path: string): Promise<void> {
  const { mode } = await deps.disk.stat(path)
  if ((mode & 0o077) === 0) return
  const found = (mode & 0o777).toString(8).padStart(4, '0')
  throw new KeyFileError(
    'readable-by-others',
    path,
    `${path} is not encrypted and others may use it: expected mode 0600, found ${found}`,
  )
}

function parseKeyring(bytes: Uint8Array, path: string): StoredKeyring {
  try {
    const stored = parseShape(keyringShape, parseJson(bytes), path)
    for (const key of stored.keys) verifyPair(key)
    return stored
  } catch (cause) {
    throw new KeyFileError('not-a-keyring', path, `${path} is not a keyring, or is damaged`, { cause })
  }
}

/** A secret that does not belong to its public half would sign what nobody can verify. */
function verifyPair(key: StoredKey): void {
  const actual = bytesToHex(publicOf(hexToBytes(key.secret)))
  if (actual !== key.public) throw new Error(`key ${key.name}: its public half does not belong to its secret`)
}

/** It takes a tenth of a second to load, and most commands and servers open no encrypted keyring. */
function loadAge(): Promise<typeof import('age-encryption')> {
  return import('age-encryption')
}

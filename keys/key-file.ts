import type { Signer } from './signer.ts'

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
  throw new Error(`soon ${String([deps, path, holder, entries, protection])}`)
}

/** The holder's keys. Decrypts once: keep the result for the whole command. Throws KeyFileError. */
export async function openKeyring(deps: KeyFileDeps, path: string, passphrase: string | undefined): Promise<Keyring> {
  throw new Error(`soon ${String([deps, path, passphrase])}`)
}

/** Adds a fresh key to a keyring and replaces its file. Throws KeyFileError `duplicate-name`, and as `openKeyring`. */
export async function addKey(
  deps: KeyFileDeps,
  path: string,
  entry: KeyEntry,
  protection: Protection,
): Promise<Keyring> {
  throw new Error(`soon ${String([deps, path, entry, protection])}`)
}

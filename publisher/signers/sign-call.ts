import type { ExternalKey } from './signers-file.ts'

/** What signing outside this process needs of the machine. */
export interface SignerDeps {
  /** The first line of a secret's file. */
  readonly readSecret: (path: string) => Promise<string>
  /** The environment that programs get, without this program's own token. */
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** What every way of signing is told. */
export interface SignCall {
  readonly deps: SignerDeps
  /** `bob's root key`. */
  readonly what: string
  /** Paths in the file are relative to this one. */
  readonly folder: string
  readonly key: ExternalKey
  readonly message: Uint8Array
}

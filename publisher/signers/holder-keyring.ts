// One holder's keys, wherever they are: a keyring on this disk, and keys in tokens, services and on other machines. For everything above it is a keyring.
import type { HeldKey, Keyring } from '../../keys/key-file.ts'
import { buildExternalSigner, type Turns } from './external-signer.ts'
import type { SignerDeps } from './sign-call.ts'
import type { ExternalKey, SignersFile } from './signers-file.ts'

/** All keys of a holder; a key of the signers' file stands in the place of the keyring's for the same role. */
export function joinKeyring(
  deps: SignerDeps,
  turns: Turns,
  holder: string,
  keyring: Keyring | undefined,
  file: SignersFile | undefined,
): Keyring {
  const external = file === undefined ? [] : file.keys.map((key) => heldKey(deps, turns, file, key))
  const own = (keyring?.keys ?? []).filter(({ role }) => !external.some((key) => key.role === role))
  return keyringOf(holder, [...external, ...own])
}

function heldKey(deps: SignerDeps, turns: Turns, file: SignersFile, key: ExternalKey): HeldKey {
  return { name: `${file.holder}-${key.role}`, role: key.role, signer: buildExternalSigner(deps, turns, file, key) }
}

/** The same without the keys whose secret is on another machine. */
export function heldHere(keyring: Keyring, file: SignersFile | undefined): Keyring {
  const elsewhere = (file?.keys ?? []).filter(({ place }) => place.kind === 'elsewhere').map(({ role }) => role)
  return keyringOf(
    keyring.holder,
    keyring.keys.filter(({ role }) => !elsewhere.some((one) => one === role)),
  )
}

function keyringOf(holder: string, keys: readonly HeldKey[]): Keyring {
  return { holder, keys, signersFor: (role) => keys.filter((key) => key.role === role).map(({ signer }) => signer) }
}

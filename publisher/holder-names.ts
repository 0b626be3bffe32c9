// Whose key is whose. The folder's configuration says it for the holders it was made with; `key_names` in root and targets say it for everybody who joined
// since, signed like all else there. After a rotation the signed names are newer than the configuration, which then follows.
import { join } from 'node:path'
import type { Disk } from '../keys/platform/disk.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import type { JsonObject } from '../schema/json-value.ts'
import { type Holder, type HolderRole, layoutOf, type PublisherConfig, saveHolders, signersPath } from './config.ts'
import type { Repository } from './repository.ts'
import { holderRoles, keysNamedFor } from './root/edit.ts'

interface Signed {
  readonly root: JsonObject
  readonly targets: JsonObject
}

/**
 * A person's name for a key id: what this folder calls it, else what is signed, else what is only proposed, which is then told as `said to be NAME`; else
 * the beginning of the id. Nobody is renamed by a document.
 */
export function keyNamer(
  holders: readonly Holder[],
  trusted: readonly Signed[],
  proposed?: Signed,
): (keyid: string) => string {
  const names = new Map<string, string>()
  const add = (keyid: string, name: string | undefined) => {
    if (name !== undefined && !names.has(keyid)) names.set(keyid, name)
  }
  const namedBy = (document: Signed) => holderRoles.flatMap((role) => keysNamedFor(document, role))
  for (const { name, keys } of holders) for (const keyid of Object.values(keys)) add(keyid, name)
  for (const { keyid, name } of trusted.flatMap(namedBy)) add(keyid, name)
  for (const { keyid, name } of proposed === undefined ? [] : namedBy(proposed))
    add(keyid, name === undefined ? undefined : `${SAID}${name}`)
  return (keyid) => names.get(keyid) ?? `key ${keyid.slice(0, 16)}`
}

/** As `keyNamer`, by the folder and by what is trusted. */
export function trustedNames(holders: readonly Holder[], { trusted, targets }: Repository): (keyid: string) => string {
  return keyNamer(holders, [{ root: trusted.root.signed, targets: targets.signed }])
}

const SAID = 'said to be '

/** A name of `keyNamer` as `--signer` takes it. */
export function bareName(told: string): string {
  return told.startsWith(SAID) ? told.slice(SAID.length) : told
}

/** A holder's key for a role that a document names: by the configuration, else by the signed names. */
export function namedKeyOf(
  holders: readonly Holder[],
  document: Signed,
  role: HolderRole,
  name: string,
): string | undefined {
  const named = keysNamedFor(document, role)
  const known = holders.find((holder) => holder.name === name)?.keys[role]
  return named.find(({ keyid }) => keyid === known)?.keyid ?? named.find((key) => key.name === name)?.keyid
}

/** The holders as root and targets name them now. `here`: where the keyring of somebody new would lie, null if it is not on this machine. */
export function decideHolders(
  holders: readonly Holder[],
  document: Signed,
  here: (name: string) => Pick<Holder, 'keyring' | 'signers'>,
): readonly Holder[] {
  const signedNames = holderRoles.flatMap((role) => keysNamedFor(document, role).flatMap(({ name }) => name ?? []))
  const names = new Set([...holders.map(({ name }) => name), ...signedNames])
  return [...names].flatMap((name) => {
    const before = holders.find((holder) => holder.name === name)
    const found = (role: HolderRole) => namedKeyOf(holders, document, role, name)
    if (holderRoles.every((role) => found(role) === undefined)) return []
    const keyid = (role: HolderRole) => found(role) ?? before?.keys[role]
    const [root, alpha, beta, release] = [keyid('root'), keyid('alpha'), keyid('beta'), keyid('release')]
    if (root === undefined || alpha === undefined || beta === undefined || release === undefined) return []
    return [{ ...(before ?? here(name)), name, keys: { root, alpha, beta, release } }]
  })
}

/** Lets the configuration follow what root and targets say of people's keys. Returns the holders as they are now. */
export async function followHolders(
  disk: Disk,
  config: PublisherConfig,
  { trusted, targets }: Repository,
): Promise<readonly Holder[]> {
  const here = await placesIn(disk, config.folder)
  const holders = decideHolders(config.holders, { root: trusted.root.signed, targets: targets.signed }, here)
  if (holders.length > 0 && JSON.stringify(holders) !== JSON.stringify(config.holders))
    await saveHolders(disk, config.folder, holders)
  return holders
}

/** The configuration's holders as they stand, and whoever joins with this draft: those who may sign it. */
export async function signersOf(disk: Disk, config: PublisherConfig, draft: Signed): Promise<readonly Holder[]> {
  const known = config.holders.map(({ name }) => name)
  const named = decideHolders([], draft, await placesIn(disk, config.folder))
  return [...config.holders, ...named.filter(({ name }) => !known.includes(name))]
}

/** Where the keys of somebody new are, as far as they are in this folder. */
async function placesIn(disk: Disk, folder: string): Promise<(name: string) => Pick<Holder, 'keyring' | 'signers'>> {
  const present = await keyringsIn(disk, folder)
  return (name) => ({
    keyring: present.includes(`${name}.age`) ? join(layoutOf(folder).keys, `${name}.age`) : null,
    signers: signersPath(folder, name),
  })
}

async function keyringsIn(disk: Disk, folder: string): Promise<readonly string[]> {
  try {
    return (await disk.list(layoutOf(folder).keys)).map(({ name }) => name)
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') return []
    throw error
  }
}

// Where new keys come from: a file that somebody brought, a keyring that is made here, one more key in a keyring that is here, or the server.
import { join, resolve } from 'node:path'
import type { PublicKey } from '../../keys/key.ts'
import { addKey, createKeyring, type Keyring, openKeyring } from '../../keys/key-file.ts'
import { makeDirDurable } from '../../keys/platform/durable.ts'
import { keyNameShape } from '../../schema/trust-state.ts'
import type { Holder, HolderRole } from '../config.ts'
import { keyNamer, namedKeyOf } from '../holder-names.ts'
import { parseSomeOnlineKeys } from '../init.ts'
import { parsePassphraseFile, readPassphraseFile } from '../passphrases.ts'
import { parsePublicKeys, requireRole } from '../public-keys.ts'
import { PublishError } from '../publish-error.ts'
import { keyFileDeps, type Workshop } from '../workshop.ts'
import {
  applyDirectorKeys,
  applyOnlineKeys,
  applyReplacedKey,
  holderRoles,
  keysNamedFor,
  type RootDraft,
} from './edit.ts'

/** How somebody new comes by their keys. */
export interface JoinOptions {
  readonly public?: string
  readonly generate?: boolean
  readonly encrypt: boolean
  readonly dryRun?: boolean
}

/** What new keys for the same people, or for the server, are asked for with. */
export interface RotationOptions {
  readonly role?: readonly HolderRole[]
  readonly public?: readonly string[]
  readonly passphraseFile?: readonly string[]
  readonly dryRun?: boolean
}

/** The keys of somebody who is to hold some. Throws PublishError `usage`, TrustError `bad-key`, PlatformError `exists` for a keyring that is there. */
export async function newHolderKeys(
  workshop: Workshop,
  name: string,
  options: JoinOptions,
  passphraseFile: string | undefined,
): Promise<ReadonlyMap<HolderRole, PublicKey>> {
  if (!keyNameShape.safeParse(name).success)
    throw new PublishError(
      'usage',
      `${JSON.stringify(name)} is no holder's name: expected letters, digits, ".", "_" and "-"`,
    )
  if (workshop.config.holders.some((holder) => holder.name === name))
    throw new PublishError('usage', `${name} holds keys already: netlink-publish root rotate ${name}`)
  if ((options.public === undefined) === (options.generate !== true))
    throw new PublishError('usage', 'say where the keys come from: --public FILE, or --generate')
  if (options.public !== undefined) return readPublicKeys(workshop, options.public)
  if (options.dryRun)
    throw new PublishError('usage', 'there is nothing to try without keys: --dry-run takes --public FILE')
  return generated(await newKeyring(workshop, name, options.encrypt, passphraseFile))
}

async function readPublicKeys({ machine }: Workshop, file: string): Promise<ReadonlyMap<HolderRole, PublicKey>> {
  const path = resolve(machine.cwd, file)
  return parsePublicKeys(await machine.disk.readFile(path, 1_048_576), file)
}

async function newKeyring(
  { machine, layout, output }: Workshop,
  name: string,
  encrypt: boolean,
  passphraseFile: string | undefined,
): Promise<Keyring> {
  const deps = { ...machine, warn: (message: string) => output.warn(message) }
  if (encrypt && passphraseFile === undefined)
    throw new PublishError('usage', `the keyring of ${name} needs --passphrase-file ${name}=FILE, or --no-encrypt`)
  const passphrase =
    passphraseFile === undefined ? undefined : await readPassphraseFile(deps, parsePassphraseFile(passphraseFile).file)
  const path = join(layout.keys, `${name}.age`)
  await makeDirDurable(machine.disk, layout.keys, 0o700)
  const protection =
    encrypt && passphrase !== undefined ? ({ kind: 'passphrase', passphrase } as const) : ({ kind: 'none' } as const)
  const entries = holderRoles.map((role) => ({ name: `${name}-${role}`, role }))
  return createKeyring(keyFileDeps(machine), path, name, entries, protection)
}

function generated(keyring: Keyring): ReadonlyMap<HolderRole, PublicKey> {
  return new Map(
    holderRoles.flatMap((role) => keyring.signersFor(role).map((signer) => [role, signer.publicKey] as const)),
  )
}

/** A draft in which this holder has another key for each of the roles; root unless said. Throws as `newHolderKeys`, KeyFileError. */
export async function rotatePerson(
  workshop: Workshop,
  draft: RootDraft,
  name: string,
  options: RotationOptions,
): Promise<RootDraft> {
  const { config } = workshop
  const roles = options.role ?? ['root']
  const file = options.public?.map(parsePassphraseFile).find(({ holder }) => holder === name)?.file
  let after = draft
  for (const role of roles) {
    const from = namedKeyOf(config.holders, after, role, name)
    if (from === undefined) throw notAHolder(after, config.holders, name)
    const to =
      file === undefined
        ? await freshKey(workshop, after, name, role, options)
        : requireRole(await readPublicKeys(workshop, file), role, name)
    after = applyReplacedKey(after, role, { from, to, name })
  }
  return after
}

/** A key of the keyring that nobody names yet: one that an abandoned change left there, or a new one. */
async function freshKey(
  workshop: Workshop,
  draft: RootDraft,
  name: string,
  role: HolderRole,
  options: RotationOptions,
): Promise<PublicKey> {
  const { machine, config, output } = workshop
  const holder = config.holders.find((one) => one.name === name)
  if (!holder?.keyring)
    throw new PublishError('usage', `the keyring of ${name} is not on this machine`, {
      next: [`netlink-publish root rotate ${name} --public ${name}=FILE`],
    })
  if (options.dryRun)
    throw new PublishError('usage', `there is nothing to try without a key: --dry-run takes --public ${name}=FILE`)
  const files = (options.passphraseFile ?? []).map(parsePassphraseFile)
  const only = config.holders.length === 1 ? files.find((one) => one.holder === undefined) : undefined
  const own = files.find((one) => one.holder === name) ?? only
  const deps = { ...machine, warn: (message: string) => output.warn(message) }
  const passphrase = own === undefined ? undefined : await readPassphraseFile(deps, own.file)
  const before = await openKeyring(keyFileDeps(machine), holder.keyring, passphrase)
  const named = [draft, draft.published].flatMap((one) => keysNamedFor(one, role).map(({ keyid }) => keyid))
  const spare = before.signersFor(role).find(({ publicKey }) => !named.includes(publicKey.keyid))
  if (spare !== undefined) return spare.publicKey
  const entry = { name: freeName(before, `${name}-${role}`), role }
  const keyring = await addKey(keyFileDeps(machine), holder.keyring, entry, passphrase)
  const made = keyring.keys.find((key) => key.name === entry.name)
  if (made === undefined) throw new Error(`${holder.keyring} does not hold ${entry.name} although it was just written`)
  return made.signer.publicKey
}

function freeName({ keys }: Keyring, stem: string): string {
  for (let number = 2; ; number++) {
    const name = `${stem}-${number}`
    if (!keys.some((key) => key.name === name)) return name
  }
}

/** A draft in which the server has, for each role in this file, those keys and no others. Throws PublishError `usage`, TrustError `bad-key`. */
export async function rotateOnline({ machine }: Workshop, draft: RootDraft, file: string): Promise<RootDraft> {
  const bytes = await machine.disk.readFile(resolve(machine.cwd, file), 1_048_576)
  const { snapshot, timestamp, director } = parseSomeOnlineKeys(bytes, file)
  let after = draft
  if (snapshot !== undefined) after = applyOnlineKeys(after, 'snapshot', snapshot)
  if (timestamp !== undefined) after = applyOnlineKeys(after, 'timestamp', timestamp)
  return director === undefined ? after : applyDirectorKeys(after, director)
}

/** Nobody here has this name. */
export function notAHolder(draft: RootDraft, holders: readonly Holder[], name: string): PublishError {
  const nameOf = keyNamer(holders, [draft])
  const known = new Set(holderRoles.flatMap((role) => keysNamedFor(draft, role).map(({ keyid }) => nameOf(keyid))))
  return new PublishError('usage', `${name} holds no key here; holders are ${[...known].join(', ')}`)
}

// Who signs, and with which passphrase. Passphrases come from files or are asked for on a terminal; never from an argument or the environment.
import { basename, resolve } from 'node:path'
import type { Disk } from '../keys/platform/disk.ts'
import type { Holder } from './config.ts'
import { PublishError } from './publish-error.ts'
import { unknownHolder } from './signing.ts'

const MAX_BYTES = 4096

export interface PassphraseDeps {
  readonly disk: Disk
  readonly cwd: string
  readonly warn: (message: string) => void
  /** Asks without showing what is typed; undefined where there is no terminal. */
  readonly ask: ((question: string) => Promise<string>) | undefined
}

/** `--passphrase-file FILE` or `NAME=FILE`. */
export interface PassphraseFile {
  readonly holder: string | undefined
  readonly file: string
}

/** Splits an argument. A file whose own name holds `=` can be written as `./name=of.file`. */
export function parsePassphraseFile(argument: string): PassphraseFile {
  const [, holder, file] = /^([A-Za-z0-9][A-Za-z0-9._-]*)=(.+)$/.exec(argument) ?? []
  return file === undefined ? { holder: undefined, file: argument } : { holder, file }
}

/**
 * `--key FILE` or `NAME=FILE`: the keyring of this holder lies there, on a stick say. A file without a name is named after its holder, as `keys generate` and
 * `init` do it. Throws PublishError `usage` if there is no such holder.
 */
export function placeKeyrings(
  cwd: string,
  holders: readonly Holder[],
  keys: readonly string[],
): { readonly holders: readonly Holder[]; readonly named: readonly string[] } {
  const places = new Map(
    keys.map(parsePassphraseFile).map(({ holder, file }) => [holder ?? basename(file, '.age'), resolve(cwd, file)]),
  )
  for (const name of places.keys())
    if (!holders.some((holder) => holder.name === name)) throw unknownHolder(name, holders)
  return {
    holders: holders.map((holder) => ({ ...holder, keyring: places.get(holder.name) ?? holder.keyring })),
    named: [...places.keys()],
  }
}

/**
 * The holders that sign, in the order they were named, with their passphrases (undefined for a keyring in the clear). A file without a name is for the only
 * signer there is. Throws PublishError `usage` if it is not clear whose a file is, or if somebody's passphrase is missing and nobody can be asked.
 */
export async function readPassphrases(
  deps: PassphraseDeps,
  holders: readonly Holder[],
  asked: {
    readonly signers: readonly string[]
    readonly files: readonly string[]
    readonly isEncrypted: (holder: Holder) => Promise<boolean>
  },
): Promise<ReadonlyMap<string, string | undefined>> {
  const files = asked.files.map(parsePassphraseFile)
  const signing = signingHolders(holders, asked.signers, files)
  const found = new Map<string, string | undefined>()
  for (const holder of signing) {
    const own =
      files.find((file) => file.holder === holder.name) ??
      files.find((file) => file.holder === undefined && signing.length === 1)
    found.set(
      holder.name,
      own === undefined ? await withoutFile(deps, holder, asked.isEncrypted) : await readPassphraseFile(deps, own.file),
    )
  }
  return found
}

/** The holders that sign, in the order they were named; the only one there is where nobody was. Throws PublishError `usage`. */
export function signingHolders(
  holders: readonly Holder[],
  signers: readonly string[],
  files: readonly PassphraseFile[],
): readonly Holder[] {
  return signerNames(holders, signers, files).map((name) => {
    const holder = holders.find((candidate) => candidate.name === name)
    if (holder === undefined) throw unknownHolder(name, holders)
    return holder
  })
}

function signerNames(
  holders: readonly Holder[],
  signers: readonly string[],
  files: readonly PassphraseFile[],
): readonly string[] {
  const fromFiles = files.flatMap(({ holder }) => holder ?? [])
  const names = [...new Set([...signers, ...fromFiles])]
  const stray = fromFiles.find((name) => signers.length > 0 && !signers.includes(name))
  if (stray !== undefined)
    throw new PublishError(
      'usage',
      `there is a passphrase of ${stray}, but ${stray} is not among --signer ${signers.join(', ')}`,
    )
  if (names.length === 0) {
    const [only, ...others] = holders
    if (only !== undefined && others.length === 0) return [only.name]
    throw whoseFile(holders)
  }
  if (names.length > 1 && files.some(({ holder }) => holder === undefined)) throw whoseFile(holders)
  return names
}

function whoseFile(holders: readonly Holder[]): PublishError {
  const names = holders.map(({ name }) => name)
  const [first = 'NAME'] = names
  return new PublishError('usage', `say who signs: holders are ${names.join(', ')}`, {
    next: [`add --signer ${first} --passphrase-file ${first}=FILE`],
  })
}

async function withoutFile(
  deps: PassphraseDeps,
  holder: Holder,
  isEncrypted: (holder: Holder) => Promise<boolean>,
): Promise<string | undefined> {
  if (!(await isEncrypted(holder))) return undefined
  if (deps.ask !== undefined) return deps.ask(`passphrase of ${holder.name}: `)
  throw nobodyToAsk(holder.name)
}

/** A passphrase is missing, and there is no terminal. */
export function nobodyToAsk(name: string): PublishError {
  const message = `the keyring of ${name} needs its passphrase, and there is no terminal to ask on`
  return new PublishError('usage', message, { next: [`add --passphrase-file ${name}=FILE`] })
}

/** The first line of a passphrase file. Others who may read it are worth a warning: it may be a mounted secret whose mode nobody can choose. */
export async function readPassphraseFile(deps: PassphraseDeps, file: string): Promise<string> {
  const path = resolve(deps.cwd, file)
  const bytes = await deps.disk.readFile(path, MAX_BYTES)
  const { mode } = await deps.disk.stat(path)
  if ((mode & 0o077) !== 0)
    deps.warn(`${file} may be read by others (mode ${(mode & 0o777).toString(8)}): chmod 600 ${file}`)
  const passphrase = Buffer.from(bytes).toString('utf8').split(/\r?\n/)[0] ?? ''
  if (passphrase === '') throw new PublishError('usage', `${file} is empty: expected a passphrase on its first line`)
  return passphrase
}

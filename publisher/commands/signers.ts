// `keys import` and `keys check`: keys that are in no keyring, because they lie in a token, behind a program or on another machine.
import { randomBytes } from 'node:crypto'
import { relative, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import type { PublicKey } from '../../keys/key.ts'
import { keyNameShape } from '../../schema/trust-state.ts'
import { channels } from '../../schema/version.ts'
import { findFolder, type HolderRole, signersPath } from '../config.ts'
import type { Output } from '../output.ts'
import { PublishError } from '../publish-error.ts'
import { buildExternalSigner, buildTurns } from '../signers/external-signer.ts'
import { readTokenKey } from '../signers/pkcs11-signer.ts'
import { readPublicKey } from '../signers/public-key.ts'
import { withSignerFacts } from '../signers/signer-error.ts'
import {
  type ExternalKey,
  loadSignersFile,
  parsePkcs11,
  type SecretPlace,
  type SignersFile,
  saveSignersFile,
} from '../signers/signers-file.ts'
import { type Machine, signerDeps } from '../workshop.ts'
import { type CommandContext, collect, type SharedOptions, withFolder } from './context.ts'

const ROLES: readonly HolderRole[] = ['root', ...channels]

interface ImportOptions extends SharedOptions {
  readonly name: string
  readonly role?: readonly string[]
  readonly public?: string
  readonly pkcs11Module?: string
  readonly token?: string
  readonly tokenSerial?: string
  readonly key?: string
  readonly keyId?: string
  readonly pinFile?: string
  readonly pinEnv?: string
  readonly timeout?: string
}

/** Adds `keys import`. */
export function addImport(keys: Command, context: CommandContext): void {
  withFolder(keys.command('import').argument('[program...]', 'after --: a program that signs, and its arguments'))
    .description('register a key that lies in a token, behind a program, or on another machine')
    .requiredOption('--name <holder>', 'whose key this is')
    .addOption(new Option('--role <role>', 'for which roles; all of them unless said').argParser(collect))
    .option('--public <file>', 'its public half: PEM, DER or a key object; a token can be asked instead')
    .option('--pkcs11-module <file>', "the token's PKCS#11 library")
    .option('--token <label>', 'the token by its label')
    .option('--token-serial <number>', 'or by its serial number')
    .option('--key <label>', 'the key by its label')
    .option('--key-id <hex>', 'or by its id in the token')
    .option('--pin-file <file>', "a file with the token's PIN on its first line")
    .option('--pin-env <variable>', 'or the variable that holds it')
    .option('--timeout <seconds>', 'how long signing may take (default: 60)')
    .action((program: readonly string[], options: ImportOptions) =>
      context.perform(options, 'answer', (output) => importKey(context.machine, output, options, program)),
    )
}

async function importKey(
  machine: Machine,
  output: Output,
  options: ImportOptions,
  program: readonly string[],
): Promise<void> {
  const { name } = options
  checkHolder(name)
  const roles = rolesOf(options.role)
  const folder = await findFolder(machine.disk, options.dir, machine.environment, machine.cwd)
  const path = signersPath(folder, name)
  const place = placeOf(machine, options, program)
  const publicKey = await publicKeyOf(machine, output, options, place)
  const before = await loadSignersFile(machine.disk, path, name)
  const kept = (before?.keys ?? []).filter(({ role }) => !roles.includes(role))
  const keys = [...kept, ...roles.map((role): ExternalKey => ({ role, publicKey, place }))]
  await saveSignersFile(machine.disk, { path, holder: name, keys })
  const shown = keys.map(({ role, publicKey: { keyid, object }, place: { kind } }) => ({
    role,
    keyid,
    key: object,
    signs: kind,
  }))
  output.answer(
    'netlink.publish.keys.import/v1',
    { name, signers: path, keys: shown },
    [
      `signers of ${name}: ${relative(machine.cwd, path)}`,
      ...shown.map(({ role, keyid, signs }) => `${role.padEnd(7)}  ${keyid.slice(0, 16)}  ${signs}`),
      'Next:',
      `  netlink-publish keys check ${name}`,
    ].join('\n'),
  )
}

function checkHolder(name: string): void {
  if (!keyNameShape.safeParse(name).success)
    throw new PublishError('usage', `${JSON.stringify(name)} is no holder's name`)
}

function rolesOf(asked: readonly string[] | undefined): readonly HolderRole[] {
  if (asked === undefined) return ROLES
  const stranger = asked.find((role) => !ROLES.some((known) => known === role))
  if (stranger !== undefined)
    throw new PublishError('usage', `--role takes ${ROLES.join(', ')}, not ${JSON.stringify(stranger)}`)
  return ROLES.filter((role) => asked.includes(role))
}

/** Paths of the command line begin here, those of the file beside it: absolute ones mean the same in both. */
function placeOf({ cwd }: Machine, options: ImportOptions, program: readonly string[]): SecretPlace {
  const absolute = (path: string) => (path.includes('/') ? resolve(cwd, path) : path)
  const timeoutMs = timeoutOf(options)
  const [first, ...args] = program
  if (first !== undefined) {
    if (options.pkcs11Module !== undefined)
      throw new PublishError('usage', 'a key is signed with by a program or by a token, not by both')
    return { kind: 'exec', argv: [absolute(first), ...args], timeoutMs }
  }
  const { token, tokenSerial, key, keyId, pinFile, pinEnv, pkcs11Module } = options
  if (pkcs11Module === undefined) {
    if ([token, tokenSerial, key, keyId, pinFile, pinEnv].some((value) => value !== undefined))
      throw new PublishError('usage', 'a token needs --pkcs11-module FILE')
    return { kind: 'elsewhere' }
  }
  const written = {
    module: absolute(pkcs11Module),
    token,
    serial: tokenSerial,
    key,
    key_id: keyId?.toLowerCase(),
    pin_file: pinFile === undefined ? undefined : resolve(cwd, pinFile),
    pin_env: pinEnv,
    timeout_s: timeoutMs / 1000,
  }
  return { kind: 'pkcs11', token: parsePkcs11(written) }
}

function timeoutOf({ timeout = '60' }: ImportOptions): number {
  if (/^[1-9][0-9]{0,2}$/.test(timeout) && Number(timeout) <= 600) return Number(timeout) * 1000
  throw new PublishError('usage', `--timeout takes 1 to 600 seconds, not ${JSON.stringify(timeout)}`)
}

/** From the file, from the token, or from both, and then they agree. */
async function publicKeyOf(
  machine: Machine,
  output: Output,
  options: ImportOptions,
  place: SecretPlace,
): Promise<PublicKey> {
  const brought =
    options.public === undefined
      ? undefined
      : readPublicKey(await machine.disk.readFile(resolve(machine.cwd, options.public), 65_536), options.public)
  if (place.kind !== 'pkcs11') {
    if (brought !== undefined) return brought
    throw new PublishError('usage', 'keys import needs --public FILE: only a token can be asked for its public key', {
      state: 'Nothing was changed.',
      next: ['openssl pkey -in KEY.pem -pubout -out PUBLIC.pem'],
    })
  }
  const what = `${options.name}'s token`
  const found = await readTokenKey(signerDeps(machine, output), what, machine.cwd, place.token)
  if (brought === undefined || brought.material === found.material) return found
  throw new PublishError('mismatch', `${options.public} is not the public half of the key that the token names`, {
    state: 'Nothing was changed.',
  })
}

/** Adds `keys check`. */
export function addKeyCheck(keys: Command, context: CommandContext): void {
  withFolder(keys.command('check').argument('<holder>', 'whose tokens and programs'))
    .description('let each imported key of a holder sign a text that means nothing, and verify it')
    .action((name: string, options: SharedOptions) =>
      context.perform(
        options,
        'answer',
        (output) => checkKeys(context.machine, output, name, options),
        'Nothing was signed.',
      ),
    )
}

async function checkKeys(machine: Machine, output: Output, name: string, options: SharedOptions): Promise<void> {
  checkHolder(name)
  const folder = await findFolder(machine.disk, options.dir, machine.environment, machine.cwd)
  const path = signersPath(folder, name)
  const file = await loadSignersFile(machine.disk, path, name)
  if (file === undefined)
    throw new PublishError('config', `${name} has no imported keys: there is no ${relative(machine.cwd, path)}`, {
      state: 'Nothing was signed.',
      next: ['netlink-publish keys import --help'],
    })
  const checked: { role: string; keyid: string; signs: string }[] = []
  for (const key of file.keys) {
    if (key.place.kind !== 'elsewhere') await probe(machine, output, file, key)
    checked.push({ role: key.role, keyid: key.publicKey.keyid, signs: key.place.kind })
  }
  output.answer(
    'netlink.publish.keys.check/v1',
    { name, signers: path, keys: checked },
    checked
      .map(({ role, keyid, signs }) =>
        [
          role.padEnd(7),
          keyid.slice(0, 16),
          signs === 'elsewhere' ? 'signs on another machine, not tried' : `${signs}, signs`,
        ].join('  '),
      )
      .join('\n'),
  )
}

/** As long as a signed document may well be, and nothing that could ever be taken for one. */
async function probe(machine: Machine, output: Output, file: SignersFile, key: ExternalKey): Promise<void> {
  const message = Buffer.concat([Buffer.from('netlink-publish keys check\n'), randomBytes(4096)])
  const signer = buildExternalSigner(signerDeps(machine, output), buildTurns(), file, key)
  try {
    // Verifies what came before it hands it on.
    await signer.sign(message)
  } catch (error) {
    // Looking again would only say the same.
    throw withSignerFacts(error, { next: ['netlink-publish keys import --help      (to register what signs anew)'] })
  }
}

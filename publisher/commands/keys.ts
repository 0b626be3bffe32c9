// The commands about keys: who holds which, how to recognise the root, keyrings for people who are to join.
import { join, relative, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { createKeyring, openKeyring } from '../../keys/key-file.ts'
import { makeDirDurable } from '../../keys/platform/durable.ts'
import { fingerprintOf, verifyRootBytes } from '../../keys/release.ts'
import { roleKeysOf } from '../../keys/verified.ts'
import { type Column, renderTable } from '../../schema/cli/table.ts'
import { keyNameShape } from '../../schema/trust-state.ts'
import { channels } from '../../schema/version.ts'
import type { Holder, HolderRole } from '../config.ts'
import type { Output } from '../output.ts'
import { parsePassphraseFile, readPassphraseFile } from '../passphrases.ts'
import { PublishError } from '../publish-error.ts'
import { unknownHolder } from '../signing.ts'
import { keyFileDeps, type Machine, type Workshop, withLockedWorkshop, withWorkshop } from '../workshop.ts'
import { type CommandContext, collect, type SharedOptions, withFolder, withShared } from './context.ts'
import { addImport, addKeyCheck } from './signers.ts'

/** Adds `keys list|show|fingerprint|generate|import|check`. */
export function addKeysCommands(program: Command, context: CommandContext): void {
  const keys = program.command('keys').description('who holds keys')
  addList(keys, context)
  addShow(keys, context)
  addFingerprint(keys, context)
  addGenerate(keys, context)
  addImport(keys, context)
  addKeyCheck(keys, context)
}

const COLUMNS: readonly Column[] = [
  { title: 'holder' },
  { title: 'root' },
  { title: 'alpha' },
  { title: 'beta' },
  { title: 'release' },
  { title: 'keyring' },
]

function addList(keys: Command, context: CommandContext): void {
  withShared(keys.command('list'))
    .description('holders, the beginnings of their key ids, and where their keyrings lie')
    .action((options: SharedOptions) =>
      context.perform(options, 'answer', (output) =>
        withWorkshop(context.machine, output, options, async ({ config, machine }) => {
          const holders = await Promise.all(config.holders.map((holder) => describe(machine, holder)))
          const rows = holders.map(({ name, keys: ids, keyring, present, signers }) => [
            name,
            ...Object.values(ids).map((keyid) => keyid.slice(0, 8)),
            [
              ...(keyring === null ? [] : [`${relative(machine.cwd, keyring)}${present ? '' : ' (not here)'}`]),
              ...(signers === null ? [] : [relative(machine.cwd, signers)]),
            ].join(', ') || 'elsewhere',
          ])
          output.answer(
            'netlink.publish.keys.list/v1',
            { holders },
            renderTable(COLUMNS, rows, { color: context.streams.color, width: null }),
          )
        }),
      ),
    )
}

async function describe({ disk }: Machine, { name, keys, keyring, signers }: Holder) {
  const isThere = (path: string) =>
    disk.stat(path).then(
      () => true,
      () => false,
    )
  const present = keyring !== null && (await isThere(keyring))
  return { name, keys, keyring, present, signers: (await isThere(signers)) ? signers : null }
}

function addShow(keys: Command, context: CommandContext): void {
  withShared(keys.command('show').argument('<holder>', 'a name from `keys list`'))
    .description('the public keys of one holder as they stand in signed metadata')
    .action((name: string, options: SharedOptions) =>
      context.perform(options, 'answer', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish keys show', async (workshop) => {
          const holder = workshop.config.holders.find((one) => one.name === name)
          if (holder === undefined) throw unknownHolder(name, workshop.config.holders)
          const shown = await publicKeysOf(workshop, holder)
          output.answer('netlink.publish.keys.show/v1', { name, keys: shown }, [name, ...shownWords(shown)].join('\n'))
        }),
      ),
    )
}

/** Each key once, with the roles that it is for. */
function shownWords(shown: Awaited<ReturnType<typeof publicKeysOf>>): readonly string[] {
  return [...new Set(shown.map(({ keyid }) => keyid))].map((id) => {
    const same = shown.filter(({ keyid }) => keyid === id)
    const named = same.filter(({ trusted }) => trusted)
    const unnamed = same.filter(({ trusted }) => !trusted).map(({ role }) => role)
    return [
      `${same.map(({ role }) => role).join(', ')}   ${id}`,
      ...(named[0] === undefined ? [] : [`  ${JSON.stringify(named[0].key)}`]),
      ...(unnamed.length === 0
        ? []
        : [`  not named by the repository${named.length === 0 ? '' : ` for ${unnamed.join(', ')}`}`]),
    ].join('\n')
  })
}

/** What the repository itself says about these key ids: a key that it does not name signs nothing. */
async function publicKeysOf(workshop: Workshop, holder: Holder) {
  const { trusted, targets } = await workshop.refresh()
  return (['root', ...channels] as const).map((role: HolderRole) => {
    const named = role === 'root' ? roleKeysOf(trusted.root, 'root') : roleKeysOf(targets, role)
    const key = named.keys.find(({ keyid }) => keyid === holder.keys[role])
    return { role, keyid: holder.keys[role], trusted: key !== undefined, key: key?.object ?? null }
  })
}

function addFingerprint(keys: Command, context: CommandContext): void {
  withShared(keys.command('fingerprint'))
    .description("what people read to each other to agree on this repository's root")
    .action((options: SharedOptions) =>
      context.perform(options, 'answer', (output) =>
        withWorkshop(context.machine, output, options, async ({ layout, machine }) => {
          const root = await machine.disk.readFile(layout.root)
          const { value } = verifyRootBytes(root)
          const fingerprint = fingerprintOf(root)
          output.answer(
            'netlink.publish.keys.fingerprint/v1',
            { root: layout.root, root_version: value.version, product: value.product ?? null, fingerprint },
            `sha256 ${fingerprint}   ${relative(machine.cwd, layout.root)} (v${value.version}, product ${value.product ?? 'none'})`,
          )
        }),
      ),
    )
}

interface GenerateOptions extends SharedOptions {
  readonly name: string
  readonly role?: readonly string[]
  readonly passphraseFile?: string
  readonly encrypt: boolean
  readonly out?: string
}

const HOLDER_ROLES = ['root', ...channels] as const

function addGenerate(keys: Command, context: CommandContext): void {
  withFolder(keys.command('generate'))
    .description('a new keyring; its keys sign nothing until root and targets name them')
    .requiredOption('--name <holder>', 'whose keys these are')
    .addOption(
      new Option('--role <role>', 'for which roles; all of them unless said').choices(HOLDER_ROLES).argParser(collect),
    )
    .option('--passphrase-file <file>', 'protects the keyring')
    .option('--no-encrypt', 'keep it in the clear: for a disk that is protected in another way')
    .option('--out <file>', 'where to write it (default: keys/NAME.age in the folder)')
    .action((options: GenerateOptions) =>
      context.perform(options, 'answer', (output) => generate(context.machine, output, options), 'Nothing was made.'),
    )
}

async function generate(machine: Machine, output: Output, options: GenerateOptions): Promise<void> {
  const { name } = options
  if (!keyNameShape.safeParse(name).success)
    throw new PublishError('usage', `${JSON.stringify(name)} is no holder's name`)
  const roles = [...new Set(options.role ?? HOLDER_ROLES)]
  const stranger = roles.find((role) => !HOLDER_ROLES.some((known) => known === role))
  if (stranger !== undefined)
    throw new PublishError('usage', `--role takes ${HOLDER_ROLES.join(', ')}, not ${JSON.stringify(stranger)}`)
  const path =
    options.out === undefined
      ? join(resolve(machine.cwd, options.dir ?? 'pub'), 'keys', `${name}.age`)
      : resolve(machine.cwd, options.out)
  const passphrase = await newPassphrase(machine, output, options)
  await makeDirDurable(machine.disk, join(path, '..'), 0o700)
  const protection =
    passphrase === undefined ? ({ kind: 'none' } as const) : ({ kind: 'passphrase', passphrase } as const)
  const entries = roles.map((role) => ({ name: `${name}-${role}`, role }))
  await createKeyring(keyFileDeps(machine), path, name, entries, protection)
  // Read back: a keyring that can't be opened again is worth nothing, and now is when to know.
  const { keys } = await openKeyring(keyFileDeps(machine), path, passphrase)
  const shown = keys.map(({ role, signer }) => ({ role, keyid: signer.publicKey.keyid, key: signer.publicKey.object }))
  output.answer(
    'netlink.publish.keys.generate/v1',
    { name, keyring: path, keys: shown },
    [
      `keyring of ${name}: ${relative(machine.cwd, path)}`,
      ...shown.map(({ role, keyid }) => `${role}   ${keyid}`),
    ].join('\n'),
  )
}

async function newPassphrase(
  machine: Machine,
  output: Output,
  { encrypt, passphraseFile, name }: GenerateOptions,
): Promise<string | undefined> {
  if (!encrypt) return undefined
  const deps = {
    disk: machine.disk,
    cwd: machine.cwd,
    ask: machine.ask,
    warn: (message: string) => output.warn(message),
  }
  if (passphraseFile !== undefined) return readPassphraseFile(deps, parsePassphraseFile(passphraseFile).file)
  if (machine.ask !== undefined) return machine.ask(`new passphrase for ${name}: `)
  throw new PublishError('usage', 'a keyring needs --passphrase-file FILE, and there is no terminal to ask on', {
    state: 'Nothing was made.',
  })
}

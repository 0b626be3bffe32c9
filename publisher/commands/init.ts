import { relative, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { isThere } from '../../keys/platform/if-there.ts'
import { fingerprintOf } from '../../keys/release.ts'
import { productShape } from '../../schema/manifest.ts'
import { keyNameShape } from '../../schema/trust-state.ts'
import { buildClient, type PublishClient } from '../client.ts'
import { findFolder, layoutOf, loadConfig, normalizeServer, type PublisherConfig, signersPath } from '../config.ts'
import {
  checkPresent,
  checkThreshold,
  decideOnlineKeys,
  handOverChannels,
  handOverRoot,
  type Initial,
  loadUnfinished,
  makePublisher,
  type NewHolder,
  parseOnlineKeys,
  unmakePublisher,
} from '../init.ts'
import type { Output } from '../output.ts'
import { parsePassphraseFile, readPassphraseFile } from '../passphrases.ts'
import { PublishError } from '../publish-error.ts'
import { withRetry } from '../retry.ts'
import { loadSignersFile } from '../signers/signers-file.ts'
import { needsKeyring } from '../signing.ts'
import { findToken, type Machine, openFetcher, overridesOf, signerDeps, withWorkshop } from '../workshop.ts'
import { type CommandContext, collect, type SharedOptions, withShared } from './context.ts'

interface InitOptions extends SharedOptions {
  readonly product: string
  readonly signers?: string
  readonly threshold?: string
  readonly passphraseFile?: readonly string[]
  readonly encrypt: boolean
  readonly onlineKeys?: string
  readonly allowThresholdEqualsKeys?: boolean
  readonly dryRun?: boolean
}

/** The one holder of a repository for which nobody was named. */
const ONLY_HOLDER = 'owner'

/** Adds `init`. */
export function addInit(program: Command, context: CommandContext): void {
  withShared(program.command('init'))
    .description('make keys, sign the first root, and hand it to a server that has none')
    .requiredOption('--product <name>', 'what this repository is for; stands in root for good')
    .option('--signers <names>', 'who holds keys, with commas between')
    .option('--threshold <number>', 'how many of them must sign')
    .addOption(new Option('--passphrase-file <file>', 'FILE, or NAME=FILE for each holder; repeat').argParser(collect))
    .option('--no-encrypt', 'keep keyrings in the clear: for disks that are protected in another way')
    .option('--online-keys <file>', "the server's public online keys, for a server on another machine")
    .option('--allow-threshold-equals-keys', 'accept that one lost key ends the repository')
    .option('--dry-run', 'check everything, make nothing')
    .action((options: InitOptions) =>
      context.perform(options, 'answer', (output) => init(context.machine, output, options)),
    )
}

async function init(machine: Machine, output: Output, options: InitOptions): Promise<void> {
  const folder = await findFolder(machine.disk, options.dir, machine.environment, machine.cwd)
  if (await isThere(machine.disk, layoutOf(folder).config)) return resume(machine, output, options, folder)
  const product = parseProduct(options.product)
  const holders = await newHolders(machine, output, options, folder)
  const threshold = options.threshold === undefined ? defaultThreshold(holders.length) : Number(options.threshold)
  checkThreshold(holders.length, threshold, options.allowThresholdEqualsKeys ?? false)
  checkPresent(holders, threshold)
  if (holders.length === 1) {
    output.warn(
      'one key signs everything: whoever has it can publish, and if it is lost nothing can be published any more (--signers a,b,c --threshold 2)',
    )
  }
  const { server, tokenFile } = requiredServer(machine, options)
  const transport = {
    insecureHttp: options.insecureHttp ?? false,
    caFile: options.ca === undefined ? null : resolve(machine.cwd, options.ca),
  }
  const fetcher = await openFetcher(machine, transport)
  try {
    const token = await findToken(machine, { file: tokenFile, isFlag: true })
    const client = buildClient({ fetcher, server, ...token, signal: machine.signal })
    const state = await firstState(machine, output, client)
    if (state.root_version > 0) throw serverHasRepository(server, state.product)
    const fromFile = await onlineKeysFile(machine, options.onlineKeys)
    const online = decideOnlineKeys(server, state, fromFile)
    if (options.dryRun) return sayDryRun(output, { folder, product, server, holders, threshold })
    const request = { folder, product, server, tokenFile, ...transport, holders, threshold, online }
    const initial = await makePublisher(machine, {
      ...request,
      signers: signerDeps(machine, output),
      allowThresholdEqualsKeys: options.allowThresholdEqualsKeys ?? false,
    })
    await handOverOrUndo(machine, client, initial)
    await sayDone(machine, output, initial, threshold)
  } finally {
    fetcher.close()
  }
}

/** Whoever types the two commands one after the other has a server that is still starting: it gets 7 seconds. */
const STARTING_MS = [250, 750, 1_500, 2_000, 2_500]

function firstState(machine: Machine, output: Output, client: PublishClient) {
  const onRetry = (error: Error) => output.warn(`${error.message}; waiting for the server to start`)
  return withRetry({ clock: machine.clock, signal: machine.signal, pausesMs: STARTING_MS, onRetry }, () =>
    client.state(),
  )
}

function defaultThreshold(count: number): number {
  return count < 3 ? 1 : 2
}

function parseProduct(text: string): string {
  const parsed = productShape.safeParse(text)
  if (parsed.success) return parsed.data
  throw new PublishError(
    'usage',
    `${JSON.stringify(text)} is no product's name: expected 1 to 64 of a-z, 0-9, "-" and "."`,
  )
}

function requiredServer(machine: Machine, options: InitOptions): { server: string; tokenFile: string } {
  const { server, tokenFile } = overridesOf(options, machine.environment)
  if (server === undefined) throw new PublishError('usage', 'init needs --server URL')
  if (tokenFile === undefined)
    throw new PublishError('usage', 'init needs --token-file FILE: the publish token that netlink-server init made')
  return { server: normalizeServer(server), tokenFile: resolve(machine.cwd, tokenFile) }
}

async function newHolders(
  machine: Machine,
  output: Output,
  options: InitOptions,
  folder: string,
): Promise<readonly NewHolder[]> {
  const files = (options.passphraseFile ?? []).map(parsePassphraseFile)
  const named = options.signers?.split(',').map((name) => name.trim()) ?? files.flatMap(({ holder }) => holder ?? [])
  const names = named.length === 0 ? [ONLY_HOLDER] : named
  checkNames(
    names,
    files.flatMap(({ holder }) => holder ?? []),
  )
  const deps = {
    disk: machine.disk,
    cwd: machine.cwd,
    ask: machine.ask,
    warn: (message: string) => output.warn(message),
  }
  const holders: NewHolder[] = []
  for (const name of names) {
    const own = files.find(({ holder }) => holder === name) ?? files.find(({ holder }) => holder === undefined)
    const imported = await loadSignersFile(machine.disk, signersPath(folder, name), name)
    if (!options.encrypt || !needsKeyring(imported)) holders.push({ name, imported, passphrase: undefined })
    else if (own !== undefined) holders.push({ name, imported, passphrase: await readPassphraseFile(deps, own.file) })
    else holders.push({ name, imported, passphrase: await askTwice(machine, name) })
  }
  if (names.length > 1 && options.encrypt && files.some(({ holder }) => holder === undefined)) {
    output.warn('several holders share one passphrase: give each --passphrase-file NAME=FILE')
  }
  return holders
}

function checkNames(names: readonly string[], withFiles: readonly string[]): void {
  for (const name of names) {
    if (!keyNameShape.safeParse(name).success)
      throw new PublishError(
        'usage',
        `${JSON.stringify(name)} is no holder's name: expected letters, digits, ".", "_" and "-"`,
      )
  }
  if (new Set(names).size !== names.length) throw new PublishError('usage', `every holder once: ${names.join(', ')}`)
  const stranger = withFiles.find((name) => !names.includes(name))
  if (stranger !== undefined)
    throw new PublishError(
      'usage',
      `${stranger} has a passphrase file but is not among the signers ${names.join(', ')}`,
    )
}

async function askTwice(machine: Machine, name: string): Promise<string> {
  if (machine.ask === undefined) {
    throw new PublishError('usage', `the keyring of ${name} needs a passphrase, and there is no terminal to ask on`, {
      state: 'Nothing was made.',
      next: ['(umask 077; openssl rand -hex 16 > pass), then add --passphrase-file pass'],
    })
  }
  const first = await machine.ask(`new passphrase for ${name}: `)
  if (first === '' || first !== (await machine.ask('once more: '))) {
    throw new PublishError('usage', 'the passphrases are empty or not the same', { state: 'Nothing was made.' })
  }
  return first
}

async function onlineKeysFile(machine: Machine, file: string | undefined) {
  if (file === undefined) return undefined
  const path = resolve(machine.cwd, file)
  return parseOnlineKeys(await machine.disk.readFile(path, 1_048_576), file)
}

/** A refusal undoes everything; silence does not, because a server that answered into a cut line may trust these keys now. */
async function handOverOrUndo(machine: Machine, client: PublishClient, initial: Initial): Promise<void> {
  const { folder } = initial.config
  const documents = await loadUnfinished(machine, folder)
  if (documents === undefined) throw new Error(`what was just written to ${folder} is not there`)
  try {
    await handOverRoot(client, documents)
  } catch (error) {
    const status = error instanceof PublishError ? (error.facts.status ?? 0) : 0
    const isRefusal = status >= 400 && status < 500 && status !== 429
    const isUnknown = !isRefusal && (await client.state().catch(() => undefined))?.root_version !== 0
    if (isUnknown) throw unfinished(folder, error)
    await unmakePublisher(machine, initial)
    throw error
  }
  await handOverChannels(machine, folder, client, documents).catch((error: unknown) => {
    throw unfinished(folder, error)
  })
}

function unfinished(folder: string, cause: unknown): PublishError {
  const message = `the keys are made, but it is not known whether the server took the root: ${cause instanceof Error ? cause.message : String(cause)}`
  return new PublishError(
    'server',
    message,
    {
      status: 503,
      state: `Everything is kept in ${folder}; the same command goes on from here.`,
      next: [
        `netlink-publish init --dir ${folder} --product NAME --server URL --token-file FILE --passphrase-file FILE`,
      ],
    },
    { cause },
  )
}

/** A folder that has been initialised: nothing to do but what an interrupted init left over. */
async function resume(machine: Machine, output: Output, options: InitOptions, folder: string): Promise<void> {
  const documents = await loadUnfinished(machine, folder)
  const config = await loadConfig(machine.disk, folder, overridesOf(options, machine.environment), machine.cwd)
  if (documents === undefined) {
    throw new PublishError(
      'initialized',
      `${folder} is a publisher's folder already, of the product ${config.product}`,
      {
        state: 'Nothing was changed.',
        next: [`netlink-publish status --dir ${folder}`],
      },
    )
  }
  await withWorkshop(machine, output, { ...options, dir: folder }, async (workshop) => {
    const client = await workshop.client()
    await handOverRoot(client, documents)
    await handOverChannels(machine, folder, client, documents)
    const root = documents.get('root') ?? new Uint8Array()
    await sayDone(machine, output, { config, root, fingerprint: fingerprintOf(root) }, undefined)
  })
}

function serverHasRepository(server: string, product: string | null): PublishError {
  return new PublishError(
    'initialized',
    `${server} already has a repository, of the product ${product ?? 'unknown'}: one server holds one`,
    {
      state: 'Nothing was made.',
      next: ['use the folder that was initialised with it, or another server'],
    },
  )
}

function sayDryRun(
  output: Output,
  facts: { folder: string; product: string; server: string; holders: readonly NewHolder[]; threshold: number },
): void {
  const names = facts.holders.map(({ name }) => name)
  output.answer(
    'netlink.publish.init/v1',
    {
      dry_run: true,
      product: facts.product,
      server: facts.server,
      folder: facts.folder,
      holders: names,
      threshold: facts.threshold,
    },
    `would make keys for ${names.join(', ')} (threshold ${facts.threshold}) in ${facts.folder} and hand the root to ${facts.server}\nNothing was made.`,
  )
}

async function sayDone(
  machine: Machine,
  output: Output,
  initial: Initial,
  threshold: number | undefined,
): Promise<void> {
  const { config, fingerprint } = initial
  const root = layoutOf(config.folder).root
  const shown = relative(machine.cwd, root).startsWith('..') ? root : relative(machine.cwd, root)
  const dir = relative(machine.cwd, config.folder) || '.'
  const signers = config.holders.map(({ name }) => name)
  const needed = signers.slice(0, threshold ?? 1).map((name) => `--signer ${name} --passphrase-file ${name}=FILE`)
  const how = signers.length === 1 ? '--passphrase-file FILE' : needed.join(' ')
  output.answer(
    'netlink.publish.init/v1',
    {
      dry_run: false,
      product: config.product,
      server: config.server,
      folder: config.folder,
      root,
      fingerprint,
      holders: signers,
      threshold: threshold ?? null,
    },
    [
      `product ${config.product} at ${config.server}`,
      ...keysWords(config.holders, dir),
      ...(threshold === undefined ? [] : [`threshold ${threshold}`, ...spareWords(signers.length, threshold)]),
      `root    ${shown}`,
      `        sha256 ${fingerprint}`,
      'Next:',
      `  netlink-publish release 0a1 --dir ${dir} --from DIR ${how}`,
      `  netlink agent enroll --server ${config.server} --token-file FILE --trust-root ${shown} --channel alpha      (on a host)`,
    ].join('\n'),
  )
}

/** Whose keyrings were made here; a holder's imported keys are wherever they were. */
function keysWords(holders: PublisherConfig['holders'], dir: string): readonly string[] {
  const names = (isHere: boolean) =>
    holders.filter(({ keyring }) => (keyring !== null) === isHere).map(({ name }) => name)
  const [here, away] = [names(true), names(false)]
  return [
    ...(here.length === 0 ? [] : [`keys of ${here.join(', ')} in ${dir}/keys`]),
    ...(away.length === 0 ? [] : [`keys of ${away.join(', ')} as ${dir}/keys/NAME.signers.yml says`]),
  ]
}

/** What a threshold means for the day on which somebody's keys are gone. */
function spareWords(count: number, threshold: number): readonly string[] {
  const spare = count - threshold
  if (count === 1) return []
  if (spare === 0)
    return ['        all of them have to sign: when one keyring is lost, nothing can be published any more']
  const any = threshold === 1 ? 'any one of them signs alone' : `any ${threshold} of them sign`
  return [`        ${any}; the repository outlives ${spare} lost keyring${spare === 1 ? '' : 's'}`]
}

// What every command works with: the folder's configuration, and ways to disk, clock, server and the person who runs it.
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { KeyFileDeps, Keyring } from '../keys/key-file.ts'
import { buildKeyFileDisk } from '../keys/key-file-disk.ts'
import type { Clock } from '../keys/platform/clock.ts'
import type { Disk } from '../keys/platform/disk.ts'
import { makeDirDurable } from '../keys/platform/durable.ts'
import { createFetcher, type Fetcher } from '../keys/platform/fetch.ts'
import { acquireLock } from '../keys/platform/lock.ts'
import { fingerprintOf, type TargetSource } from '../keys/release.ts'
import { TrustError } from '../keys/trust-error.ts'
import { Failure } from '../schema/cli/failure.ts'
import { type ClientDeps, TOKEN_VARIABLE } from './ask-server.ts'
import { buildClient, type PublishClient } from './client.ts'
import {
  type Environment,
  findFolder,
  type Holder,
  layoutOf,
  loadConfig,
  normalizeServer,
  type PublisherConfig,
} from './config.ts'
import { isOlderThanSeen } from './driven-up.ts'
import { buildEventClient, type EventClient } from './event/client.ts'
import { failureFactsOf } from './failure-facts.ts'
import type { Output } from './output.ts'
import {
  nobodyToAsk,
  parsePassphraseFile,
  placeKeyrings,
  readPassphraseFile,
  readPassphrases,
  signingHolders,
} from './passphrases.ts'
import { buildHttpRepository, buildLocalRepository, type PublicRepository } from './public-repository.ts'
import { PublishError } from './publish-error.ts'
import {
  loadRepository,
  manifestsFolder,
  type Repository,
  type RepositoryDeps,
  refreshRepository,
} from './repository.ts'
import type { SignerDeps } from './signers/sign-call.ts'
import { loadSignersFile } from './signers/signers-file.ts'
import { needsKeyring, notOnThisMachine, openKeyrings } from './signing.ts'

/** The machine, as main.ts knows it. */
export interface Machine {
  readonly disk: Disk
  readonly clock: Clock
  readonly cwd: string
  readonly environment: Environment
  readonly userAgent: string
  /** Aborted by the first Ctrl-C. */
  readonly signal: AbortSignal
  /** Asks without showing what is typed; undefined where there is no terminal. */
  readonly ask: ((question: string) => Promise<string>) | undefined
  /** Asks whether to go on; undefined where there is no terminal. */
  readonly confirm?: ((question: string) => Promise<boolean>) | undefined
  /** age's work factor where tests make keys; undefined: the safe default. */
  readonly scryptLogN?: number | undefined
}

/** Flags that every command shares. */
export interface CommonOptions {
  readonly dir?: string
  readonly server?: string
  readonly tokenFile?: string
  readonly insecureHttp?: boolean
  readonly ca?: string
}

export interface Workshop {
  readonly machine: Machine
  readonly config: PublisherConfig
  readonly layout: ReturnType<typeof layoutOf>
  readonly output: Output
  readonly fetcher: Fetcher
  /** With the publish token; read when it is first needed. */
  client(): Promise<PublishClient>
  /** The server's part in signing events, with the same token. */
  events(): Promise<EventClient>
  /** The repository as it is published at an address; the server's own unless said otherwise. */
  published(address?: string): PublicRepository
  /** The trusted copy, brought up to date from there. `at`: the moment that expiries are compared with, for what was carried by hand. `report`: what has expired is taken too, to be signed anew. */
  refresh(
    from?: Pick<PublicRepository, 'metadata' | 'targets'>,
    expiry?: 'enforce' | 'report',
    at?: Date,
  ): Promise<Repository>
  /** The trusted copy as it is; `targets`: where manifests come from, if not from the folder. */
  offline(targets?: TargetSource): Promise<Repository>
  /** The keyrings of those who sign; of the configuration's holders unless others are named. */
  openKeyrings(options: SignerOptions, holders?: readonly Holder[]): Promise<readonly Keyring[]>
  /** Whether these could be opened, as far as that can be told without opening or asking. Throws as `openKeyrings` where not. */
  requireSigners(options: SignerOptions, holders: readonly Holder[]): Promise<void>
}

export interface SignerOptions {
  readonly signer?: readonly string[]
  readonly passphraseFile?: readonly string[]
  readonly key?: readonly string[]
}

/** Whether the command line names anybody who signs. */
export function asksToSign({ signer = [], passphraseFile = [], key = [] }: SignerOptions): boolean {
  return signer.length > 0 || passphraseFile.length > 0 || key.length > 0
}

/** Opens the folder that the flags name and runs `use`; connections are closed afterwards. */
export async function withWorkshop<T>(
  machine: Machine,
  output: Output,
  options: CommonOptions,
  use: (workshop: Workshop) => Promise<T>,
): Promise<T> {
  const { disk, cwd, environment } = machine
  const folder = await findFolder(disk, options.dir, environment, cwd)
  const config = await loadConfig(disk, folder, overridesOf(options, environment), cwd)
  const fetcher = await openFetcher(machine, config)
  try {
    return await use(buildWorkshop(machine, output, config, fetcher, options))
  } catch (error) {
    // Here keys still have the names of their people.
    if (!(error instanceof TrustError) || machine.signal.aborted) throw error
    throw new Failure(failureFactsOf(error, output.untouched, config.holders), { cause: error })
  } finally {
    fetcher.close()
  }
}

/**
 * For whoever has a root and no publisher's folder: looks in a folder of its own, which is gone afterwards. `product`: of that root; `server`: the address that
 * is looked at unless --server or NETLINK_SERVER names one; undefined where none is asked.
 */
export async function withStranger<T>(
  machine: Machine,
  output: Output,
  options: CommonOptions,
  { product, server }: { readonly product: string; readonly server: string | undefined },
  use: (workshop: Workshop) => Promise<T>,
): Promise<T> {
  const { disk, cwd } = machine
  const folder = join(tmpdir(), `netlink-publish-${randomBytes(8).toString('hex')}`)
  const above = overridesOf(options, machine.environment)
  const config: PublisherConfig = {
    ...{ folder, product, holders: [], tokenFile: join(folder, 'none') },
    server: normalizeServer(above.server ?? server ?? 'https://server.invalid'),
    insecureHttp: above.insecureHttp ?? false,
    caFile: above.caFile === undefined ? null : resolve(cwd, above.caFile),
  }
  const fetcher = await openFetcher(machine, config)
  try {
    return await use(buildWorkshop(machine, output, config, fetcher, {}))
  } finally {
    fetcher.close()
    await disk.removeTree(folder)
  }
}

/** As `withWorkshop`, for commands that change something: one at a time in a folder. */
export async function withLockedWorkshop<T>(
  machine: Machine,
  output: Output,
  options: CommonOptions,
  owner: string,
  use: (workshop: Workshop) => Promise<T>,
): Promise<T> {
  return withWorkshop(machine, output, options, async (workshop) => {
    const lock = await acquireLock(workshop.layout.lock, { owner, waitMs: 10_000, signal: machine.signal })
    try {
      return await use(workshop)
    } finally {
      await lock.release()
    }
  })
}

export function overridesOf(options: CommonOptions, environment: Environment) {
  return {
    server: options.server ?? environment.server,
    tokenFile: options.tokenFile,
    insecureHttp: options.insecureHttp,
    caFile: options.ca,
  }
}

/** A client for this configuration's transport rules. */
export async function openFetcher(
  { disk, clock, environment, userAgent }: Machine,
  transport: { readonly caFile: string | null; readonly insecureHttp: boolean },
): Promise<Fetcher> {
  const ca = transport.caFile === null ? {} : { ca: await disk.readFile(transport.caFile, 1_048_576) }
  return createFetcher({ userAgent, clock, insecureHttp: transport.insecureHttp, proxy: environment.proxy, ...ca })
}

function buildWorkshop(
  machine: Machine,
  output: Output,
  config: PublisherConfig,
  fetcher: Fetcher,
  { tokenFile }: Pick<CommonOptions, 'tokenFile'>,
): Workshop {
  const { disk, clock, signal } = machine
  const layout = layoutOf(config.folder)
  const repositoryDeps: RepositoryDeps = {
    ...{ disk, clock, signal, folder: layout.repository, firstRoot: layout.root, product: config.product },
    onFirstRoot: (root) =>
      output.warn(
        `${layout.repository} begins again with ${layout.root}: compare its fingerprint with another holder's: ${fingerprintOf(root)}`,
      ),
  }
  const published = (address?: string) => buildHttpRepository(fetcher, address ?? config.server)
  const clientDeps = async () => ({
    fetcher,
    server: config.server,
    ...(await findToken(machine, { file: config.tokenFile, isFlag: tokenFile !== undefined })),
    signal,
  })
  return {
    machine,
    config,
    layout,
    output,
    fetcher,
    published,
    client: async () => buildClient(await clientDeps()),
    events: async () => buildEventClient(await clientDeps()),
    refresh: async (from, expiry = 'enforce', at = undefined) => {
      await makeDirDurable(disk, layout.repository, 0o700)
      const then = at === undefined ? {} : { clock: { ...clock, now: () => at } }
      const deps = { ...repositoryDeps, ...then, expiry }
      const { metadata, targets } = from ?? published()
      try {
        return await refreshRepository(deps, metadata, targets)
      } catch (error) {
        if (from !== undefined || expiry === 'enforce' || !isOlderThanSeen(error)) throw error
        const repository = await refreshRepository({ ...deps, floors: 'offline' }, metadata, targets)
        output.warn(
          `${error.message}: if a key of the server was stolen, its numbers mean nothing; going on from what was signed offline`,
        )
        return repository
      }
    },
    offline: (targets) => {
      const local = buildLocalRepository(disk, {
        manifests: manifestsFolder(layout.repository),
        artifacts: layout.artifacts,
      })
      return loadRepository(repositoryDeps, targets ?? local.targets)
    },
    openKeyrings: (options, holders = config.holders) => openSigners(machine, output, holders, options),
    requireSigners: (options, holders) => requireSigners(machine, holders, options),
  }
}

/**
 * The publish token and where it is from: a file that the command line names comes first, then NETLINK_TOKEN, then the configuration's file. Throws as
 * `readToken`.
 */
export async function findToken(
  { disk, environment }: Pick<Machine, 'disk' | 'environment'>,
  { file, isFlag }: { readonly file: string; readonly isFlag: boolean },
): Promise<Pick<ClientDeps, 'token' | 'tokenFrom'>> {
  if (environment.token !== undefined && !isFlag) return { token: environment.token, tokenFrom: TOKEN_VARIABLE }
  return { token: await readToken(disk, file), tokenFrom: file }
}

/** As netlink-server spells tokens; only it can say whether this one is good. */
const TOKEN = /^nlk_[a-z-]{1,16}_[0-9a-f]{12}_[0-9a-f]{72}$/

/**
 * The token in a file: its first line. Throws PublishError `usage` if that is none: the file is named by a configuration that travels with version control,
 * and no other secret of this machine is sent to the server which that names besides.
 */
async function readToken(disk: Disk, file: string): Promise<string> {
  const text = Buffer.from(await disk.readFile(file, 4096)).toString('utf8')
  const token = text.split(/\r?\n/)[0]?.trim() ?? ''
  if (token === '') throw new PublishError('usage', `${file} is empty: expected a publish token on its first line`)
  if (!TOKEN.test(token))
    throw new PublishError(
      'usage',
      `${file} holds no token of a server: expected one line that begins with nlk_publish_`,
      {
        state: 'Nothing was sent.',
        next: ['netlink-server token create --scope publish --name NAME'],
      },
    )
  return token
}

export function keyFileDeps({ disk, scryptLogN }: Machine): KeyFileDeps {
  return { disk: buildKeyFileDisk(disk), ...(scryptLogN === undefined ? {} : { scryptLogN }) }
}

async function openSigners(
  machine: Machine,
  output: Output,
  configured: readonly Holder[],
  { signer = [], passphraseFile = [], key = [] }: SignerOptions,
): Promise<readonly Keyring[]> {
  const { disk, cwd, ask } = machine
  const { holders, named } = placeKeyrings(cwd, configured, key)
  const deps = { disk, cwd, ask, warn: (message: string) => output.warn(message) }
  const passphrases = await readPassphrases(deps, holders, {
    signers: [...signer, ...named],
    files: passphraseFile,
    isEncrypted: (holder) => isEncrypted(disk, holder),
  })
  return openKeyrings(
    { keyFiles: keyFileDeps(machine), disk, signers: signerDeps(machine, output) },
    holders,
    passphrases,
  )
}

/** What would be noticed only after somebody has read and answered a whole review. */
async function requireSigners(
  { disk, cwd, ask }: Machine,
  configured: readonly Holder[],
  { signer = [], passphraseFile = [], key = [] }: SignerOptions,
): Promise<void> {
  const { holders, named } = placeKeyrings(cwd, configured, key)
  const files = passphraseFile.map(parsePassphraseFile)
  for (const holder of signingHolders(holders, [...signer, ...named], files)) {
    const file = await loadSignersFile(disk, holder.signers, holder.name)
    if (!needsKeyring(file)) continue
    if (holder.keyring !== null) await disk.stat(holder.keyring)
    else if (file === undefined) throw notOnThisMachine(holder.name)
    const hasFile = files.some((one) => one.holder === holder.name || one.holder === undefined)
    if (!hasFile && ask === undefined && (await isEncrypted(disk, holder))) throw nobodyToAsk(holder.name)
  }
  for (const { file } of files) await disk.stat(resolve(cwd, file))
}

/** What tokens and programs that sign are given. */
export function signerDeps({ disk, cwd, ask, environment, signal }: Machine, output: Output): SignerDeps {
  const deps = { disk, cwd, ask, warn: (message: string) => output.warn(message) }
  return { readSecret: (path) => readPassphraseFile(deps, path), env: environment.programs, signal }
}

async function isEncrypted(disk: Disk, { name, keyring, signers }: Holder): Promise<boolean> {
  if (keyring === null || !needsKeyring(await loadSignersFile(disk, signers, name))) return false
  const bytes = await disk.readFile(resolve(keyring))
  return Buffer.from(bytes.subarray(0, 20)).toString('latin1').startsWith('age-encryption.org/')
}

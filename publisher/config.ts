// `netlink.publish.yml`, written by init and read by everything else, and the few settings that come from the environment.
// Paths in the file are relative to it. It holds no secret: only where the token lies, and public key ids by the names of people.
import { dirname, join, relative, resolve } from 'node:path'
import { parse, parseDocument, stringify } from 'yaml'
import { z } from 'zod'
import type { Disk } from '../keys/platform/disk.ts'
import { createFileDurable, replaceFile } from '../keys/platform/durable.ts'
import { isThere } from '../keys/platform/if-there.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { productShape, sha256Shape } from '../schema/manifest.ts'
import { ShapeError } from '../schema/shape-error.ts'
import { parseStrict } from '../schema/strict-shape.ts'
import { keyNameShape } from '../schema/trust-state.ts'
import { PublishError } from './publish-error.ts'

export const CONFIG_FILE = 'netlink.publish.yml'
/** The YAML parser's time grows with the square of what lies inside one another. */
const MAX_BYTES = 32_768

const path = z.string().min(1).max(4096)

const fileShape = z.strictObject({
  schema: z.literal('netlink.publish/v1'),
  product: productShape,
  /** Address of the server; NETLINK_SERVER and --server come first. */
  server: z.url({ protocol: /^https?$/, error: 'expected an address such as https://updates.example.com' }),
  /** File that holds the publish token; --token-file and then NETLINK_TOKEN come first. */
  token_file: path,
  /** Plain http to another machine than this one. */
  insecure_http: z.boolean().default(false),
  /** Certificates (PEM) that count besides those the machine trusts. */
  ca_file: path.nullable().default(null),
  /** Who holds keys: their keyring, if it lies on this machine, and their public key ids by role. */
  holders: z
    .array(
      z.strictObject({
        name: keyNameShape,
        keyring: path.nullable().default(null),
        /** How this holder signs with keys that are in no keyring; keys/NAME.signers.yml unless said, if there is such a file. */
        signers: path.nullable().default(null),
        keys: z.strictObject({ root: sha256Shape, alpha: sha256Shape, beta: sha256Shape, release: sha256Shape }),
      }),
    )
    .min(1)
    .max(16),
})
type ConfigFile = z.infer<typeof fileShape>

export type HolderRole = 'root' | 'alpha' | 'beta' | 'release'

export interface Holder {
  readonly name: string
  /** Absolute; null if the keys lie on another machine. */
  readonly keyring: string | null
  /** Absolute: says how to sign with keys that are in no keyring. There may be no such file. */
  readonly signers: string
  /** Public key ids. */
  readonly keys: Readonly<Record<HolderRole, string>>
}

/** What a publisher works with. Paths are absolute, the server's address has no slash at its end. */
export interface PublisherConfig {
  readonly folder: string
  readonly product: string
  readonly server: string
  readonly tokenFile: string
  readonly insecureHttp: boolean
  readonly caFile: string | null
  readonly holders: readonly Holder[]
}

/** Where things lie in the publisher's folder. */
export function layoutOf(folder: string) {
  return {
    config: join(folder, CONFIG_FILE),
    /** The first root: what hosts are given. */
    root: join(folder, 'root.json'),
    keys: join(folder, 'keys'),
    /** The publisher's own trusted copy of the repository. */
    repository: join(folder, 'repository'),
    artifacts: join(folder, 'artifacts'),
    /** Signed, or partly signed, and not published yet. */
    pending: join(folder, 'pending'),
    /** Signing events that this folder knows. */
    events: join(folder, 'events'),
    lock: join(folder, 'lock'),
    ignore: join(folder, '.gitignore'),
  }
}

/** Where a holder's signers are described unless the configuration says otherwise. */
export function signersPath(folder: string, holder: string): string {
  return join(layoutOf(folder).keys, `${holder}.signers.yml`)
}

/** What may stand above the file: flags, then the environment. */
export interface Overrides {
  readonly server?: string | undefined
  readonly tokenFile?: string | undefined
  readonly insecureHttp?: boolean | undefined
  readonly caFile?: string | undefined
}

/**
 * The configuration of a publisher's folder. Throws PublishError `config` if the folder is none, ShapeError for mistakes in the file.
 */
export async function loadConfig(
  disk: Disk,
  folder: string,
  overrides: Overrides,
  cwd: string,
): Promise<PublisherConfig> {
  const file = layoutOf(folder).config
  const written = parseFile(await readFile(disk, folder, file), file)
  const above = (flag: string | undefined, own: string) =>
    flag === undefined ? resolve(folder, own) : resolve(cwd, flag)
  return {
    folder,
    product: written.product,
    server: normalizeServer(overrides.server ?? written.server),
    tokenFile: above(overrides.tokenFile, written.token_file),
    insecureHttp: overrides.insecureHttp ?? written.insecure_http,
    caFile: (overrides.caFile ?? written.ca_file) ? above(overrides.caFile, written.ca_file ?? '') : null,
    holders: written.holders.map(({ name, keyring, signers, keys }) => ({
      name,
      keys,
      keyring: keyring === null ? null : resolve(folder, keyring),
      signers: signers === null ? signersPath(folder, name) : resolve(folder, signers),
    })),
  }
}

async function readFile(disk: Disk, folder: string, file: string): Promise<string> {
  try {
    return Buffer.from(await disk.readFile(file, MAX_BYTES)).toString('utf8')
  } catch (cause) {
    if (!(cause instanceof PlatformError && cause.code === 'not-found')) throw cause
    throw new PublishError(
      'config',
      `${folder} is no publisher's folder: it has no ${CONFIG_FILE}`,
      {
        next: [
          `netlink-publish init --dir ${folder} --product NAME --server URL --token-file FILE --passphrase-file FILE`,
        ],
      },
      { cause },
    )
  }
}

function parseFile(text: string, file: string): ConfigFile {
  return parseStrict(fileShape, parseYaml(text, file), file)
}

function parseYaml(text: string, file: string): unknown {
  try {
    return parse(text, { uniqueKeys: true, strict: true, stringKeys: true, maxAliasCount: 0 })
  } catch (cause) {
    const message = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause)
    throw new ShapeError(file, [{ pointer: '', message }], { cause })
  }
}

/** An address without path, query and slash at its end. Throws PublishError `usage`. */
export function normalizeServer(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.username !== '') {
    throw new PublishError('usage', `expected an address such as https://updates.example.com, found ${address}`)
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

/** Puts other holders into the file; everything else in it stays as it was written, comments too. Throws PlatformError, ShapeError. */
export async function saveHolders(disk: Disk, folder: string, holders: readonly Holder[]): Promise<void> {
  const { config: file } = layoutOf(folder)
  const document = parseDocument(await readFile(disk, folder, file))
  document.set('holders', document.createNode(holders.map((holder) => writtenHolder(folder, holder))))
  const text = document.toString()
  parseFile(text, file)
  await replaceFile(disk, file, new TextEncoder().encode(text), 0o644)
}

function writtenHolder(folder: string, { name, keyring, signers, keys }: Holder): ConfigFile['holders'][number] {
  return {
    name,
    keyring: keyring === null ? null : relative(folder, keyring),
    signers: signers === signersPath(folder, name) ? null : relative(folder, signers),
    keys: { ...keys },
  }
}

/** Writes the file of a new publisher's folder. Throws PlatformError `exists`. */
export async function saveConfig(disk: Disk, config: PublisherConfig): Promise<void> {
  const { config: file } = layoutOf(config.folder)
  const content: ConfigFile = {
    schema: 'netlink.publish/v1',
    product: config.product,
    server: config.server,
    token_file: relative(dirname(file), config.tokenFile),
    insecure_http: config.insecureHttp,
    ca_file: config.caFile === null ? null : relative(dirname(file), config.caFile),
    holders: config.holders.map((holder) => writtenHolder(config.folder, holder)),
  }
  const bytes = new TextEncoder().encode(HEADER + stringify(content))
  await createFileDurable(disk, file, bytes, 0o644)
}

const HEADER = `# Written by netlink-publish init. Holds no secrets; paths are relative to this file.
# "keys" are public key ids: who is who when a signature is missing.
`

/** The folder a command works on: --dir, else NETLINK_CONFIG's, else the current one if it is a publisher's folder, else ./pub. */
export async function findFolder(
  disk: Disk,
  named: string | undefined,
  environment: Environment,
  cwd: string,
): Promise<string> {
  if (named !== undefined) return resolve(cwd, named)
  if (environment.config !== undefined) return dirname(resolve(cwd, environment.config))
  return (await isPublisherFolder(disk, cwd)) ? cwd : join(cwd, 'pub')
}

/** Whether it has a configuration. A folder that can't be looked into is no answer: another one would be worked on than the one that is meant. */
export function isPublisherFolder(disk: Disk, folder: string): Promise<boolean> {
  return isThere(disk, join(folder, CONFIG_FILE))
}

/** The variables that this program reads. */
export interface Environment {
  readonly server: string | undefined
  readonly token: string | undefined
  readonly config: string | undefined
  readonly proxy: { readonly HTTPS_PROXY?: string; readonly HTTP_PROXY?: string; readonly NO_PROXY?: string }
  readonly noColor: boolean
  /** What programs get that sign for a holder: everything but this program's own token. */
  readonly programs: Readonly<Record<string, string>>
}

/** Reads them once. */
export function readEnvironment(env: NodeJS.ProcessEnv): Environment {
  const value = (name: string) => env[name] || env[name.toLowerCase()] || undefined
  const proxy = (['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY'] as const).flatMap((name) => {
    const found = value(name)
    return found === undefined ? [] : [[name, found] as const]
  })
  return {
    server: env.NETLINK_SERVER || undefined,
    token: env.NETLINK_TOKEN || undefined,
    config: env.NETLINK_CONFIG || undefined,
    proxy: Object.fromEntries(proxy),
    noColor: (env.NO_COLOR ?? '') !== '',
    programs: Object.fromEntries(
      Object.entries(env).flatMap(([name, held]) =>
        held === undefined || name === 'NETLINK_TOKEN' ? [] : [[name, held] as const],
      ),
    ),
  }
}

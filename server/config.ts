// What a server folder holds, and `server.yml` in it: written by `netlink-server init`, read once at start, strict. A flag comes before the environment,
// the environment before the file. Secrets lie in files of their own; the configuration only names them.
//
//   server.yml            this file
//   secrets/              0700: online.keys, admin.token, publish.token, database.url, s3.yml
//   db/  db.lock          the embedded database and the lock that keeps a second process out
//   storage/              published files and artifacts, where storage is the filesystem
//   spool/                uploads under way
//   run/                  0700: the socket by which commands reach a running `serve`
import { isAbsolute, join, resolve } from 'node:path'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import type { Disk } from '../keys/platform/disk.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { durationShape, parseDuration } from '../schema/duration.ts'
import { ShapeError } from '../schema/shape-error.ts'
import { parseStrict } from '../schema/strict-shape.ts'
import { DEFAULT_LIFETIMES_MS, type Lifetimes } from './core/online-roles.ts'

export const CONFIG_FILE = 'server.yml'
export const DEFAULT_LISTEN = '127.0.0.1:8400'

/** The YAML parser's time grows with the square of what lies inside one another. */
const MAX_BYTES = 32_768
const path = z.string().min(1).max(4096)
const address = z
  .string()
  .regex(/^(\[[0-9a-fA-F:.]+\]|[^:\s[\]]+):\d{1,5}$/, 'expected HOST:PORT such as 127.0.0.1:8400')
const LIFETIME_MS = { min: 3_600_000, max: 90 * 86_400_000 } as const
const lifetime = durationShape.pipe(
  z.string().refine((text) => {
    const ms = parseDuration(text)
    return ms >= LIFETIME_MS.min && ms <= LIFETIME_MS.max
  }, 'expected 1h to 90d'),
)
const httpUrl = z.url({ protocol: /^https?$/, error: 'expected an address such as https://updates.example.com' })

const fileShape = z.strictObject({
  schema: z.literal('netlink.server/v1'),
  /** Where `serve` listens. NETLINK_LISTEN and --listen come first. */
  listen: address.default(DEFAULT_LISTEN),
  /** Under which address agents and publishers reach this server. */
  public_url: httpUrl.nullable().default(null),
  database: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('embedded') }),
    /** `url_file` holds postgres://user:password@host:port/database. */
    z.strictObject({ kind: z.literal('server'), url_file: path, connections: z.int().min(2).max(200).default(10) }),
  ]),
  storage: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('fs'), folder: path.default('storage') }),
    /** `credentials_file` is YAML or JSON: access_key, secret_key. */
    z.strictObject({
      kind: z.literal('s3'),
      endpoint: httpUrl,
      bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'expected the name of a bucket'),
      region: z.string().min(1).max(64).default('us-east-1'),
      prefix: z
        .string()
        .regex(/^([A-Za-z0-9._-]+\/)*$/, 'expected folders, each with a slash at its end')
        .default(''),
      credentials_file: path,
    }),
  ]),
  /** Proxies in front of this server, as addresses or ranges: what they say about their clients' addresses is believed. */
  trusted_proxies: z.array(z.string().max(64)).max(64).default([]),
  /**
   * How long what this server signs is good; renewed after half of it. A host without a network takes a bundle only as long as its timestamp is good;
   * a host with one notices a server that shows it old files only after that time.
   */
  lifetimes: z
    .strictObject({ timestamp: lifetime.default('24h'), snapshot: lifetime.optional() })
    .default({ timestamp: '24h' }),
  /** In-process TLS; a proxy in front does it cheaper. */
  tls: z.strictObject({ key_file: path, cert_file: path }).nullable().default(null),
})

type ConfigFile = z.output<typeof fileShape>
/** What `init` writes. */
export type WrittenConfig = z.input<typeof fileShape>

export interface S3Credentials {
  readonly accessKey: string
  readonly secretKey: string
}

/** Read, checked and with absolute paths. */
export interface ServerConfig {
  readonly paths: ServerPaths
  readonly listen: ListenAddress
  readonly publicUrl: string | null
  readonly database:
    | { readonly kind: 'embedded' }
    | { readonly kind: 'server'; readonly urlFile: string; readonly connections: number }
  readonly storage:
    | { readonly kind: 'fs'; readonly folder: string }
    | {
        readonly kind: 's3'
        readonly endpoint: string
        readonly bucket: string
        readonly region: string
        readonly prefix: string
        readonly credentialsFile: string
      }
  readonly trustedProxies: readonly string[]
  readonly lifetimesMs: Lifetimes
  readonly tls: { readonly keyFile: string; readonly certFile: string } | null
}

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

export interface ServerPaths {
  readonly folder: string
  readonly config: string
  readonly secrets: string
  readonly onlineKeys: string
  readonly adminToken: string
  readonly publishToken: string
  readonly databaseUrl: string
  readonly s3Credentials: string
  readonly database: string
  readonly lock: string
  readonly storage: string
  readonly spool: string
  readonly run: string
}

/** Where things lie in a server's folder. */
export function serverPaths(dir: string): ServerPaths {
  const folder = resolve(dir)
  const secrets = join(folder, 'secrets')
  return {
    folder,
    config: join(folder, CONFIG_FILE),
    secrets,
    onlineKeys: join(secrets, 'online.keys'),
    adminToken: join(secrets, 'admin.token'),
    publishToken: join(secrets, 'publish.token'),
    databaseUrl: join(secrets, 'database.url'),
    s3Credentials: join(secrets, 's3.yml'),
    database: join(folder, 'db'),
    lock: join(folder, 'db.lock'),
    storage: join(folder, 'storage'),
    spool: join(folder, 'spool'),
    run: join(folder, 'run'),
  }
}

/** What comes before the file. */
export interface Overrides {
  readonly listen?: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** The configuration of the server in `dir`. PlatformError `not-found` if there is none; ShapeError naming every wrong place. */
export async function loadConfig(disk: Disk, dir: string, overrides: Overrides): Promise<ServerConfig> {
  const paths = serverPaths(dir)
  const text = Buffer.from(await disk.readFile(paths.config, MAX_BYTES)).toString('utf8')
  const file = parseStrict(fileShape, readYaml(text, paths.config), paths.config)
  const below = (one: string) => (isAbsolute(one) ? one : join(paths.folder, one))
  return {
    paths,
    listen: parseListen(overrides.listen ?? overrides.environment.NETLINK_LISTEN ?? file.listen),
    publicUrl: overrides.environment.NETLINK_PUBLIC_URL ?? file.public_url,
    database: readDatabase(file.database, below),
    storage: readStorage(file.storage, below),
    trustedProxies: file.trusted_proxies,
    lifetimesMs: readLifetimes(file.lifetimes),
    tls: file.tls && { keyFile: below(file.tls.key_file), certFile: below(file.tls.cert_file) },
  }
}

/** A snapshot is good for a week, or as long as the timestamp that names it. */
function readLifetimes({ timestamp, snapshot }: ConfigFile['lifetimes']): Lifetimes {
  const timestampMs = parseDuration(timestamp)
  return {
    timestamp: timestampMs,
    snapshot: snapshot === undefined ? Math.max(DEFAULT_LIFETIMES_MS.snapshot, timestampMs) : parseDuration(snapshot),
  }
}

/** `server.yml` as text. Throws ShapeError for what could not be read again. */
export function renderConfig(config: WrittenConfig): string {
  parseStrict(fileShape, config, CONFIG_FILE)
  return `# NetLink Update server. Unknown keys are refused; netlink-server doctor checks what stands here.\n${stringify(config)}`
}

/** HOST:PORT. Throws ShapeError. */
export function parseListen(text: string): ListenAddress {
  const parsed = parseStrict(address, text, `address ${JSON.stringify(text)}`)
  const colon = parsed.lastIndexOf(':')
  const port = Number(parsed.slice(colon + 1))
  if (port > 65_535)
    throw new ShapeError(`address ${JSON.stringify(text)}`, [{ pointer: '', message: 'expected a port up to 65535' }])
  return { host: parsed.slice(0, colon).replace(/^\[|\]$/g, ''), port }
}

const credentialsShape = z.strictObject({
  access_key: z.string().min(1).max(256),
  secret_key: z.string().min(1).max(1024),
})

/** The keys to an S3. Throws ShapeError and PlatformError. */
export async function loadS3Credentials(disk: Disk, file: string): Promise<S3Credentials> {
  const text = Buffer.from(await disk.readFile(file, MAX_BYTES)).toString('utf8')
  const { access_key: accessKey, secret_key: secretKey } = parseStrict(credentialsShape, readYaml(text, file), file)
  return { accessKey, secretKey }
}

/** The first line of a file that holds one secret. Throws PlatformError; ShapeError if it is empty. */
export async function loadSecretLine(disk: Disk, file: string): Promise<string> {
  const [line = ''] = Buffer.from(await disk.readFile(file, MAX_BYTES))
    .toString('utf8')
    .split('\n')
  if (line.trim() === '') throw new ShapeError(file, [{ pointer: '', message: 'expected one line' }])
  return line.trim()
}

/** Whether the folder is a server's. */
export async function isServerFolder(disk: Disk, dir: string): Promise<boolean> {
  try {
    await disk.stat(serverPaths(dir).config)
    return true
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') return false
    throw error
  }
}

function readYaml(text: string, subject: string): unknown {
  try {
    return parse(text, { stringKeys: true, maxAliasCount: 0 })
  } catch (cause) {
    throw new ShapeError(
      subject,
      [{ pointer: '', message: `expected YAML: ${cause instanceof Error ? cause.message : cause}` }],
      { cause },
    )
  }
}

function readDatabase(database: ConfigFile['database'], below: (path: string) => string): ServerConfig['database'] {
  if (database.kind === 'embedded') return database
  return { kind: 'server', urlFile: below(database.url_file), connections: database.connections }
}

function readStorage(storage: ConfigFile['storage'], below: (path: string) => string): ServerConfig['storage'] {
  if (storage.kind === 'fs') return { kind: 'fs', folder: below(storage.folder) }
  const { credentials_file: credentialsFile, ...rest } = storage
  return { ...rest, credentialsFile: below(credentialsFile) }
}

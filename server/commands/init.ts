// `netlink-server init`: a folder becomes a server. `server.yml` is written last: without it the folder is no server yet, and the command can be run
// again after whatever cut it off.
import { randomUUID } from 'node:crypto'
import { join, relative } from 'node:path'
import { createKeyring, type Keyring } from '../../keys/key-file.ts'
import { buildKeyFileDisk } from '../../keys/key-file-disk.ts'
import { createFileDurable, makeDirDurable, replaceFile } from '../../keys/platform/durable.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { DIRECTOR } from '../../schema/assignment.ts'
import { EXIT } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { renderFields } from '../../schema/cli/table.ts'
import {
  isServerFolder,
  loadConfig,
  loadS3Credentials,
  loadSecretLine,
  renderConfig,
  type ServerConfig,
  serverPaths,
  type WrittenConfig,
} from '../config.ts'
import { buildCore } from '../core/build-core.ts'
import { ensureDirectorKey } from '../director-key.ts'
import { type OpenDeps, openDb, openStorage } from '../open-server.ts'
import { openSigners } from '../open-signers.ts'
import { applyMigrations, loadMigrations, readMigrations } from '../store/migrate.ts'
import { type Answer, buildLog, localMutation, type Machine, type SharedOptions, usage } from './context.ts'

export interface InitOptions extends SharedOptions {
  readonly db?: string
  readonly dbFile?: string
  readonly storage: string
  readonly s3Endpoint?: string
  readonly s3Bucket?: string
  readonly s3Region?: string
  readonly s3Prefix?: string
  readonly s3Credentials?: string
  readonly publicUrl?: string
  readonly listen: string
}

export async function init(machine: Machine, options: InitOptions): Promise<Answer> {
  const { disk } = machine
  const paths = serverPaths(options.dir)
  if (await isServerFolder(disk, options.dir)) {
    throw new Failure({
      code: 'E-ALREADY-SERVER',
      exit: EXIT.refused,
      title: `${options.dir} is a server already`,
      detail: `it has a ${relative(paths.folder, paths.config)}; one folder holds one server`,
      state: 'Nothing was changed.',
      next: [`netlink-server serve --dir ${options.dir}`, `netlink-server doctor --dir ${options.dir}`],
    })
  }
  const written = await describeConfig(machine, options)
  await requireOwnFolder(machine, options.dir)
  const text = renderConfig(written.config)
  await makeDirDurable(disk, paths.folder, 0o700)
  await disk.chmod(paths.folder, 0o700)
  for (const folder of [paths.secrets, paths.run, paths.spool]) await makeDirDurable(disk, folder, 0o700)
  for (const [file, content] of written.secrets) await replaceFile(disk, file, Buffer.from(content), 0o600)
  const keyring = await makeKeys(machine, paths.onlineKeys)

  // Read back from a name of its own, so that what is checked here is what `serve` will read.
  const draft = join(paths.folder, `.server.${randomUUID()}.yml`)
  await createFileDurable(disk, draft, Buffer.from(text), 0o600)
  try {
    const config = { ...(await loadConfig(renamed(machine, paths.config, draft), options.dir, { environment: {} })) }
    await prepare(machine, config, options)
    await disk.rename(draft, paths.config)
    await disk.syncDir(paths.folder)
    return describe(options, config, keyring)
  } catch (error) {
    await disk.removeTree(draft)
    throw error
  }
}

function renamed(machine: Machine, from: string, to: string): Machine['disk'] {
  return { ...machine.disk, readFile: (path, maxBytes) => machine.disk.readFile(path === from ? to : path, maxBytes) }
}

interface Described {
  readonly config: WrittenConfig
  /** Files with secrets, by path. */
  readonly secrets: ReadonlyMap<string, string>
}

async function describeConfig(machine: Machine, options: InitOptions): Promise<Described> {
  const paths = serverPaths(options.dir)
  const secrets = new Map<string, string>()
  if (options.db !== undefined && options.dbFile !== undefined)
    throw usage('--db and --db-file are both given', 'they say the same thing twice')
  const url =
    options.db ?? (options.dbFile === undefined ? undefined : await loadSecretLine(machine.disk, options.dbFile))
  if (url !== undefined) {
    if (!/^postgres(ql)?:\/\//.test(url))
      throw usage('the database address can not be used', 'expected postgres://user:password@host:port/database')
    secrets.set(paths.databaseUrl, `${url}\n`)
  }
  return {
    secrets,
    config: {
      schema: 'netlink.server/v1',
      listen: options.listen,
      public_url: options.publicUrl ?? null,
      database:
        url === undefined
          ? { kind: 'embedded' }
          : { kind: 'server', url_file: relative(paths.folder, paths.databaseUrl) },
      storage: await describeStorage(machine, options, secrets),
      trusted_proxies: [],
      tls: null,
    },
  }
}

/** What an `init` that was cut off leaves; anything else in the folder belongs to somebody else. */
const OWN = /^(secrets|run|spool|storage|db(\.[0-9a-z.-]+)?|\..*)$/

/** A release's folder, say, must not become a server: its keys and tokens would lie among the files that are published. */
async function requireOwnFolder(machine: Machine, dir: string): Promise<void> {
  const entries = await machine.disk.list(dir).catch((error: unknown) => {
    if (error instanceof PlatformError && error.code === 'not-found') return []
    throw error
  })
  const others = entries.map(({ name }) => name).filter((name) => !OWN.test(name))
  if (others.length === 0) return
  throw new Failure({
    code: 'E-NOT-EMPTY',
    exit: EXIT.refused,
    title: `${dir} holds something else`,
    detail: `a server makes a folder of its own; here are ${others.slice(0, 5).join(', ')}`,
    state: 'Nothing was changed.',
    next: [`netlink-server init --dir ${join(dir, 'srv')}`],
  })
}

async function describeStorage(
  machine: Machine,
  options: InitOptions,
  secrets: Map<string, string>,
): Promise<WrittenConfig['storage']> {
  const paths = serverPaths(options.dir)
  if (options.storage === 'fs') return { kind: 'fs', folder: relative(paths.folder, paths.storage) }
  if (options.storage !== 's3') throw usage(`unknown storage ${JSON.stringify(options.storage)}`, 'expected fs or s3')
  const { s3Endpoint: endpoint, s3Bucket: bucket, s3Region: region, s3Prefix: prefix, s3Credentials: file } = options
  if (!endpoint || !bucket || !file)
    throw usage('--storage s3 needs more', 'expected --s3-endpoint URL --s3-bucket NAME --s3-credentials FILE')
  const { accessKey, secretKey } = await loadS3Credentials(machine.disk, file)
  secrets.set(paths.s3Credentials, `${JSON.stringify({ access_key: accessKey, secret_key: secretKey })}\n`)
  return {
    kind: 's3',
    endpoint,
    bucket,
    ...(region === undefined ? {} : { region }),
    ...(prefix === undefined ? {} : { prefix }),
    credentials_file: relative(paths.folder, paths.s3Credentials),
  }
}

async function makeKeys(machine: Machine, path: string): Promise<Keyring> {
  const deps = { disk: buildKeyFileDisk(machine.disk) }
  const entries = [
    { name: 'snapshot', role: 'snapshot' },
    { name: 'timestamp', role: 'timestamp' },
    { name: DIRECTOR, role: DIRECTOR },
  ]
  const there = await machine.disk.stat(path).catch((error: unknown) => {
    if (error instanceof PlatformError && error.code === 'not-found') return undefined
    throw error
  })
  if (there) return ensureDirectorKey(machine.disk, path)
  return createKeyring(deps, path, 'server', entries, { kind: 'none' })
}

/** The database with its tables, the storage, and the first two tokens. */
async function prepare(machine: Machine, config: ServerConfig, options: InitOptions): Promise<void> {
  const deps: OpenDeps = { ...machine, log: buildLog(machine, 'warn'), owner: 'netlink-server init' }
  const blobs = await openStorage(config, deps)
  await blobs.ping(10_000)
  const db = await openDb(config, deps)
  try {
    await db.ping(10_000)
    const migrations = await loadMigrations()
    const { applied } = await readMigrations(db, migrations)
    if (applied.length > 0 && config.database.kind === 'server') {
      throw new Failure({
        code: 'E-DATABASE-IN-USE',
        exit: EXIT.refused,
        title: 'the database belongs to a server already',
        detail:
          'it has the tables of one. A further replica of that server gets a copy of its folder; a new server gets a database of its own',
        state: 'The database was not changed.',
        next: ['createdb NAME'],
      })
    }
    await applyMigrations(db, migrations)
    const core = await buildCore({
      ...machine,
      log: deps.log,
      db,
      blobs,
      signers: await openSigners(config, machine.disk),
      spoolFolder: config.paths.spool,
      publicUrl: config.publicUrl,
      lifetimesMs: config.lifetimesMs,
    })
    const mutation = localMutation(machine, options.reason ?? 'netlink-server init')
    for (const [scope, file] of [
      ['admin', config.paths.adminToken],
      ['publish', config.paths.publishToken],
    ] as const) {
      const { secret } = await core.tokens.create(
        { name: scope, scope, group: null, expiresAt: null, uses: null },
        mutation,
      )
      await replaceFile(machine.disk, file, Buffer.from(`${secret}\n`), 0o600)
    }
    await core.close()
  } finally {
    await db.close()
  }
}

function describe(options: InitOptions, config: ServerConfig, keyring: Keyring): Answer {
  const dir = options.dir
  const keyId = (role: string) => keyring.signersFor(role)[0]?.publicKey.keyid ?? 'none'
  const { storage, database } = config
  const address = `${config.tls ? 'https' : 'http'}://${config.listen.host}:${config.listen.port}`
  const next = [
    `netlink-server serve --dir ${dir} --listen ${config.listen.host}:${config.listen.port}`,
    `netlink-publish init --dir pub --product NAME --server ${config.publicUrl ?? address} --token-file ${join(dir, 'secrets', 'publish.token')}`,
    `netlink-server enroll-token create --dir ${dir} --uses 10 --out enroll.token`,
  ]
  const fields = {
    dir: config.paths.folder,
    online_keys: { snapshot: keyId('snapshot'), timestamp: keyId('timestamp'), director: keyId(DIRECTOR) },
    database: database.kind,
    storage: storage.kind,
    admin_token_file: config.paths.adminToken,
    publish_token_file: config.paths.publishToken,
    next,
  }
  const rows: [string, string][] = [
    ['snapshot key', keyId('snapshot')],
    ['timestamp key', keyId('timestamp')],
    ['director key', keyId(DIRECTOR)],
    [
      'database',
      database.kind === 'embedded'
        ? `embedded, in ${join(dir, 'db')} (survives kill -9, not a power cut: production takes --db-file)`
        : 'PostgreSQL server',
    ],
    ['storage', storage.kind === 'fs' ? join(dir, 'storage') : `${storage.endpoint}/${storage.bucket}`],
    ['admin token', join(dir, 'secrets', 'admin.token')],
    ['publish token', join(dir, 'secrets', 'publish.token')],
  ]
  const text = `server made in ${dir}\n${indent(renderFields(rows, { color: false }))}Next: ${next.join('\n      ')}\n`
  return { schema: 'netlink.server.init/v1', fields, text }
}

function indent(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `  ${line}\n`)
    .join('')
}

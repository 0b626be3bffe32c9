// A server without a port: a real core over an embedded database and a folder, a repository whose online keys it holds, tokens of every scope,
// and hosts that sign for themselves. Nothing is replaced; `listen` adds a port where a test needs one.
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { percentEncode } from '../../keys/percent-encode.ts'
import { systemClock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { HOST_HEADERS, helloStatement, requestStatement } from '../../schema/protocol.ts'
import type { Report, SignedReport } from '../../schema/report.ts'
import { enrollStatement, type TokenScope } from '../../schema/rest.ts'
import { buildCore } from '../../server/core/build-core.ts'
import type { Bell, Core, Hosts, Mutation } from '../../server/core/core.ts'
import { DEFAULT_LIFETIMES_MS } from '../../server/core/online-roles.ts'
import type { BlobStore, Db } from '../../server/core/ports.ts'
import { type AppOptions, buildApp } from '../../server/http/app.ts'
import { type HttpServer, type ListenRequest, listen } from '../../server/http/listen.ts'
import { openFsBlobStore } from '../../server/store/fs-blob-store.ts'
import { applyMigrations, loadMigrations } from '../../server/store/migrate.ts'
import { parseTrustedProxies } from '../../server/ws/client-address.ts'
import { buildRateLimit } from '../../server/ws/rate-limit.ts'
import { buildSockets, type SocketOptions, type Sockets } from '../../server/ws/socket.ts'
import { SimRepository } from '../sim/repository.ts'
import { borrowDb, giveBackDb } from '../world/lent-db.ts'
import { ReportChain } from '../world/signed-reports.ts'

export interface LogLine {
  readonly level: string
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

export const BY_TEST: Mutation = { actor: { kind: 'local', user: 'test' }, reason: 'a test' }

const random = (length: number) => new Uint8Array(randomBytes(length))
const decoder = new TextDecoder()

export class HttpWorld implements AsyncDisposable {
  readonly folder: string
  readonly core: Core
  readonly db: Db
  readonly blobs: BlobStore
  readonly repo: SimRepository
  readonly logs: LogLine[]
  readonly tokens: Readonly<Record<TokenScope, string>>
  readonly #servers: HttpServer[] = []
  #app: ReturnType<typeof buildApp> | undefined

  private constructor(parts: {
    folder: string
    core: Core
    db: Db
    blobs: BlobStore
    repo: SimRepository
    logs: LogLine[]
    tokens: Readonly<Record<TokenScope, string>>
  }) {
    this.folder = parts.folder
    this.core = parts.core
    this.db = parts.db
    this.blobs = parts.blobs
    this.repo = parts.repo
    this.logs = parts.logs
    this.tokens = parts.tokens
  }

  static async create(): Promise<HttpWorld> {
    const folder = await mkdtemp(join(tmpdir(), 'netlink-http-'))
    const logs: LogLine[] = []
    const repo = await SimRepository.create({ now: new Date() })
    repo.delegate('targets', { name: 'director', paths: ['assignments/*'], terminating: true })
    await repo.publishAsIs('targets')
    await repo.seal()
    const lent = await borrowDb()
    const db = { ...lent, close: async () => giveBackDb(lent) }
    await applyMigrations(db, await loadMigrations())
    const blobs = await openFsBlobStore({ folder: join(folder, 'storage'), random })
    const core = await buildCore({
      clock: systemClock,
      random,
      db,
      blobs,
      log: (level, event, fields = {}) => void logs.push({ level, event, fields }),
      signers: {
        snapshot: repo.signersOf('snapshot'),
        timestamp: repo.signersOf('timestamp'),
        director: repo.signersOf('director'),
      },
      disk: nodeDisk,
      spoolFolder: join(folder, 'spool'),
      publicUrl: null,
      lifetimesMs: DEFAULT_LIFETIMES_MS,
    })
    await core.start()
    const tokens = {} as Record<TokenScope, string>
    for (const scope of ['read', 'host-enroll', 'publish', 'rollout', 'admin'] as const) {
      const uses = scope === 'host-enroll' ? 1_000_000 : null
      const wanted = { name: `test-${scope}`, scope, group: null, expiresAt: null, uses }
      tokens[scope] = (await core.tokens.create(wanted, BY_TEST)).secret
    }
    return new HttpWorld({ folder, core, db, blobs, repo, logs, tokens })
  }

  /** The app with limits wide enough for a test that does not ask about them. */
  get app() {
    this.#app ??= this.buildApp()
    return this.#app
  }

  buildApp(options: Partial<AppOptions> = {}) {
    const wide = { burst: 100_000, perMinute: 100_000 }
    return buildApp(this.core, {
      version: '0.1.0',
      trustedProxies: parseTrustedProxies([]),
      enrolments: wide,
      failures: wide,
      ...options,
    })
  }

  /** One request, by a token of this scope unless it says otherwise. */
  request(
    method: string,
    path: string,
    options: { scope?: TokenScope; token?: string; body?: unknown; headers?: Record<string, string> } = {},
  ) {
    const token = options.token ?? (options.scope && this.tokens[options.scope])
    const json = options.body !== undefined && !(options.body instanceof Uint8Array)
    return this.app.request(path, {
      method,
      headers: {
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(json ? { 'content-type': 'application/json' } : {}),
        ...options.headers,
      },
      ...(options.body === undefined
        ? {}
        : { body: json ? JSON.stringify(options.body) : (options.body as Uint8Array<ArrayBuffer>) }),
    })
  }

  /** Root, targets and the channels are published. */
  async publishRoot(): Promise<void> {
    const root = decoder.decode(this.repo.file('1.root.json'))
    const targets = decoder.decode(this.repo.file('1.targets.json'))
    await this.core.publication.acceptRoot({ roots: [root], targets }, BY_TEST)
  }

  /** A release of a tiny archive is published. Resolves with the bytes of its artifact. */
  async publishRelease(version: string): Promise<Uint8Array> {
    const archive = await this.prepareRelease(version)
    await this.core.publication.acceptReleases(this.submission(version), BY_TEST)
    return archive
  }

  /** Its artifact is here and its documents are signed. */
  async prepareRelease(version: string): Promise<Uint8Array> {
    const archive = new TextEncoder().encode(`archive of ${version}`)
    const sha256 = hexOf(archive)
    await this.core.publication.appendUpload(sha256, { offset: 0, length: archive.length, body: archive }, BY_TEST)
    await this.repo.release(version)
    return archive
  }

  /** What a publisher would send for it. */
  submission(version: string) {
    const channel = { a: 'alpha', b: 'beta', r: 'release' }[/[abr]/.exec(version)?.[0] ?? 'a'] ?? 'alpha'
    const role = this.repo.role(channel)
    const path = `${channel}/${version}/manifest.json`
    const [, bytes] =
      [...this.repo.targetFiles].find(([name]) => name.startsWith(`${channel}/${percentEncode(version)}/`)) ?? []
    if (!bytes) throw new Error(`no manifest of ${version}`)
    return {
      metadata: { [channel]: decoder.decode(this.repo.file(`${role.version}.${channel}.json`)) },
      manifests: { [path]: decoder.decode(bytes) },
      dry_run: false,
    }
  }

  /** A port with the app and the agents' sockets. Closed with the world. */
  async listen(
    options: Partial<SocketOptions> & {
      readonly app?: Partial<AppOptions>
      readonly tls?: ListenRequest['tls']
      readonly bell?: Bell
      readonly hosts?: Hosts
    } = {},
  ): Promise<HttpServer & { readonly sockets: Sockets }> {
    const { app, tls, bell = this.core.bell, hosts = this.core.hosts, ...socketOptions } = options
    const sockets = buildSockets(
      { ...this.core, bell, hosts },
      {
        trustedProxies: parseTrustedProxies([]),
        failures: buildRateLimit({ clock: systemClock, burst: 100_000, perMinute: 100_000 }),
        ...socketOptions,
      },
    )
    const server = await listen({
      app: this.buildApp(app),
      sockets,
      address: { host: '127.0.0.1', port: 0 },
      ...(tls ? { tls } : {}),
    })
    this.#servers.push(server)
    return Object.assign(server, { sockets })
  }

  /** A machine with a key of its own, not enrolled. */
  newHost(name: string): TestHost {
    return new TestHost(name)
  }

  /** A host that enrolled over REST. */
  async enrol(name: string, changes: object = {}): Promise<TestHost> {
    const host = this.newHost(name)
    const body = { ...host.enrollRequest(this.tokens['host-enroll']), ...changes }
    const answer = await this.request('POST', '/api/v1/agent/enroll', { body })
    if (answer.status !== 200) throw new Error(await answer.text())
    return host
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) await server.close(1_000)
    await this.core.close()
    await this.db.close()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** A host as far as the server can tell. */
export class TestHost {
  readonly name: string
  readonly publicKey: string
  readonly #key: KeyObject
  /** What it reports is signed in this chain. */
  readonly chain: ReportChain

  constructor(name: string) {
    const pair = generateKeyPairSync('ed25519')
    this.name = name
    this.#key = pair.privateKey
    this.publicKey = pair.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex')
    this.chain = new ReportChain(this.id, (statement) => this.sign(statement))
  }

  /** What the core knows it by. */
  get known() {
    return { hostId: this.id, publicKey: Buffer.from(this.publicKey, 'hex') }
  }

  /** Reports as they travel. */
  reports(items: readonly Report[]): Promise<SignedReport[]> {
    return this.chain.signAll(items)
  }

  get id(): string {
    return `h_${hexOf(Buffer.from(this.publicKey, 'hex')).slice(0, 32)}`
  }

  sign(statement: Uint8Array): string {
    return sign(null, statement, this.#key).toString('hex')
  }

  enrollRequest(token: string) {
    return {
      token,
      name: this.name,
      public_key: this.publicKey,
      proof: this.sign(enrollStatement(hexOf(new TextEncoder().encode(token)), this.name)),
      platform: 'linux-x64',
      channel: 'alpha',
      group: null,
      labels: {},
    }
  }

  hello(nonce: string) {
    const signature = this.sign(helloStatement(this.id, nonce))
    return { type: 'hello', protocol: 1, host_id: this.id, agent_version: '0.1.0', signature }
  }

  /** The headers by which it signs a plain request. */
  headers(method: string, path: string, body: string, time = Math.floor(Date.now() / 1000)): Record<string, string> {
    const statement = requestStatement({ hostId: this.id, time, method, path, bodySha256: hexOf(Buffer.from(body)) })
    return {
      'content-type': 'application/json',
      [HOST_HEADERS.host]: this.id,
      [HOST_HEADERS.time]: String(time),
      [HOST_HEADERS.signature]: this.sign(statement),
    }
  }
}

/** What a host reports about itself; `changes` to its inventory. */
export function inventoryReport(seq: number, changes: object = {}): Report {
  const inventory = {
    version: null,
    since: null,
    channel: 'alpha',
    database_version: null,
    config_version: null,
    generation: null,
    platform: 'linux-x64',
    agent_version: '0.1.0',
    service: 'none',
    target: null,
    waiting: null,
    waiting_detail: null,
    root_version: 1,
    timestamp_version: 1,
    ...changes,
  }
  return { seq, at: '2026-11-23T10:00:00Z', body: { type: 'inventory', inventory } } as Report
}

export function hexOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** A server that listens, with one release and one host: what every test of the socket begins with. Whoever asks disposes of the world. */
export async function listeningWorld(): Promise<{
  readonly world: HttpWorld
  readonly url: string
  readonly host: TestHost
}> {
  const world = await HttpWorld.create()
  await world.publishRoot()
  await world.publishRelease('0a1')
  const host = await world.enrol('web-1')
  const { url } = await world.listen()
  return { world, url, host }
}

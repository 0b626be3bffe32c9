// A core over a real database and a real folder, with a clock that a test moves. Against PostgreSQL too, where NETLINK_TEST_POSTGRES names a server.
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import type { Clock } from '../../keys/platform/clock.ts'
import { nodeDisk } from '../../keys/platform/disk.ts'
import { refresh, type Trusted } from '../../keys/refresh.ts'
import { generateEd25519 } from '../../keys/signer.ts'
import { buildCore, type CoreDeps } from '../../server/core/build-core.ts'
import { memoryTrustStore } from '../../server/core/candidate.ts'
import type { Core, Mutation } from '../../server/core/core.ts'
import { DEFAULT_LIFETIMES_MS, type OnlineSigners } from '../../server/core/online-roles.ts'
import type { BlobStore, Db } from '../../server/core/ports.ts'
import { publishedMetadata } from '../../server/core/repository.ts'
import { openFsBlobStore } from '../../server/store/fs-blob-store.ts'
import { applyMigrations, loadMigrations } from '../../server/store/migrate.ts'
import { openServerDb } from '../../server/store/postgres-db.ts'
import { borrowDb, giveBackDb } from '../world/lent-db.ts'
import { TestPublisher } from './publisher.ts'

export const BY: Mutation = { actor: { kind: 'local', user: 'test' }, reason: 'a test' }

export type DbKind = 'embedded' | 'server'
/** The kinds of database that there are here. */
export const dbKinds: readonly DbKind[] = process.env.NETLINK_TEST_POSTGRES ? ['embedded', 'server'] : ['embedded']

const START = new Date('2026-11-23T10:00:00Z')

export class TestClock implements Clock {
  #now = START.getTime()
  now = () => new Date(this.#now)
  monotonicMs = () => performance.now()
  /** Loops of the core never wake: a test does by hand what they would do. Short waits are waits. */
  sleep = (ms: number, signal?: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
      if (ms < 1_000) setTimeout(resolve, ms)
    })
  advance(parts: { days?: number; hours?: number; minutes?: number; seconds?: number }): void {
    const { days = 0, hours = 0, minutes = 0, seconds = 0 } = parts
    this.#now += (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000
  }
}

export interface CoreWorld extends AsyncDisposable {
  readonly folder: string
  readonly clock: TestClock
  readonly db: Db
  readonly blobs: BlobStore
  readonly core: Core
  readonly publisher: TestPublisher
  readonly signers: OnlineSigners
  readonly logged: { level: string; event: string; fields: unknown }[]
  /** Root and targets accepted. */
  begin(): Promise<void>
  /** Uploads the artifact and hands in the release. */
  publish(version: string): Promise<void>
  upload(bytes: Uint8Array, sha256: string): Promise<void>
  /** A host that was given root version 1 and follows what is published. */
  follow(startedAt?: Date): Promise<Trusted>
  /** Another core on the same database and storage: another replica, or this one after a restart. */
  another(changes?: Partial<CoreDeps>): Promise<Core>
}

let made = 0

/** An empty database with all tables, and the way to be done with it. */
export async function openTestDb(kind: DbKind): Promise<{ db: Db; close: () => Promise<void> }> {
  if (kind === 'embedded') {
    const db = await borrowDb()
    await applyMigrations(db, await loadMigrations())
    return { db, close: async () => giveBackDb(db) }
  }
  const address = new URL(process.env.NETLINK_TEST_POSTGRES ?? '')
  const name = `core_${process.pid}_${made++}_${randomBytes(3).toString('hex')}`
  const admin = openServerDb({ url: address.href, connections: 2 })
  await admin.queries.execute(sql.raw(`create database ${name}`))
  await admin.close()
  address.pathname = `/${name}`
  const db = openServerDb({ url: address.href, connections: 10 })
  await applyMigrations(db, await loadMigrations())
  return { db, close: () => db.close() }
}

export async function coreWorld(kind: DbKind = 'embedded'): Promise<CoreWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'netlink-core-'))
  const clock = new TestClock()
  const { db, close } = await openTestDb(kind)
  const blobs = await openFsBlobStore({ folder: join(folder, 'storage'), random: randomBytes })
  const signers: OnlineSigners = {
    snapshot: [generateEd25519().signer],
    timestamp: [generateEd25519().signer],
    director: [generateEd25519().signer],
  }
  const logged: CoreWorld['logged'] = []
  const cores: Core[] = []
  const another = async (changes: Partial<CoreDeps> = {}) => {
    const core = await buildCore({
      clock,
      random: randomBytes,
      db,
      blobs,
      signers,
      disk: nodeDisk,
      spoolFolder: join(folder, 'spool'),
      publicUrl: null,
      lifetimesMs: DEFAULT_LIFETIMES_MS,
      log: (level, event, fields) => void logged.push({ level, event, fields }),
      ...changes,
    })
    cores.push(core)
    return core
  }
  const core = await another()
  await core.start()
  const publisher = new TestPublisher(signers, clock.now)
  let firstRoot = ''
  const upload = async (bytes: Uint8Array, sha256: string) => {
    await core.publication.appendUpload(sha256, { offset: 0, length: bytes.length, body: bytes }, BY)
  }
  return {
    folder,
    clock,
    db,
    blobs,
    core,
    publisher,
    signers,
    logged,
    begin: async () => {
      firstRoot = await publisher.root()
      await core.publication.acceptRoot({ roots: [firstRoot], targets: await publisher.targets() }, BY)
    },
    publish: async (version) => {
      const { artifact, ...request } = await publisher.release(version)
      await upload(artifact.bytes, artifact.sha256)
      await core.publication.acceptReleases(request, BY)
    },
    upload,
    follow: (startedAt = clock.now()) =>
      refresh({ source: publishedMetadata(blobs), store: memoryTrustStore(Buffer.from(firstRoot)), startedAt }),
    another,
    [Symbol.asyncDispose]: async () => {
      for (const one of cores) await one.close()
      await close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

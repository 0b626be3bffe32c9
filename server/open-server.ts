// Opens what a configuration names: database, storage, keys, and the core over them.
import type { Clock } from '../keys/platform/clock.ts'
import type { Disk } from '../keys/platform/disk.ts'
import { makeDirDurable } from '../keys/platform/durable.ts'
import { acquireLock, type Lock } from '../keys/platform/lock.ts'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { loadS3Credentials, loadSecretLine, type ServerConfig } from './config.ts'
import { buildCore } from './core/build-core.ts'
import type { Core } from './core/core.ts'
import { CoreError } from './core/core-error.ts'
import type { BlobStore, Db, Log, RandomBytes } from './core/ports.ts'
import { type LiveSigners, openSigners } from './open-signers.ts'
import type { EmbeddedDbOptions } from './store/embedded-db.ts'
import { openFsBlobStore } from './store/fs-blob-store.ts'
import { loadMigrations, readMigrations } from './store/migrate.ts'
import { openServerDb } from './store/postgres-db.ts'
import { openS3BlobStore } from './store/s3-blob-store.ts'

export interface OpenDeps {
  readonly disk: Disk
  readonly clock: Clock
  readonly random: RandomBytes
  readonly log: Log
  /** The embedded database of a folder: the longest to load of all, so only those who need it do. */
  readonly openEmbeddedDb: (options: EmbeddedDbOptions) => Promise<Db>
  /** The command, for whoever finds the folder locked. */
  readonly owner: string
  /** How long to wait for another process that has the embedded database open. */
  readonly lockWaitMs?: number
  /** Once, if that takes more than a moment: who has it open. */
  readonly onLockWait?: (holder: string) => void
  /** Ends the waiting. */
  readonly signal?: AbortSignal
  readonly onBroken?: (error: Error) => void
}

export interface OpenServer {
  readonly db: Db
  readonly core: Core
  readonly signers: LiveSigners
  /** Core first, then the database. */
  close(): Promise<void>
}

/** The database of this server, not migrated. PlatformError `locked` if another process has the embedded one. */
export async function openDb(config: ServerConfig, deps: OpenDeps): Promise<Db> {
  if (config.database.kind === 'server') {
    const url = await loadSecretLine(deps.disk, config.database.urlFile)
    return openServerDb({ url, connections: config.database.connections })
  }
  const { log, onBroken } = deps
  await makeDirDurable(deps.disk, config.paths.database, 0o700)
  return deps.openEmbeddedDb({
    folder: config.paths.database,
    log,
    lock: () => takeLock(config.paths.lock, deps),
    ...(onBroken ? { onBroken } : {}),
  })
}

/** Nobody wonders before. */
const MOMENT_MS = 1_000

async function takeLock(path: string, deps: OpenDeps): Promise<Lock> {
  const { owner, clock, lockWaitMs = 0, onLockWait, signal } = deps
  const take = (waitMs: number) => acquireLock(path, { owner, clock, waitMs, ...(signal ? { signal } : {}) })
  const first = Math.min(MOMENT_MS, lockWaitMs)
  try {
    return await take(first)
  } catch (error) {
    if (!(error instanceof PlatformError && error.code === 'locked') || lockWaitMs === first) throw error
    onLockWait?.(String(error.facts.holder))
  }
  return take(lockWaitMs - first)
}

export async function openStorage(config: ServerConfig, deps: OpenDeps): Promise<BlobStore> {
  const { storage } = config
  if (storage.kind === 'fs') {
    await makeDirDurable(deps.disk, storage.folder, 0o700)
    return openFsBlobStore({ folder: storage.folder, random: deps.random, disk: deps.disk })
  }
  return openS3BlobStore({ ...storage, ...(await loadS3Credentials(deps.disk, storage.credentialsFile)) })
}

/** Everything over a migrated database, not started. CoreError 'refused' with reason `schema-pending` if migrations are missing. */
export async function openServer(config: ServerConfig, deps: OpenDeps): Promise<OpenServer> {
  const db = await openDb(config, deps)
  try {
    // Not before: whoever had the database open may have made a key.
    return await openCore(config, deps, db, await openSigners(config, deps.disk))
  } catch (error) {
    await db.close()
    throw error
  }
}

async function openCore(config: ServerConfig, deps: OpenDeps, db: Db, signers: LiveSigners): Promise<OpenServer> {
  await db.ping(10_000)
  const { pending } = await readMigrations(db, await loadMigrations())
  if (pending.length > 0) {
    throw new CoreError('refused', `the database lacks ${pending.map(({ id }) => id).join(', ')}`, {
      reason: 'schema-pending',
      next: [`netlink-server migrate up --dir ${config.paths.folder}`],
    })
  }
  const core = await buildCore({
    clock: deps.clock,
    random: deps.random,
    log: deps.log,
    disk: deps.disk,
    db,
    blobs: await openStorage(config, deps),
    signers,
    spoolFolder: config.paths.spool,
    publicUrl: config.publicUrl,
    lifetimesMs: config.lifetimesMs,
  })
  return {
    db,
    core,
    signers,
    close: async () => {
      await core.close()
      await db.close()
    },
  }
}

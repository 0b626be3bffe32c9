// Puts the core together and runs what runs by the clock.
//
//   every 5 s    signs of life and last uses are written; pages hear that the fleet changed
//   every 15 s   what is published and the brake are read again, in case a notification was lost
//   every 60 s   a timestamp that has lived half its life is renewed
//   every 10 min the log says what expires soon, as far as it was not said today
//   every 1 h    what is old is removed, by one replica
import type { Clock } from '../../keys/platform/clock.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { buildAssignments } from './assignments.ts'
import { buildAudit } from './audit.ts'
import { buildBell } from './bell.ts'
import type { Core, Readiness } from './core.ts'
import { CoreError } from './core-error.ts'
import { buildEnrolment } from './enroll.ts'
import { buildExpiryWatch } from './expiry.ts'
import { buildFleet } from './fleet.ts'
import { buildHosts } from './hosts.ts'
import { buildLease } from './lease.ts'
import type { Lifetimes, OnlineSigners } from './online-roles.ts'
import type { BlobStore, Db, Log, RandomBytes } from './ports.ts'
import { buildPresence } from './presence.ts'
import { buildPublication } from './publication.ts'
import { recoverFromPublished } from './recover.ts'
import { buildReleases } from './releases.ts'
import { buildReports } from './reports.ts'
import { buildRepository } from './repository.ts'
import { sweepOld } from './retention.ts'
import { buildSeal } from './seal.ts'
import { buildSigningEvents } from './signing-events.ts'
import { buildTokens } from './tokens.ts'
import { buildUploads } from './uploads.ts'

export interface CoreDeps {
  readonly clock: Clock
  readonly random: RandomBytes
  readonly db: Db
  readonly blobs: BlobStore
  readonly log: Log
  readonly signers: OnlineSigners
  readonly disk: Disk
  readonly spoolFolder: string
  readonly publicUrl: string | null
  readonly lifetimesMs: Lifetimes
}

const FLUSH_MS = 5_000
const REREAD_MS = 15_000
const RENEW_MS = 60_000
/** How long a published file may stay damaged while `serve` runs. */
const REPAIR_MS = 15 * 60_000
const EXPIRY_MS = 600_000
const RETENTION_MS = 3_600_000
const PING_MS = 2_000

/** A core over a migrated database. It answers at once; `start` makes it complete. */
export async function buildCore(deps: CoreDeps): Promise<Core> {
  const { db, blobs, clock, log } = deps
  const replicaId = Buffer.from(deps.random(8)).toString('hex')
  const bell = await buildBell({ db, log })
  const shared = { ...deps, replicaId, bell }
  const tokens = buildTokens(deps)
  const presence = buildPresence(shared)
  const reports = buildReports(shared)
  const uploads = buildUploads(deps)
  const seal = buildSeal(shared)
  const publication = buildPublication({ ...shared, seal, uploads })
  const watchExpiry = buildExpiryWatch(deps)
  const retention = buildLease(shared, 'retention')
  const stopped = new AbortController()
  const loops: Promise<void>[] = []
  let draining = false
  let started = false
  let sealProblem: string | null = 'not started'

  async function renew(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
      sealProblem = null
    } catch (error) {
      sealProblem = error instanceof Error ? error.message : String(error)
      log('error', 'repository.not_sealed', { error: sealProblem })
    }
  }

  /** Runs again and again until the core is closed. What goes wrong once is logged and tried again: nothing here may end the server. */
  function every(intervalMs: number, name: string, work: () => Promise<unknown>): void {
    const loop = async () => {
      for (;;) {
        await clock.sleep(intervalMs, stopped.signal)
        await work().catch((error) => log('warn', `${name}_failed`, { error: String(error) }))
      }
    }
    loops.push(loop().catch(() => {}))
  }

  async function flush(): Promise<void> {
    await presence.flush()
    await tokens.flush()
    await reports.ringFleet()
  }

  return {
    clock,
    log,
    publicUrl: deps.publicUrl,
    tokens,
    publication,
    signingEvents: buildSigningEvents(deps),
    repository: buildRepository(blobs),
    enrolment: buildEnrolment(shared),
    hosts: buildHosts(shared),
    assignments: buildAssignments(shared),
    reports,
    fleet: buildFleet({ ...shared, presence }),
    releases: buildReleases(db),
    audit: buildAudit(db),
    bell,
    presence,
    start: async () => {
      if (started) return
      started = true
      await presence.begin()
      await renew(async () => {
        await recoverFromPublished({ db, blobs, log, publication, signers: deps.signers })
        await seal.repair()
      })
      await watchExpiry().catch((error) => log('warn', 'expiry_failed', { error: String(error) }))
      every(FLUSH_MS, 'flush', flush)
      every(REREAD_MS, 'reread', bell.reread)
      every(RENEW_MS, 'renew', () => renew(seal.run))
      every(REPAIR_MS, 'repair', () => renew(seal.repair))
      every(EXPIRY_MS, 'expiry', watchExpiry)
      every(RETENTION_MS, 'retention', () => retention(() => sweepOld({ db, clock, log, uploads })))
    },
    readiness: async () => {
      const checks = [
        await check('database', () => db.ping(PING_MS)),
        await check('storage', () => blobs.ping(PING_MS)),
        { name: 'seal' as const, ok: sealProblem === null, detail: sealProblem },
      ]
      return { ready: !draining && checks.every(({ ok }) => ok), draining, checks }
    },
    drain: () => {
      draining = true
    },
    close: async () => {
      draining = true
      stopped.abort(new CoreError('unavailable', 'the server is going down'))
      await Promise.all(loops)
      await reports.idle()
      await tokens.flush()
      if (started) await presence.end()
      await bell.close()
    },
  }
}

async function check(name: 'database' | 'storage', ping: () => Promise<void>): Promise<Readiness['checks'][number]> {
  try {
    await ping()
    return { name, ok: true, detail: null }
  } catch (error) {
    return { name, ok: false, detail: error instanceof Error ? error.message : String(error) }
  }
}

// A host in memory: a disk that may lose power, a service, a clock that jumps. The engine on it is the real one.
import { join } from 'node:path'
import type { EngineDeps, RunOptions } from '../../agent/engine/deps.ts'
import { recover, runUpdate } from '../../agent/engine/engine.ts'
import type { EngineEvent } from '../../agent/engine/event.ts'
import { loadGeneration, loadInstalled, loadManifest, nextGeneration, readCurrent } from '../../agent/engine/layout.ts'
import type { Outcome } from '../../agent/engine/outcome.ts'
import type { Plan } from '../../agent/engine/plan.ts'
import { hashTree } from '../../agent/engine/unpack.ts'
import type { Probes } from '../../agent/health/probe.ts'
import { buildPaths, generationDir, type Paths } from '../../agent/paths.ts'
import { buildInstallPlan, buildReturnPlan } from '../../agent/plan-building.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { sha256, type TestRelease } from './release.ts'
import { createSimService, type SimService } from './sim-service.ts'
import { createVirtualClock } from './virtual-clock.ts'

export const paths: Paths = buildPaths({ home: '/host' })

export interface SimHost {
  readonly deps: EngineDeps
  readonly service: SimService
  readonly events: EngineEvent[]
  /** Versions whose health check fails, always or from the nth question on. */
  readonly sick: Map<string, number>
  /** What self-tests and exec checks end with; 0 unless said otherwise. */
  readonly exits: Map<string, number>
  /** Whether somebody else answers http checks. */
  readonly strangers: { answers: boolean }
  install(release: TestRelease, options?: RunOptions & PlanChanges): Promise<Outcome>
  rollback(generation: number, options?: RunOptions): Promise<Outcome>
  recover(): ReturnType<typeof recover>
  /** The version that `current` leads to. */
  installed(): Promise<string | null>
}

export interface PlanChanges {
  readonly plan?: Partial<Plan>
}

export interface SimHostOptions {
  /** Which archives can be fetched. */
  readonly releases: readonly TestRelease[]
  readonly now?: Date
}

const NOW = new Date('2026-11-23T10:00:00Z')

export function createSimHost(disk: Disk, options: SimHostOptions): SimHost {
  const clock = createVirtualClock(options.now ?? NOW)
  const service = createSimService(disk, paths)
  const sick = new Map<string, number>()
  const asked = new Map<string, number>()
  const exits = new Map<string, number>()
  const strangers = { answers: false }
  const events: EngineEvent[] = []
  let isLocked = false

  const probes: Probes = {
    async http() {
      if (strangers.answers) return { status: 200, body: 'a stranger' }
      const version = service.running
      if (version === null) throw new Error('connection refused')
      const count = (asked.get(version) ?? 0) + 1
      asked.set(version, count)
      return { status: count >= (sick.get(version) ?? Number.POSITIVE_INFINITY) ? 500 : 200, body: version }
    },
    async tcp() {
      if (service.running === null) throw new Error('connection refused')
    },
    run: async ({ argv }) => ({ kind: 'exited', code: exits.get(argv[0] ?? '') ?? 0, tail: ['said something'] }),
    unit: async () => ({ active: true, restarts: 0, words: 'active/running' }),
  }

  const deps: EngineDeps = {
    paths,
    disk,
    clock,
    service,
    probes,
    host: {
      os: 'linux',
      arch: 'x64',
      memoryBytes: 1 << 30,
      agentVersion: '0.1.0',
      bootId: 'sim',
      env: { PATH: '/bin' },
    },
    artifacts: {
      async fetch(artifact, file, { onProgress, signal }) {
        signal.throwIfAborted()
        const release = options.releases.find(({ archive }) => sha256(archive) === artifact.sha256)
        if (!release) throw new PlatformError('http-status', 'not found', { status: 404 })
        if (release.archive.length !== artifact.length) throw new TrustError('hash', 'wrong length')
        await disk.removeTree(file)
        const writer = await disk.createFile(file, 0o600)
        await writer.write(release.archive)
        await writer.sync()
        await writer.close()
        onProgress(release.archive.length)
      },
    },
    takeLock: async (path) => {
      if (isLocked) throw new PlatformError('locked', `${path}: held by another process`)
      isLocked = true
      return {
        release: () => {
          isLocked = false
        },
      }
    },
  }

  const facts = async () => ({
    now: clock.now(),
    platform: 'linux-x64',
    installed: await loadInstalled(deps),
    isTaken: () => false,
    rollbackOnFailure: true,
    selfTests: true,
  })

  return {
    deps,
    service,
    events,
    sick,
    exits,
    strangers,
    async install({ verified }, { plan: changes, ...run } = {}) {
      const plan = buildInstallPlan(await facts(), {
        verified,
        generation: await nextGeneration(deps),
        quarantineAccepted: true,
      })
      if (!plan) throw new Error('no artifact for this platform')
      return runUpdate(deps, { ...plan, ...changes }, verified, { onEvent: (event) => void events.push(event), ...run })
    },
    async rollback(number, run = {}) {
      const target = await loadGeneration(deps, number)
      const plan = buildReturnPlan(await facts(), target, await loadManifest(deps, target))
      if (!plan) throw new Error('no artifact for this platform')
      return runUpdate(deps, plan, null, { onEvent: (event) => void events.push(event), ...run })
    },
    recover: () => recover(deps, { onEvent: (event) => void events.push(event) }),
    installed: async () => (await loadInstalled(deps))?.version ?? null,
  }
}

/** Throws unless the host is wholly on one version: link, generation, tree, records. Resolves with that version. */
export async function assertWhole(disk: Disk): Promise<string | null> {
  const layout = { disk, paths }
  const current = await readCurrent(layout)
  if (current === 'unreadable') throw new Error('`current` is no link to a generation')
  const names = await disk.list(paths.generations).catch(() => [])
  for (const { name } of names) {
    const generation = await loadGeneration(layout, Number(name))
    await loadManifest(layout, generation)
    const digest = await hashTree(disk, join(generationDir(paths, generation.number), 'app'))
    if (digest !== generation.tree_sha256)
      throw new Error(`generation ${name} has tree ${digest}, expected ${generation.tree_sha256}`)
  }
  if (current === null) return null
  const { version } = await loadGeneration(layout, current)
  return version
}

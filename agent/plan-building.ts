// From a decision to a plan: what exactly one update will do on this host. The engine executes the plan, --dry-run shows it, recovery reads it.
import { createHash } from 'node:crypto'
import type { Verified } from '../keys/verified.ts'
import type { AttemptKind } from '../schema/attempt.ts'
import { formatDuration } from '../schema/cli/format.ts'
import type { Artifact, Manifest } from '../schema/manifest.ts'
import { compareVersions, type Version } from '../schema/version.ts'
import { type ForwardStep, forwardSteps, type Generation, type Plan, type PlanStep } from './engine/plan.ts'
import { utcSecond } from './utc-second.ts'

/** What every plan needs to know of the host. */
export interface PlanFacts {
  readonly now: Date
  /** As in a manifest's artifacts: `linux-x64`. */
  readonly platform: string
  readonly installed: Generation | null
  /** Update ids that are taken: one second may see two. */
  readonly isTaken: (updateId: string) => boolean
  readonly rollbackOnFailure: boolean
  readonly selfTests: boolean
}

export interface InstallRequest {
  readonly verified: Verified<Manifest>
  /** The number of the generation to make. */
  readonly generation: number
  /** Somebody named this version although it failed here before. */
  readonly quarantineAccepted: boolean
}

/** A plan that installs a verified release beside the running one. undefined if it has no artifact for this platform. */
export function buildInstallPlan(facts: PlanFacts, request: InstallRequest): Plan | undefined {
  const manifest = request.verified.value
  const artifact = artifactFor(manifest, facts.platform)
  if (!artifact) return undefined
  const manifestSha256 = createHash('sha256').update(request.verified.bytes).digest('hex')
  const kind = kindOf(facts.installed?.version ?? null, manifest.version)
  const generation = { kind: 'new' as const, number: request.generation }
  const steps = stepsOf(forwardSteps, { manifest, artifact, generation: generation.number, facts })
  return {
    ...commonPlan(facts, kind, manifest),
    manifest_sha256: manifestSha256,
    artifact,
    generation,
    steps,
    kept: keptWords(facts.installed, manifest),
    quarantine_accepted: request.quarantineAccepted,
  }
}

const NEEDED_TO_INSTALL: readonly ForwardStep[] = ['download', 'verify', 'unpack', 'stage']

/** A plan that returns to a generation that lies on this host; `manifest` is the one it was installed from. undefined if it is not of this platform. */
export function buildReturnPlan(facts: PlanFacts, target: Generation, manifest: Manifest): Plan | undefined {
  const artifact = manifest.artifacts.find((one) => one.sha256 === target.artifact_sha256)
  if (!artifact) return undefined
  const steps = forwardSteps.filter((step) => !NEEDED_TO_INSTALL.includes(step))
  return {
    ...commonPlan(facts, 'rollback', manifest),
    manifest_sha256: target.manifest_sha256,
    artifact,
    generation: { kind: 'return', number: target.number },
    steps: stepsOf(steps, { manifest, artifact, generation: target.number, facts }),
    kept: keptWords(facts.installed, manifest),
    quarantine_accepted: true,
  }
}

function commonPlan(facts: PlanFacts, kind: AttemptKind, manifest: Manifest) {
  return {
    schema: 'netlink.plan/v1' as const,
    update_id: freeUpdateId(facts, manifest.version),
    kind,
    created_at: utcSecond(facts.now),
    product: manifest.product,
    from: facts.installed,
    to: manifest.version,
    manifest,
    rollback_on_failure: facts.rollbackOnFailure,
    self_tests: facts.selfTests,
  }
}

/** The artifact of this platform, or the one for any. */
export function artifactFor(manifest: Manifest, platform: string): Artifact | undefined {
  return (
    manifest.artifacts.find((artifact) => artifact.platform === platform) ??
    manifest.artifacts.find((artifact) => artifact.platform === 'any')
  )
}

function kindOf(from: Version | null, to: Version): AttemptKind {
  if (from === null) return 'install'
  return compareVersions(to, from) < 0 ? 'downgrade' : 'upgrade'
}

/** Ids have one second's resolution: the next free second is taken. The caller holds the update lock. */
function freeUpdateId({ now, installed, isTaken }: PlanFacts, to: Version): string {
  for (let time = now; ; time = new Date(time.getTime() + 1000)) {
    const id = updateIdOf(installed?.version ?? null, to, time)
    if (!isTaken(id)) return id
  }
}

/** `update_<from|none>_<to>_<UTC yyyymmdd>_<hhmmss>`, builds included. */
export function updateIdOf(from: Version | null, to: Version, time: Date): string {
  const [day = '', clock = ''] = utcSecond(time).slice(0, -1).split('T')
  return `update_${from ?? 'none'}_${to}_${day.replaceAll('-', '')}_${clock.replaceAll(':', '')}`
}

/** What stays as it is because no engine for it is there yet. A release that needs one is refused before it comes to this. */
function keptWords(installed: Generation | null, manifest: Manifest): string[] {
  const previous = installed ? `code kept as generation ${installed.number}` : 'nothing is installed yet'
  const database =
    manifest.database_version === null
      ? 'this release has no database'
      : `the database stays at ${manifest.database_version}`
  return [`${previous}; ${database}`]
}

interface StepFacts {
  readonly words: string
  readonly bytes?: number
  readonly ms?: number
}

interface PlannedWork {
  readonly manifest: Manifest
  readonly artifact: Artifact
  readonly generation: number
  readonly facts: PlanFacts
}

function stepsOf(steps: readonly ForwardStep[], { manifest, artifact, generation, facts }: PlannedWork): PlanStep[] {
  const { service, self_tests } = manifest
  const old = facts.installed?.service ?? null
  const words: Record<ForwardStep, StepFacts | undefined> = {
    preflight: { words: 'check disk, memory and what the release asks for' },
    download: { words: 'download', bytes: artifact.length },
    verify: { words: 'verify signatures and hashes' },
    unpack: { words: 'unpack', bytes: artifact.unpacked_bytes },
    stage: { words: `lay out generation ${generation} beside the running one` },
    check: { words: 'check the tree against its signed digest' },
    baseline: old ? { words: 'see how healthy the running version is' } : undefined,
    stop: old ? { words: 'stop the service', ms: old.stop_timeout_ms } : undefined,
    switch: { words: `switch to generation ${generation}` },
    start: service ? { words: 'start the service' } : undefined,
    ready: service
      ? { words: `healthy within ${formatDuration(service.ready_ms)}, else back`, ms: service.ready_ms }
      : undefined,
    self_test:
      facts.selfTests && self_tests.length > 0
        ? {
            words: `${self_tests.length} self-test${self_tests.length === 1 ? '' : 's'}, else back`,
            ms: self_tests.reduce((sum, test) => sum + test.timeout_ms, 0),
          }
        : undefined,
    stability: service
      ? { words: `stays healthy for ${formatDuration(service.stability_ms)}, else back`, ms: service.stability_ms }
      : undefined,
    commit: { words: 'record the version' },
    collect: { words: 'remove old generations' },
  }
  return steps.flatMap((step) => {
    const line = words[step]
    return line ? [{ step, words: line.words, bytes: line.bytes ?? null, ms: line.ms ?? null }] : []
  })
}

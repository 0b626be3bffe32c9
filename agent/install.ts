// From what was asked to what was done: look, decide, plan, ask, carry out, hop by hop. Commands, the daemon's worker and the library differ only in whom
// they ask and whom they tell.
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Verified } from '../keys/verified.ts'
import { EXIT } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import type { Manifest } from '../schema/manifest.ts'
import type { Version } from '../schema/version.ts'
import type { UsedAuthorization } from './assignment-check.ts'
import { useNonce } from './assignment-state.ts'
import { type CheckResult, loadHostState } from './check.ts'
import { type Asked, activeHold, type Decision, type Goal, type HostState, holdWords } from './decide.ts'
import { checkDowngrade } from './downgrade-check.ts'
import type { EngineDeps, HeldLock } from './engine/deps.ts'
import type { EngineEvent } from './engine/event.ts'
import { loadInstalled, nextGeneration } from './engine/layout.ts'
import type { Outcome } from './engine/outcome.ts'
import type { Plan } from './engine/plan.ts'
import { addQuarantine } from './engine/quarantine.ts'
import { openEnrolment } from './enrolled.ts'
import { unchangedWords } from './explain.ts'
import { listUpdates } from './history.ts'
import type { Host } from './host.ts'
import { loadCheck, saveCheck } from './host-state.ts'
import { lookAndRemember } from './look.ts'
import { performPlan, recoverHost, reportInventory } from './perform.ts'
import { buildInstallPlan, type PlanFacts } from './plan-building.ts'
import { loadTrustedRoot } from './trust-reset.ts'
import { utcSecond } from './utc-second.ts'

/** `yyyymmdd_hhmmss` at the end of an update id. */
const SECOND_LENGTH = 15

export interface InstallRequest {
  readonly what:
    | { readonly kind: 'upgrade'; readonly goal: Goal }
    | { readonly kind: 'downgrade'; readonly to: Version }
  readonly asked: Asked
  /** As of a check. */
  readonly assignment?: 'heard' | 'asked' | undefined
  /** Skips warnings: a hold, an unhealthy running version. Never a check. */
  readonly force: boolean
  /** Only plans. */
  readonly dryRun: boolean
  readonly signal?: AbortSignal | undefined
  readonly deadlineMs?: number | undefined
  readonly listener: InstallListener
}

/** Somebody took their time and agreed, or did not; or nobody had to be asked, and no time went by. */
export type Consent = 'agreed' | 'declined' | 'unasked'

/** Who is asked, and who is told. */
export interface InstallListener {
  /** The first plan, and the versions that come after it. Resolves with whether to go on; nothing was changed so far. */
  confirm(plan: Plan, laterHops: readonly Version[], warnings: readonly string[]): Promise<Consent>
  /** A plan is about to be carried out. */
  onPlan(plan: Plan): void
  onEvent(event: EngineEvent): void
}

export type InstallEnd =
  | { readonly kind: 'up-to-date'; readonly detail: string; readonly installed: Version | null }
  | {
      readonly kind: 'waiting'
      readonly decision: Extract<Decision, { kind: 'waiting' }>
      readonly installed: Version | null
    }
  | {
      readonly kind: 'planned'
      readonly plan: Plan
      readonly laterHops: readonly Version[]
      readonly warnings: readonly string[]
    }
  | { readonly kind: 'declined'; readonly plan: Plan }
  /** One outcome a hop; every one but the last was committed. */
  | { readonly kind: 'done'; readonly outcomes: readonly Outcome[]; readonly last: Outcome }

/** Throws Failure, TrustError, PlatformError or ShapeError as long as nothing was begun; after that every end is an outcome. */
export async function install(host: Host, engine: EngineDeps, request: InstallRequest): Promise<InstallEnd> {
  // 1. What a crash cut is brought to its end first: it decides what is installed.
  if (!request.dryRun) await recoverOrRefuse(host, engine, request.listener.onEvent)
  // 2. What there is, and whether it may be installed now.
  const found = await look(host, request)
  const { decision, state } = found
  if (decision.kind === 'up-to-date') return { kind: 'up-to-date', detail: decision.detail, installed: state.installed }
  if (decision.kind === 'waiting') return { kind: 'waiting', decision, installed: state.installed }
  // 3. What a person should know before, and what only --force goes past.
  const warnings = warningsOf(host, state)
  if (!request.dryRun && request.asked.by === 'person') refuseHeld(host, state, request.force)
  // 4. The plan, shown and agreed to before the lock is taken: people take their time.
  const [first, ...laterHops] = decision.hops.map((version) => verifiedOf(found, version))
  if (!first) throw new Error('a decision without a hop')
  const later = laterHops.map((verified) => verified.value.version)
  const named = request.what.kind === 'downgrade' || request.what.goal.kind === 'version'
  const shown = await planFor(host, first, named)
  if (request.dryRun) return { kind: 'planned', plan: shown, laterHops: later, warnings }
  const consent = await request.listener.confirm(shown, later, warnings)
  if (consent === 'declined') return { kind: 'declined', plan: shown }
  // 5. The work, under the lock, each hop planned anew from what is there by then.
  const lock = await engine.takeLock(host.paths.updateLock)
  let hops: readonly Verified<Manifest>[] | 'other'
  try {
    hops = await lookAgain(host, request, { found, consent, warnings })
  } catch (error) {
    await lock.release()
    throw error
  }
  if (hops === 'other') {
    // What was decided and agreed to is no longer what would be done.
    await lock.release()
    return install(host, engine, request)
  }
  try {
    const { authorization } = found
    // Not sooner: whoever cuts downloads would otherwise use up what several people signed. The way down is one hop.
    const beforeStop = authorization ? () => useNonce(host, authorization.nonce) : undefined
    const end = await performHops(host, engine, request, { hops, named, lock, beforeStop })
    if (authorization) await banLeft(host, end, state.installed, authorization)
    return end
  } finally {
    await lock.release()
    await forgetTarget(host)
    await reportInventory(host, engine)
  }
}

interface Shown {
  readonly found: Found
  readonly consent: Exclude<Consent, 'declined'>
  readonly warnings: readonly string[]
}

/**
 * Whether what was decided still holds, now that nobody else can change what is installed or trusted: the releases to install, verified anew where time has
 * gone by. `other`: it has to be decided again, and nobody agreed to the old decision, or another update ended meanwhile. Throws Failure E-STALE-PLAN where
 * somebody agreed to what would not be done any more.
 */
async function lookAgain(
  host: Host,
  request: InstallRequest,
  { found, consent, warnings }: Shown,
): Promise<readonly Verified<Manifest>[] | 'other'> {
  const installed = await loadInstalled(host)
  // Who this host is was read when it was opened: deciding again would go by that.
  if (!isDeepStrictEqual(await openEnrolment(host), host.enrolment))
    throw stalePlan(
      host.enrolment.name,
      found.state,
      'This host was enrolled anew, has left, or follows another channel.',
    )
  if ((installed?.version ?? null) !== found.state.installed) return 'other'
  const isSame = isDeepStrictEqual(await loadHostState(host, installed, { engine: 'idle' }), found.state)
  const isTrusted = found.rootSha256 === (await loadTrustedRoot(host))?.sha256
  if (consent === 'unasked') return isSame && isTrusted ? hopsOf(found) : 'other'
  const again = await look(host, request)
  if (request.asked.by === 'person') refuseHeld(host, again.state, request.force)
  const isAgreedTo = isDeepStrictEqual([promiseOf(again), warningsOf(host, again.state)], [promiseOf(found), warnings])
  if (isAgreedTo) return hopsOf(again)
  throw stalePlan(host.enrolment.name, again.state, wordsOf(again.decision))
}

/** What is going to be done, to the byte. */
function promiseOf(found: Found): unknown {
  const { decision, authorization } = found
  if (decision.kind !== 'available') return decision
  return { hashes: hopsOf(found).map(({ bytes }) => sha256Of(bytes)), nonce: authorization?.nonce ?? null }
}

function hopsOf(found: Found): readonly Verified<Manifest>[] {
  return found.decision.kind === 'available' ? found.decision.hops.map((version) => verifiedOf(found, version)) : []
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function stalePlan(name: string, { installed }: HostState, now: string): Failure {
  return new Failure({
    code: 'E-STALE-PLAN',
    exit: EXIT.unconfirmed,
    title: 'what was agreed to is no longer what would be done',
    detail: `While the plan for ${name} waited, something that it rests on has changed. ${now}`,
    state: unchangedWords(installed),
    next: ['netlink update check', 'the same command again, which shows the new plan'],
  })
}

function wordsOf(decision: Decision): string {
  return decision.kind === 'available'
    ? `Now it would be ${decision.hops.join(', then ')}.`
    : `Now: ${decision.detail}.`
}

/** What was left on the director's word is left for good: nothing but a newer release, or a person who names it, brings it back. */
async function banLeft(
  host: Host,
  end: InstallEnd,
  left: Version | null,
  { reason }: UsedAuthorization,
): Promise<void> {
  if (left === null || end.kind !== 'done' || end.last.kind !== 'committed') return
  await addQuarantine(host.disk, host.paths, {
    version: left,
    update_id: end.last.update_id,
    at: utcSecond(host.clock.now()),
    code: 'left',
    message: `left by an authorised downgrade to ${end.last.to}: ${reason}`,
  })
}

type Found = Pick<CheckResult, 'decision' | 'state' | 'manifests'> &
  Partial<Pick<CheckResult, 'authorization'>> & { readonly rootSha256: string | null }

async function look(host: Host, { what, asked, assignment }: InstallRequest): Promise<Found> {
  if (what.kind === 'downgrade') return checkDowngrade(host, what.to)
  return lookAndRemember(host, { goal: what.goal, asked, how: 'refresh', engine: 'idle', assignment })
}

async function performHops(
  host: Host,
  engine: EngineDeps,
  request: InstallRequest,
  work: {
    readonly hops: readonly Verified<Manifest>[]
    readonly named: boolean
    readonly lock: HeldLock
    readonly beforeStop: (() => Promise<void>) | undefined
  },
): Promise<InstallEnd> {
  const outcomes: Outcome[] = []
  for (const verified of work.hops) {
    const plan = await planFor(host, verified, work.named)
    request.listener.onPlan(plan)
    const { signal, deadlineMs, force, listener } = request
    const { lock, beforeStop } = work
    const outcome = await performPlan(host, engine, {
      plan,
      verified,
      lock,
      signal,
      deadlineMs,
      acceptUnhealthy: force,
      beforeStop,
      onEvent: listener.onEvent,
    })
    outcomes.push(outcome)
    if (outcome.kind !== 'committed') break
  }
  const last = outcomes.at(-1)
  if (!last) throw new Error('nothing was performed')
  return { kind: 'done', outcomes, last }
}

function verifiedOf(found: Found, version: Version): Verified<Manifest> {
  const verified = found.manifests.get(version)
  if (verified) return verified
  throw new Error(`the manifest of ${version} was not loaded`)
}

async function planFor(host: Host, verified: Verified<Manifest>, quarantineAccepted: boolean): Promise<Plan> {
  const plan = buildInstallPlan(await loadPlanFacts(host), {
    verified,
    generation: await nextGeneration(host),
    quarantineAccepted,
  })
  if (plan) return plan
  throw new Failure({
    code: 'E-INCOMPATIBLE',
    exit: EXIT.refused,
    title: `${verified.value.version} can't be installed here`,
    detail: `It has no artifact for ${host.platform}: ${verified.value.artifacts.map((one) => one.platform).join(', ')}.`,
    state: 'Nothing was changed.',
    next: ['netlink update check'],
  })
}

/** What plans need to know of the host as it is now. */
export async function loadPlanFacts(host: Host): Promise<PlanFacts> {
  const taken = new Set(await listUpdates(host.disk, host.paths))
  return {
    now: host.clock.now(),
    platform: host.platform,
    installed: await loadInstalled(host),
    // One update a second, whatever its versions: ids sort by their time.
    isTaken: (id) => [...taken].some((other) => other.endsWith(id.slice(-SECOND_LENGTH))),
    rollbackOnFailure: host.config.safety.rollback_on_failure,
    selfTests: host.config.safety.test_after_update,
  }
}

/** Recovery before every change. Throws Failure where another process is at it, or where a person is needed. */
export async function recoverOrRefuse(
  host: Host,
  engine: EngineDeps,
  onEvent: (event: EngineEvent) => void,
): Promise<void> {
  const recovery = await recoverHost(host, engine, onEvent)
  if (recovery.kind === 'locked') throw lockedFailure(recovery.message)
  if (recovery.kind !== 'needs_operator') return
  throw new Failure({
    code: 'E-NEEDS-OPERATOR',
    exit: EXIT.rollbackFailed,
    title: `${recovery.update_id} can't be brought to an end safely`,
    detail: recovery.message,
    state: 'Nothing is started or switched until somebody has looked.',
    next: [`netlink update log ${recovery.update_id}`],
  })
}

/** Another update runs. */
function lockedFailure(detail: string): Failure {
  return new Failure({
    code: 'E-LOCKED',
    exit: EXIT.locked,
    title: 'another update runs on this host',
    detail,
    state: unchangedWords(undefined),
    next: ['netlink update status --watch'],
  })
}

function warningsOf(host: Host, state: HostState): string[] {
  const warnings: string[] = []
  const hold = activeHold(state.hold, host.clock.now())
  if (hold) warnings.push(holdWords(hold))
  if (state.brake.paused)
    warnings.push(
      `automatic updates of the fleet are paused${state.brake.reason === null ? '' : `: ${state.brake.reason}`}`,
    )
  return warnings
}

/** Whoever set a hold meant it: a person lifts it, or says --force. */
function refuseHeld(host: Host, state: HostState, force: boolean): void {
  const hold = activeHold(state.hold, host.clock.now())
  if (!hold || force) return
  throw new Failure({
    code: 'E-HOLD',
    exit: EXIT.refused,
    title: 'updates of this host are on hold',
    detail: holdWords(hold),
    state: unchangedWords(state.installed),
    next: ['netlink update unhold', 'or the same command with --force'],
  })
}

/** What was installed is no target any more. */
async function forgetTarget(host: Host): Promise<void> {
  const check = await loadCheck(host.disk, host.files)
  const installed = await loadInstalled(host)
  if (check?.target !== installed?.version || !check) return
  await saveCheck(host.disk, host.files, { ...check, target: null, waiting: null, waiting_detail: null })
}

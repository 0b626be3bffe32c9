// The heavy work of the daemon, in a process of its own that ends with it.
import { createHash } from 'node:crypto'
import { PlatformError } from '../keys/platform/platform-error.ts'
import { TrustError } from '../keys/trust-error.ts'
import { EXIT } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import { unreachable } from '../schema/unreachable.ts'
import { parseVersion, type Version } from '../schema/version.ts'
import { buildCheckAnswer } from './check-answer.ts'
import type { Asked, Goal } from './decide.ts'
import { loadDetails } from './details.ts'
import type { EngineDeps } from './engine/deps.ts'
import { startInstalled } from './engine/installed.ts'
import { buildEngine } from './engine-building.ts'
import { explainOutcome } from './explain.ts'
import { loadUpdate } from './history.ts'
import { type Host, openHost } from './host.ts'
import { loadCheck, loadOffers } from './host-state.ts'
import { type InstallEnd, install } from './install.ts'
import { buildInventory } from './inventory.ts'
import { lookAndRemember, noteWaiting } from './look.ts'
import type { Machine } from './machine.ts'
import { recoverHost } from './perform.ts'
import { flushReports } from './report/flush.ts'
import { rollBack } from './rollback.ts'
import { openUpdateLog } from './update-log.ts'
import { utcSecond } from './utc-second.ts'
import type { TickResult, WorkerLine, WorkerTask } from './worker-protocol.ts'

export interface WorkerContext {
  readonly machine: Machine
  readonly signal: AbortSignal
  readonly say: (line: WorkerLine) => void
}

/** Does the task and resolves with its result; rejects with what a person has to be told. */
export async function performTask(context: WorkerContext, task: WorkerTask): Promise<unknown> {
  const host = await openHost(context.machine, context.signal)
  const engine = buildEngine(host, { signal: context.signal })
  switch (task.task) {
    case 'recover':
      return recoverAndStart(host, engine)
    case 'tick':
      return tick(context, host, engine, task.flush)
    case 'check':
      return buildCheckAnswer(
        await lookAndRemember(host, {
          goal: { kind: 'latest' },
          asked: { by: 'person' },
          how: 'refresh',
          assignment: 'asked',
        }),
        host.clock.now(),
      )
    case 'details':
      return loadDetails(context.machine)
    case 'status':
      return (await loadUpdate(host.disk, host.paths, task.update_id)) ?? null
    case 'upgrade':
      return upgrade(context, host, engine, task)
    case 'rollback':
      return goBack(context, host, engine, task.update_id)
    default:
      return unreachable(task)
  }
}

/** Recovery first; only then may anything start the service. */
async function recoverAndStart(host: Host, engine: EngineDeps): Promise<{ recovery: string; service: string }> {
  const recovery = await recoverHost(host, engine)
  if (recovery.kind === 'locked') return { recovery: recovery.kind, service: 'left' }
  if (recovery.kind === 'needs_operator')
    return { recovery: `${recovery.kind}: ${recovery.update_id}: ${recovery.message}`, service: 'left' }
  return { recovery: recovery.kind, service: await startService(host, engine) }
}

/** A service that can't be started is a fact about the host, not a reason to give up looking after it. */
async function startService(host: Host, engine: EngineDeps): Promise<string> {
  try {
    return await startInstalled(engine)
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error)
    const log = openUpdateLog(host.paths.updateLog)
    log.write(utcSecond(host.clock.now()), null, `the service could not be started: ${words}`)
    await log.flush()
    return `failed: ${words}`
  }
}

async function tick(context: WorkerContext, host: Host, engine: EngineDeps, flush: boolean): Promise<TickResult> {
  const { automatic, refresh } = host.config
  const offers = await loadOffers(host.disk, host.files)
  const asked: Asked = {
    by: 'host',
    policy: {
      mode: automatic.mode,
      window: automatic.window,
      minRemainingMs: automatic.min_remaining_ms,
      jitterMs: automatic.jitter_ms,
      minimumSoakMs: automatic.minimum_soak_ms,
    },
    firstSeen: (version) => offers.get(version) ?? null,
    place: (version) => placeOf(host.enrolment.host_id, version),
  }
  const end = await installQuietly(context, host, engine, asked, flush ? 'asked' : 'heard')
  if (flush) await flushReports(host)
  return {
    inventory: await buildInventory(host, engine),
    timestamp_version: (await loadCheck(host.disk, host.files))?.timestamp_version ?? 0,
    changed: end?.kind === 'done' && end.last.kind === 'committed',
    wake_at: end?.kind === 'waiting' && end.decision.until ? utcSecond(end.decision.until) : null,
    interval_ms: refresh.interval_ms,
  }
}

/** What can't be reached, does not verify, or is locked right now is in the check record and the reports; the daemon just looks again later. */
async function installQuietly(
  context: WorkerContext,
  host: Host,
  engine: EngineDeps,
  asked: Asked,
  assignment: 'heard' | 'asked',
): Promise<InstallEnd | undefined> {
  try {
    return await install(host, engine, {
      what: { kind: 'upgrade', goal: { kind: 'latest' } },
      asked,
      assignment,
      force: false,
      dryRun: false,
      signal: context.signal,
      listener: listenerOf(context),
    })
  } catch (error) {
    if (error instanceof TrustError || error instanceof PlatformError) return undefined
    if (!(error instanceof Failure)) throw error
    const { exit, detail } = error.facts
    if (exit === EXIT.locked) await noteWaiting(host, 'locked', detail)
    else if (exit === EXIT.rollbackFailed) await noteWaiting(host, 'undecided', detail)
    else throw error
    return undefined
  }
}

/** A host's own place in the jitter of a version, 0 up to 1: spread over the fleet, the same at every look. */
function placeOf(hostId: string, version: Version): number {
  return createHash('sha256').update(`${hostId}\n${version}`).digest().readUInt32BE() / 2 ** 32
}

function listenerOf({ say }: WorkerContext) {
  return {
    confirm: async () => 'unasked' as const,
    onPlan: ({ update_id }: { update_id: string }) => say({ type: 'planned', update_id }),
    onEvent: (event: { type: string }) => {
      if (event.type === 'phase') say({ type: 'progress' })
    },
  }
}

async function upgrade(
  context: WorkerContext,
  host: Host,
  engine: EngineDeps,
  task: Extract<WorkerTask, { task: 'upgrade' }>,
): Promise<object> {
  const end = await install(host, engine, {
    what: { kind: 'upgrade', goal: goalOf(task) },
    asked: { by: 'person' },
    force: task.force,
    dryRun: false,
    signal: context.signal,
    deadlineMs: task.deadline_ms ?? undefined,
    listener: listenerOf(context),
  })
  if (end.kind === 'waiting') {
    throw new Failure({
      code: `E-${end.decision.reason.toUpperCase().replaceAll('_', '-')}`,
      exit: EXIT.refused,
      title: 'this version can’t be installed',
      detail: end.decision.detail,
      state: 'Nothing was changed.',
      next: ['netlink update check'],
    })
  }
  if (end.kind !== 'done')
    return { status: end.kind, current_version: end.kind === 'up-to-date' ? end.installed : null }
  await flushReports(host)
  if (end.last.kind !== 'committed') throw new Failure(explainOutcome(end.last, host.paths))
  return { status: 'succeeded', outcome: end.last }
}

function goalOf({ target, allow_channel_change }: Extract<WorkerTask, { task: 'upgrade' }>): Goal {
  if (target === 'latest' || target === 'stable') return { kind: target }
  return { kind: 'version', version: parseVersion(target), allowChannelChange: allow_channel_change }
}

async function goBack(
  context: WorkerContext,
  host: Host,
  engine: EngineDeps,
  updateId: string | null,
): Promise<object> {
  const end = await rollBack(host, engine, {
    updateId: updateId ?? undefined,
    dryRun: false,
    signal: context.signal,
    listener: listenerOf(context),
  })
  if (end.kind !== 'done') return { status: end.kind }
  await flushReports(host)
  if (end.outcome.kind !== 'committed') throw new Failure(explainOutcome(end.outcome, host.paths))
  return { status: 'succeeded', outcome: end.outcome }
}

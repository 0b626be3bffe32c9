// The way back. Each step may be repeated as often as the machine likes, from whatever state a crash left.
import { proveReady } from '../health/watch.ts'
import { recordReturn } from '../version-record.ts'
import { emptyStaging, removeGeneration } from './collect.ts'
import { timeText } from './journal.ts'
import { forgetPrepared, listGenerations, readCurrent } from './layout.ts'
import type { Progress } from './machine.ts'
import type { EngineCode, Reason } from './outcome.ts'
import { addQuarantine } from './quarantine.ts'
import type { OpenSession } from './session.ts'
import { DONE, SKIPPED, type StepEnd } from './step-end.ts'
import { start } from './switch-steps.ts'
import { orFail, stepsSoFar, watchRequest } from './watching.ts'

export async function backStop({ deps, plan }: OpenSession): Promise<StepEnd> {
  const status = await deps.service.status()
  if (status.state === 'stopped') return SKIPPED
  const oldRuns = status.state === 'running' && status.generation === plan.from?.number
  if (oldRuns && (await readCurrent(deps)) === plan.from?.number) return SKIPPED // it was never stopped, or is up again
  await deps.service.stop()
  return DONE
}

export async function backStart(session: OpenSession): Promise<StepEnd> {
  const old = session.plan.from
  if (!old || stepsSoFar(session).of('baseline').facts.service === 'stopped') return SKIPPED
  return start(session, old)
}

/** As well as it was before: what failed then may fail now. */
export async function backProve(session: OpenSession): Promise<StepEnd> {
  const { deps, plan } = session
  const before = stepsSoFar(session).of('baseline').facts.service
  if (!plan.from?.service || before === 'stopped' || before === 'crashed') return SKIPPED
  const end = await proveReady(deps, await watchRequest(session, plan.from, true), plan.from.service.ready_ms)
  orFail(session, 'back_prove', 'not_ready', end)
  return DONE
}

/** What failed for its own sake and not for want of a cable: it would fail again. */
const QUARANTINED: readonly EngineCode[] = [
  'archive',
  'crashed',
  'not_ready',
  'unstable',
  'self_test',
  'service',
  'exhausted',
]

export async function backRecord(session: OpenSession): Promise<StepEnd> {
  const { deps, plan } = session
  const { disk, paths, clock } = deps
  const progress = stepsSoFar(session)
  const current = await readCurrent(deps)
  const { goBack } = progress
  if (goBack && isFaultOfVersion(goBack, progress)) {
    const entry = {
      version: plan.to,
      tree_sha256: plan.artifact.tree_sha256,
      update_id: plan.update_id,
      at: timeText(clock.now()),
      code: goBack.code,
      message: goBack.message,
    }
    await addQuarantine(disk, paths, entry)
  }
  if (progress.of('commit').attempts > 0) await recordReturn(deps, plan.to, versionAt(session, current))
  if (
    plan.generation.kind === 'new' &&
    current !== plan.generation.number &&
    (await listGenerations(deps)).includes(plan.generation.number)
  ) {
    await removeGeneration(deps, plan.generation.number)
  }
  await forgetPrepared(deps)
  await emptyStaging(deps)
  return DONE
}

function isFaultOfVersion(reason: Reason, progress: Progress): boolean {
  if (reason.code === 'unverified') return reason.step === 'unpack' // the archive is the signed one, and its tree is not
  if (reason.code === 'interrupted') return progress.of('switch').attempts > 0 && progress.recoveries > 1
  return QUARANTINED.includes(reason.code)
}

function versionAt({ plan }: OpenSession, current: number | null | 'unreadable') {
  return current === plan.generation.number ? plan.to : (plan.from?.version ?? null)
}

// What steps need to watch a service: its checks with the site's values, what failed before, and words for what came of it.
import { unreachable } from '../../schema/unreachable.ts'
import type { WatchEnd, WatchRequest } from '../health/watch.ts'
import { appDir, type Runnable, resolveChecks, resolveEnv, variablesOf } from '../service/definition.ts'
import { failure, foldEntries, type Progress } from './machine.ts'
import type { EngineCode } from './outcome.ts'
import type { Generation, StepName } from './plan.ts'
import { StepFailure } from './reason.ts'
import type { OpenSession } from './session.ts'
import { loadSite } from './site.ts'

export function stepsSoFar({ journal }: OpenSession): Progress {
  return foldEntries(journal.records.map(({ entry }) => entry))
}

export function newRunnable({ plan }: OpenSession): Runnable & Pick<Generation, 'restart_units'> {
  const { service, restart_units } = plan.manifest
  return { number: plan.generation.number, version: plan.to, service, restart_units }
}

export async function checksOf(
  { deps }: OpenSession,
  generation: Runnable,
): Promise<Pick<WatchRequest, 'checks' | 'context'>> {
  const site = await loadSite(deps)
  const app = appDir(deps.paths, generation.number)
  return {
    checks: resolveChecks(generation.service?.health_checks ?? [], app, variablesOf(generation, site)),
    context: { env: resolveEnv(generation.service?.env ?? {}, generation, site), cwd: app, unitRestarts: new Map() },
  }
}

export async function watchRequest(session: OpenSession, generation: Runnable, back: boolean): Promise<WatchRequest> {
  const failing = stepsSoFar(session).of('baseline').facts.failing ?? []
  // A rollback wants the old version healthy; how the one that is being left does is no excuse.
  const excused = new Set(back || session.plan.kind !== 'rollback' ? failing : [])
  return {
    ...(await checksOf(session, generation)),
    generation: generation.service ? generation.number : null,
    excused,
    isStopped: () => !back && session.stop() !== null,
    signal: back ? undefined : session.signal,
  }
}

/** The names of checks that fail and may; throws where the watch did not end well. */
export function orFail(session: OpenSession, step: StepName, code: EngineCode, end: WatchEnd): readonly string[] {
  switch (end.kind) {
    case 'well':
      return end.failing
    case 'crashed':
      throw new StepFailure({ code: 'crashed', step, message: end.words, details: [...end.tail] })
    case 'unwell':
      throw new StepFailure({ code, step, message: end.words, details: [...end.details] })
    case 'stopped':
      throw new StepFailure(session.stop() ?? failure('cancelled', step, 'stopped'))
    default:
      return unreachable(end)
  }
}

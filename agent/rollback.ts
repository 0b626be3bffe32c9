// Back to what the last committed update, or a named one, left. Local only, needs no server, never lowers the floor.
import { EXIT } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import type { EngineDeps } from './engine/deps.ts'
import type { EngineEvent } from './engine/event.ts'
import { isMissing, loadGeneration, loadManifest } from './engine/layout.ts'
import type { Outcome } from './engine/outcome.ts'
import type { Plan } from './engine/plan.ts'
import { findRollbackTarget } from './engine/rollback-target.ts'
import { unchangedWords } from './explain.ts'
import type { Host } from './host.ts'
import { type Consent, loadPlanFacts, recoverOrRefuse } from './install.ts'
import { performPlan, reportInventory } from './perform.ts'
import { buildReturnPlan } from './plan-building.ts'

export interface RollbackRequest {
  readonly updateId?: string | undefined
  readonly dryRun: boolean
  readonly signal?: AbortSignal | undefined
  readonly listener: {
    confirm(plan: Plan): Promise<Consent>
    onPlan(plan: Plan): void
    onEvent(event: EngineEvent): void
  }
}

export type RollbackEnd =
  | { readonly kind: 'planned'; readonly plan: Plan }
  | { readonly kind: 'declined' }
  | { readonly kind: 'done'; readonly outcome: Outcome }

/** Throws Failure E-NO-ROLLBACK where there is nothing to return to, else as `install`. */
export async function rollBack(host: Host, engine: EngineDeps, request: RollbackRequest): Promise<RollbackEnd> {
  if (!request.dryRun) await recoverOrRefuse(host, engine, request.listener.onEvent)
  const shown = await planReturn(host, request.updateId)
  if (request.dryRun) return { kind: 'planned', plan: shown }
  if ((await request.listener.confirm(shown)) === 'declined') return { kind: 'declined' }
  const lock = await engine.takeLock(host.paths.updateLock)
  try {
    const plan = await planReturn(host, request.updateId)
    request.listener.onPlan(plan)
    const { signal, listener } = request
    return {
      kind: 'done',
      outcome: await performPlan(host, engine, { plan, verified: null, lock, signal, onEvent: listener.onEvent }),
    }
  } finally {
    await lock.release()
    await reportInventory(host, engine)
  }
}

async function planReturn(host: Host, updateId: string | undefined): Promise<Plan> {
  const facts = await loadPlanFacts(host)
  const installed = facts.installed?.version ?? null
  const target = await findRollbackTarget(host, updateId).catch((error: unknown) => {
    if (isMissing(error)) return { kind: 'none' as const, message: `there is no update ${updateId} on this host` }
    throw error
  })
  if (target.kind === 'none') throw nothingToReturnTo(target.message, installed)
  if (target.number === facts.installed?.number)
    throw nothingToReturnTo(`generation ${target.number} is the one that runs`, installed)
  const generation = await loadGeneration(host, target.number).catch((error: unknown) => {
    if (isMissing(error))
      throw nothingToReturnTo(`generation ${target.number}, which ${target.update_id} left, was removed`, installed)
    throw error
  })
  const plan = buildReturnPlan(facts, generation, await loadManifest(host, generation))
  if (plan) return plan
  throw nothingToReturnTo(`generation ${target.number} has an artifact that its manifest does not name`, installed)
}

function nothingToReturnTo(detail: string, installed: string | null): Failure {
  return new Failure({
    code: 'E-NO-ROLLBACK',
    exit: EXIT.refused,
    title: 'there is nothing to return to',
    detail,
    state: unchangedWords(installed),
    next: ['netlink update history'],
  })
}

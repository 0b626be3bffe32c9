// From the engine's events and ends to reports. The journal is what happened; this only tells it, in order, and whatever goes wrong here stays here.
import type { AttemptReport, AttemptState } from '../../schema/attempt.ts'
import { attemptStateDuring, type EngineEvent } from '../engine/event.ts'
import { attemptStateOf, type Outcome } from '../engine/outcome.ts'
import type { Plan } from '../engine/plan.ts'
import type { PastUpdate } from '../history.ts'
import type { Outbox } from './outbox.ts'

export interface AttemptReporter {
  onEvent(event: EngineEvent): void
  /** Reports the end; resolves when everything is in the outbox or was given up. */
  end(outcome: Outcome): Promise<void>
}

/** Reports one attempt from `offered` on; states that come twice are told once. */
export function buildAttemptReporter(outbox: Outbox, plan: Plan, onTrouble: (error: unknown) => void): AttemptReporter {
  const base = { update_id: plan.update_id, kind: plan.kind, from: plan.from?.version ?? null, to: plan.to }
  let queue: Promise<void> = Promise.resolve()
  let told: AttemptState | undefined

  function tell(report: AttemptReport): void {
    if (report.state === told) return
    told = report.state
    queue = queue.then(() => outbox.append({ type: 'attempt', attempt: report })).catch(onTrouble)
  }

  tell({ ...base, state: 'offered', code: null, reason: null })
  return {
    onEvent: (event) => {
      if (event.type !== 'phase' || event.status !== 'started') return
      const state = attemptStateDuring(event.phase)
      // `succeeded` is for the end alone: until the commit is durable it may still go back.
      if (state !== 'succeeded') tell({ ...base, state, code: null, reason: null })
    },
    end: async (outcome) => {
      tell({ ...base, state: attemptStateOf(outcome), ...reasonOf(outcome) })
      await queue
    },
  }
}

function reasonOf(outcome: Outcome): Pick<AttemptReport, 'code' | 'reason'> {
  if (outcome.kind === 'committed') return { code: null, reason: null }
  return { code: outcome.reason.code, reason: outcome.reason.message.slice(0, 2_000) }
}

/** Tells of each recent update what its journal says beyond what was told: a process that died between the two is nobody's loss. */
export async function reportUntold(outbox: Outbox, updates: readonly PastUpdate[]): Promise<void> {
  for (const update of updates.toReversed()) {
    const told = await outbox.toldOf(update.update_id)
    if (update.ended_at === null || told === update.state) continue
    const { update_id, kind, from, to, state, code, reason } = update
    await outbox.append({
      type: 'attempt',
      attempt: { update_id, kind, from, to, state, code, reason: reason?.slice(0, 2_000) ?? null },
    })
  }
}

// What to do next. Pure: a plan, the records of its journal and what can be seen on the disk go in, one instruction comes out. Running and recovering
// ask the same question; a recovery only adds the record "recover" before its first one.
//
//   going forward        preflight* download verify unpack stage check baseline | stop switch start ready self_test stability | commit collect
//   after "go-back"      back_stop back_switch back_start back_prove back_record, or only back_record where nothing was stopped yet
//
//   what the journal says when a crash is found               what happens
//   --------------------------------------------------------  ------------------------------------------------------------------------------
//   nothing stopped yet                                       go back: throw away what was staged. The service never noticed
//   stop begun, `current` still old                           go back: start the old version again
//   switch begun or later, `current` new, first crash         go on from `start`: everything is staged and verified, and health is proved anew
//   the same, second crash                                    go back: whatever kills the machine may well be the new version
//   stability proved, commit begun or not                     go on: what is left is bookkeeping
//   `current` neither as old nor as new                       a person has to look: nothing is touched
//   "go-back" is there                                        go on with going back, whatever else is written
//
// Nothing loops: every step has a budget of attempts, a spent budget on the way forward goes back, on the way back goes on to the next step and ends
// as `stranded`, and a journal that was recovered too often is given up the same way.
//
// * preflight happens before the journal exists: a refused update leaves nothing behind.
import type { JournalEntry, StepFacts } from './journal.ts'
import type { Outcome, Reason } from './outcome.ts'
import { type BackwardStep, backwardSteps, type ForwardStep, forwardSteps, type Plan, type StepName } from './plan.ts'

/** What can be seen besides the journal. */
export interface Observed {
  /** The generation that `current` points to, null where there is no link, `unreadable` where it is something else. */
  readonly current: number | null | 'unreadable'
  /** Somebody wants it to stop, or its time is over. */
  readonly stop: Reason | null
  /** The journal can't be written any more. */
  readonly journalLost: boolean
}

export type Next =
  | { readonly kind: 'step'; readonly step: StepName; readonly attempt: number }
  | { readonly kind: 'go-back'; readonly reason: Reason }
  | { readonly kind: 'end'; readonly outcome: Outcome }
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  /** Neither forward nor back is safe. */
  | { readonly kind: 'operator'; readonly message: string }

/** Tries of one step, broken off ones included. */
const MAX_ATTEMPTS: Readonly<Record<StepName, number>> = {
  preflight: 1,
  download: 1,
  verify: 1,
  unpack: 1,
  stage: 1,
  check: 1,
  baseline: 1,
  stop: 1,
  switch: 2,
  start: 2,
  ready: 2,
  self_test: 2,
  stability: 2,
  commit: 3,
  collect: 2,
  back_stop: 6,
  back_switch: 6,
  back_start: 6,
  back_prove: 6,
  back_record: 6,
}
/** On the way back a step that failed by itself, not by a crash, is tried this often. Proving waits long enough in itself. */
const MAX_FAILURES = 2
const MAX_PROOFS = 1
/** Crashes after which an update that is already switched is still taken forward. */
const MAX_RESUMES = 1
/** Recoveries of one journal, then the way back is given up too. */
const MAX_RECOVERIES = 12

/** The steps of a plan that have a journal record, in order. */
export function journalledSteps(plan: Plan): readonly ForwardStep[] {
  const returning = plan.generation.kind === 'return'
  return forwardSteps.filter(
    (step) => step !== 'preflight' && !(returning && ['download', 'verify', 'unpack', 'stage'].includes(step)),
  )
}

/** The next instruction for this plan. */
export function decideNext(plan: Plan, entries: readonly JournalEntry[], observed: Observed): Next {
  const state = foldEntries(entries)
  if (state.ended) return { kind: 'ended', outcome: state.ended }
  const old = plan.from?.number ?? null
  const place = observed.current === plan.generation.number ? 'new' : observed.current === old ? 'old' : 'elsewhere'
  if (place === 'elsewhere') return { kind: 'operator', message: strayMessage(plan, observed.current) }
  if (state.goBack) return nextBackward(plan, state, state.goBack)
  return nextForward(plan, state, observed, place)
}

function nextForward(plan: Plan, state: Progress, observed: Observed, place: 'old' | 'new'): Next {
  const step = journalledSteps(plan).find((name) => state.of(name).last !== 'DONE')
  const bookkeeping = state.of('stability').last === 'DONE'
  const committing = state.of('commit').attempts > 0
  if (step === undefined) return { kind: 'end', outcome: committed(plan, state) }
  const { last, attempts } = state.of(step)
  const again: Next = { kind: 'step', step, attempt: attempts + 1 }
  const mayTryAgain = attempts < MAX_ATTEMPTS[step]

  // 1. After commit is done there is no way back; what is left may fail without harm.
  if (step === 'collect')
    return last === 'FAIL' || !mayTryAgain ? { kind: 'end', outcome: committed(plan, state) } : again
  // 2. The journal and the link must agree about the flip.
  const switched = state.of('switch').attempts > 0
  if (place === 'new' && !switched) return { kind: 'operator', message: strayMessage(plan, observed.current) }
  if (place === 'old' && state.of('switch').last === 'DONE') {
    return goBack(
      failure('interrupted', step, '`current` points to the old generation although the switch was recorded'),
    )
  }
  // 3. Without a journal nothing goes forward; with commit begun nothing else is safe.
  if (observed.journalLost && !committing) return goBack(failure('io', step, 'the journal can not be written'))
  if (observed.stop && !committing) return goBack({ ...observed.stop, step })
  // 4. What failed goes back, also if a crash lies in between.
  const failed = journalledSteps(plan).find((name) => state.of(name).last === 'FAIL')
  if (failed !== undefined && !(failed === 'commit' && mayTryAgain)) {
    return goBackOrStay(plan, state, place, state.of(failed).reason ?? failure('io', failed, 'failed'))
  }
  // 5. Never crashed: on.
  if (state.recoveries === 0) return mayTryAgain ? again : goBack(failure('exhausted', step, `tried ${attempts} times`))
  // 6. Crashed: on only where that is known to be safe.
  const safe = place === 'new' && (bookkeeping || state.recoveries <= MAX_RESUMES)
  if (safe && mayTryAgain) return again
  return goBack(failure('interrupted', state.brokenOff ?? step, 'the agent or the machine went down in the middle'))
}

function nextBackward(plan: Plan, state: Progress, reason: Reason): Next {
  const touched = state.of('stop').attempts > 0
  const steps: readonly BackwardStep[] = touched ? backwardSteps : ['back_record']
  const failed: Reason[] = []
  for (const step of steps) {
    const { last, attempts, failures, reason: why } = state.of(step)
    if (last === 'DONE') continue
    if (step === 'back_prove' && failed.length > 0) continue // nothing runs that could be proved
    const spent =
      attempts >= MAX_ATTEMPTS[step] ||
      failures >= (step === 'back_prove' ? MAX_PROOFS : MAX_FAILURES) ||
      state.recoveries > MAX_RECOVERIES
    if (!spent) return { kind: 'step', step, attempt: attempts + 1 }
    if (step !== 'back_record') failed.push(why ?? failure('exhausted', step, `tried ${attempts} times`))
  }
  return { kind: 'end', outcome: endOfGoingBack(plan, touched, reason, failed[0]) }
}

function endOfGoingBack(plan: Plan, touched: boolean, reason: Reason, back: Reason | undefined): Outcome {
  const ended = endedOf(plan)
  if (back) return { kind: 'stranded', ...ended, reason, back }
  return touched ? { kind: 'rolled_back', ...ended, reason } : { kind: 'discarded', ...ended, reason }
}

/** `safety.rollback_on_failure: false` leaves a failed version where it is, for whoever wants to look at it. */
function goBackOrStay(plan: Plan, state: Progress, place: 'old' | 'new', reason: Reason): Next {
  if (plan.rollback_on_failure || place === 'old' || state.of('switch').last !== 'DONE') return goBack(reason)
  const back = failure('cancelled', reason.step, 'going back by itself is switched off (safety.rollback_on_failure)')
  return { kind: 'end', outcome: { kind: 'stranded', ...endedOf(plan), reason, back } }
}

function goBack(reason: Reason): Next {
  return { kind: 'go-back', reason }
}

function committed(plan: Plan, state: Progress): Outcome {
  const collect = state.of('collect')
  const warnings = journalledSteps(plan).flatMap((step) => state.of(step).facts.warnings ?? [])
  if (collect.last === 'FAIL' && collect.reason)
    warnings.push(`old generations were not removed: ${collect.reason.message}`)
  return {
    kind: 'committed',
    ...endedOf(plan),
    generation: plan.generation.number,
    unreachable_ms: state.of('ready').facts.unreachable_ms ?? null,
    warnings,
  }
}

function endedOf(plan: Plan): { update_id: string; from: Plan['to'] | null; to: Plan['to'] } {
  return { update_id: plan.update_id, from: plan.from?.version ?? null, to: plan.to }
}

/** A reason without details. */
export function failure(code: Reason['code'], step: StepName | null, message: string): Reason {
  return { code, message, step, details: [] }
}

function strayMessage(plan: Plan, current: Observed['current']): string {
  const found =
    current === null
      ? 'is not there'
      : current === 'unreadable'
        ? 'is no link to a generation'
        : `points to generation ${current}`
  const old = plan.from ? `generation ${plan.from.number}` : 'nothing'
  return `\`current\` ${found}, and ${plan.update_id} knows only ${old} before it and generation ${plan.generation.number} after it`
}

/** What the records say about one step. */
interface StepState {
  readonly last: 'INTENT' | 'DONE' | 'FAIL' | null
  readonly attempts: number
  readonly failures: number
  readonly facts: StepFacts
  readonly reason: Reason | null
}

export interface Progress {
  of(step: StepName): StepState
  readonly goBack: Reason | null
  readonly ended: Outcome | null
  readonly recoveries: number
  /** The step that the newest crash cut. */
  readonly brokenOff: StepName | null
}

const UNTOUCHED: StepState = { last: null, attempts: 0, failures: 0, facts: {}, reason: null }
/** What a crash makes void: a process may be gone and health has to be proved again. A failure stays one. */
const VOLATILE: readonly StepName[] = [
  'start',
  'ready',
  'self_test',
  'stability',
  'back_stop',
  'back_start',
  'back_prove',
]

/** The records of a journal as what they mean together. */
export function foldEntries(entries: readonly JournalEntry[]): Progress {
  const steps = new Map<StepName, StepState>()
  const of = (step: StepName): StepState => steps.get(step) ?? UNTOUCHED
  let goBackReason: Reason | null = null
  let ended: Outcome | null = null
  let recoveries = 0
  let brokenOff: StepName | null = null

  for (const entry of entries) {
    switch (entry.phase) {
      case 'INTENT':
        steps.set(entry.step, { ...of(entry.step), last: 'INTENT', attempts: entry.attempt })
        break
      case 'DONE':
        steps.set(entry.step, { ...of(entry.step), last: 'DONE', facts: entry.facts })
        break
      case 'FAIL':
        steps.set(entry.step, {
          ...of(entry.step),
          last: 'FAIL',
          failures: of(entry.step).failures + 1,
          reason: entry.reason,
        })
        break
      case 'DECIDE':
        if (entry.decision.to === 'go-back') goBackReason = entry.decision.reason
        if (entry.decision.to === 'end') ended = entry.decision.outcome
        if (entry.decision.to === 'recover') {
          recoveries++
          brokenOff = [...steps].find(([, state]) => state.last === 'INTENT')?.[0] ?? brokenOff
          if (of('stability').last === 'DONE' && !goBackReason) break
          for (const step of VOLATILE) {
            if (steps.has(step) && of(step).last !== 'FAIL') steps.set(step, { ...of(step), last: null, facts: {} })
          }
        }
    }
  }
  return { of, goBack: goBackReason, ended, recoveries, brokenOff }
}

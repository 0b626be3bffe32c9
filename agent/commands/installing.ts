// What upgrade, downgrade and rollback have in common: the plan is shown, somebody agrees, progress is told, the end becomes an exit status.
import type { CommandEvent } from '../../schema/cli/envelope.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { formatDuration } from '../../schema/cli/format.ts'
import { renderProgress } from '../../schema/cli/progress.ts'
import type { EngineEvent } from '../engine/event.ts'
import type { Outcome } from '../engine/outcome.ts'
import type { Plan } from '../engine/plan.ts'
import { explainOutcome, unchangedWords } from '../explain.ts'
import type { Host } from '../host.ts'
import type { InstallEnd, InstallListener } from '../install.ts'
import type { CommandContext } from './context.ts'
import { planText } from './plan-text.ts'

export interface InstallingOptions {
  /** The command line without its program, for whoever has to say --yes: `update upgrade --to 0b1`. */
  readonly command: string
  readonly yes: boolean
  /** The `schema` of the result. */
  readonly schema: string
  /** What follows `netlink update` where it has to be said again: ` --from x.bundle`. */
  readonly from?: string
}

/** Asks and tells at a command line. */
export function buildListener(context: CommandContext, host: Host, options: InstallingOptions): InstallListener {
  const { output } = context
  const needsYes = host.config.safety.require_confirmation && !options.yes
  return {
    confirm: async (plan, laterHops, warnings) => {
      output.print(planText(plan, { host: host.enrolment.name, laterHops, warnings, width: output.width }))
      if (!needsYes) return 'unasked'
      if (!output.interactive) throw unconfirmed(options.command, plan)
      const answer = await output.ask('Proceed? (y/N) ')
      return /^y(es)?$/i.test(answer?.trim() ?? '') ? 'agreed' : 'declined'
    },
    onPlan: (plan) => {
      if (output.json) output.event({ type: 'phase', phase: 'plan', title: plan.update_id })
      else output.note(`${plan.update_id}`)
    },
    onEvent: buildTeller(context),
  }
}

/** Progress bars on a terminal, one plain line a phase in a pipe, one object a line with --json. */
export function buildTeller({ output, machine }: CommandContext): (event: EngineEvent) => void {
  let began = { phase: '', ms: 0, done: 0 }
  return (event) => {
    if (output.json) {
      const told = jsonEvent(event)
      if (told) output.event(told)
      return
    }
    switch (event.type) {
      case 'progress': {
        const now = machine.clock.monotonicMs()
        if (began.phase !== event.phase) began = { phase: event.phase, ms: now, done: event.done }
        const seconds = (now - began.ms) / 1000
        const rate = seconds > 0.5 ? (event.done - began.done) / seconds : null
        const progress = { label: event.phase, done: event.done, total: event.total, unit: 'bytes' as const, rate }
        output.live(renderProgress(progress, { color: output.color, width: output.width ?? 80 }))
        return
      }
      case 'phase':
        if (event.status === 'started') output.live(`${event.phase} …`)
        else if (event.status === 'done')
          output.note(
            `${output.paint('good', 'done')}    ${event.phase}: ${event.message} (${formatDuration(event.elapsed_ms)})`,
          )
        else if (event.status === 'failed')
          output.note(`${output.paint('error', 'failed')}  ${event.phase}: ${event.message}`)
        return
      case 'log':
        if (event.level !== 'info') output.note(`${output.paint('warning', event.level)}: ${event.message}`)
        return
    }
  }
}

function jsonEvent(event: EngineEvent): CommandEvent | undefined {
  switch (event.type) {
    case 'progress':
      return { type: 'progress', phase: event.phase, done: event.done, total: event.total, unit: 'bytes' }
    case 'phase':
      return event.status === 'started' ? { type: 'phase', phase: event.phase, title: event.message } : undefined
    case 'log':
      return { type: 'log', level: event.level, message: event.message }
  }
}

/** No terminal, no --yes: the exact command that would do it. */
export function unconfirmed(command: string, plan: Pick<Plan, 'from'>): Failure {
  return new Failure({
    code: 'E-UNCONFIRMED',
    exit: EXIT.unconfirmed,
    title: 'this has to be confirmed, and nobody is there to ask',
    detail: 'safety.require_confirmation is on, there is no terminal, and --yes was not given.',
    state: unchangedWords(plan.from?.version ?? null),
    next: [`netlink ${command} --yes`],
  })
}

/** The end of an installation as an exit status; everything is told. */
export function tellEnd(context: CommandContext, host: Host, end: InstallEnd, options: InstallingOptions): ExitCode {
  const { output } = context
  switch (end.kind) {
    case 'up-to-date':
      output.document(options.schema, { changed: false, current_version: end.installed, detail: end.detail })
      output.say(`nothing to do: ${end.detail}`)
      return EXIT.ok
    case 'waiting':
      throw refusal(end, options.from ?? '')
    case 'planned':
      output.document(options.schema, {
        dry_run: true,
        plan: end.plan,
        later_hops: end.laterHops,
        warnings: end.warnings,
      })
      output.print(
        planText(end.plan, {
          host: host.enrolment.name,
          laterHops: end.laterHops,
          warnings: end.warnings,
          width: output.width,
        }),
      )
      output.print('Nothing was done: this is what would be.')
      return EXIT.ok
    case 'declined':
      output.note('Nothing was changed.')
      return EXIT.unconfirmed
    case 'done':
      return tellOutcome(context, end.last, options)
  }
}

/** One outcome: the result, or the failure that it is. */
export function tellOutcome(
  { machine, output }: CommandContext,
  outcome: Outcome,
  options: Pick<InstallingOptions, 'schema'>,
): ExitCode {
  output.live(null)
  if (outcome.kind !== 'committed') throw new Failure(explainOutcome(outcome, machine.paths))
  output.result(options.schema, { changed: true, outcome, update_id: outcome.update_id, current_version: outcome.to })
  for (const warning of outcome.warnings) output.note(`warning: ${warning}`)
  const unreachable =
    outcome.unreachable_ms === null || outcome.from === null
      ? ''
      : `, the service was away for ${formatDuration(outcome.unreachable_ms)}`
  output.say(`${outcome.from ?? 'none'} → ${outcome.to} done: generation ${outcome.generation}${unreachable}`)
  return EXIT.ok
}

/** Something newer exists and may not be installed. Exit 3. */
function refusal({ decision, installed }: Extract<InstallEnd, { kind: 'waiting' }>, from: string): Failure {
  return new Failure({
    code: `E-${decision.reason.toUpperCase().replaceAll('_', '-')}`,
    exit: EXIT.refused,
    title: decision.version === null ? 'nothing can be installed' : `${decision.version} can't be installed`,
    detail: decision.detail,
    state: unchangedWords(installed),
    next:
      decision.reason === 'quarantined' && decision.version !== null
        ? [`netlink update upgrade --to ${decision.version}${from}`, 'netlink update history --failed']
        : [`netlink update check${from}`],
  })
}

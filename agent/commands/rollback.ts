// netlink update rollback [--update-id ID]
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { buildEngine } from '../engine-building.ts'
import { openHost } from '../host.ts'
import { mayWrite } from '../rights.ts'
import { rollBack } from '../rollback.ts'
import type { CommandContext } from './context.ts'
import { buildListener, tellOutcome } from './installing.ts'
import { buildLockWait } from './lock-wait.ts'
import { planText } from './plan-text.ts'
import { reportChange } from './reporting.ts'

interface Options {
  readonly updateId?: string
  readonly dryRun?: boolean
  readonly only?: string
  readonly yes?: boolean
  readonly force?: boolean
}

const SCHEMA = 'netlink.update.rollback/v1'

export async function run(context: CommandContext, options: Options): Promise<ExitCode> {
  const { output, machine } = context
  refusePart(options.only)
  if (!(await mayWrite(machine))) {
    const { rollBackThroughSocket } = await import('./through-socket.ts')
    return rollBackThroughSocket(context, options)
  }
  const host = await openHost(machine, context.signal)
  const command = `update rollback${options.updateId === undefined ? '' : ` --update-id ${options.updateId}`}`
  const listener = buildListener(context, host, {
    command,
    yes: options.yes === true || options.force === true,
    schema: SCHEMA,
  })
  const end = await rollBack(host, buildEngine(host, buildLockWait(context)), {
    updateId: options.updateId,
    dryRun: options.dryRun === true,
    signal: context.signal,
    listener: { ...listener, confirm: (plan) => listener.confirm(plan, [], []) },
  })
  switch (end.kind) {
    case 'planned':
      output.document(SCHEMA, { dry_run: true, plan: end.plan })
      output.print(planText(end.plan, { host: host.enrolment.name, laterHops: [], warnings: [], width: output.width }))
      output.print('Nothing was done: this is what would be.')
      return EXIT.ok
    case 'declined':
      output.note('Nothing was changed.')
      return EXIT.unconfirmed
    case 'done':
      await reportChange(context, host)
      return tellOutcome(context, end.outcome, { schema: SCHEMA })
  }
}

/** One flip goes back as a whole; parts of it need engines that are not there. */
function refusePart(only: string | undefined): void {
  if (only === undefined) return
  throw new Failure({
    code: 'E-NEEDS-ENGINE',
    exit: EXIT.refused,
    title: `only ${only} can't be rolled back in this version`,
    detail: 'A generation goes back as a whole: code, configuration and dependencies together.',
    state: 'Nothing was changed.',
    next: ['netlink update rollback --dry-run'],
  })
}

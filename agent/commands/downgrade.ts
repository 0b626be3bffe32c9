// netlink update downgrade --to VERSION: only where the installed release's signed manifest allows it.
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { parseDuration } from '../../schema/duration.ts'
import { parseVersion } from '../../schema/version.ts'
import { buildEngine } from '../engine-building.ts'
import { openHost } from '../host.ts'
import { install } from '../install.ts'
import { requireWrite } from '../rights.ts'
import type { CommandContext } from './context.ts'
import { buildListener, tellEnd } from './installing.ts'
import { buildLockWait } from './lock-wait.ts'
import { reportChange } from './reporting.ts'

interface Options {
  readonly to?: string
  readonly dryRun?: boolean
  readonly force?: boolean
  readonly yes?: boolean
  readonly timeout?: string
}

export async function run(context: CommandContext, options: Options): Promise<ExitCode> {
  if (options.to === undefined) {
    throw new Failure({
      code: 'E-USAGE',
      exit: EXIT.usage,
      title: 'a version is missing',
      detail: 'expected --to VERSION',
      state: 'Nothing was done.',
      next: ['netlink update downgrade --to VERSION --dry-run'],
    })
  }
  const to = parseVersion(options.to)
  await requireWrite(context.machine)
  const host = await openHost(context.machine, context.signal)
  const installing = {
    command: `update downgrade --to ${to}`,
    yes: options.yes === true || options.force === true,
    schema: 'netlink.update.downgrade/v1',
  }
  const end = await install(host, buildEngine(host, buildLockWait(context)), {
    what: { kind: 'downgrade', to },
    asked: { by: 'person' },
    force: options.force === true,
    dryRun: options.dryRun === true,
    signal: context.signal,
    deadlineMs: options.timeout === undefined ? undefined : parseDuration(options.timeout),
    listener: buildListener(context, host, installing),
  })
  if (end.kind === 'done') {
    await reportChange(context, host)
  }
  return tellEnd(context, host, end, installing)
}

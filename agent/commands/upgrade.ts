// netlink update upgrade --latest | --stable | --to VERSION | --from FILE
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { parseDuration } from '../../schema/duration.ts'
import { parseVersion } from '../../schema/version.ts'
import type { Goal } from '../decide.ts'
import { buildEngine } from '../engine-building.ts'
import { openHost } from '../host.ts'
import { install } from '../install.ts'
import { mayWrite } from '../rights.ts'
import type { CommandContext } from './context.ts'
import { buildListener, tellEnd } from './installing.ts'
import { buildLockWait } from './lock-wait.ts'
import { reportChange } from './reporting.ts'

/** As commander hands them over. */
export interface UpgradeOptions {
  readonly latest?: boolean
  readonly stable?: boolean
  readonly to?: string
  readonly from?: string
  readonly dryRun?: boolean
  readonly force?: boolean
  readonly yes?: boolean
  /** Commander: --no-wait makes this false. */
  readonly wait?: boolean
  readonly timeout?: string
  readonly skipBackup?: boolean
  readonly allowChannelChange?: boolean
}

export async function run(context: CommandContext, options: UpgradeOptions): Promise<ExitCode> {
  const { machine } = context
  if (options.from !== undefined) {
    const { upgradeFromBundle } = await import('./bundled.ts')
    return upgradeFromBundle(context, options.from, options)
  }
  const goal = goalOf(options)
  const deadlineMs = deadlineOf(options)
  if (!(await mayWrite(machine))) {
    const { upgradeThroughSocket } = await import('./through-socket.ts')
    return upgradeThroughSocket(context, goal, options)
  }
  const host = await openHost(machine, context.signal)
  if (options.wait === false && !options.dryRun) {
    const { upgradeInBackground } = await import('./background.ts')
    return upgradeInBackground(context, host, {
      goal,
      force: options.force === true,
      yes: options.yes === true,
      deadlineMs,
    })
  }
  const engine = buildEngine(host, buildLockWait(context))
  const installing = {
    command: commandOf(options),
    yes: options.yes === true || options.force === true,
    schema: 'netlink.update.upgrade/v1',
  }
  const end = await install(host, engine, {
    what: { kind: 'upgrade', goal },
    asked: { by: 'person' },
    force: options.force === true,
    dryRun: options.dryRun === true,
    signal: context.signal,
    deadlineMs,
    listener: buildListener(context, host, installing),
  })
  if (end.kind === 'done') {
    await reportChange(context, host)
  }
  return tellEnd(context, host, end, installing)
}

/** Longest time for all of it. Throws Failure E-USAGE for flags that contradict one another. */
export function deadlineOf(options: UpgradeOptions): number | undefined {
  if (options.skipBackup && !options.force) throw usage('--skip-backup needs --force', 'netlink update upgrade --help')
  return options.timeout === undefined ? undefined : parseDuration(options.timeout)
}

/** What was asked for. Throws Failure E-USAGE unless it is exactly one thing. */
export function goalOf(options: UpgradeOptions): Goal {
  const said = [options.latest === true, options.stable === true, options.to !== undefined].filter(Boolean)
  if (said.length !== 1)
    throw usage('expected one of --latest, --stable and --to VERSION', 'netlink update upgrade --latest')
  if (options.to !== undefined) {
    return {
      kind: 'version',
      version: parseVersion(options.to),
      allowChannelChange: options.allowChannelChange === true,
    }
  }
  return options.stable ? { kind: 'stable' } : { kind: 'latest' }
}

/** The command as it was meant, for whoever has to add --yes. */
function commandOf(options: UpgradeOptions): string {
  const goal = options.to !== undefined ? `--to ${options.to}` : options.stable ? '--stable' : '--latest'
  return `update upgrade ${goal}${options.allowChannelChange ? ' --allow-channel-change' : ''}`
}

/** A command that can't be meant: exit 2. */
export function usage(detail: string, next: string): Failure {
  return new Failure({
    code: 'E-USAGE',
    exit: EXIT.usage,
    title: 'this command can’t be meant',
    detail,
    state: 'Nothing was done.',
    next: [next],
  })
}

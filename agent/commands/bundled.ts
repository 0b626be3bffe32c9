// netlink update check --from FILE, netlink update upgrade --from FILE: out of a bundle, without a network.
import { resolve } from 'node:path'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { shellWord } from '../../schema/cli/shell-word.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { channelShape } from '../../schema/version.ts'
import { type Carried, carry, requireCarried } from '../bundle.ts'
import { buildCheckAnswer } from '../check-answer.ts'
import { nudgeDaemon } from '../daemon/nudge.ts'
import type { Goal } from '../decide.ts'
import { loadInstalled } from '../engine/layout.ts'
import { openHost } from '../host.ts'
import { install } from '../install.ts'
import { lookAndRemember } from '../look.ts'
import { mayWrite } from '../rights.ts'
import { type CheckOptions, tellCheck } from './check.ts'
import type { CommandContext } from './context.ts'
import { buildListener, tellEnd } from './installing.ts'
import { buildLockWait } from './lock-wait.ts'
import { deadlineOf, goalOf, type UpgradeOptions, usage } from './upgrade.ts'

/** What a bundle has for this host. It is verified as an upgrade would verify it, and remembered as seen: an older one is refused from then on. */
export async function checkBundle(context: CommandContext, file: string, options: CheckOptions): Promise<ExitCode> {
  if (options.offline)
    throw usage('--from reads a bundle, --offline what was verified before: one of them', 'netlink update check --help')
  const channel = options.channel === undefined ? undefined : parseShape(channelShape, options.channel, '--channel')
  const carried = await openCarried(context, file)
  const { host, bundle, explaining } = carried
  const goal = { kind: 'version', version: bundle.version, allowChannelChange: false } as const
  const result = await explaining(() =>
    lookAndRemember(host, { goal, asked: { by: 'person' }, how: 'refresh', channel }),
  )
  const next = `netlink update upgrade --from ${shellWord(file)} --dry-run`
  return tellCheck(context, buildCheckAnswer(result, host.clock.now()), options, next)
}

/** The version that the bundle was made for, unless another one of it is named. Its reports wait in the outbox until somebody can send them. */
export async function upgradeFromBundle(
  context: CommandContext,
  file: string,
  options: UpgradeOptions,
): Promise<ExitCode> {
  const deadlineMs = deadlineOf(options)
  if (options.wait === false)
    throw usage('--no-wait does not go with --from: the file may be gone by then', 'netlink update upgrade --help')
  const carried = await openCarried(context, file)
  const { host, engine, explaining } = carried
  const goal = await goalIn(carried, options)
  const installing = {
    command: commandOf(file, options),
    yes: options.yes === true || options.force === true,
    schema: 'netlink.update.upgrade/v1',
    from: ` --from ${shellWord(file)}`,
  }
  const end = await explaining(() =>
    install(host, engine, {
      what: { kind: 'upgrade', goal },
      asked: { by: 'person' },
      force: options.force === true,
      dryRun: options.dryRun === true,
      signal: context.signal,
      deadlineMs,
      listener: buildListener(context, host, installing),
    }),
  )
  if (end.kind === 'done') await nudgeDaemon(host)
  return tellEnd(context, host, end, installing)
}

async function openCarried(context: CommandContext, file: string): Promise<Carried> {
  const { machine, signal, output } = context
  if (!(await mayWrite(machine))) throw notThroughDaemon(machine.paths.state)
  const host = await openHost(machine, signal)
  const installed = await loadInstalled(host)
  output.live(`reading ${file} …`)
  const carried = await carry(
    host,
    installed?.version ?? null,
    resolve(machine.environment.cwd, file),
    buildLockWait(context),
  )
  output.live(null)
  return carried
}

async function goalIn(carried: Carried, options: UpgradeOptions): Promise<Goal> {
  const isOpen = !options.latest && !options.stable && options.to === undefined
  const goal = goalOf(isOpen ? { ...options, to: carried.bundle.version } : options)
  if (goal.kind === 'version')
    requireCarried(carried, goal.version, (await loadInstalled(carried.host))?.version ?? null)
  return goal
}

/** The daemon would read a file on behalf of somebody who may not change this host. */
function notThroughDaemon(state: string): Failure {
  return new Failure({
    code: 'E-NOT-PERMITTED',
    exit: EXIT.forbidden,
    title: 'this user may not change this host',
    detail: `${state} is not this user's to write, and the daemon takes no bundles for others.`,
    state: 'Nothing was changed.',
    next: ['run it as the user netlink or as root'],
  })
}

/** The command as it was meant, for whoever has to add --yes. */
function commandOf(file: string, options: UpgradeOptions): string {
  const goal =
    options.to !== undefined ? ` --to ${options.to}` : options.stable ? ' --stable' : options.latest ? ' --latest' : ''
  return `update upgrade --from ${shellWord(file)}${goal}${options.allowChannelChange ? ' --allow-channel-change' : ''}`
}

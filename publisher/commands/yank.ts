import type { Command } from 'commander'
import { plainLine } from '../../schema/cli/plain-text.ts'
import { channelOf, channels, isVersion, type Version } from '../../schema/version.ts'
import { deliver } from '../deliver.ts'
import { applyReinstatement, applyWithdrawal, type ChannelDraft, utcSeconds, versionsIn } from '../edit.ts'
import { removePending } from '../pending.ts'
import { PublishError } from '../publish-error.ts'
import { signAndKeep } from '../release.ts'
import type { Repository } from '../repository.ts'
import { type Workshop, withLockedWorkshop } from '../workshop.ts'
import { type CommandContext, versionArgument, withShared, withSigners } from './context.ts'
import type { ChangeOptions } from './published.ts'

/** Flags that say what is withdrawn. */
export interface YankOptions extends ChangeOptions {
  readonly reason?: string
  readonly severity: string
  readonly replaceWith?: string
  readonly undo?: boolean
}

const SEVERITIES = ['low', 'high', 'critical'] as const

/** Adds `yank VERSION --reason WORDS`. */
export function addYank(program: Command, context: CommandContext): void {
  withSigners(withShared(program.command('yank').argument('<version>', 'such as 0r2', versionArgument)))
    .description('withdraw a version: hosts that do not have it will not install it any more')
    .option('--reason <words>', 'why; hosts show it')
    .option('--severity <degree>', 'low, high or critical', 'high')
    .option('--replace-with <version>', 'what to install instead', versionArgument)
    .option('--undo', 'take the withdrawal back')
    .option('--dry-run', 'everything but signing and publishing')
    .action((version: Version, options: YankOptions) =>
      context.perform(options, 'events', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish yank', (workshop) =>
          yank(workshop, version, options),
        ),
      ),
    )
}

async function yank(workshop: Workshop, version: Version, options: YankOptions): Promise<void> {
  const { machine, output, config, layout } = workshop
  checkReason(options)
  const keyrings = options.dryRun ? [] : await workshop.openKeyrings(options)
  output.phase('refresh', `refresh and verify ${config.server}`)
  const repository = await workshop.refresh()
  const { draft, ...facts } = await planYank(workshop, repository, version, options)
  const verb = options.undo ? 'offered again' : 'withdrawn'
  const fields = {
    version,
    withdrawn: !options.undo,
    reason: options.undo ? null : facts.reason,
    severity: options.undo ? null : facts.severity,
    replace_with: facts.replaceWith,
    same_bytes: facts.siblings,
  }
  if (options.dryRun) {
    return output.answer(
      'netlink.publish.yank/v1',
      { dry_run: true, ...fields },
      `${version} would be ${verb}\nNothing was signed or published.`,
    )
  }
  const change = await signAndKeep(workshop, repository, keyrings, { subject: version, draft, manifest: undefined })
  const delivered = await deliver(workshop, repository, { subject: version, change, artifacts: [] })
  await removePending(machine.disk, layout.pending, version)
  output.answer(
    'netlink.publish.yank/v1',
    { dry_run: false, ...fields, timestamp_version: delivered.answer.timestamp_version },
    `${version} is ${verb}${options.undo ? '' : `: ${plainLine(facts.reason)}`}`,
  )
}

/** The severity and the reason that the flags say. Throws PublishError `usage`. */
function checkReason(options: YankOptions): Pick<Yank, 'reason' | 'severity'> {
  const severity = SEVERITIES.find((one) => one === options.severity)
  if (severity === undefined)
    throw new PublishError(
      'usage',
      `--severity takes ${SEVERITIES.join(', ')}, not ${JSON.stringify(options.severity)}`,
    )
  const reason = (options.reason ?? '').trim()
  if (!options.undo && reason === '')
    throw new PublishError('usage', 'yank needs --reason: what is wrong with this version')
  return { severity, reason }
}

export interface Yank {
  readonly draft: ChannelDraft
  readonly reason: string
  readonly severity: (typeof SEVERITIES)[number]
  readonly replaceWith: Version | null
  /** The same bytes under other letters, still offered. */
  readonly siblings: readonly Version[]
}

/** The channel with the version withdrawn, or offered again. Says where the same bytes are still offered. Throws PublishError. */
export async function planYank(
  { machine, output }: Workshop,
  repository: Repository,
  version: Version,
  options: YankOptions,
): Promise<Yank> {
  const { severity, reason } = checkReason(options)
  const opened = await repository.openDraft(channelOf(version))
  const replaceWith = await requirePublished(repository, options.replaceWith)
  const at = utcSeconds(machine.clock.now())
  const draft = options.undo
    ? applyReinstatement(opened, version)
    : applyWithdrawal(opened, { version, reason, severity, replaceWith, at })
  const siblings = await siblingsOf(repository, version)
  if (siblings.length > 0 && !options.undo) {
    output.warn(
      `${siblings.join(', ')} ${siblings.length === 1 ? 'has' : 'have'} the same bytes and ${siblings.length === 1 ? 'is' : 'are'} still offered`,
    )
  }
  return { draft, reason, severity, replaceWith, siblings }
}

async function requirePublished(repository: Repository, version: string | undefined): Promise<Version | null> {
  if (version === undefined || !isVersion(version)) return null
  await repository.loadManifest(version)
  return version
}

/** The same bytes under other letters, still offered. */
async function siblingsOf(repository: Repository, version: Version): Promise<readonly Version[]> {
  const artifacts = (await repository.loadManifest(version)).value.artifacts.map(({ sha256 }) => sha256).join()
  const found: Version[] = []
  for (const channel of channels.filter((name) => name !== channelOf(version))) {
    const role = await repository.loadChannel(channel)
    const draft = await repository.openDraft(channel)
    for (const other of versionsIn(draft)) {
      if (other.replace(/[abr]/, '') !== version.replace(/[abr]/, '')) continue
      if (role?.value.channel.withdrawn.some((one) => one.version === other)) continue
      const manifest = await repository.loadManifest(other)
      if (manifest.value.artifacts.map(({ sha256 }) => sha256).join() === artifacts) found.push(other)
    }
  }
  return found
}

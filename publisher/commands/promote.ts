import type { Command } from 'commander'
import { plainLine } from '../../schema/cli/plain-text.ts'
import type { Manifest } from '../../schema/manifest.ts'
import {
  type Channel,
  channelOf,
  channelShape,
  channels,
  compareStability,
  promoteVersion,
  type Version,
} from '../../schema/version.ts'
import { deliver } from '../deliver.ts'
import type { ChannelDraft } from '../edit.ts'
import { audienceOf } from '../lint.ts'
import { promoteManifest } from '../manifest.ts'
import { removePending } from '../pending.ts'
import { PublishError } from '../publish-error.ts'
import { loadChangelog, requireNewer, signAndKeep, withManifest } from '../release.ts'
import type { Repository } from '../repository.ts'
import { type Workshop, withLockedWorkshop } from '../workshop.ts'
import { type CommandContext, versionArgument, withShared, withSigners } from './context.ts'
import { answerPublished, type ChangeOptions } from './published.ts'

/** Flags that say what is promoted. */
export interface PromoteOptions extends ChangeOptions {
  readonly to: string
  readonly changelog?: string
  readonly allowSkip?: boolean
  readonly reason?: string
}

/** Adds `promote VERSION --to CHANNEL`. */
export function addPromote(program: Command, context: CommandContext): void {
  withSigners(withShared(program.command('promote').argument('<version>', 'such as 0a3', versionArgument)))
    .description('sign the same bytes for a more stable channel; only the letter changes')
    .requiredOption('--to <channel>', 'beta or release')
    .option('--changelog <file>', 'another changelog, for the new audience')
    .option('--allow-skip', 'from alpha to release at once; needs --reason')
    .option('--reason <words>', 'why a stage is skipped')
    .option('--dry-run', 'everything but signing and publishing')
    .action((version: Version, options: PromoteOptions) =>
      context.perform(options, 'events', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish promote', (workshop) =>
          promote(workshop, version, options),
        ),
      ),
    )
}

async function promote(workshop: Workshop, version: Version, options: PromoteOptions): Promise<void> {
  const { machine, output, config, layout } = workshop
  const to = targetChannel(version, options)
  const keyrings = options.dryRun ? [] : await workshop.openKeyrings(options)
  output.phase('refresh', `refresh and verify ${config.server}`)
  const repository = await workshop.refresh()
  const { draft, manifest } = await planPromotion(workshop, repository, version, options)
  if (options.dryRun) {
    return output.answer(
      'netlink.publish.promote/v1',
      { dry_run: true, version: manifest.version, channel: to, promoted_from: version, artifacts: manifest.artifacts },
      `${version} would become ${manifest.version}, offered to ${audienceOf(manifest.version)}\nNothing was signed or published.`,
    )
  }
  const subject = manifest.version
  const change = await signAndKeep(workshop, repository, keyrings, { subject, draft, manifest })
  // The bytes are on the server since they were first published: nothing to upload, and not necessarily here any more.
  const delivered = await deliver(workshop, repository, { subject, change, artifacts: [] })
  await removePending(machine.disk, layout.pending, subject)
  answerPublished(output, 'netlink.publish.promote/v1', manifest, delivered)
}

/** The channel with the same bytes under its own letter. Throws PublishError for what may not be promoted. */
export async function planPromotion(
  { machine }: Workshop,
  repository: Repository,
  version: Version,
  options: Pick<PromoteOptions, 'to' | 'changelog' | 'allowSkip' | 'reason'>,
): Promise<{ readonly draft: ChannelDraft; readonly manifest: Manifest }> {
  const to = targetChannel(version, options)
  const changelog = options.changelog === undefined ? undefined : await loadChangelog(machine, options.changelog)
  const source = (await repository.loadManifest(version)).value
  await refuseWithdrawn(repository, version)
  const draft = await repository.openDraft(to)
  const previous = requireNewer(draft, promoteVersion(version, to))
  const manifest = promoteManifest(source, { to, previous, now: machine.clock.now(), changelog })
  return { draft: withManifest(draft, manifest), manifest }
}

function targetChannel(version: Version, options: Pick<PromoteOptions, 'to' | 'allowSkip' | 'reason'>): Channel {
  const parsed = channelShape.safeParse(options.to)
  if (!parsed.success) throw new PublishError('usage', `--to takes beta or release, not ${JSON.stringify(options.to)}`)
  const to = parsed.data
  const from = channelOf(version)
  if (compareStability(to, from) <= 0) {
    throw new PublishError(
      'usage',
      `${version} is ${from}: it can be promoted to a more stable channel, and ${to} is not`,
    )
  }
  const skipped = channels.slice(channels.indexOf(from) + 1, channels.indexOf(to))
  if (skipped.length === 0) return to
  const stage = skipped[0] ?? to
  if (!options.allowSkip) {
    throw new PublishError('policy', `${version} is ${from}, and ${to} comes after ${stage}`, {
      next: [`netlink-publish promote ${version} --to ${stage}`, `or insist: --allow-skip --reason WORDS`],
    })
  }
  if ((options.reason ?? '').trim() === '')
    throw new PublishError('usage', '--allow-skip needs --reason: why no host tried it before')
  return to
}

async function refuseWithdrawn(repository: Repository, version: Version): Promise<void> {
  const role = await repository.loadChannel(channelOf(version))
  const withdrawn = role?.value.channel.withdrawn.find((one) => one.version === version)
  if (withdrawn === undefined) return
  throw new PublishError('policy', `${version} was withdrawn: ${plainLine(withdrawn.reason)}`, {
    next: [`netlink-publish yank ${version} --undo`],
  })
}

import type { Command } from 'commander'
import { channelOf, type Version } from '../../schema/version.ts'
import { deliver } from '../deliver.ts'
import { applyMinimum } from '../edit.ts'
import { removePending } from '../pending.ts'
import { signAndKeep } from '../release.ts'
import { type Workshop, withLockedWorkshop } from '../workshop.ts'
import { type CommandContext, versionArgument, withShared, withSigners } from './context.ts'
import type { ChangeOptions } from './published.ts'

interface MinimumOptions extends ChangeOptions {
  readonly allowLower?: boolean
}

/** Adds `minimum VERSION`. */
export function addMinimum(program: Command, context: CommandContext): void {
  withSigners(withShared(program.command('minimum').argument('<version>', 'such as 0r2', versionArgument)))
    .description('the least that a new host may begin with: no server can give it anything older')
    .option('--allow-lower', 'below the minimum that is signed now')
    .option('--dry-run', 'everything but signing and publishing')
    .action((version: Version, options: MinimumOptions) =>
      context.perform(options, 'events', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish minimum', (workshop) =>
          setMinimum(workshop, version, options),
        ),
      ),
    )
}

async function setMinimum(workshop: Workshop, version: Version, options: MinimumOptions): Promise<void> {
  const { machine, output, config, layout } = workshop
  const channel = channelOf(version)
  const keyrings = options.dryRun ? [] : await workshop.openKeyrings(options)
  output.phase('refresh', `refresh and verify ${config.server}`)
  const repository = await workshop.refresh()
  const draft = applyMinimum(await repository.openDraft(channel), version, options.allowLower ?? false)
  const fields = { channel, minimum: version }
  if (options.dryRun) {
    const words = `new hosts of ${channel} would begin with ${version} or later\nNothing was signed or published.`
    return output.answer('netlink.publish.minimum/v1', { dry_run: true, ...fields }, words)
  }
  const change = await signAndKeep(workshop, repository, keyrings, { subject: version, draft, manifest: undefined })
  const delivered = await deliver(workshop, repository, { subject: version, change, artifacts: [] })
  await removePending(machine.disk, layout.pending, version)
  const { timestamp_version } = delivered.answer
  const words = `new hosts of ${channel} begin with ${version} or later`
  output.answer('netlink.publish.minimum/v1', { dry_run: false, ...fields, timestamp_version }, words)
}

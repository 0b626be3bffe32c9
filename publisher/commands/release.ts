import type { Command } from 'commander'
import { channelOf, type Version } from '../../schema/version.ts'
import { deliver } from '../deliver.ts'
import { audienceOf } from '../lint.ts'
import { removePending } from '../pending.ts'
import {
  buildRelease,
  lastBytesOf,
  manifestOf,
  requireClean,
  requireNewer,
  signAndKeep,
  withManifest,
} from '../release.ts'
import { type Workshop, withLockedWorkshop } from '../workshop.ts'
import { type CommandContext, withShared, withSigners } from './context.ts'
import { answerPublished, builtWords, type ChangeOptions, type FromOptions, withSources } from './published.ts'

interface ReleaseOptions extends FromOptions, ChangeOptions {}

/** Adds `release VERSION --from DIR`. */
export function addRelease(program: Command, context: CommandContext): void {
  withSigners(withShared(withSources(program.command('release'))))
    .description('check, build, sign, publish, and read it back as the public sees it')
    .option('--dry-run', 'everything but signing and publishing')
    .action((version: Version, options: ReleaseOptions) =>
      context.perform(options, 'events', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish release', (workshop) =>
          release(workshop, version, options),
        ),
      ),
    )
}

async function release(workshop: Workshop, version: Version, options: ReleaseOptions): Promise<void> {
  const { config, machine, output } = workshop
  const keyrings = options.dryRun ? [] : await workshop.openKeyrings(options)
  output.phase('refresh', `refresh and verify ${config.server}`)
  const repository = await workshop.refresh()
  const draft = await repository.openDraft(channelOf(version))
  const previous = requireNewer(draft, version)
  const lastBytes = await lastBytesOf(repository, version)
  const built = await buildRelease(workshop, version, options.from, { changelog: options.changelog, lastBytes })
  requireClean(workshop, built)
  const manifest = manifestOf(built, { product: config.product, previous, now: machine.clock.now() })
  if (options.dryRun) {
    output.answer(
      'netlink.publish.release/v1',
      { dry_run: true, version, channel: manifest.channel, artifacts: manifest.artifacts },
      `${builtWords(built)}\nwould be offered to ${audienceOf(version)}\nNothing was signed or published.`,
    )
    return
  }
  const change = await signAndKeep(workshop, repository, keyrings, {
    subject: version,
    draft: withManifest(draft, manifest),
    manifest,
  })
  const delivered = await deliver(workshop, repository, { subject: version, change, artifacts: manifest.artifacts })
  await removePending(machine.disk, workshop.layout.pending, version)
  answerPublished(output, 'netlink.publish.release/v1', manifest, delivered)
}

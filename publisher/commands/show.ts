import type { Command } from 'commander'
import { mergeChangelogs } from '../../schema/changelog-merge.ts'
import { changelogText } from '../../schema/changelog-text.ts'
import { formatBytes } from '../../schema/cli/format.ts'
import { plainLine } from '../../schema/cli/plain-text.ts'
import type { Manifest } from '../../schema/manifest.ts'
import { channelOf, type Version } from '../../schema/version.ts'
import { trustedNames } from '../holder-names.ts'
import type { Streams } from '../output.ts'
import { type CommandContext, versionArgument } from './context.ts'
import { entriesWords } from './published.ts'
import { type LookOptions, openRepository, withOffline, withReading } from './reading.ts'

/** Adds `show VERSION`. */
export function addShow(program: Command, context: CommandContext): void {
  withOffline(program.command('show').argument('<version>', 'such as 0a1', versionArgument))
    .description('one release: its artifacts, how it runs, who signed it, its changelog')
    .action((version: Version, options: LookOptions) =>
      context.perform(options, 'answer', (output) =>
        withReading(context.machine, output, options, 'show', async (workshop) => {
          const repository = await openRepository(workshop, options)
          const manifest = (await repository.loadManifest(version)).value
          const role = (await repository.loadChannel(channelOf(version)))?.value
          const withdrawn = role?.channel.withdrawn.find((one) => one.version === version) ?? null
          const signed = repository.trusted.signersOf(channelOf(version))
          const names = signed.keyids.map(trustedNames(workshop.config.holders, repository))
          const { schema: _schema, ...fields } = manifest
          output.answer(
            'netlink.publish.show/v1',
            { ...fields, withdrawn, signed_by: names, threshold: signed.threshold },
            showText(manifest, withdrawn, names, signed.threshold, context.streams),
          )
        }),
      ),
    )
}

function showText(
  manifest: Manifest,
  withdrawn: { readonly reason: string; readonly severity: string } | null,
  names: readonly string[],
  threshold: number,
  streams: Streams,
): string {
  const { version, product, channel, released_at, promoted_from, artifacts, compatibility, service } = manifest
  const lines = [
    `${product} ${version}   ${channel}   ${released_at}`,
    ...(withdrawn === null ? [] : [`withdrawn (${withdrawn.severity}): ${plainLine(withdrawn.reason)}`]),
    `signed by ${names.join(', ')} (threshold ${threshold})`,
    ...(promoted_from === null ? [] : [`the bytes of ${promoted_from}`]),
    ...artifacts.map(
      ({ platform, length, entries, sha256 }) =>
        `${platform}   ${formatBytes(length)}   ${entriesWords(entries)}   sha256 ${sha256}`,
    ),
    `upgrade from ${compatibility.upgrade_from}${compatibility.downgrade_to.length > 0 ? `, downgrade to ${compatibility.downgrade_to.join(', ')}` : ''}`,
    ...(service === null ? [] : [`runs ${plainLine(service.argv.join(' '))}`]),
    '',
  ]
  const changelog = changelogText(mergeChangelogs([manifest.changelog]), new Map(), {
    color: streams.color,
    width: streams.columns,
  })
  return `${lines.join('\n')}\n${changelog}`
}

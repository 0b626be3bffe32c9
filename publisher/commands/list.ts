import { type Command, Option } from 'commander'
import { formatAgo } from '../../schema/cli/format.ts'
import { type Column, renderTable } from '../../schema/cli/table.ts'
import { type Channel, channelShape, channels, compareVersions, type Version } from '../../schema/version.ts'
import { releasesIn } from '../edit.ts'
import type { Streams } from '../output.ts'
import type { Repository } from '../repository.ts'
import type { CommandContext } from './context.ts'
import { type LookOptions, openRepository, withOffline, withReading } from './reading.ts'

interface Listed {
  readonly version: Version
  readonly channel: Channel
  readonly released_at: string
  readonly platforms: readonly string[]
  readonly withdrawn: { readonly reason: string; readonly severity: string } | null
}

/** Adds `list`. */
export function addList(program: Command, context: CommandContext): void {
  withOffline(program.command('list'))
    .description('what is published, newest first')
    .addOption(new Option('--channel <channel>', 'only this one').choices(channels))
    .action((options: LookOptions & { channel?: string }) =>
      context.perform(options, 'answer', (output) =>
        withReading(context.machine, output, options, 'list', async (workshop) => {
          const repository = await openRepository(workshop, options)
          const only = options.channel === undefined ? channels : [channelShape.parse(options.channel)]
          const items = (await Promise.all(only.map((channel) => listChannel(repository, channel)))).flat()
          items.sort((a, b) => compareVersions(b.version, a.version))
          const now = context.machine.clock.now()
          output.answer(
            'netlink.publish.list/v1',
            { product: workshop.config.product, releases: items },
            listText(items, context.streams, now),
          )
        }),
      ),
    )
}

async function listChannel(repository: Repository, channel: Channel): Promise<readonly Listed[]> {
  const role = (await repository.loadChannel(channel))?.value
  if (role === undefined) return []
  return releasesIn(await repository.openDraft(channel)).map(({ version, released_at, platforms }) => {
    const withdrawn = role.channel.withdrawn.find((one) => one.version === version)
    return {
      version,
      channel,
      released_at,
      platforms,
      withdrawn: withdrawn === undefined ? null : { reason: withdrawn.reason, severity: withdrawn.severity },
    }
  })
}

const LIST: readonly Column[] = [
  { title: 'version' },
  { title: 'channel' },
  { title: 'released' },
  { title: 'platforms' },
  { title: 'note', shrinkTo: 20 },
]

function listText(items: readonly Listed[], streams: Streams, now: Date): string {
  if (items.length === 0) return 'nothing is published yet'
  const rows = items.map(({ version, channel, released_at, platforms, withdrawn }) => [
    version,
    channel,
    formatAgo(new Date(released_at), now),
    platforms.join(' '),
    withdrawn === null ? '' : `withdrawn (${withdrawn.severity}): ${withdrawn.reason}`,
  ])
  return renderTable(LIST, rows, { color: streams.color, width: streams.columns })
}

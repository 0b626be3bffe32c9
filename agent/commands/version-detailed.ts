// netlink update version --detailed: besides the version since when, of which channel, which build, whose keys are trusted.
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { formatAgo } from '../../schema/cli/format.ts'
import { renderFields } from '../../schema/cli/table.ts'
import { loadDetails } from '../details.ts'
import type { CommandContext } from './context.ts'

export async function runDetailed({ machine, output }: CommandContext): Promise<ExitCode> {
  const details = await loadDetails(machine)
  output.document('netlink.update.version/v1', details)
  const ago = (time: string | null) =>
    time === null ? 'unknown' : `${time} (${formatAgo(new Date(time), machine.clock.now())})`
  const known = (value: string | number | null) => (value === null ? 'none' : String(value))
  const fields: [string, string][] = [
    ['version', details.current_version ?? 'nothing is installed on this host'],
    ['since', ago(details.since)],
    ['released', ago(details.released_at)],
    ['channel', known(details.channel)],
    ['product', known(details.product)],
    ['build id', known(details.build_id)],
    ['database', known(details.database_version)],
    ['config', known(details.config_version)],
    ['generation', details.generation === null ? 'none' : `${details.generation}, by ${details.update_id}`],
    ['manifest', known(details.manifest_sha256)],
    [
      'key set',
      details.key_set
        ? `root ${details.key_set.root_version}, timestamp ${details.key_set.timestamp_version}`
        : 'not looked yet',
    ],
    ['log', 'none in this version'],
    ['agent', details.agent_version],
    ['server', known(details.server)],
    ['host', known(details.host_id)],
  ]
  output.print(renderFields(fields, output))
  return EXIT.ok
}

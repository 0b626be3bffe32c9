// netlink update version: what runs here. The plain form reads one small file and imports nothing, because scripts ask it often.
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { readCurrentVersion } from '../current-version.ts'
import type { CommandContext } from './context.ts'

interface Options {
  readonly detailed?: boolean
}

export async function run(context: CommandContext, options: Options): Promise<ExitCode> {
  if (options.detailed) {
    const { runDetailed } = await import('./version-detailed.ts')
    return runDetailed(context)
  }
  const { output, machine } = context
  const version = readCurrentVersion(machine.paths)
  output.document('netlink.update.version/v1', { current_version: version })
  output.print(version ?? 'nothing is installed on this host')
  return EXIT.ok
}

// netlink update unhold
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { nudgeDaemon } from '../daemon/nudge.ts'
import { openHost } from '../host.ts'
import { loadHold, removeHold } from '../host-state.ts'
import { requireWrite } from '../rights.ts'
import type { CommandContext } from './context.ts'

export async function run({ machine, output }: CommandContext): Promise<ExitCode> {
  await requireWrite(machine)
  const { disk, files } = await openHost(machine)
  const before = await loadHold(disk, files)
  if (before) {
    await removeHold(disk, files)
    await nudgeDaemon(machine)
  }
  output.document('netlink.update.unhold/v1', { held: false, changed: before !== null })
  output.print(before ? 'the hold is lifted' : 'there was no hold')
  return EXIT.ok
}

import { nudgeDaemon } from '../daemon/nudge.ts'
import type { Host } from '../host.ts'
import { flushReports } from '../report/flush.ts'
import { enrolAgain, FORGOTTEN_WORDS } from '../standing.ts'
import type { CommandContext } from './context.ts'

/** After a command that changed what runs here: the server is told, and so is the daemon. That the server does not want to hear it is told the person. */
export async function reportChange({ output }: Pick<CommandContext, 'output'>, host: Host): Promise<void> {
  if ((await flushReports(host)) === 'forgotten') {
    output.note(`warning: ${FORGOTTEN_WORDS}: nothing that happens here is known there`)
    output.note(`Next: ${enrolAgain(host.enrolment.server)}`)
  }
  await nudgeDaemon(host)
}

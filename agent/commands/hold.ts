// netlink update hold: keeps updates away from this host for a while, or until it is lifted.
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { parseDuration } from '../../schema/duration.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { nudgeDaemon } from '../daemon/nudge.ts'
import { type Hold, holdWords } from '../decide.ts'
import { openHost } from '../host.ts'
import { saveHold } from '../host-state.ts'
import { requireWrite } from '../rights.ts'
import { utcSecond } from '../utc-second.ts'
import type { CommandContext } from './context.ts'

interface Options {
  readonly for?: string
  readonly until?: string
  readonly forever?: boolean
  readonly reason?: string
}

const MAX_REASON_CHARS = 1_000

export async function run({ machine, output }: CommandContext, options: Options): Promise<ExitCode> {
  const hold: Hold = {
    until: untilOf(options, machine.clock.now()),
    reason: options.reason?.slice(0, MAX_REASON_CHARS) ?? null,
  }
  await requireWrite(machine)
  const { disk, files } = await openHost(machine)
  await saveHold(disk, files, hold)
  await nudgeDaemon(machine)
  output.document('netlink.update.hold/v1', {
    held: true,
    until: hold.until && utcSecond(hold.until),
    reason: hold.reason,
  })
  output.say(holdWords(hold))
  output.print('Next: netlink update unhold')
  return EXIT.ok
}

/** Without a word about how long: until it is lifted. */
function untilOf(options: Options, now: Date): Date | null {
  const said = [options.for, options.until, options.forever].filter((one) => one !== undefined)
  if (said.length > 1)
    throw new ShapeError('hold', [{ pointer: '', message: 'expected one of --for, --until and --forever' }])
  if (options.for !== undefined) return new Date(now.getTime() + parseDuration(options.for))
  if (options.until === undefined) return null
  const until = new Date(options.until)
  if (Number.isNaN(until.getTime()))
    throw new ShapeError('--until', [{ pointer: '', message: 'expected a time such as 2026-12-01T06:00:00Z' }])
  if (until <= now) throw new ShapeError('--until', [{ pointer: '', message: 'expected a time to come' }])
  return until
}

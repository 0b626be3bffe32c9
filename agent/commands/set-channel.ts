// netlink agent set-channel CHANNEL
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { channelShape, compareStability } from '../../schema/version.ts'
import { buildEngine } from '../engine-building.ts'
import { openHost } from '../host.ts'
import { reportInventory } from '../perform.ts'
import { requireWrite } from '../rights.ts'
import { saveState } from '../state-file.ts'
import type { CommandContext } from './context.ts'
import { reportChange } from './reporting.ts'

interface Options {
  readonly channel?: string
  readonly allowChannelChange?: boolean
}

export async function run({ machine, output }: CommandContext, options: Options): Promise<ExitCode> {
  const channel = parseShape(channelShape, options.channel, 'channel')
  await requireWrite(machine)
  const host = await openHost(machine)
  const before = host.enrolment.channel
  if (compareStability(channel, before) < 0 && !options.allowChannelChange) throw lessStable(before, channel)
  const enrolment = { ...host.enrolment, channel }
  await saveState(host.disk, host.files.enrolment, enrolment)
  const changed = { ...host, enrolment }
  await reportInventory(changed, buildEngine(changed))
  await reportChange({ output }, changed)
  output.document('netlink.agent.set-channel/v1', { channel, before })
  output.say(
    channel === before
      ? `this host follows ${channel} already`
      : `this host follows ${channel} from now on, ${before} before`,
  )
  output.print('Next: netlink update check')
  return EXIT.ok
}

function lessStable(before: string, channel: string): Failure {
  return new Failure({
    code: 'E-CHANNEL',
    exit: EXIT.refused,
    title: `${channel} is less stable than ${before}`,
    detail: `From then on this host is offered what ${before} was to be spared.`,
    state: `Nothing was changed; this host follows ${before}.`,
    next: [`netlink agent set-channel ${channel} --allow-channel-change`],
  })
}

// netlink agent leave: this host forgets its server. What is installed stays and goes on running.
import { removeDurable } from '../../keys/platform/durable.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { openHost } from '../host.ts'
import { requireWrite } from '../rights.ts'
import type { CommandContext } from './context.ts'

interface Options {
  readonly yes?: boolean
}

export async function run({ machine, output }: CommandContext, options: Options): Promise<ExitCode> {
  await requireWrite(machine)
  const { enrolment, disk, files, paths } = await openHost(machine)
  if (!options.yes) {
    const answer = await output.ask(`Forget ${enrolment.server} and this host's key? (y/N) `)
    if (answer === null) throw unconfirmed()
    if (!/^y(es)?$/i.test(answer.trim())) {
      output.note('Nothing was changed.')
      return EXIT.unconfirmed
    }
  }
  // The file that makes the host enrolled goes first: cut off anywhere after it, it is not enrolled, and what is left is harmless.
  for (const path of [
    files.enrolment,
    files.key,
    files.ca,
    files.check,
    files.offers,
    files.brake,
    files.outbox,
    paths.trust,
  ])
    await removeDurable(disk, path)
  output.document('netlink.agent.leave/v1', { host_id: enrolment.host_id, left: enrolment.server })
  output.print(`left ${enrolment.server}; what is installed stays`)
  output.print('The server keeps what this host reported.')
  return EXIT.ok
}

function unconfirmed(): Failure {
  return new Failure({
    code: 'E-UNCONFIRMED',
    exit: EXIT.unconfirmed,
    title: 'this has to be confirmed, and nobody is there to ask',
    detail: 'There is no terminal, and --yes was not given.',
    state: 'Nothing was changed.',
    next: ['netlink agent leave --yes'],
  })
}

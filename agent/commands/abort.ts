// netlink update abort: asks whoever runs the update to stop. Before the switch it is thrown away, after it the host goes back.
import { replaceFile } from '../../keys/platform/durable.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { listUpdates, loadUpdate } from '../history.ts'
import { openHost } from '../host.ts'
import { abortFileOf } from '../perform.ts'
import { requireWrite } from '../rights.ts'
import type { CommandContext } from './context.ts'

interface Options {
  readonly updateId?: string
}

export async function run({ machine, output }: CommandContext, options: Options): Promise<ExitCode> {
  await requireWrite(machine)
  const host = await openHost(machine)
  const [newest] = await listUpdates(host.disk, host.paths)
  const id = options.updateId ?? newest
  const update = id === undefined ? undefined : await loadUpdate(host.disk, host.paths, id)
  if (!update || update.ended_at !== null) {
    throw new Failure({
      code: 'E-NOT-RUNNING',
      exit: EXIT.refused,
      title: 'no update is running that could be stopped',
      detail: update ? `${update.update_id} ended as ${update.state}.` : `There is no update ${id ?? ''} on this host.`,
      state: 'Nothing was changed.',
      next: ['netlink update history'],
    })
  }
  await replaceFile(host.disk, abortFileOf(host, update.update_id), new Uint8Array(), 0o600)
  output.document('netlink.update.abort/v1', { update_id: update.update_id, asked: true })
  output.print(`${update.update_id} was asked to stop`)
  output.print('Next: netlink update status --watch')
  return EXIT.ok
}

// netlink service start | stop | restart | status
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { formatDuration } from '../../schema/cli/format.ts'
import { renderFields } from '../../schema/cli/table.ts'
import { isUndecided } from '../engine/engine.ts'
import { restartInstalled, startInstalled } from '../engine/installed.ts'
import { loadInstalled } from '../engine/layout.ts'
import { buildEngine } from '../engine-building.ts'
import { openHost } from '../host.ts'
import { readHealth } from '../inventory.ts'
import { requireWrite } from '../rights.ts'
import type { ServiceControl, ServiceStatus } from '../service/control.ts'
import type { ExecControl } from '../service/exec-control.ts'
import type { Command, CommandContext } from './context.ts'

/** The command of this name. */
export function buildServiceCommand(verb: string): Command<object> {
  return (context) => (verb === 'status' ? tellStatus(context) : change(context, verb))
}

async function change(context: CommandContext, verb: string): Promise<ExitCode> {
  const { machine, output } = context
  await requireWrite(machine)
  const engine = buildEngine(await openHost(machine, context.signal))
  if (verb !== 'stop') await refuseUnready(context)
  if (verb === 'stop') await stopWhole(engine.service)
  else if (verb === 'start') await startInstalled(engine, 'always')
  else await restartInstalled(engine)
  const status = await engine.service.status()
  output.document('netlink.service/v1', { verb, service: status })
  output.print(verb === 'stop' ? 'the service is stopped' : statusLine(status))
  return EXIT.ok
}

/** Nothing of ours stays behind for a service that somebody stopped on purpose, the supervisor included. */
async function stopWhole(service: ServiceControl): Promise<void> {
  await service.stop()
  if (isExec(service)) await service.end('shutdown')
}

function isExec(service: ServiceControl): service is ExecControl {
  return service.kind === 'exec' && 'end' in service
}

/** Nothing is started before it is known what should run. */
async function refuseUnready({ machine }: CommandContext): Promise<void> {
  if (await isUndecided(machine)) {
    throw new Failure({
      code: 'E-UNDECIDED',
      exit: EXIT.pending,
      title: 'an update is not over yet',
      detail: 'It runs, or was cut off and has to be recovered first.',
      state: 'Nothing was changed.',
      next: ['netlink update status'],
    })
  }
  if ((await loadInstalled(machine))?.service) return
  throw new Failure({
    code: 'E-NO-SERVICE',
    exit: EXIT.refused,
    title: 'there is no service to start',
    detail: 'Nothing is installed here, or the installed release has no service.',
    state: 'Nothing was changed.',
    next: ['netlink update version --detailed'],
  })
}

async function tellStatus({ machine, output, signal }: CommandContext): Promise<ExitCode> {
  const engine = buildEngine(await openHost(machine, signal))
  const status = await engine.service.status()
  const health = await readHealth(engine, await loadInstalled(machine))
  output.document('netlink.service/v1', { verb: 'status', service: status, health })
  const fields: [string, string][] = [
    ['service', statusLine(status)],
    ['health', health],
    ['control', engine.service.kind],
  ]
  if (status.state === 'crashed') for (const line of status.tail) fields.push(['', line])
  output.print(renderFields(fields, output))
  return EXIT.ok
}

function statusLine(status: ServiceStatus): string {
  switch (status.state) {
    case 'running':
      return `runs ${status.version} (generation ${status.generation}, process ${status.identity.pid}) for ${formatDuration(status.sinceMs)}, restarted ${status.restarts} times`
    case 'crashed':
      return `${status.version} ended by itself: ${status.ended}, restarted ${status.restarts} times`
    case 'stopped':
      return 'stopped'
    case 'unmanaged':
      return 'somebody else looks after it'
  }
}

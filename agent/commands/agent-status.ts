// netlink agent status: who this host is, and whether its daemon runs and reaches its server.
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { formatAgo } from '../../schema/cli/format.ts'
import { renderFields } from '../../schema/cli/table.ts'
import { askDaemon } from '../daemon/local-client.ts'
import { openHost } from '../host.ts'
import { loadCheck } from '../host-state.ts'
import { flushReports } from '../report/flush.ts'
import { enrolAgain, FORGOTTEN_WORDS, loadForgotten } from '../standing.ts'
import type { CommandContext } from './context.ts'

export async function run({ machine, output }: CommandContext): Promise<ExitCode> {
  const host = await openHost(machine)
  const { enrolment } = host
  const daemon = await stateOfDaemon(host)
  // Without a daemon nobody else asks the server how this host stands with it.
  if (!daemon.running) await flushReports(host)
  const forgottenAt = await loadForgotten(host, enrolment)
  const check = await loadCheck(host.disk, host.files)
  const waiting = await host.outbox.count()
  const { host_id, name, product, channel, group, server, enrolled_at, labels } = enrolment
  output.document('netlink.agent.status/v1', {
    ...{ host_id, name, product, channel, group, server, enrolled_at, labels },
    agent_version: machine.facts.agentVersion,
    daemon,
    reports_waiting: waiting,
    forgotten_at: forgottenAt,
    last_check: check ?? null,
  })
  const fields: [string, string][] = [
    ['host', `${name} (${host_id})`],
    ['product', product],
    ['channel', channel],
    ['group', group ?? 'none'],
    ['server', server],
    [
      'daemon',
      daemon.running
        ? `runs as process ${daemon.pid}, ${daemon.connected ? 'connected' : 'not connected'}`
        : 'does not run',
    ],
    ['reports', waiting === 0 ? 'all are with the server' : `${waiting} wait to be sent`],
    [
      'check',
      check ? `${formatAgo(new Date(check.at), machine.clock.now())}, timestamp ${check.timestamp_version}` : 'not yet',
    ],
    ['agent', machine.facts.agentVersion],
  ]
  if (forgottenAt !== null)
    fields.push(['', `${FORGOTTEN_WORDS}, as it says since ${forgottenAt}: nothing that happens here is known there`])
  output.print(renderFields(fields, output))
  if (forgottenAt !== null) {
    output.print(`Next: ${enrolAgain(server)}`)
    output.print(KEY_STOLEN)
  }
  return EXIT.ok
}

/** Enrolling again keeps the key, and with it whoever stole it. */
const KEY_STOLEN = 'If its key was stolen: netlink agent leave, and the same without --force'

interface DaemonState {
  readonly running: boolean
  readonly pid: number | null
  readonly connected: boolean
}

async function stateOfDaemon(host: Parameters<typeof askDaemon>[0]): Promise<DaemonState> {
  try {
    const answer = await askDaemon(host, 'GET', '/api/v1/agent')
    const { pid, connected } = answer.body
    return { running: answer.status === 200, pid: typeof pid === 'number' ? pid : null, connected: connected === true }
  } catch (error) {
    if (error instanceof PlatformError && ['not-found', 'unreachable', 'not-permitted'].includes(error.code))
      return { running: false, pid: null, connected: false }
    throw error
  }
}

// netlink update status
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { formatAgo } from '../../schema/cli/format.ts'
import { plainLine } from '../../schema/cli/plain-text.ts'
import { renderFields } from '../../schema/cli/table.ts'
import { assignmentLines } from '../assignment-record.ts'
import { holdWords } from '../decide.ts'
import { decideExpiryFact, expiryFactWords } from '../expiry.ts'
import { loadUpdate, type PastUpdate } from '../history.ts'
import type { CheckRecord } from '../host-state.ts'
import { type HostStatus, loadStatus } from '../status.ts'
import type { CommandContext } from './context.ts'

interface Options {
  readonly watch?: boolean
  readonly explain?: boolean
  readonly updateId?: string
  readonly logs?: boolean
  readonly exitCode?: boolean
}

const POLL_MS = 500

export async function run(context: CommandContext, options: Options): Promise<ExitCode> {
  const exit =
    options.updateId === undefined
      ? await tellHost(context, options)
      : await tellUpdate(context, options.updateId, options)
  if (options.logs) {
    const { run: runLog } = await import('./log.ts')
    if (!context.output.json)
      await runLog(context, { ...(options.updateId ? { updateId: options.updateId } : {}), lines: '20' })
  }
  return options.exitCode ? exit : EXIT.ok
}

async function tellHost(context: CommandContext, options: Options): Promise<ExitCode> {
  const { machine, output } = context
  let status = await loadStatus(machine)
  while (options.watch && status.running && !context.signal.aborted) {
    const { running } = status
    output.live(`${running.update_id}: ${running.state}${running.phase ? `, ${running.phase}` : ''}`)
    await machine.clock.sleep(POLL_MS, context.signal).catch(() => undefined)
    status = await loadStatus(machine)
  }
  output.live(null)
  output.document('netlink.update.status/v1', { ...status, explanation: explanation(status) })
  output.print(renderFields(fieldsOf(status, machine.clock.now(), options.explain === true), output))
  return exitOf(status.running ?? status.last)
}

async function tellUpdate(context: CommandContext, id: string, options: Options): Promise<ExitCode> {
  const { machine, output } = context
  let update = await loadUpdate(machine.disk, machine.paths, id)
  while (options.watch && update && update.ended_at === null && !context.signal.aborted) {
    output.live(`${id}: ${update.state}${update.phase ? `, ${update.phase}` : ''}`)
    await machine.clock.sleep(POLL_MS, context.signal).catch(() => undefined)
    update = await loadUpdate(machine.disk, machine.paths, id)
  }
  output.live(null)
  if (!update) throw noUpdate(id)
  output.document('netlink.update.status/v1', { ...update, status: update.state })
  output.print(renderFields(updateFields(update), output))
  return exitOf(update)
}

function noUpdate(id: string): Failure {
  return new Failure({
    code: 'E-NO-UPDATE',
    exit: EXIT.usage,
    title: 'there is no such update on this host',
    detail: `No plan of ${id} is kept here.`,
    state: 'Nothing was changed.',
    next: ['netlink update history'],
  })
}

function exitOf(update: PastUpdate | null): ExitCode {
  if (!update) return EXIT.ok
  if (update.ended_at === null) return EXIT.pending
  if (update.state === 'stranded') return EXIT.rollbackFailed
  return update.state === 'reverted' ? EXIT.rolledBack : EXIT.ok
}

function updateFields(update: PastUpdate): [string, string][] {
  const fields: [string, string][] = [
    ['update', update.update_id],
    ['kind', update.kind],
    ['from', update.from ?? 'none'],
    ['to', update.to],
    ['state', update.state],
    ['step', update.phase ?? 'none'],
    ['started', update.started_at],
    ['ended', update.ended_at ?? 'not yet'],
  ]
  if (update.code !== null) fields.push(['reason', `${update.code}: ${update.reason ?? ''}`])
  for (const detail of update.details) fields.push(['', detail])
  return fields
}

function fieldsOf(status: HostStatus, now: Date, explain: boolean): [string, string][] {
  const { running, last, check } = status
  const fields: [string, string][] = [
    ['version', status.current_version ?? 'nothing is installed on this host'],
    ['channel', status.channel ?? 'not enrolled'],
    ['service', status.service],
    [
      'update',
      running ? `${running.update_id}: ${running.state}${running.phase ? `, ${running.phase}` : ''}` : 'none runs',
    ],
    ['last', last ? lastWords(last) : 'none yet'],
    ['check', check ? `${formatAgo(new Date(check.at), now)}: ${checkWords(check)}` : 'not yet'],
    ['automatic', status.automatic ?? 'not enrolled'],
  ]
  for (const line of assignmentLines(check?.assignment ?? null)) fields.push(['assigned', plainLine(line)])
  const expiry = decideExpiryFact(check?.expires ?? null, now)
  if (expiry) fields.push(['expiry', expiryFactWords(expiry, now)])
  if (status.hold) fields.push(['hold', holdWords(status.hold)])
  if (status.brake.paused)
    fields.push(['fleet', `paused${status.brake.reason === null ? '' : `: ${status.brake.reason}`}`])
  if (explain || check?.waiting) fields.push(['why', explanation(status)])
  return fields
}

/** A look that found out nothing says so, and what the one before it found is said to be that one's. */
function checkWords({ waiting, target, timestamp_version }: CheckRecord): string {
  const found = target === null ? 'nothing newer' : `${target} is there`
  if (waiting !== 'unverified' && waiting !== 'unreachable') return found
  const failed = waiting === 'unverified' ? 'what the server shows was refused' : 'the server could not be asked'
  return timestamp_version === 0 ? failed : `${failed}; before that: ${found}`
}

function lastWords(last: PastUpdate): string {
  const reason = last.code === null ? '' : `, ${last.code}: ${last.reason ?? ''}`
  return `${last.from ?? 'none'} → ${last.to} ${last.state}${reason}`
}

/** Why nothing is installed by itself right now, in one sentence. */
function explanation(status: HostStatus): string {
  const { check, running } = status
  if (running) return `${running.update_id} is not over yet`
  if (!check) return 'nobody has looked for releases yet'
  if (check.waiting) return `${check.waiting}: ${check.waiting_detail ?? ''}`
  if (check.target === null) return 'there is nothing newer'
  return status.automatic === 'auto'
    ? 'the next look installs it'
    : `automatic updates are set to ${status.automatic ?? 'nothing'}`
}

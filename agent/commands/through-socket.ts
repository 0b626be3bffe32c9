// Where this user may not change the host by itself, the daemon does it, if it lets this user ask.
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { askDaemon, type LocalAnswer } from '../daemon/local-client.ts'
import type { Goal } from '../decide.ts'
import { exitOfRolledBack } from '../engine/rolled-back.ts'
import { notPermitted } from '../rights.ts'
import { taskOf } from './background.ts'
import type { CommandContext } from './context.ts'

const POLL_MS = 500

/** As `netlink update upgrade`, carried out by the daemon. Exit 5 where there is none to ask. */
export async function upgradeThroughSocket(
  context: CommandContext,
  goal: Goal,
  options: { readonly dryRun?: boolean; readonly force?: boolean; readonly yes?: boolean; readonly wait?: boolean },
): Promise<ExitCode> {
  if (options.dryRun) return tellCheck(context, await ask(context, 'GET', '/api/v1/system/updates/check'))
  confirmed(
    context,
    options,
    goal.kind === 'version' ? `update upgrade --to ${goal.version}` : `update upgrade --${goal.kind}`,
  )
  const { target, force, allow_channel_change } = taskOf({ goal, force: options.force === true, deadlineMs: undefined })
  const answer = await ask(context, 'POST', '/api/v1/system/updates/upgrade', {
    target_version: target,
    force,
    allow_channel_change,
  })
  return follow(context, answer, options.wait !== false)
}

/** As `netlink update rollback`, carried out by the daemon. */
export async function rollBackThroughSocket(
  context: CommandContext,
  options: { readonly updateId?: string; readonly yes?: boolean; readonly force?: boolean },
): Promise<ExitCode> {
  confirmed(context, options, 'update rollback')
  const body = options.updateId === undefined ? {} : { update_id: options.updateId }
  return follow(context, await ask(context, 'POST', '/api/v1/system/updates/rollback', body), true)
}

function confirmed(
  { output }: CommandContext,
  options: { readonly yes?: boolean; readonly force?: boolean },
  command: string,
): void {
  if (options.yes || options.force) return
  output.note('the daemon of this host does it, and asks nobody')
  throw new Failure({
    code: 'E-UNCONFIRMED',
    exit: EXIT.unconfirmed,
    title: 'this has to be confirmed',
    detail: 'The daemon carries it out, and --yes was not given.',
    state: 'Nothing was changed.',
    next: [`netlink ${command} --yes`],
  })
}

async function ask(context: CommandContext, method: 'GET' | 'POST', path: string, body?: object): Promise<LocalAnswer> {
  try {
    return await askDaemon(context.machine, method, path, body)
  } catch (error) {
    if (error instanceof PlatformError && ['not-found', 'not-permitted', 'unreachable'].includes(error.code))
      throw notPermitted(context.machine)
    throw error
  }
}

function tellCheck({ output }: CommandContext, answer: LocalAnswer): ExitCode {
  if (answer.status !== 200) throw failureOf(answer)
  output.document('netlink.update.check/v1', answer.body)
  output.print(JSON.stringify(answer.body, null, 2))
  return EXIT.ok
}

async function follow(context: CommandContext, answer: LocalAnswer, wait: boolean): Promise<ExitCode> {
  const { output, machine, signal } = context
  if (answer.status >= 400) throw failureOf(answer)
  const id = answer.body.update_id
  if (typeof id !== 'string') {
    output.document('netlink.update.upgrade/v1', { changed: false, ...answer.body })
    output.print('nothing to do')
    return EXIT.ok
  }
  output.note(id)
  for (let state = ''; wait && !signal.aborted; ) {
    const now = await ask(context, 'GET', `/api/v1/system/updates/status/${encodeURIComponent(id)}`)
    if (now.status !== 200) throw failureOf(now)
    if (now.body.ended_at !== null) return tellEnd(context, now)
    if (now.body.state !== state) output.note(String(now.body.state))
    state = String(now.body.state)
    await machine.clock.sleep(POLL_MS, signal).catch(() => undefined)
  }
  output.document('netlink.update.upgrade/v1', { update_id: id, status: 'started' })
  return wait ? EXIT.pending : EXIT.ok
}

function tellEnd({ output }: CommandContext, { body }: LocalAnswer): ExitCode {
  output.document('netlink.update.upgrade/v1', body)
  output.print(`${String(body.from ?? 'none')} → ${String(body.to)} ${String(body.state)}`)
  if (body.state === 'succeeded') return EXIT.ok
  output.note(`${String(body.code)}: ${String(body.reason)}`)
  if (body.state === 'reverted') return exitOfRolledBack(body.code)
  return body.state === 'stranded' ? EXIT.rollbackFailed : EXIT.refused
}

function failureOf({ body, status }: LocalAnswer): Failure {
  const text = (name: string, otherwise: string) => (typeof body[name] === 'string' ? body[name] : otherwise)
  const known = Object.values(EXIT).find((exit) => exit === body.exit)
  return new Failure({
    code: text('code', 'E-DAEMON'),
    exit: known ?? EXIT.unexpected,
    title: text('title', 'the daemon refused'),
    detail: text('detail', `status ${status}`),
    state: text('state', 'Nothing was changed.'),
    next: Array.isArray(body.next) ? body.next.map(String) : ['netlink update status'],
  })
}

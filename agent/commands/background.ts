// upgrade --no-wait: a worker of its own goes on; the command ends as soon as there is a plan.
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { startWorker } from '../daemon/worker-process.ts'
import type { Goal } from '../decide.ts'
import type { Host } from '../host.ts'
import type { WorkerTask } from '../worker-protocol.ts'
import type { CommandContext } from './context.ts'
import { unconfirmed } from './installing.ts'

interface Request {
  readonly goal: Goal
  readonly force: boolean
  readonly yes: boolean
  readonly deadlineMs: number | undefined
}

export async function upgradeInBackground({ output }: CommandContext, host: Host, request: Request): Promise<ExitCode> {
  const words = request.goal.kind === 'version' ? `--to ${request.goal.version}` : `--${request.goal.kind}`
  if (host.config.safety.require_confirmation && !request.yes && !request.force) {
    throw unconfirmed(`update upgrade ${words} --no-wait`, { from: null })
  }
  const run = startWorker(taskOf(request), { env: host.facts.env, detached: true })
  const updateId = await run.planned
  if (updateId !== undefined) {
    output.document('netlink.update.upgrade/v1', { update_id: updateId, status: 'started' })
    output.print(`${updateId} goes on in the background`)
    output.print(`Next: netlink update status --watch --update-id ${updateId}`)
    return EXIT.ok
  }
  const end = await run.end
  if (end.kind === 'failed') throw new Failure(end.failure)
  output.document('netlink.update.upgrade/v1', { changed: false })
  output.print('nothing to do')
  return EXIT.ok
}

/** What a worker is asked for this goal. */
export function taskOf({
  goal,
  force,
  deadlineMs,
}: Pick<Request, 'goal' | 'force' | 'deadlineMs'>): Extract<WorkerTask, { task: 'upgrade' }> {
  return {
    task: 'upgrade',
    target: goal.kind === 'version' ? goal.version : goal.kind,
    force,
    allow_channel_change: goal.kind === 'version' && goal.allowChannelChange,
    deadline_ms: deadlineMs ?? null,
  }
}

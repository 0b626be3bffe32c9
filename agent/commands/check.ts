// netlink update check: what is there for this host, who signed it, what it would change.
import { TrustError } from '../../keys/trust-error.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { formatAgo, formatBytes } from '../../schema/cli/format.ts'
import { plainLine } from '../../schema/cli/plain-text.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { channelShape } from '../../schema/version.ts'
import { assignmentLines } from '../assignment-record.ts'
import { buildCheckAnswer, type CheckAnswer, type ReleaseFacts } from '../check-answer.ts'
import { expiryFactWords } from '../expiry.ts'
import { openHost } from '../host.ts'
import { lookAndRemember } from '../look.ts'
import type { CommandContext } from './context.ts'

/** As commander hands them over. */
export interface CheckOptions {
  readonly exitCode?: boolean
  readonly channel?: string
  readonly offline?: boolean
  readonly from?: string
}

export async function run(context: CommandContext, options: CheckOptions): Promise<ExitCode> {
  if (options.from !== undefined) {
    const { checkBundle } = await import('./bundled.ts')
    return checkBundle(context, options.from, options)
  }
  const { machine } = context
  const host = await openHost(machine, context.signal)
  const channel = options.channel === undefined ? undefined : parseShape(channelShape, options.channel, '--channel')
  const how = options.offline ? 'offline' : 'refresh'
  const result = await lookAndRemember(host, {
    goal: { kind: 'latest' },
    asked: { by: 'person' },
    how,
    channel,
    assignment: 'asked',
  }).catch((error: unknown) => {
    if (how === 'offline' && error instanceof TrustError && error.code === 'missing') throw nothingKept(error)
    throw error
  })
  const answer = buildCheckAnswer(result, machine.clock.now())
  return tellCheck(context, answer, options, `netlink update upgrade --to ${answer.latest_version} --dry-run`)
}

/** Nothing failed to verify: there is nothing that could. A file that was damaged counts as one that is not there. */
function nothingKept(cause: TrustError): Failure {
  const facts = {
    code: 'E-NOTHING-KEPT',
    exit: EXIT.usage,
    title: 'what was verified before is not kept on this host, or not whole',
    detail: plainLine(`--offline asks nobody for it: ${cause.message}.`),
    state: 'Nothing was changed.',
    next: ['netlink update check'],
  }
  return new Failure(facts, { cause })
}

/** The answer, and the command that comes next where something is available. */
export function tellCheck(
  { output, machine }: CommandContext,
  answer: CheckAnswer,
  { exitCode }: CheckOptions,
  next: string,
): ExitCode {
  output.document('netlink.update.check/v1', answer)
  output.print(checkWords(answer, machine.clock.now(), next))
  if (answer.expiry) output.say(`expiry  ${expiryFactWords(answer.expiry, machine.clock.now())}`)
  for (const line of assignmentLines(answer.assignment)) output.say(`assigned  ${plainLine(line)}`)
  return exitCode && answer.updates_available ? EXIT.updateAvailable : EXIT.ok
}

/** The answer for people. */
export function checkWords(answer: CheckAnswer, now: Date, next: string): string {
  const current = answer.current_version ?? 'nothing installed'
  if (!answer.updates_available) {
    if (answer.waiting === null) return `${current} is up to date   ${answer.channel}`
    const waiting = [
      `${current} stays   ${answer.channel} · ${answer.waiting.reason}`,
      `  ${plainLine(answer.waiting.detail)}`,
    ]
    return waiting.join('\n')
  }
  const { release } = answer
  const way =
    answer.hops.length > 1
      ? `  by way of ${answer.hops.slice(0, -1).join(', ')}: each must be installed before`
      : undefined
  const lines = [
    `${answer.current_version ?? 'none'} → ${answer.latest_version} available   ${release ? headWords(answer, release, now) : answer.channel}`,
    way,
    ...(release ? releaseWords(release) : []),
    `Next: ${next}`,
  ]
  return lines.filter((line) => line !== undefined).join('\n')
}

function headWords(answer: CheckAnswer, release: ReleaseFacts, now: Date): string {
  const parts = [answer.channel, `published ${formatAgo(new Date(release.released_at), now)}`]
  if (release.bytes !== null) parts.push(formatBytes(release.bytes))
  return parts.join(' · ')
}

function releaseWords(release: ReleaseFacts): string[] {
  const signers = release.signed_by.map((keyid) => `key ${keyid.slice(0, 4)}…`).join(', ')
  const changes = Object.entries(release.changes).map(([type, count]) => `${count} ${type}`)
  const yes = (is: boolean) => (is ? 'yes' : 'no')
  return [
    `  signed by ${release.signed_by.length} (threshold ${release.threshold}): ${signers}`,
    `  changes   ${changes.join(', ') || 'none listed'} · database migration: ${yes(release.database_migration)} · restart: ${yes(release.restart)}`,
  ]
}

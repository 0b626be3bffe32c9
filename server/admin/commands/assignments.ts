import { z } from 'zod'
import { type HostAssignment, hostAssignmentShape } from '../../../schema/assignment.ts'
import { EXIT, type ExitCode } from '../../../schema/cli/exit-code.ts'
import { Failure } from '../../../schema/cli/failure.ts'
import { plainLine } from '../../../schema/cli/plain-text.ts'
import { downgradeAuthorizationShape } from '../../../schema/downgrade-authorization.ts'
import { durationShape, parseDuration } from '../../../schema/duration.ts'
import type { CommandContext } from '../context.ts'
import { usageFailure } from '../failures.ts'
import { prose } from '../words.ts'

export interface PinOptions {
  readonly to: string
  readonly reason?: string
  readonly rollout?: string
  readonly expires?: string
  readonly authorization?: string
  readonly dryRun?: boolean
}

/** Directs a host to a version and keeps it there. */
export async function pinHost(
  { client, output, deps }: CommandContext,
  host: string,
  options: PinOptions,
): Promise<ExitCode> {
  const { to: version, reason = null, rollout = null, dryRun = false } = options
  const expires = options.expires === undefined ? null : endOf(deps.now(), options.expires)
  const authorization =
    options.authorization === undefined ? null : await readAuthorization(deps, options.authorization)
  const answer = await client.ask('POST', pathOf(host), hostAssignmentShape, {
    query: { dry_run: dryRun ? 'true' : undefined },
    body: { version, reason, rollout, expires, authorization },
  })
  const what = answer.action === 'downgrade' ? 'sent down to' : 'assigned to'
  const words = dryRun
    ? `${plainLine(answer.name)} would be ${what} ${answer.version}; nothing was changed.`
    : `${plainLine(answer.name)} is ${what} ${answer.version} ${termOf(answer)}. It obeys within its own policy.`
  output.answer('netlink.hosts.pin/v1', { ...answer, dry_run: dryRun }, prose(words, output.style))
  return EXIT.ok
}

/** Ends what a host was directed to. */
export async function unpinHost(
  { client, output }: CommandContext,
  host: string,
  options: { readonly reason?: string; readonly dryRun?: boolean },
): Promise<ExitCode> {
  const dryRun = options.dryRun ?? false
  const query = { reason: options.reason, dry_run: dryRun ? 'true' : undefined }
  const answer = await client.ask('DELETE', pathOf(host), hostAssignmentShape, { query })
  const words = dryRun
    ? `${plainLine(answer.name)} would go by its own policy again; nothing was changed.`
    : `${plainLine(answer.name)} goes by its own policy again.`
  output.answer('netlink.hosts.unpin/v1', { ...answer, dry_run: dryRun }, prose(words, output.style))
  return EXIT.ok
}

/** What a host is directed to. */
export async function showAssignment({ client, output }: CommandContext, host: string): Promise<ExitCode> {
  const answer = await client.ask('GET', pathOf(host), hostAssignmentShape)
  const words =
    answer.action === 'none'
      ? `${plainLine(answer.name)} is assigned nothing: it goes by its own policy.`
      : `${plainLine(answer.name)}: ${answer.action} to ${answer.version} ${termOf(answer)} (number ${answer.sequence})`
  output.answer('netlink.hosts.assignment/v1', answer, prose(words, output.style))
  return EXIT.ok
}

/** `30d` from now, as messages write a time. */
function endOf(now: Date, term: string): string {
  if (!durationShape.safeParse(term).success)
    throw usageFailure('--expires is no duration', `expected one such as 12h or 30d, found ${JSON.stringify(term)}`, [
      'netlink-admin hosts pin --help',
    ])
  return `${new Date(now.getTime() + parseDuration(term)).toISOString().slice(0, 19)}Z`
}

function pathOf(host: string): string {
  return `/hosts/${encodeURIComponent(host)}/assignments`
}

function termOf({ expires }: HostAssignment): string {
  return `until ${expires}`
}

async function readAuthorization(deps: CommandContext['deps'], file: string): Promise<string> {
  try {
    const text = await deps.readFile(file)
    requireAuthorization(file, text)
    return text
  } catch (cause) {
    if (cause instanceof Failure) throw cause
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw usageFailure(`${file} can't be read`, detail, [HOW_TO_AUTHORIZE])
  }
}

const HOW_TO_AUTHORIZE = 'netlink-publish authorize-downgrade --help'
const envelopeShape = z.object({ signed: z.object({ _type: z.string() }) })
const WANTED = downgradeAuthorizationShape.shape._type.value

/** Whether it is the right file at all: the server knows no file names. What is in it the server checks, and the host again. */
function requireAuthorization(file: string, text: string): void {
  const found = envelopeShape.safeParse(jsonOf(text)).data?.signed._type
  if (found === WANTED) return
  const words = found === undefined ? 'no signed document' : `a signed document of the type ${JSON.stringify(found)}`
  throw usageFailure(
    `--authorization ${file} is no authorisation to go down`,
    plainLine(`expected the file that netlink-publish authorize-downgrade wrote, found ${words}`),
    [HOW_TO_AUTHORIZE],
  )
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // which is no signed document
  }
}

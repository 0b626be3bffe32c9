// Everything that can go wrong here, as the four things that a command line says and the exit status.
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure, type FailureFacts } from '../../schema/cli/failure.ts'
import { plainLine } from '../../schema/cli/plain-text.ts'
import { unexpectedFailure } from '../../schema/cli/unexpected.ts'
import type { Problem } from '../../schema/rest.ts'

const NOTHING = 'Nothing was changed.'

/** A command was not written as it has to be. */
export function usageFailure(title: string, detail: string, next: readonly string[]): Failure {
  return new Failure({ code: 'E-USAGE', exit: EXIT.usage, title, detail, state: 'Nothing was done.', next })
}

/** No answer came. */
export function unreachableFailure(server: string, cause: unknown): Failure {
  const facts = {
    code: 'E-UNREACHABLE',
    exit: EXIT.unreachable,
    title: `the server ${server} can’t be reached`,
    detail: plainLine(reasonsOf(cause)),
    state: 'What was asked for may have been done if the answer got lost on its way; reading changes nothing.',
    next: [`curl -i ${server}/readyz`],
  }
  return new Failure(facts, { cause })
}

/** Something answered that is not this server's API. */
export function foreignFailure(server: string, detail: string): Failure {
  return new Failure({
    code: 'E-FOREIGN-ANSWER',
    exit: EXIT.unreachable,
    title: `what answers at ${server} does not speak as this program expects`,
    detail: plainLine(detail),
    state: NOTHING,
    next: [`curl -i ${server}/`],
  })
}

/** The server said no. */
export function problemFailure(problem: Problem, retryAfter: string | null, server: string): Failure {
  const places = problem.errors?.map(({ pointer, detail }) => plainLine(`${pointer || '/'}: ${detail}`)) ?? []
  const wait = retryAfter === null ? [] : [plainLine(`try again in ${retryAfter} s`)]
  return new Failure({
    code: `E-${problem.code.toUpperCase()}`,
    exit: exitOf(problem),
    title: problem.detail ?? problem.title,
    detail: [
      ...(places.length > 1 ? places : []),
      ...wait,
      ...(problem.request_id ? [plainLine(`request ${problem.request_id}`)] : []),
    ].join('\n'),
    state: NOTHING,
    next: nextOf(problem, server),
  })
}

/** Facts of anything that was thrown. */
export function failureFactsOf(error: unknown): FailureFacts {
  if (error instanceof Failure) return error.facts
  return unexpectedFailure(error, 'netlink-admin fleet status')
}

function exitOf({ code, status }: Problem): ExitCode {
  if (status === 401 || status === 403) return EXIT.forbidden
  if (status === 429 || status === 503) return EXIT.unreachable
  if (code === 'unverified') return EXIT.unverified
  if (code === 'conflict' || code === 'refused') return EXIT.refused
  return status < 500 ? EXIT.usage : EXIT.unexpected
}

const API = 'netlink-admin api GET /api/v1/openapi.json'
const DOCTOR = 'netlink-server doctor'
const STATUS = 'netlink-admin fleet status'
const READYZ = 'curl -i SERVER/readyz?verbose'
const NEW_TOKEN = 'netlink-server token create --scope admin --name NAME'

/** By the problem's code: what to run where the server itself does not say. `SERVER` stands for its address. */
const nextSteps: ReadonlyMap<string, readonly string[]> = new Map([
  ['invalid', ['netlink-admin --help', API]],
  ['unauthenticated', [NEW_TOKEN, 'netlink-admin fleet status --token-file FILE']],
  ['forbidden', [NEW_TOKEN]],
  ['not-found', ['netlink-admin hosts list', 'netlink-admin releases list']],
  ['method-not-allowed', [API]],
  ['too-slow', [READYZ]],
  ['conflict', [STATUS]],
  ['offset', [API]],
  ['too-large', [API]],
  ['unsupported-media-type', [API]],
  ['range-not-satisfiable', [API]],
  ['unverified', ['netlink-publish status', DOCTOR]],
  ['refused', ['netlink-publish status']],
  ['upgrade-required', [API]],
  ['rate-limited', [STATUS]],
  ['internal', [DOCTOR, READYZ]],
  ['unavailable', [READYZ, DOCTOR]],
  ['no-space', ['df -h', DOCTOR]],
])

/** A code that only a newer server knows leads to what there is. */
function nextOf({ code, next = [] }: Problem, server: string): readonly string[] {
  if (next.length > 0) return next
  return (nextSteps.get(code) ?? [STATUS, API]).map((step) => step.replace('SERVER', server))
}

/** fetch hides why it failed in the cause of a cause. */
function reasonsOf(error: unknown): string {
  const words: string[] = []
  for (let at: unknown = error; at instanceof Error && words.length < 4; at = at.cause) {
    const message = at instanceof AggregateError ? at.errors.map(String).join('; ') : at.message
    if (message !== '' && message !== 'fetch failed') words.push(message)
  }
  return words.join(': ') || String(error)
}

// Whatever was thrown, as the four things that a person needs: what failed, why, what state things are in now, the next command.
import { BundleError, explainBundleError } from '../keys/bundle-error.ts'
import { type ExplainContext, explainTrustError } from '../keys/explain.ts'
import { PlatformError, type PlatformErrorCode } from '../keys/platform/platform-error.ts'
import { TrustError } from '../keys/trust-error.ts'
import { EXIT, type ExitCode } from '../schema/cli/exit-code.ts'
import { Failure, type FailureFacts } from '../schema/cli/failure.ts'
import { plainLine } from '../schema/cli/plain-text.ts'
import { ShapeError } from '../schema/shape-error.ts'
import { compareVersions } from '../schema/version.ts'
import type { Reason } from './engine/outcome.ts'
import { exitOf, type Outcome } from './engine/outcome.ts'
import { GivenFileError } from './given-file.ts'
import type { Paths } from './paths.ts'
import { ServiceError } from './service/control.ts'
import { ExpandError } from './service/expand.ts'
import { FloorMissing } from './version-record.ts'

/** What the command knows and the error does not. */
export interface ErrorContext {
  /** What runs on this host, undefined where nobody looked. */
  readonly installed: string | null | undefined
  /** What was refused: `the repository`, `release 0r2`. */
  readonly subject?: string | undefined
  /** Where this host's files lie, to name them whole. */
  readonly paths?: SitePaths | undefined
}

type SitePaths = Pick<Paths, 'appEnv' | 'appLog'>

/** Never throws. What nobody expected is exit 1 with its own words. */
export function explainError(error: unknown, context: ErrorContext): FailureFacts {
  const state = unchangedWords(context.installed)
  if (error instanceof Failure) return error.facts
  if (error instanceof TrustError) {
    const facts = explainTrustError(error, {
      ...(context.subject === undefined ? subjectOf(error) : { subject: context.subject }),
      state,
    })
    // The code's own word belongs into the text: it is what people search for and what reports carry.
    return { ...facts, detail: `${facts.detail} (${error.code})` }
  }
  if (error instanceof GivenFileError) return explainGiven(error, state)
  if (error instanceof BundleError) return explainBundleError(error, state)
  if (error instanceof PlatformError) return explainPlatform(error, state)
  if (error instanceof ShapeError) return explainShape(error, state)
  if (error instanceof FloorMissing) {
    return {
      code: 'E-FLOOR-MISSING',
      exit: EXIT.unverified,
      title: 'the record of the greatest version that ran here is gone',
      detail: `${error.message}; without it an older release could be passed off as a newer one`,
      state,
      next: ['netlink agent enroll --force --server URL --token-file FILE --trust-root FILE'],
    }
  }
  if (error instanceof ServiceError) return explainService(error, state, context.paths)
  if (error instanceof ExpandError) {
    return {
      code: 'E-ENVIRONMENT',
      exit: EXIT.usage,
      title: 'config/app.env does not fit the service',
      detail: error.message,
      state,
      next: [editSite(context.paths)],
    }
  }
  const words = error instanceof Error ? error.message : String(error)
  return {
    code: 'E-UNEXPECTED',
    exit: EXIT.unexpected,
    title: 'something unexpected happened',
    detail: plainLine(words),
    state: 'See netlink update status for what state this host is in.',
    next: ['netlink update status'],
  }
}

/** The file's own flag and name in the place of the repository: that is what a person can mend. */
function explainGiven({ given, message, cause }: GivenFileError, state: string): FailureFacts {
  const facts = explainTrustError(cause, { subject: given.words, state, next: ['netlink agent enroll --help'] })
  return { ...facts, detail: plainLine(`${message}; ${facts.detail} (${cause.code})`) }
}

/** Nothing makes this file but a person, and its folder not before the first install. */
function editSite(paths: SitePaths | undefined): string {
  return paths === undefined ? 'edit config/app.env' : `edit ${paths.appEnv}      (make it if it is not there)`
}

function subjectOf(error: TrustError): Pick<ExplainContext, 'subject' | 'next'> {
  return isOwnDamage(error) ? { subject: 'what this host trusts', next: [RESET] } : { subject: 'the repository' }
}

/** Whether it is this host's own record that is damaged or gone, floors say: no server and no bundle can mend that. */
export function isOwnDamage({ code, facts: { path, expected } }: TrustError): boolean {
  return path?.endsWith('.state') === true || (code === 'no-root' && expected === undefined)
}

const RESET = 'netlink agent trust reset --root FILE --expect-sha256 HASH'

/** `Nothing was changed; this host stays on 0r1.` */
export function unchangedWords(installed: string | null | undefined): string {
  if (installed === undefined) return 'Nothing was changed.'
  return installed === null
    ? 'Nothing was changed; nothing is installed on this host.'
    : `Nothing was changed; this host stays on ${installed}.`
}

const platformTitles: Readonly<
  Record<PlatformErrorCode, readonly [code: string, exit: ExitCode, title: string, next: string]>
> = {
  unreachable: ['E-UNREACHABLE', EXIT.unreachable, 'the server can’t be reached', 'netlink update check'],
  timeout: ['E-TIMEOUT', EXIT.unreachable, 'the server does not answer in time', 'netlink update check'],
  'too-slow': ['E-TOO-SLOW', EXIT.unreachable, 'the server sends too slowly', 'netlink update check'],
  'too-large': ['E-TOO-LARGE', EXIT.unverified, 'more came than is allowed', 'netlink update check'],
  'http-status': ['E-HTTP-STATUS', EXIT.unreachable, 'the server gave no usable answer', 'netlink update check'],
  redirect: ['E-REDIRECT', EXIT.unreachable, 'the server sends this host elsewhere', 'netlink agent config show'],
  insecure: [
    'E-INSECURE-HTTP',
    EXIT.usage,
    'plain http to another machine is refused',
    'use https, or say --insecure-http if that is meant',
  ],
  encoding: [
    'E-ENCODING',
    EXIT.unreachable,
    'the answer is encoded in a way that nobody asked for',
    'netlink update check',
  ],
  cancelled: ['E-CANCELLED', EXIT.interrupted, 'stopped on request', 'netlink update status'],
  locked: ['E-LOCKED', EXIT.locked, 'another update runs on this host', 'netlink update status --watch'],
  'no-space': ['E-NO-SPACE', EXIT.unexpected, 'the disk is full', 'df -h'],
  'not-permitted': [
    'E-NOT-PERMITTED',
    EXIT.forbidden,
    'this user may not do that here',
    'run it as the user netlink or as root',
  ],
  'not-found': ['E-NOT-FOUND', EXIT.usage, 'a file is not there', 'check the path'],
  exists: ['E-EXISTS', EXIT.usage, 'a file is there already', 'check the path'],
  io: ['E-IO', EXIT.unexpected, 'the disk said no', 'dmesg | tail'],
}

function explainPlatform(error: PlatformError, state: string): FailureFacts {
  const [code, exit, title, next] = platformTitles[error.code]
  const refused = error.code === 'http-status' && (error.facts.status === 401 || error.facts.status === 403)
  const facts = { code, exit: refused ? EXIT.forbidden : exit, title, detail: plainLine(error.message), state }
  return { ...facts, next: error.code === 'unreachable' ? nextUnreachable(error.facts.url, next) : [next] }
}

/** Of a host that is not enrolled yet, no other command of this program says more. */
function nextUnreachable(url: string | undefined, otherwise: string): string[] {
  const origin = url === undefined ? undefined : URL.parse(url)?.origin
  return origin === undefined || origin === 'null' ? [otherwise] : [`curl -i ${origin}/readyz`]
}

function explainShape(error: ShapeError, state: string): FailureFacts {
  const issues = error.issues.map(({ pointer, message }) => (pointer === '' ? message : `${pointer}: ${message}`))
  const next = error.subject.endsWith('update.yml') ? 'netlink agent config validate' : 'netlink help'
  return {
    code: 'E-FORM',
    exit: EXIT.usage,
    title: `${error.subject} is not as it should be`,
    detail: plainLine(issues.join('; ')),
    state,
    next: [next],
  }
}

function explainService(error: ServiceError, state: string, paths: SitePaths | undefined): FailureFacts {
  return {
    code: `E-SERVICE-${error.code.toUpperCase()}`,
    exit: error.code === 'undecided' ? EXIT.pending : EXIT.unexpected,
    title: 'the service could not be controlled',
    detail: error.message,
    state,
    next: ['netlink service status', `tail -n 50 ${paths?.appLog ?? 'logs/app.log'}`],
  }
}

/** An update that did not end where it should. `signal` tells a stop that was asked for from other ends. */
export function explainOutcome(outcome: Exclude<Outcome, { kind: 'committed' }>, paths?: SitePaths): FailureFacts {
  const { reason } = outcome
  // What does not verify once an update has begun is bytes: metadata was verified before there was a plan.
  const code = reason.code === 'unverified' ? 'E-HASH' : `E-${reason.code.toUpperCase().replaceAll('_', '-')}`
  const back = outcome.from ?? 'nothing'
  const detail = [reason.message, ...reason.details.slice(-5)].map((line) => plainLine(line)).join('\n  ')
  const facts = { code, exit: exitOf(outcome), detail }
  const log = `netlink update log ${outcome.update_id}`
  switch (outcome.kind) {
    case 'refused':
      return {
        ...facts,
        title: `${outcome.to} was not installed`,
        state: unchangedWords(outcome.from),
        next: [nextAfter(reason, log, paths)],
      }
    case 'discarded':
      return {
        ...facts,
        title: `the update to ${outcome.to} was given up`,
        state: unchangedWords(outcome.from),
        next: [nextAfter(reason, log, paths)],
      }
    case 'rolled_back':
      return {
        ...facts,
        title: `the update to ${outcome.to} failed and was rolled back`,
        state:
          outcome.from === null
            ? 'Nothing is installed on this host, as before.'
            : `This host runs ${back} again, as well as before.`,
        next: [log, ...againAfter(outcome)],
      }
    case 'stranded':
      return {
        ...facts,
        title: `the update to ${outcome.to} failed and so did the way back to ${back}`,
        detail: `${detail}\n  on the way back: ${plainLine(outcome.back.message)}`,
        state: 'The service may not be running: a person is needed.',
        next: [log, 'netlink service status'],
      }
  }
}

/** The version is passed over from now on: how a person has it all the same. A way down begins with another command. */
function againAfter({ from, to, reason }: Extract<Outcome, { kind: 'rolled_back' }>): string[] {
  if (reason.code === 'cancelled' || (from !== null && compareVersions(to, from) < 0)) return []
  return [`after fixing it: netlink update upgrade --to ${to}`]
}

function nextAfter(reason: Reason, log: string, paths: SitePaths | undefined): string {
  switch (reason.code) {
    case 'locked':
      return 'netlink update status --watch'
    case 'undecided':
      return 'netlink update status'
    case 'quarantined':
      return 'netlink update history --failed'
    case 'needs_engine':
    case 'incompatible':
      return 'netlink update check'
    case 'disk':
      return 'df -h'
    case 'environment':
      return editSite(paths)
    default:
      return log
  }
}

import type { AttemptState } from '../../schema/attempt.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { unreachable } from '../../schema/unreachable.ts'
import type { StepName } from './plan.ts'

/** Why an update was refused, failed, or went back. Stable codes: reports and `netlink help` use them. */
export type EngineCode =
  // refused before anything was changed
  | 'locked' // another update runs
  | 'undecided' // a crashed update has to be recovered first
  | 'stale_plan' // the host is no longer as it was when the plan was made
  | 'foreign' // the verified manifest is not the one of the plan
  | 'needs_engine' // the release asks for what this agent can't do yet
  | 'incompatible' // os, architecture, memory or agent version
  | 'disk' // not enough space
  | 'quarantined' // this version failed here before
  | 'unhealthy' // the running version is not healthy and nobody said that this is known
  | 'missing_generation' // a rollback's generation is not there or not whole
  // failed
  | 'download' // the artifact could not be had
  | 'unverified' // length, hash or tree digest are not what was signed
  | 'archive' // the archive holds what no archive may hold
  | 'io' // the disk said no
  | 'service' // it could not be started or stopped
  | 'environment' // app.env lacks a value that the service asks for
  | 'crashed' // the service ended during the update
  | 'not_ready' // a required check was not healthy in time
  | 'unstable' // healthy at first, not for long
  | 'self_test'
  | 'deadline' // the time allowed for the whole update is over
  | 'cancelled' // somebody asked to stop
  | 'interrupted' // this process or the machine died in the middle
  | 'exhausted' // too many attempts at one step
  | 'journal' // the journal is damaged in its middle

/** One failure: the code, words for people, and where it happened. */
export interface Reason {
  readonly code: EngineCode
  readonly message: string
  readonly step: StepName | null
  /** Last lines of what the service or a self-test wrote, or the engines that are missing. */
  readonly details: readonly string[]
}

interface Ended {
  readonly update_id: string
  readonly from: string | null
  readonly to: string
}

/** How an update ended. Every one of them leaves the host wholly on the old or wholly on the new version; only `stranded` may leave it without a healthy service. */
export type Outcome =
  /** The new version runs, healthy where it can tell. `unreachable_ms`: from stop to the first healthy answer. */
  | (Ended & { readonly kind: 'committed'; readonly generation: number; readonly unreachable_ms: number; readonly warnings: readonly string[] })
  /** Nothing was changed: not the service, not `current`. `tried` says whether a plan was written at all. */
  | (Ended & { readonly kind: 'refused'; readonly reason: Reason })
  /** Stopped before the switch and thrown away. The old version runs and was never touched, or was started again. */
  | (Ended & { readonly kind: 'discarded'; readonly reason: Reason })
  /** The new version ran, failed, and the old one runs again and is as healthy as before. */
  | (Ended & { readonly kind: 'rolled_back'; readonly reason: Reason })
  /** The way back failed too: a person is needed. */
  | (Ended & { readonly kind: 'stranded'; readonly reason: Reason; readonly back: Reason })

/** The exit code that a command line ends with. A cancelled update is the caller's signal to translate: here it counts by what it left. */
export function exitOf(outcome: Outcome): ExitCode {
  switch (outcome.kind) {
    case 'committed':
      return EXIT.ok
    case 'refused':
    case 'discarded':
      return exitOfReason(outcome.reason.code)
    case 'rolled_back':
      return EXIT.rolledBack
    case 'stranded':
      return EXIT.rollbackFailed
    default:
      return unreachable(outcome)
  }
}

function exitOfReason(code: EngineCode): ExitCode {
  if (code === 'locked') return EXIT.locked
  if (code === 'download') return EXIT.unreachable
  if (code === 'unverified' || code === 'archive' || code === 'foreign') return EXIT.unverified
  if (code === 'cancelled') return EXIT.interrupted
  if (code === 'io' || code === 'interrupted' || code === 'deadline' || code === 'journal' || code === 'exhausted') return EXIT.unexpected
  if (code === 'undecided') return EXIT.pending
  return EXIT.refused
}

/** The same end in the words of reports. */
export function attemptStateOf(outcome: Outcome): AttemptState {
  switch (outcome.kind) {
    case 'committed':
      return 'succeeded'
    case 'refused':
      return 'skipped'
    case 'discarded':
      return outcome.reason.code === 'cancelled' ? 'cancelled' : outcome.reason.code === 'deadline' ? 'timed_out' : 'failed'
    case 'rolled_back':
      return 'reverted'
    case 'stranded':
      return 'stranded'
    default:
      return unreachable(outcome)
  }
}

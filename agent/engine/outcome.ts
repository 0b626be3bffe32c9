import { z } from 'zod'
import type { AttemptState } from '../../schema/attempt.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { unreachable } from '../../schema/unreachable.ts'
import { versionShape } from '../../schema/version.ts'
import { stepNameShape } from './plan.ts'
import { exitOfRolledBack } from './rolled-back.ts'

/** Why an update was refused, failed, or went back. Stable codes: reports and `netlink help` use them. */
export const engineCodes = [
  // refused before anything was changed
  'locked', // another update runs
  'undecided', // a crashed update has to be recovered first
  'stale_plan', // the host is no longer as it was when the plan was made
  'foreign', // the verified manifest is not the one of the plan
  'needs_engine', // the release asks for what this agent can't do yet; details name it
  'incompatible', // os, architecture, memory or agent version
  'disk', // not enough space
  'quarantined', // this version failed here before
  'unhealthy', // the running version is not healthy and nobody said that this is known
  'missing_generation', // a rollback's generation is not there or not whole
  // failed
  'download', // the artifact could not be had
  'unverified', // length, hash or tree digest are not what was signed
  'archive', // the archive holds what no archive may hold
  'io', // the disk said no
  'service', // it could not be started or stopped
  'environment', // app.env lacks a value that the service asks for, or leads to where somebody else answers
  'crashed', // the service ended during the update
  'not_ready', // a required check was not healthy in time
  'unstable', // healthy at first, not for long
  'self_test',
  'deadline', // the time allowed for the whole update is over
  'cancelled', // somebody asked to stop
  'interrupted', // this process or the machine died in the middle
  'exhausted', // too many attempts at one step
] as const
export const engineCodeShape = z.enum(engineCodes)
export type EngineCode = z.infer<typeof engineCodeShape>

/** One failure: the code, words for people, and where it happened. */
export const reasonShape = z.object({
  code: engineCodeShape,
  message: z.string(),
  step: stepNameShape.nullable(),
  /** Last lines of what the service or a self-test wrote, or the engines that are missing. */
  details: z.array(z.string()),
})
export type Reason = Readonly<z.infer<typeof reasonShape>>

const ended = { update_id: z.string(), from: versionShape.nullable(), to: versionShape }

/** How an update ended. Every end leaves the host wholly on the old or wholly on the new version; only `stranded` may leave it without a healthy service. */
export const outcomeShape = z.discriminatedUnion('kind', [
  /** The new version runs, healthy where it can tell. `unreachable_ms`: from stop to the first healthy answer, null where a crash lies in between. */
  z.object({
    kind: z.literal('committed'),
    ...ended,
    generation: z.int().min(1),
    unreachable_ms: z.int().min(0).nullable(),
    warnings: z.array(z.string()),
  }),
  /** Nothing was begun: no journal, no file. */
  z.object({ kind: z.literal('refused'), ...ended, reason: reasonShape }),
  /** Given up before the service was stopped: what was staged is thrown away, the old version never noticed. */
  z.object({ kind: z.literal('discarded'), ...ended, reason: reasonShape }),
  /** Failed after the service was stopped; the old version runs again and is as well as before (or, after a first installation, nothing is installed). */
  z.object({ kind: z.literal('rolled_back'), ...ended, reason: reasonShape }),
  /** The way back failed too, or was switched off: a person is needed. */
  z.object({ kind: z.literal('stranded'), ...ended, reason: reasonShape, back: reasonShape }),
])
export type Outcome = Readonly<z.infer<typeof outcomeShape>>

/** The exit code that a command line ends with. A cancelled update is the caller's signal to translate: here it counts by what it left. */
export function exitOf(outcome: Outcome): ExitCode {
  switch (outcome.kind) {
    case 'committed':
      return EXIT.ok
    case 'refused':
    case 'discarded':
      return exitOfReason(outcome.reason.code)
    case 'rolled_back':
      return exitOfRolledBack(outcome.reason.code)
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
  if (code === 'io' || code === 'interrupted' || code === 'deadline' || code === 'exhausted') return EXIT.unexpected
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
      return outcome.reason.code === 'cancelled'
        ? 'cancelled'
        : outcome.reason.code === 'deadline'
          ? 'timed_out'
          : 'failed'
    case 'rolled_back':
      return 'reverted'
    case 'stranded':
      return 'stranded'
    default:
      return unreachable(outcome)
  }
}

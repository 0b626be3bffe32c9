// One vocabulary for what a host does about an update: the agent sends it, the database stores it, REST answers it, the page shows it.
import { z } from 'zod'
import { versionShape } from './version.ts'

/** An attempt in order: `offered … succeeded`, or `failed → reverting → reverted | stranded`. The last row are ends without an effect. */
export const attemptStates = [
  'offered',
  'downloading',
  'staged',
  'applying',
  'restarting',
  'verifying',
  'succeeded',
  'failed',
  'reverting',
  'reverted',
  'stranded',
  'timed_out',
  'cancelled',
  'superseded',
  'skipped',
] as const
export const attemptStateShape = z.enum(attemptStates)
export type AttemptState = z.infer<typeof attemptStateShape>

/** Why a host does not update although something newer exists. Every such host has exactly one. */
export const waitingReasons = [
  'notify_only', // policy is `notify`: a person decides
  'automatic_off', // policy is `off`
  'window_closed',
  'jitter',
  'soak', // published too short a time ago
  'assigned', // the server's director keeps it at another version
  'assignment_refused', // the director named what this host may not install; the detail begins with the check's own word
  'hold', // held on this host
  'paused', // the fleet's brake
  'quarantined', // this version failed here before
  'barrier_first',
  'dead_end',
  'incompatible', // requirements or platform
  'withdrawn',
  'needs_engine', // the release asks for what this agent can't do yet
  'disk',
  'locked', // another update runs
  'unverified', // what the server offers does not verify
  'unreachable',
  'undecided', // a crashed update has to be recovered first
] as const
export const waitingReasonShape = z.enum(waitingReasons)
export type WaitingReason = z.infer<typeof waitingReasonShape>

export const attemptKinds = ['install', 'upgrade', 'downgrade', 'rollback'] as const
export const attemptKindShape = z.enum(attemptKinds)
export type AttemptKind = z.infer<typeof attemptKindShape>

/** `update_<from|none>_<to>_<UTC yyyymmdd>_<hhmmss>`, build ids included. */
export const updateIdShape = z
  .string()
  .max(256)
  .regex(
    /^update_[0-9A-Za-z.+-]+_[0-9A-Za-z.+-]+_\d{8}_\d{6}$/,
    'expected an update id such as update_0a1_0b1_20241219_120000',
  )

/** What happened to one attempt, as the journal saw it. */
export const attemptReportShape = z.object({
  update_id: updateIdShape,
  kind: attemptKindShape,
  from: versionShape.nullable(),
  to: versionShape,
  state: attemptStateShape,
  /** For a failure or an end without effect: a stable code and words for people. */
  code: z.string().max(64).nullable().default(null),
  reason: z.string().max(2000).nullable().default(null),
})
export type AttemptReport = z.infer<typeof attemptReportShape>

import { PlatformError, type PlatformErrorCode } from '../../keys/platform/platform-error.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { ArchiveError } from '../../schema/archive/archive-error.ts'
import { ServiceError } from '../service/control.ts'
import { ExpandError } from '../service/expand.ts'
import { failure } from './machine.ts'
import type { EngineCode, Reason } from './outcome.ts'
import type { StepName } from './plan.ts'

/** A step that found out by itself why it failed. */
export class StepFailure extends Error {
  override readonly name = 'StepFailure'
  readonly reason: Reason

  constructor(reason: Reason, options?: ErrorOptions) {
    super(reason.message, options)
    this.reason = reason
  }
}

const ON_DISK: readonly PlatformErrorCode[] = ['not-permitted', 'not-found', 'exists', 'io']

/** Whatever a step threw as a reason. */
export function reasonOf(error: unknown, step: StepName): Reason {
  if (error instanceof StepFailure) return error.reason
  const message = error instanceof Error ? error.message : String(error)
  return failure(codeOf(error, step), step, message)
}

function codeOf(error: unknown, step: StepName): EngineCode {
  if (error instanceof TrustError) return 'unverified'
  if (error instanceof ArchiveError) return 'archive'
  if (error instanceof ServiceError) return error.code === 'bad-environment' ? 'environment' : 'service'
  if (error instanceof ExpandError) return 'environment'
  if (error instanceof PlatformError) {
    if (error.code === 'no-space') return 'disk'
    return step === 'download' && !ON_DISK.includes(error.code) ? 'download' : 'io'
  }
  if (step === 'unpack') return 'archive' // a broken compression
  return 'io'
}

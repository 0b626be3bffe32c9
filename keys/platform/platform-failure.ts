import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import type { PlatformErrorCode } from './platform-error.ts'

/** The code and exit status by which publisher and server tell what the machine or the network did not do. */
export const platformFailures: Readonly<Record<PlatformErrorCode, readonly [code: string, exit: ExitCode]>> = {
  unreachable: ['E-UNREACHABLE', EXIT.unreachable],
  timeout: ['E-TIMEOUT', EXIT.unreachable],
  'too-slow': ['E-TOO-SLOW', EXIT.unreachable],
  'too-large': ['E-TOO-LARGE', EXIT.unverified],
  'http-status': ['E-HTTP-STATUS', EXIT.unreachable],
  redirect: ['E-REDIRECT', EXIT.refused],
  insecure: ['E-INSECURE', EXIT.refused],
  encoding: ['E-ENCODING', EXIT.unverified],
  cancelled: ['E-CANCELLED', EXIT.interrupted],
  locked: ['E-LOCKED', EXIT.locked],
  'no-space': ['E-NO-SPACE', EXIT.unexpected],
  'not-permitted': ['E-NOT-PERMITTED', EXIT.forbidden],
  'not-found': ['E-NOT-FOUND', EXIT.usage],
  exists: ['E-EXISTS', EXIT.refused],
  io: ['E-IO', EXIT.unexpected],
}

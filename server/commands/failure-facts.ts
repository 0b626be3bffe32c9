// Everything that can be thrown here, as the four things that a command line says, and the exit status.
import { KeyFileError } from '../../keys/key-file.ts'
import { PlatformError, type PlatformErrorCode } from '../../keys/platform/platform-error.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure, type FailureFacts } from '../../schema/cli/failure.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import { CoreError, type CoreErrorCode } from '../core/core-error.ts'

const NOTHING = 'Nothing was changed.'

/** What a person needs to know about an error. */
export function failureFactsOf(error: unknown): FailureFacts {
  if (error instanceof Failure) return error.facts
  if (error instanceof CoreError) return ofCore(error)
  if (error instanceof PlatformError) return ofPlatform(error)
  if (error instanceof KeyFileError) {
    return facts('E-KEY-FILE', EXIT.usage, "the server's own keys can't be used", error.message, NOTHING, [
      'netlink-server doctor',
    ])
  }
  if (error instanceof ShapeError) {
    const detail = error.issues.map((issue) => `${issue.pointer || '/'}: ${issue.message}`).join('\n')
    return facts('E-CONFIG', EXIT.usage, `${error.subject} can't be used as it is`, detail, NOTHING, [
      'netlink-server doctor',
    ])
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return facts(
    'E-UNEXPECTED',
    EXIT.unexpected,
    'something happened that should not',
    message,
    'It is not known what was done; netlink-server doctor tells.',
    ['netlink-server doctor'],
  )
}

const coreKinds: Readonly<Record<CoreErrorCode, readonly [code: string, exit: ExitCode]>> = {
  unauthenticated: ['E-UNAUTHENTICATED', EXIT.forbidden],
  forbidden: ['E-FORBIDDEN', EXIT.forbidden],
  'not-found': ['E-NOT-FOUND', EXIT.refused],
  conflict: ['E-CONFLICT', EXIT.refused],
  offset: ['E-OFFSET', EXIT.refused],
  invalid: ['E-USAGE', EXIT.usage],
  unverified: ['E-UNVERIFIED', EXIT.unverified],
  refused: ['E-REFUSED', EXIT.refused],
  'too-large': ['E-TOO-LARGE', EXIT.refused],
  'no-space': ['E-NO-SPACE', EXIT.refused],
  unavailable: ['E-UNAVAILABLE', EXIT.unreachable],
}

function ofCore(error: CoreError): FailureFacts {
  const { reason, issues = [], next = ['netlink-server doctor'] } = error.facts
  const [kind, exit] = coreKinds[error.code]
  const isSchema = reason?.startsWith('schema-') ?? false
  const code = isSchema ? `E-${reason?.toUpperCase()}` : kind
  const detail = issues.map((issue) => `${issue.pointer}: ${issue.message}`).join('\n')
  return facts(code, isSchema ? EXIT.usage : exit, error.message, detail, NOTHING, next)
}

const platformKinds: Readonly<Partial<Record<PlatformErrorCode, readonly [code: string, exit: ExitCode]>>> = {
  locked: ['E-LOCKED', EXIT.locked],
  'not-permitted': ['E-NOT-PERMITTED', EXIT.forbidden],
  'not-found': ['E-NOT-FOUND', EXIT.usage],
  'no-space': ['E-NO-SPACE', EXIT.refused],
  exists: ['E-EXISTS', EXIT.refused],
  unreachable: ['E-UNREACHABLE', EXIT.unreachable],
  timeout: ['E-UNREACHABLE', EXIT.unreachable],
}

function ofPlatform(error: PlatformError): FailureFacts {
  const [code, exit] = platformKinds[error.code] ?? ['E-IO', EXIT.unexpected]
  const titles: Readonly<Partial<Record<PlatformErrorCode, string>>> = {
    locked: 'another process uses this server folder',
    'not-permitted': 'this user may not do that',
    'not-found': 'something is not there',
    'no-space': 'the disk is full',
  }
  return facts(code, exit, titles[error.code] ?? 'the machine did not do what was asked', error.message, NOTHING, [
    'netlink-server doctor',
  ])
}

function facts(
  code: string,
  exit: ExitCode,
  title: string,
  detail: string,
  state: string,
  next: readonly string[],
): FailureFacts {
  return { code, exit, title, detail, state, next }
}

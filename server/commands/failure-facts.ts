// Everything that can be thrown here, as the four things that a command line says, and the exit status.
import { KeyFileError } from '../../keys/key-file.ts'
import { PlatformError, type PlatformErrorCode } from '../../keys/platform/platform-error.ts'
import { platformFailures } from '../../keys/platform/platform-failure.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure, type FailureFacts, failureFacts } from '../../schema/cli/failure.ts'
import { shellWord } from '../../schema/cli/shell-word.ts'
import { unexpectedFailure } from '../../schema/cli/unexpected.ts'
import { issueLines, ShapeError } from '../../schema/shape-error.ts'
import { CONFIG_FILE, serverPaths } from '../config.ts'
import { CoreError, type CoreErrorCode } from '../core/core-error.ts'

const NOTHING = 'Nothing was changed.'

/** What a person needs to know about an error. `dir`: the server's folder as it was named; null where it was not. */
export function failureFactsOf(error: unknown, dir: string | null): FailureFacts {
  const doctor = `netlink-server doctor${dirFlag(dir)}`
  if (error instanceof Failure) return error.facts
  if (error instanceof CoreError) return ofCore(error, doctor)
  if (error instanceof PlatformError) return isNoServer(error, dir) ? ofNoServer(dir) : ofPlatform(error, doctor)
  if (error instanceof KeyFileError) {
    return failureFacts('E-KEY-FILE', EXIT.usage, "the server's own keys can't be used", error.message, NOTHING, [
      doctor,
    ])
  }
  if (error instanceof ShapeError) {
    const title = `${error.subject} can't be used as it is`
    return failureFacts('E-CONFIG', EXIT.usage, title, issueLines(error.issues), NOTHING, [doctor])
  }
  return unexpectedFailure(error, doctor)
}

/** ` --dir srv`, to be copied with the command before it; nothing where the folder was not named. */
function dirFlag(dir: string | null): string {
  return dir === null ? '' : ` --dir ${shellWord(dir)}`
}

/** What makes a folder a server is missing, and nothing else. */
function isNoServer({ code, facts }: PlatformError, dir: string | null): boolean {
  return code === 'not-found' && facts.path === serverPaths(dir ?? '.').config
}

function ofNoServer(dir: string | null): FailureFacts {
  return failureFacts(
    'E-NOT-SERVER',
    EXIT.usage,
    `${dir ?? 'this folder'} is not a server's folder`,
    `expected ${CONFIG_FILE} in it, there is none`,
    'Nothing was done.',
    [`netlink-server init${dirFlag(dir)}`],
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

function ofCore(error: CoreError, doctor: string): FailureFacts {
  const { reason, issues = [], next = [doctor] } = error.facts
  const [kind, exit] = coreKinds[error.code]
  const isSchema = reason?.startsWith('schema-') ?? false
  const code = isSchema ? `E-${reason?.toUpperCase()}` : kind
  return failureFacts(code, isSchema ? EXIT.usage : exit, error.message, issueLines(issues), NOTHING, next)
}

const platformTitles: Readonly<Partial<Record<PlatformErrorCode, string>>> = {
  locked: 'another process uses this server folder',
  'not-permitted': 'this user may not do that',
  'not-found': 'something is not there',
  'no-space': 'the disk is full',
}

function ofPlatform(error: PlatformError, doctor: string): FailureFacts {
  const [code, exit] = platformFailures[error.code]
  const title = platformTitles[error.code] ?? 'the machine did not do what was asked'
  return failureFacts(code, exit, title, error.message, NOTHING, [doctor])
}

// Everything that can be thrown here, as the four things that a command line says, and the exit status.
import { dirname } from 'node:path'
import { BundleError, explainBundleError } from '../keys/bundle-error.ts'
import { explainTrustError } from '../keys/explain.ts'
import { KeyFileError, type KeyFileErrorCode } from '../keys/key-file.ts'
import { PlatformError, type PlatformErrorCode } from '../keys/platform/platform-error.ts'
import { platformFailures } from '../keys/platform/platform-failure.ts'
import { TrustError } from '../keys/trust-error.ts'
import { ArchiveError } from '../schema/archive/archive-error.ts'
import { EXIT, type ExitCode } from '../schema/cli/exit-code.ts'
import { Failure, type FailureFacts, failureFacts } from '../schema/cli/failure.ts'
import { plainLine, plainText } from '../schema/cli/plain-text.ts'
import { shellWord } from '../schema/cli/shell-word.ts'
import { unexpectedFailure } from '../schema/cli/unexpected.ts'
import { issueLines, ShapeError } from '../schema/shape-error.ts'
import { unreachable } from '../schema/unreachable.ts'
import type { Holder } from './config.ts'
import { type Problem, PublishError, type PublishErrorCode } from './publish-error.ts'
import { SignerError, type SignerErrorCode } from './signers/signer-error.ts'

/** What a person needs to know about an error. `state` is what things are like unless the error knows better; `holders` gives keys the names of their people. */
export function failureFactsOf(error: unknown, state: string, holders: readonly Holder[] = []): FailureFacts {
  if (error instanceof Failure) return error.facts
  if (error instanceof PublishError) return ofPublish(error, state)
  if (error instanceof TrustError) {
    return explainTrustError(error, {
      subject: 'the repository',
      state,
      next: [...(error.code === 'rollback' ? [RESTORED] : []), STATUS, 'netlink-publish verify SERVER-URL'],
      keyNames: new Map(holders.flatMap(({ name, keys }) => Object.values(keys).map((keyid) => [keyid, name]))),
    })
  }
  if (error instanceof BundleError) return explainBundleError(error, state)
  if (error instanceof KeyFileError) return ofKeyFile(error, state)
  if (error instanceof SignerError) return ofSigner(error, state)
  if (error instanceof ShapeError) return ofShape(error, state)
  if (error instanceof PlatformError) return ofPlatform(error, state)
  if (error instanceof ArchiveError) {
    return failureFacts(
      'E-ARCHIVE',
      EXIT.unverified,
      `the archive is not one that can be released`,
      error.message,
      state,
      [CHECK],
    )
  }
  return unexpectedFailure(error, STATUS)
}

const CHECK = 'netlink-publish check VERSION --from DIR'
const DOCTOR = 'netlink-server doctor'
const STATUS = 'netlink-publish status'
/** A server shows less than it did where somebody put it back, or plays for time. */
const RESTORED = 'netlink-publish resend --dry-run   if the server was put back from a backup'

const publishKinds: Readonly<Record<PublishErrorCode, readonly [code: string, exit: ExitCode]>> = {
  usage: ['E-USAGE', EXIT.usage],
  config: ['E-CONFIG', EXIT.usage],
  passphrase: ['E-PASSPHRASE', EXIT.forbidden],
  files: ['E-FILES', EXIT.refused],
  changed: ['E-CHANGED', EXIT.refused],
  lint: ['E-LINT', EXIT.refused],
  'not-newer': ['E-NOT-NEWER', EXIT.refused],
  policy: ['E-POLICY', EXIT.refused],
  initialized: ['E-INITIALIZED', EXIT.refused],
  'unknown-version': ['E-UNKNOWN-VERSION', EXIT.refused],
  unsigned: ['E-SIG-THRESHOLD', EXIT.unverified],
  conflict: ['E-CONFLICT', EXIT.refused],
  server: ['E-SERVER', EXIT.refused],
  unconfirmed: ['E-UNCONFIRMED', EXIT.unconfirmed],
  mismatch: ['E-MISMATCH', EXIT.unverified],
  event: ['E-EVENT', EXIT.refused],
  altered: ['E-ALTERED', EXIT.unverified],
}

/** What to run where the error itself does not know better. */
const publishNext: Readonly<Record<PublishErrorCode, string>> = {
  usage: 'netlink-publish --help',
  config: 'netlink-publish init --help',
  passphrase: 'netlink-publish keys list',
  files: CHECK,
  changed: CHECK,
  lint: CHECK,
  'not-newer': 'netlink-publish list',
  policy: 'netlink-publish list',
  initialized: STATUS,
  'unknown-version': 'netlink-publish list',
  unsigned: STATUS,
  conflict: 'netlink-publish list',
  server: STATUS,
  unconfirmed: 'netlink-publish --help',
  mismatch: 'netlink-publish verify VERSION',
  event: STATUS,
  altered: 'ask whoever proposed it, then: netlink-publish abort EVENT --reason WORDS',
}

function ofPublish(error: PublishError, otherwise: string): FailureFacts {
  const [code, exit] = publishKinds[error.code]
  const { problems = [], state = otherwise, next = [publishNext[error.code]], role, status } = error.facts
  const detail =
    problems.length > 0
      ? unsaidProblems(problems, error.message).join('\n')
      : role === undefined
        ? causeOf(error)
        : `counted for the role ${role}, each key once`
  return failureFacts(
    code,
    status === undefined ? exit : exitOfStatus(status, error.facts.problem),
    error.message,
    detail,
    state,
    next,
  )
}

/** Every problem but those that the title has told word by word. */
function unsaidProblems(problems: readonly Problem[], title: string): readonly string[] {
  return problems.map(({ where, what }) => plainLine(`${where} ${what}`)).filter((words) => !title.includes(words))
}

/** What lies behind it, where that says more: that a file is not there was said already. */
function causeOf({ cause }: Error): string {
  const isSaid = cause instanceof PlatformError && cause.code === 'not-found'
  if (!(cause instanceof Error) || isSaid) return ''
  return plainLine(cause instanceof PlatformError ? withoutErrno(cause.message) : cause.message)
}

function exitOfStatus(status: number, problem: string | undefined): ExitCode {
  if (status === 401 || status === 403) return EXIT.forbidden
  if (problem === 'unverified') return EXIT.unverified
  if (status === 429 || status >= 500) return EXIT.unreachable
  return EXIT.refused
}

const keyFileKinds: Readonly<Record<KeyFileErrorCode, ExitCode>> = {
  'wrong-passphrase': EXIT.forbidden,
  'passphrase-needed': EXIT.usage,
  'readable-by-others': EXIT.refused,
  'not-a-keyring': EXIT.usage,
  'duplicate-name': EXIT.refused,
}

function ofKeyFile(error: KeyFileError, state: string): FailureFacts {
  const code = `E-KEYRING-${error.code.toUpperCase()}`
  return failureFacts(code, keyFileKinds[error.code], error.message, '', state, [nextOfKeyFile(error)])
}

function nextOfKeyFile({ code, path }: KeyFileError): string {
  switch (code) {
    case 'wrong-passphrase':
      return 'the same command with the passphrase of this keyring: --passphrase-file NAME=FILE'
    case 'passphrase-needed':
      return 'add --passphrase-file NAME=FILE'
    case 'readable-by-others':
      return `chmod 600 ${shellWord(path)}`
    case 'not-a-keyring':
      return `ls -l ${shellWord(path)}`
    case 'duplicate-name':
      return 'netlink-publish keys list'
    default:
      return unreachable(code)
  }
}

const signerKinds: Readonly<Record<SignerErrorCode, ExitCode>> = {
  'not-here': EXIT.usage,
  'writable-by-others': EXIT.refused,
  'program-missing': EXIT.usage,
  'program-failed': EXIT.refused,
  timeout: EXIT.unreachable,
  'bad-output': EXIT.unverified,
  'wrong-signature': EXIT.unverified,
  'wrong-pin': EXIT.forbidden,
  'no-token': EXIT.unreachable,
  'no-key': EXIT.refused,
  'too-long': EXIT.refused,
}

/** With what the program itself said: mostly it knows best. */
function ofSigner(error: SignerError, state: string): FailureFacts {
  const said = plainText(error.facts.said ?? '', 2000).trim()
  const detail = said === '' ? causeOf(error) : `it said: ${said}`
  const code = `E-SIGNER-${error.code.toUpperCase()}`
  return failureFacts(code, signerKinds[error.code], error.message, detail, state, nextOfSigner(error))
}

function nextOfSigner({ code, facts: { holder = 'HOLDER', path, next } }: SignerError): readonly string[] {
  if (next !== undefined && code !== 'writable-by-others') return next
  switch (code) {
    case 'not-here':
      return [
        `netlink-publish propose VERSION --from DIR      (a change of root: netlink-publish propose root-N)`,
        `netlink-publish sign EVENT --signer ${holder}      (where the keys of ${holder} are)`,
      ]
    case 'writable-by-others':
      return path === undefined ? [CHECK_KEYS(holder)] : [`ls -ld ${shellWord(path)}`, `chmod go-w ${shellWord(path)}`]
    case 'program-missing':
    case 'program-failed':
    case 'timeout':
    case 'bad-output':
    case 'wrong-signature':
    case 'wrong-pin':
    case 'no-token':
    case 'no-key':
    case 'too-long':
      return [CHECK_KEYS(holder)]
    default:
      return unreachable(code)
  }
}

const CHECK_KEYS = (holder: string) => `netlink-publish keys check ${holder}`

function ofShape(error: ShapeError, state: string): FailureFacts {
  return failureFacts(
    'E-FORMAT',
    EXIT.usage,
    `${error.subject} is not what it should be`,
    issueLines(error.issues),
    state,
    ['netlink-publish check --help'],
  )
}

const platformNext: Readonly<Record<PlatformErrorCode, string>> = {
  unreachable: DOCTOR,
  timeout: DOCTOR,
  'too-slow': DOCTOR,
  'too-large': DOCTOR,
  'http-status': DOCTOR,
  redirect: DOCTOR,
  insecure: 'use https, or add --insecure-http if you know the network',
  encoding: DOCTOR,
  cancelled: STATUS,
  locked: 'wait until the other netlink-publish is done, then run the same command again',
  'no-space': 'df -h',
  'not-permitted': 'ls -l',
  'not-found': 'ls -l',
  exists: 'ls -l',
  io: 'dmesg | tail',
}

function ofPlatform(error: PlatformError, state: string): FailureFacts {
  const [code, exit] = platformFailures[error.code]
  return failureFacts(code, exit, withoutErrno(error.message), '', state, [nextOfPlatform(error)])
}

/** `FILE: ENOENT: no such file or directory, open 'FILE'` names the file twice, and a temporary one means nothing to whoever asked for another. */
function withoutErrno(message: string): string {
  return message
    .replace(/: E[A-Z0-9]+: ([^,]+), [a-z]+ '[^']*'(?: -> '[^']*')?/, ': $1')
    .replace(': no such file or directory', ' is not there')
    .replace(/\.([^/]+)\.[0-9a-f]{16}\.tmp/, '$1')
}

/** The server's folder is mostly another machine's: from here only its address can be asked. */
function nextOfPlatform({ code, facts: { url, path } }: PlatformError): string {
  const origin = url === undefined ? undefined : URL.parse(url)?.origin
  const isAway = code === 'unreachable' || code === 'timeout' || code === 'too-slow'
  if (isAway && origin !== undefined) return `curl -i ${origin}/readyz`
  const isThere = code === 'not-found' || code === 'not-permitted' || code === 'exists'
  return isThere && path !== undefined ? `ls -ld ${shellWord(dirname(path))}` : platformNext[code]
}

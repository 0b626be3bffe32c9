import { EXIT } from '../schema/cli/exit-code.ts'
import type { FailureFacts } from '../schema/cli/failure.ts'
import { plainLine } from '../schema/cli/plain-text.ts'
import type { TrustError, TrustErrorCode } from './trust-error.ts'

/** What the program at hand knows and the error does not. */
export interface ExplainContext {
  /** What was refused, as its user calls it: `release 0r2`, `the repository`. */
  readonly subject: string
  /** What state things are in now, as a whole sentence: `Nothing was changed; this host stays on 0r1.` */
  readonly state: string
  /** The commands to run next; what mostly helps with this code unless said otherwise. */
  readonly next?: readonly string[]
  /** People's names for keys, by key id. */
  readonly keyNames?: ReadonlyMap<string, string>
}

/** The four-part error for a refusal, exit status 7. The detail names what was expected and what came, with people's names for keys where they are known. */
export function explainTrustError(error: TrustError, context: ExplainContext): FailureFacts {
  const { code, title, next } = explanations[error.code]
  return {
    code,
    exit: EXIT.unverified,
    title: `${context.subject} ${title(error)}`,
    // Names, paths and key ids in it are the repository's: a line break in one of them would make lines that look like ours.
    detail: plainLine(detailOf(error, context)),
    state: context.state,
    next: context.next ?? (error.code === 'unsigned' ? nextAfterUnsigned(error) : next),
  }
}

interface Explanation {
  readonly code: string
  readonly title: (error: TrustError) => string
  readonly next: readonly string[]
}

const CHECK = 'netlink update check'
const STATUS = 'netlink-publish status'
const SIGN = 'netlink-publish publish VERSION --signer NAME --passphrase-file NAME=FILE'
/** The server signs these by itself: no person can add what they lack. */
const SERVER_ROLES: readonly string[] = ['timestamp', 'snapshot']

const explanations: Readonly<Record<TrustErrorCode, Explanation>> = {
  malformed: { code: 'E-MALFORMED', title: () => 'is not what signed metadata looks like', next: [CHECK] },
  'too-large': { code: 'E-TOO-LARGE', title: () => 'has more of something than is allowed', next: [CHECK] },
  unsigned: {
    code: 'E-SIG-THRESHOLD',
    title: signaturesTitle,
    next: [STATUS, SIGN],
  },
  'duplicate-signature': {
    code: 'E-SIG-DUPLICATE',
    title: () => 'carries two signatures of one key',
    next: ['netlink-publish verify SERVER-URL'],
  },
  'bad-key': { code: 'E-KEY', title: () => 'names a key that may not be trusted', next: ['netlink-publish keys list'] },
  'wrong-role': { code: 'E-ROLE', title: () => 'came as metadata of another role', next: [CHECK] },
  'wrong-version': { code: 'E-VERSION', title: () => 'is not the version that was announced', next: [CHECK] },
  rollback: { code: 'E-ROLLBACK', title: () => 'is older than what this host has seen', next: [CHECK] },
  expired: { code: 'E-EXPIRED', title: () => 'has expired', next: ['date -u', CHECK] },
  'not-yet-valid': { code: 'E-NOT-YET-VALID', title: () => 'is not valid yet', next: ['date -u', CHECK] },
  freeze: { code: 'E-FREEZE', title: () => 'has not been renewed in time', next: ['date -u', CHECK] },
  hash: { code: 'E-HASH', title: () => 'is not the file that was signed', next: [CHECK] },
  missing: { code: 'E-MISSING', title: () => 'is not there', next: [CHECK] },
  'not-delegated': {
    code: 'E-NOT-DELEGATED',
    title: () => 'is listed by nobody who may',
    next: ['netlink update check --json'],
  },
  'bad-delegation': {
    code: 'E-DELEGATION',
    title: () => 'lets somebody sign who may not',
    next: ['netlink-publish verify SERVER-URL'],
  },
  'too-many-roots': { code: 'E-ROOTS', title: () => 'has more new roots than one refresh follows', next: [CHECK] },
  'no-root': {
    code: 'E-NO-ROOT',
    title: () => "can't be verified without a trusted root",
    next: ['netlink agent enroll --help'],
  },
  foreign: { code: 'E-FOREIGN', title: () => 'belongs to another product', next: ['netlink agent config show'] },
}

function signaturesTitle({ facts }: TrustError): string {
  const { have = [], threshold = 1 } = facts
  const signatures = have.length === 1 ? '1 valid signature' : `${have.length} valid signatures`
  return `has ${signatures}, ${threshold} ${threshold === 1 ? 'is' : 'are'} needed`
}

function nextAfterUnsigned({ facts: { role } }: TrustError): readonly string[] {
  return role !== undefined && SERVER_ROLES.includes(role) ? ['netlink-server doctor', CHECK] : [STATUS, SIGN]
}

function detailOf(error: TrustError, { keyNames }: ExplainContext): string {
  if (error.code !== 'unsigned') return error.message
  const { role = 'it', have = [], candidates = [] } = error.facts
  const named = (keyids: readonly string[]) => keyids.map((keyid) => nameOf(keyid, keyNames)).join(', ') || 'nobody'
  return `role ${role}: have: ${named(have)}; missing one of: ${named(candidates)}`
}

function nameOf(keyid: string, names: ReadonlyMap<string, string> | undefined): string {
  const name = names?.get(keyid)
  const short = `key ${keyid.slice(0, 4)}…`
  return name === undefined ? short : `${name} (${short})`
}

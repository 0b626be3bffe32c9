// netlink agent trust: the root that everything here is verified from, and the way to put another in its place.
import { resolve } from 'node:path'
import { buildHttpSource } from '../../keys/http-source.ts'
import { acquireLock } from '../../keys/platform/lock.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { fingerprintOf, verifyRootBytes } from '../../keys/release.ts'
import { TrustError } from '../../keys/trust-error.ts'
import type { VerifiedRole } from '../../keys/verified.ts'
import { EXIT, type ExitCode } from '../../schema/cli/exit-code.ts'
import { Failure } from '../../schema/cli/failure.ts'
import { shellWord } from '../../schema/cli/shell-word.ts'
import { unknownWord } from '../../schema/cli/usage.ts'
import type { Root } from '../../schema/metadata.ts'
import { nudgeDaemon } from '../daemon/nudge.ts'
import { exists } from '../engine/layout.ts'
import { buildEngine } from '../engine-building.ts'
import { loadEnrolment } from '../enrolled.ts'
import { type Host, openHost } from '../host.ts'
import { buildInventory } from '../inventory.ts'
import { lookAndRemember } from '../look.ts'
import type { Machine } from '../machine.ts'
import { requirePrivateState } from '../private-state.ts'
import { flushReports } from '../report/flush.ts'
import { requireWrite } from '../rights.ts'
import { repositoryUrl } from '../trust.ts'
import { listTrustFolders, loadProduct } from '../trust-folder.ts'
import {
  isResetPending,
  loadTrustedRoot,
  MAX_ROOT_BYTES,
  type ResetEnd,
  type ResetRequest,
  type RootFacts,
  resetTrust,
  verifyReset,
} from '../trust-reset.ts'
import { takeUpdateLock } from '../update-lock.ts'
import { utcSecond } from '../utc-second.ts'
import { loadVersionRecord } from '../version-record.ts'
import type { CommandContext } from './context.ts'
import { buildLockWait } from './lock-wait.ts'

interface Options {
  readonly verb?: string
  readonly root?: string
  readonly expectSha256?: string
  readonly yes?: boolean
  readonly offline?: boolean
  readonly otherProduct?: string
}

export async function run(context: CommandContext, options: Options): Promise<ExitCode> {
  switch (options.verb ?? 'show') {
    case 'show':
      return show(context)
    case 'reset':
      return reset(context, options)
    default:
      throw new Failure(
        unknownWord({
          kind: 'command',
          word: options.verb ?? '',
          known: ['show', 'reset'],
          command: 'netlink agent trust',
        }),
      )
  }
}

async function show({ machine, output }: CommandContext): Promise<ExitCode> {
  const { folder } = await openTrust(machine, undefined)
  const trusted = await loadTrustedRoot(machine, folder)
  output.document('netlink.agent.trust/v1', { root: trusted ? factsOf(trusted) : null })
  output.say(trusted ? wordsOf(trusted) : 'this host trusts no root')
  return EXIT.ok
}

/** What a host trusts, enrolled or not. */
interface OpenedTrust {
  readonly folder: string
  readonly product: string
  /** null: this host left, and what it trusted of that product is kept. */
  readonly host: Host | null
}

/** Of a host that left, what it trusted of `wanted`, or of any product. Throws Failure E-NOT-ENROLLED where nothing was ever trusted. */
async function openTrust(machine: Machine, wanted: string | undefined, signal?: AbortSignal): Promise<OpenedTrust> {
  if (!(await loadEnrolment(machine)) && !(await isResetPending(machine))) {
    await requirePrivateState(machine)
    const left = await listLeft(machine)
    const found = left.find(({ product }) => product === wanted) ?? left[0]
    if (found) return { ...found, host: null }
  }
  const host = await openHost(machine, signal)
  return { folder: host.paths.trust, product: host.enrolment.product, host }
}

async function listLeft(machine: Machine): Promise<readonly { readonly folder: string; readonly product: string }[]> {
  const { disk, paths } = machine
  if (!(await exists(disk, paths.state))) return []
  const folders = await listTrustFolders(machine)
  const found = await Promise.all(folders.map(async (folder) => ({ folder, product: await loadProduct(disk, folder) })))
  return found.flatMap(({ folder, product }) => (product === undefined ? [] : [{ folder, product }]))
}

async function reset(context: CommandContext, options: Options): Promise<ExitCode> {
  const { machine, output } = context
  const { file, bytes, expectedSha256 } = await requestOf(context, options)
  await requireWrite(machine)
  const { otherProduct } = options
  const { folder, product, host } = await openTrust(machine, productOf(bytes), context.signal)
  const root = verifyFile(file, { bytes, expectedSha256, product, otherProduct })
  const before = await loadTrustedRoot(machine, folder)
  output.note(`now  ${before ? wordsOf(before) : 'no root'}`)
  output.note(`new  ${wordsOf({ sha256: fingerprintOf(bytes), root })}`)
  output.note(`What is installed stays (${(await loadVersionRecord(machine)).current_version ?? 'nothing'}).`)
  if (!options.yes && !(await isConfirmed(context, file, options))) return EXIT.unconfirmed
  const isOffline = options.offline === true || host === null
  const end = await underLocks(context, () =>
    resetTrust(machine, root, host === null || isOffline ? undefined : sourceOf(host, context.signal)),
  )
  if (host) await tellServer(context, { before, newSha256: fingerprintOf(bytes), end, isOffline })
  output.document('netlink.agent.trust-reset/v1', {
    old: before ? factsOf(before) : null,
    new: factsOf({ sha256: fingerprintOf(bytes), root }),
    root_version: end.rootVersion,
    timestamp_version: end.timestampVersion,
    kept: end.kept,
  })
  output.say(`this host trusts root ${end.rootVersion} of ${root.value.product}, sha256:${fingerprintOf(bytes)}`)
  if (end.kept !== null) output.say(`the old trust is kept in ${end.kept}`)
  output.say(host ? refreshWords(end) : NEXT_ENROL)
  return EXIT.ok
}

/** Another fingerprint is the one thing that a person must not overlook: this may be the thief's root. */
function verifyFile(file: string, request: ResetRequest): VerifiedRole<Root> {
  try {
    return verifyReset(request)
  } catch (cause) {
    if (!(cause instanceof TrustError && cause.code === 'hash')) throw cause
    const facts = {
      code: 'E-HASH',
      exit: EXIT.unverified,
      title: `${file} is not the root that --expect-sha256 vouches for: do not use it`,
      detail:
        `Expected the fingerprint ${cause.facts.expected}, found ${cause.facts.actual}. Either the fingerprint was not written down ` +
        'as the holders read it out, or somebody handed over a root of their own.',
      state: 'Nothing was changed; this host trusts what it trusted.',
      next: ["netlink-publish keys fingerprint      (the holders': ask them again, by another way than the file)"],
    }
    throw new Failure(facts, { cause })
  }
}

const NEXT_ENROL = 'Next: netlink agent enroll --server URL --token-file FILE --trust-root FILE'

/** What the file says of itself, to find what it is to replace; it is verified after that. */
function productOf(bytes: Uint8Array): string | undefined {
  try {
    return verifyRootBytes(bytes).value.product
  } catch (error) {
    if (error instanceof TrustError) return undefined
    throw error
  }
}

function refreshWords({ rootVersion, timestampVersion }: ResetEnd): string {
  return timestampVersion === null
    ? 'The server was not asked.\nNext: netlink update check'
    : `The server’s repository verifies under it: root ${rootVersion}, timestamp ${timestampVersion}.`
}

async function requestOf({ machine }: CommandContext, { root, expectSha256 }: Options) {
  if (root === undefined) throw usage('--root is missing', 'expected the file root.json of the new root')
  if (expectSha256 === undefined) {
    throw usage(
      '--expect-sha256 is missing',
      'expected the fingerprint of the new root as its holders told it, by another way than the file',
    )
  }
  const expectedSha256 = expectSha256
    .replace(/^sha256:/i, '')
    .replaceAll(':', '')
    .toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(expectedSha256)) {
    throw usage('--expect-sha256 is no fingerprint', `expected 64 hexadecimal digits, found ${expectSha256}`)
  }
  try {
    const bytes = await machine.disk.readFile(resolve(machine.environment.cwd, root), MAX_ROOT_BYTES)
    return { file: root, bytes, expectedSha256 }
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') throw usage(`${root} is not there`, error.message)
    throw error
  }
}

async function isConfirmed({ output }: CommandContext, file: string, options: Options): Promise<boolean> {
  const answer = await output.ask('Put the new root in the place of everything that this host trusts? (y/N) ')
  if (answer === null) throw unconfirmed(file, options)
  if (/^y(es)?$/i.test(answer.trim())) return true
  output.note('Nothing was changed.')
  return false
}

const LOCK_WAIT_MS = 15_000

/** No update runs while trust changes hands, and nobody reads it. */
async function underLocks<T>(context: CommandContext, work: () => Promise<T>): Promise<T> {
  const { machine, signal } = context
  const { paths, owner, clock } = machine
  const update = await takeUpdateLock(machine, buildLockWait(context))
  try {
    const lock = await acquireLock(`${paths.locks}/trust`, { owner, clock, waitMs: LOCK_WAIT_MS, signal })
    try {
      return await work()
    } finally {
      await lock.release()
    }
  } finally {
    await update.release()
  }
}

function sourceOf({ fetcher, enrolment }: Host, signal: AbortSignal) {
  const source = buildHttpSource(fetcher, repositoryUrl(enrolment.server, 'metadata'))
  return { load: (file: string, maxBytes: number) => source.load(file, maxBytes, signal) }
}

interface Told {
  readonly before: RootFacts | undefined
  readonly newSha256: string
  readonly end: ResetEnd
  readonly isOffline: boolean
}

/** Trust has changed by now: what fails here is said, and undoes nothing. The outbox keeps what can't be sent. */
async function tellServer({ machine, output, signal }: CommandContext, told: Told): Promise<void> {
  const host = await openHost(machine, signal)
  const { before, newSha256, end } = told
  const trust_reset = {
    old_sha256: before?.sha256 ?? null,
    new_sha256: newSha256,
    root_version: end.rootVersion,
    product: host.enrolment.product,
  }
  await host.outbox.append({ type: 'trust_reset', trust_reset })
  if (told.isOffline) return
  try {
    await lookAndRemember(host, { goal: { kind: 'latest' }, asked: { by: 'person' }, how: 'refresh' })
    await host.outbox.append({ type: 'inventory', inventory: await buildInventory(host, buildEngine(host)) })
  } catch (error) {
    output.note(`what is there for this host could not be read: ${error instanceof Error ? error.message : error}`)
  }
  await flushReports(host)
  await nudgeDaemon(machine)
}

function factsOf({ sha256, root }: RootFacts) {
  if (!root) return { sha256, version: null, product: null, expires: null, threshold: null, keys: null }
  const { value } = root
  const keys = value.roles.get('root')
  return {
    sha256,
    version: value.version,
    product: value.product ?? null,
    expires: utcSecond(value.expires),
    threshold: keys?.threshold ?? null,
    keys: keys?.keyids ?? null,
  }
}

function wordsOf(facts: RootFacts): string {
  const { sha256, version, product, expires, threshold, keys } = factsOf(facts)
  if (version === null) return `sha256:${sha256}, which does not verify`
  return `sha256:${sha256}, root ${version} of ${product ?? 'no product'}, ${threshold} of ${keys?.length} keys, until ${expires}`
}

function unconfirmed(file: string, { expectSha256 = '', offline, otherProduct }: Options): Failure {
  const more = [
    ...(offline ? ['--offline'] : []),
    ...(otherProduct === undefined ? [] : ['--other-product', otherProduct]),
  ]
  const words = ['--root', file, '--expect-sha256', expectSha256, ...more, '--yes'].map(shellWord)
  return new Failure({
    code: 'E-UNCONFIRMED',
    exit: EXIT.unconfirmed,
    title: 'this has to be confirmed, and nobody is there to ask',
    detail: 'There is no terminal, and --yes was not given.',
    state: 'Nothing was changed.',
    next: [`netlink agent trust reset ${words.join(' ')}`],
  })
}

function usage(title: string, detail: string): Failure {
  return new Failure({
    code: 'E-USAGE',
    exit: EXIT.usage,
    title,
    detail,
    state: 'Nothing was changed.',
    next: ['netlink agent trust --help'],
  })
}

// The library: what `netlink-update` exports. The five functions of the specification, the algebra of versions, and the verifier that the agent uses.
//
//   const current = getCurrentVersion()
//   const updates = await checkForUpdates()
//   if (updates.updates_available) console.log(`Latest version: ${updates.latest_version}`)
//   const result = await upgradeToVersion('0b1')
//   if (result.success) console.log('Upgrade completed successfully!')
//   console.log(await getChangelog({ sinceVersion: '0a1' }))
//
// They work on the host of NETLINK_HOME, or of `home`, under the same lock, engine and journal as the command line and the daemon.

import { changelogJson, changelogMarkdown, changelogText } from '../schema/changelog-text.ts'
import { renderJson } from '../schema/cli/envelope.ts'
import { EXIT } from '../schema/cli/exit-code.ts'
import type { FailureFacts } from '../schema/cli/failure.ts'
import { parseVersion } from '../schema/version.ts'
import { loadChangelogs } from './changelogs.ts'
import { buildCheckAnswer, type CheckAnswer } from './check-answer.ts'
import { readCurrentVersion } from './current-version.ts'
import type { EngineEvent } from './engine/event.ts'
import type { Outcome } from './engine/outcome.ts'
import { buildEngine } from './engine-building.ts'
import { explainError, explainOutcome } from './explain.ts'
import { openHost } from './host.ts'
import { type InstallEnd, type InstallRequest, install } from './install.ts'
import { lookAndRemember } from './look.ts'
import { buildMachine, type Machine } from './machine.ts'
import { flushReports } from './report/flush.ts'

/** Which host; the one of NETLINK_HOME unless said. */
export interface HostOptions {
  readonly home?: string
  readonly signal?: AbortSignal
}

export interface ChangeOptions extends HostOptions {
  /** Skips warnings, never a check. */
  readonly force?: boolean
  /** Also a version of a less stable channel than the host's. */
  readonly allowChannelChange?: boolean
  /** Longest time for all of it. */
  readonly timeoutMs?: number
  readonly onEvent?: (event: EngineEvent) => void
}

/** `success` is also true where there was nothing to do. Without it `error` says in four parts why, and what state things are in. */
export interface ChangeResult {
  readonly success: boolean
  /** Whether anything was installed. */
  readonly changed: boolean
  readonly current_version: string | null
  readonly update_id: string | null
  readonly outcome: Outcome | null
  readonly error: FailureFacts | null
}

export interface ChangelogOptions extends HostOptions {
  /** Everything after this version. */
  readonly sinceVersion?: string
  /** One version; the installed one if neither is said. */
  readonly version?: string
  /** Nothing after this one. */
  readonly untilVersion?: string
  readonly format?: 'text' | 'markdown' | 'json'
}

/** The version that runs, null before the first installation. Throws Failure where what is installed can't be read. */
export function getCurrentVersion(options: HostOptions = {}): string | null {
  return readCurrentVersion(machineOf(options).paths)
}

/** What is there for this host. Throws TrustError for what does not verify, PlatformError for what can't be reached, Failure on a host that is not enrolled. */
export async function checkForUpdates(options: HostOptions = {}): Promise<CheckAnswer> {
  const host = await openHost(machineOf(options), options.signal)
  return buildCheckAnswer(
    await lookAndRemember(host, {
      goal: { kind: 'latest' },
      asked: { by: 'person' },
      how: 'refresh',
      assignment: 'asked',
    }),
    host.clock.now(),
  )
}

/** Installs a version, over its barriers if there are any. Never throws for what an update can run into: see `error`. */
export function upgradeToVersion(version: string, options: ChangeOptions = {}): Promise<ChangeResult> {
  return change(options, () => {
    const goal = {
      kind: 'version' as const,
      version: parseVersion(version),
      allowChannelChange: options.allowChannelChange === true,
    }
    return { kind: 'upgrade', goal }
  })
}

/** Goes down to a version that the installed release's signed manifest allows. As `upgradeToVersion`. */
export function downgradeToVersion(version: string, options: ChangeOptions = {}): Promise<ChangeResult> {
  return change(options, () => ({ kind: 'downgrade', to: parseVersion(version) }))
}

/** What changed, from signed manifests only; text unless another format is asked for. Throws as `checkForUpdates`. */
export async function getChangelog(options: ChangelogOptions = {}): Promise<string> {
  const parse = (text: string | undefined) => (text === undefined ? undefined : parseVersion(text))
  const request = {
    version: parse(options.version),
    since: parse(options.sinceVersion),
    until: parse(options.untilVersion),
  }
  const host = await openHost(machineOf(options), options.signal)
  const { merged, withdrawn } = await loadChangelogs(host, { ...request, how: 'either' })
  if (options.format === 'json') return renderJson(changelogJson(merged, withdrawn))
  if (options.format === 'markdown') return changelogMarkdown(merged, withdrawn)
  return changelogText(merged, withdrawn, { color: false, width: null })
}

async function change(options: ChangeOptions, what: () => InstallRequest['what']): Promise<ChangeResult> {
  const machine = machineOf(options)
  try {
    const request = what()
    const host = await openHost(machine, options.signal)
    const end = await install(host, buildEngine(host, { signal: options.signal }), {
      what: request,
      asked: { by: 'person' },
      force: options.force === true,
      dryRun: false,
      signal: options.signal,
      deadlineMs: options.timeoutMs,
      listener: {
        confirm: async () => 'unasked',
        onPlan: () => undefined,
        onEvent: options.onEvent ?? (() => undefined),
      },
    })
    if (end.kind === 'done') await flushReports(host)
    return resultOf(machine, end)
  } catch (error) {
    const installed = readCurrentVersion(machine.paths)
    const facts = explainError(error, { installed, paths: machine.paths })
    // What nobody expected is a mistake in this program, and stays an exception.
    if (facts.exit === EXIT.unexpected && facts.code === 'E-UNEXPECTED') throw error
    return { success: false, changed: false, current_version: installed, update_id: null, outcome: null, error: facts }
  }
}

function resultOf({ paths }: Machine, end: InstallEnd): ChangeResult {
  const current_version = readCurrentVersion(paths)
  const none = { changed: false, current_version, update_id: null, outcome: null, error: null }
  switch (end.kind) {
    case 'up-to-date':
      return { success: true, ...none }
    case 'waiting': {
      const { reason, detail } = end.decision
      const error: FailureFacts = {
        code: `E-${reason.toUpperCase().replaceAll('_', '-')}`,
        exit: EXIT.refused,
        title: 'this version can’t be installed',
        detail,
        state: 'Nothing was changed.',
        next: ['netlink update check'],
      }
      return { success: false, ...none, error }
    }
    case 'done': {
      const { last } = end
      const error = last.kind === 'committed' ? null : explainOutcome(last, paths)
      const success = error === null
      return { success, changed: success, current_version, update_id: last.update_id, outcome: last, error }
    }
    case 'planned':
    case 'declined':
      return { success: false, ...none }
  }
}

function machineOf({ home }: HostOptions): Machine {
  const { env, platform, arch } = process
  return buildMachine(
    { env: home === undefined ? env : { ...env, NETLINK_HOME: home }, platform, arch, cwd: () => process.cwd() },
    Math.random,
    'the library',
  )
}

// ---- versions ----------------------------------------------------------------------------------------------------------------------

export { ShapeError } from '../schema/shape-error.ts'
export {
  decideDowngrade,
  decideUpgradePath,
  linkOf,
  type PathDecision,
  type ReleaseLink,
} from '../schema/upgrade-path.ts'
export {
  buildVersion,
  type Channel,
  channelOf,
  channelOffers,
  channels,
  compareStability,
  compareVersions,
  isVersion,
  maxVersion,
  nextVersion,
  parseVersion,
  promoteVersion,
  statusOf,
  type Version,
  type VersionParts,
  versionParts,
} from '../schema/version.ts'
export { parseRange, rangeIncludes, type VersionRange } from '../schema/version-range.ts'

// ---- the verifier ------------------------------------------------------------------------------------------------------------------

export { buildFileTrustStore } from '../keys/file-trust-store.ts'
export { buildHttpSource } from '../keys/http-source.ts'
export { nodeDisk } from '../keys/platform/disk.ts'
export { createFetcher } from '../keys/platform/fetch.ts'
export { PlatformError } from '../keys/platform/platform-error.ts'
export { loadTrusted, type MetadataSource, refresh, type Trusted, type TrustStore } from '../keys/refresh.ts'
export { fingerprintOf, type TargetSource, verifyManifest } from '../keys/release.ts'
export { TrustError } from '../keys/trust-error.ts'
export type { Verified } from '../keys/verified.ts'

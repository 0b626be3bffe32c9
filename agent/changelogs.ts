// Changelogs of this host's releases, from verified manifests and nothing else: fresh from the repository, or those that were verified before.
import { PlatformError } from '../keys/platform/platform-error.ts'
import { TrustError } from '../keys/trust-error.ts'
import type { Changelog } from '../schema/changelog.ts'
import { type MergedChangelog, mergeChangelogs } from '../schema/changelog-merge.ts'
import type { Withdrawn } from '../schema/changelog-text.ts'
import { EXIT } from '../schema/cli/exit-code.ts'
import { Failure } from '../schema/cli/failure.ts'
import { channelOf, compareStability, compareVersions, maxVersion, type Version } from '../schema/version.ts'
import { loadInstalled } from './engine/layout.ts'
import type { Host } from './host.ts'
import { type TrustView, withTrust } from './trust.ts'

export interface ChangelogRequest {
  /** One version; the installed one if neither this nor `since` is said. */
  readonly version?: Version | undefined
  /** Everything above this version. */
  readonly since?: Version | undefined
  /** Nothing above this one; the newest that the channel offers unless said. */
  readonly until?: Version | undefined
  /** `refresh` insists on the server; `either` takes what was verified before where the server can't be reached. */
  readonly how: 'refresh' | 'either'
}

export interface FoundChangelog {
  readonly merged: MergedChangelog
  readonly withdrawn: Withdrawn
  /** `kept`: from what was verified earlier. */
  readonly source: 'fresh' | 'kept'
  /** Versions in the range whose manifest is not on this host and could not be loaded. */
  readonly absent: readonly Version[]
}

/** Throws TrustError, PlatformError, or Failure E-NO-CHANGELOG where there is nothing to show. */
export async function loadChangelogs(host: Host, request: ChangelogRequest): Promise<FoundChangelog> {
  try {
    return await withTrust(host.trust, 'refresh', (view) => collect(host, view, request, 'fresh'))
  } catch (error) {
    const mayKeep = request.how === 'either' && error instanceof PlatformError && error.code !== 'cancelled'
    if (!mayKeep) throw error
    return await withTrust(host.trust, 'offline', (view) => collect(host, view, request, 'kept')).catch(
      (kept: unknown) => {
        // Nothing is kept: what went wrong is that nobody could be asked.
        throw kept instanceof TrustError && kept.code === 'missing' ? error : kept
      },
    )
  }
}

/** More than anybody reads at once; the newest are shown. */
const MOST_RELEASES = 200

async function collect(
  host: Host,
  view: TrustView,
  request: ChangelogRequest,
  source: FoundChangelog['source'],
): Promise<FoundChangelog> {
  const listing = await view.loadListing(channelFor(host, request))
  const installed = (await loadInstalled(host))?.version ?? null
  const wanted = versionsFor(
    request,
    installed,
    listing.releases.map((release) => release.version),
  )
  const changelogs: Changelog[] = []
  const absent: Version[] = []
  for (const version of wanted.slice(0, MOST_RELEASES)) {
    const changelog = await loadOne(view, version, source)
    if (changelog) changelogs.push(changelog)
    else absent.push(version)
  }
  if (changelogs.length === 0) throw nothingToShow(request, installed)
  return {
    merged: mergeChangelogs(changelogs),
    withdrawn: new Map(listing.withdrawn.map((one) => [one.version, one])),
    source,
    absent,
  }
}

/** A less stable version that is named is looked up where it is listed: reading about it installs nothing. */
function channelFor(host: Host, request: ChangelogRequest) {
  const named = [request.version, request.since, request.until].filter((version) => version !== undefined)
  return named
    .map(channelOf)
    .reduce((least, one) => (compareStability(one, least) < 0 ? one : least), host.enrolment.channel)
}

/** Newest first. */
function versionsFor(
  request: ChangelogRequest,
  installed: Version | null,
  listed: readonly Version[],
): readonly Version[] {
  const { version, since } = request
  if (version !== undefined) return [version]
  if (since === undefined && request.until === undefined) return installed === null ? [] : [installed]
  const until = request.until ?? maxVersion(listed)
  return [...new Set(listed)]
    .filter((one) => since === undefined || compareVersions(one, since) > 0)
    .filter((one) => until === undefined || compareVersions(one, until) <= 0)
    .sort((a, b) => compareVersions(b, a))
}

async function loadOne(
  view: TrustView,
  version: Version,
  source: FoundChangelog['source'],
): Promise<Changelog | undefined> {
  try {
    return (await view.loadManifest(version)).value.changelog
  } catch (error) {
    if (source === 'kept' && error instanceof TrustError && error.code === 'missing') return undefined
    throw error
  }
}

function nothingToShow({ version, since }: ChangelogRequest, installed: Version | null): Failure {
  const detail =
    version !== undefined
      ? `Nothing verified is known here about ${version}.`
      : since !== undefined
        ? `Nothing verified is known here after ${since}.`
        : 'Nothing is installed on this host yet.'
  return new Failure({
    code: 'E-NO-CHANGELOG',
    exit: EXIT.refused,
    title: 'there is no changelog to show',
    detail,
    state: 'Nothing was changed.',
    next: installed === null ? ['netlink update check'] : ['netlink update changelog'],
  })
}

// One host and what its channel lists, for tests that compare whole decisions.
import {
  type Asked,
  type Decision,
  decide,
  type Goal,
  type HostState,
  type Listing,
  type Question,
} from '../../agent/decide.ts'
import { parseVersion } from '../../schema/version.ts'

/** The version that the text is. */
export const v = parseVersion
/** When everything is decided. */
export const noon = new Date('2026-11-23T12:00:00Z')

/** A host that installs by itself at once. */
export const auto: Extract<Asked, { by: 'host' }> = {
  by: 'host',
  policy: { mode: 'auto', window: { kind: 'always' }, minRemainingMs: 0, jitterMs: 0, minimumSoakMs: 0 },
  firstSeen: () => null,
  place: () => 0.5,
}

/** The same under another policy. */
export function byItself(policy: Partial<(typeof auto)['policy']> = {}): Asked {
  return { ...auto, policy: { ...auto.policy, ...policy } }
}

/** Versions with spaces between, for every platform, published three and a half days before noon. */
export function listingOf(versions: string, more: Partial<Listing> = {}): Listing {
  const releases = versions
    .split(' ')
    .filter(Boolean)
    .map((version) => ({ version: v(version), platforms: ['any'], releasedAt: '2026-11-20T00:00:00Z' }))
  return { releases, withdrawn: [], barriers: [], deadEnds: [], minimum: {}, ...more }
}

/** A remark about one version. */
export const because = (version: string, reason: string) => [{ version: v(version), reason }]

/** A release host that runs 0r1 and is free to update. */
export function hostOf(more: Partial<HostState> = {}): HostState {
  return {
    channel: 'release',
    platform: 'linux-x64',
    installed: v('0r1'),
    floor: v('0r1'),
    quarantine: new Map(),
    hold: null,
    brake: { paused: false, reason: null, since: null },
    engine: 'idle',
    ...more,
  }
}

/** The newest of the channel. */
export const latest: Goal = { kind: 'latest' }

/** What is decided at noon, for a person who asks for the newest if nothing else is said. */
export function ask(listing: Listing, host: Partial<HostState>, more: Partial<Question> = {}): Decision {
  return decide({
    listing,
    host: hostOf(host),
    goal: latest,
    asked: { by: 'person' },
    now: noon,
    links: new Map(),
    unfit: new Map(),
    twins: new Map(),
    ...more,
  })
}

/** One version that somebody named. */
export const named = (version: string, allowChannelChange = false): Goal => ({
  kind: 'version',
  version: v(version),
  allowChannelChange,
})
/** One version that the server's director chose. */
export const assigned = (version: string): Goal => ({ kind: 'assigned', version: v(version) })
/** The decision to install these one after another. */
export const available = (...hops: string[]): Decision => ({
  kind: 'available',
  version: v(hops.at(-1) ?? ''),
  hops: hops.map(v),
})
/** A host that never ran anything. */
export const fresh = { installed: null, floor: null }

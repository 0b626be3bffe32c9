// Whole decisions: whoever is refused or has to wait is told by a code and in words why, and until when if that is known.
import { describe, expect, test } from 'vitest'
import {
  type Asked,
  activeHold,
  type Decision,
  decide,
  type Goal,
  type HostState,
  holdWords,
  type Listing,
  type Question,
} from '../../agent/decide.ts'
import { parseTimeWindow } from '../../schema/time-window.ts'
import { parseVersion } from '../../schema/version.ts'
import { parseRange } from '../../schema/version-range.ts'

const v = parseVersion
const noon = new Date('2026-11-23T12:00:00Z')

const auto: Extract<Asked, { by: 'host' }> = {
  by: 'host',
  policy: { mode: 'auto', window: { kind: 'always' }, minRemainingMs: 0, jitterMs: 0, minimumSoakMs: 0 },
  firstSeen: () => null,
  place: () => 0.5,
}

function byItself(policy: Partial<(typeof auto)['policy']> = {}): Asked {
  return { ...auto, policy: { ...auto.policy, ...policy } }
}

function listingOf(versions: string, more: Partial<Listing> = {}): Listing {
  const releases = versions
    .split(' ')
    .filter(Boolean)
    .map((version) => ({ version: v(version), platforms: ['any'], releasedAt: '2026-11-20T00:00:00Z' }))
  return { releases, withdrawn: [], barriers: [], deadEnds: [], minimum: {}, ...more }
}

const because = (version: string, reason: string) => [{ version: v(version), reason }]

function hostOf(more: Partial<HostState> = {}): HostState {
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

function ask(listing: Listing, host: Partial<HostState>, more: Partial<Question> = {}): Decision {
  return decide({
    listing,
    host: hostOf(host),
    goal: { kind: 'latest' },
    asked: { by: 'person' },
    now: noon,
    links: new Map(),
    unfit: new Map(),
    twins: new Map(),
    ...more,
  })
}

const latest: Goal = { kind: 'latest' }
const named = (version: string, allowChannelChange = false): Goal => ({
  kind: 'version',
  version: v(version),
  allowChannelChange,
})
const assigned = (version: string): Goal => ({ kind: 'assigned', version: v(version) })
const available = (...hops: string[]): Decision => ({
  kind: 'available',
  version: v(hops.at(-1) ?? ''),
  hops: hops.map(v),
})
const fresh = { installed: null, floor: null }

describe('nothing to do is said in words', () => {
  test.each<[words: string, listing: Listing, host: Partial<HostState>, goal: Goal, detail: string]>([
    ['a fresh host and an empty channel', listingOf(''), fresh, latest, 'nothing is published for release yet'],
    [
      'a fresh alpha host that asks for stable',
      listingOf('0a1'),
      { ...fresh, channel: 'alpha' },
      { kind: 'stable' },
      'nothing is published for release yet',
    ],
    ['a host on the newest', listingOf('0r1'), {}, latest, '0r1 is the newest for release'],
    ['a beta host on the newest', listingOf('0b1 0r1'), { channel: 'beta' }, latest, '0r1 is the newest for beta'],
    ['the installed version by name', listingOf('0r1 0r2'), {}, named('0r1'), '0r1 is installed'],
    ['the installed version, withdrawn since', listingOf(''), {}, named('0r1'), '0r1 is installed'],
  ])('%s', (_words, listing, host, goal, detail) => {
    expect(ask(listing, host, { goal })).toEqual({ kind: 'up-to-date', detail })
    // What keeps a host from starting is no reason where there is nothing to start.
    const asked = byItself({ mode: 'off', minimumSoakMs: 1 })
    expect(ask(listing, { ...host, engine: 'running' }, { goal, asked })).toEqual({ kind: 'up-to-date', detail })
  })
})

describe('a refusal names its reason', () => {
  const barrier = because('0r3', 'new database')
  type Row = [words: string, listing: Listing, host: Partial<HostState>, goal: Goal, reason: string, detail: string]
  test.each<Row>([
    ['unknown by name', listingOf('0r2'), {}, named('7r7'), 'incompatible', 'no release 7r7 is published'],
    ['unknown and assigned', listingOf('0r2'), {}, assigned('7r7'), 'incompatible', 'no release 7r7 is known here'],
    [
      'assigned from a channel that is not followed',
      listingOf('0a2 0r2'),
      {},
      assigned('0a2'),
      'incompatible',
      'no release 0a2 is known here',
    ],
    [
      'not newer',
      listingOf('0r1 0r2'),
      { installed: v('0r2') },
      named('0r1'),
      'incompatible',
      '0r1 is not newer than 0r2',
    ],
    [
      'less stable',
      listingOf('0a2'),
      { channel: 'beta' },
      named('0a2'),
      'incompatible',
      '0a2 is alpha, this host follows beta: say --allow-channel-change if that is meant',
    ],
    [
      'withdrawn and no longer listed',
      listingOf('0r2', { withdrawn: because('0r3', 'eats data') }),
      {},
      named('0r3'),
      'withdrawn',
      '0r3 was withdrawn: eats data',
    ],
    [
      'withdrawn, whatever else there is about it: it is not newer',
      listingOf('0r1', { withdrawn: [...because('0r2', 'other'), ...because('0r1', 'eats data')] }),
      { installed: v('0r4'), floor: v('0r4') },
      named('0r1'),
      'withdrawn',
      '0r1 was withdrawn: eats data',
    ],
    [
      'withdrawn, whatever else there is about it: it is below the floor',
      listingOf('0r2', { withdrawn: because('0r2', 'eats data') }),
      { floor: v('0r4') },
      latest,
      'withdrawn',
      '0r2 was withdrawn: eats data',
    ],
    [
      'below the minimum of a fresh host',
      listingOf('0r2', { minimum: { release: v('0r3') } }),
      fresh,
      latest,
      'incompatible',
      '0r2 is below 0r3, the least that a fresh host may install',
    ],
    [
      'below the floor',
      listingOf('0r2'),
      { floor: v('0r4') },
      latest,
      'quarantined',
      '0r2 is below 0r4, which this host has already run',
    ],
    [
      'assigned below the floor',
      listingOf('0r2'),
      { floor: v('0r4') },
      assigned('0r2'),
      'quarantined',
      '0r2 is below 0r4, which this host has already run',
    ],
    [
      'failed before',
      listingOf('0r2'),
      { quarantine: new Map([[v('0r2'), 'not ready in time']]) },
      latest,
      'quarantined',
      '0r2 is quarantined on this host: not ready in time',
    ],
    [
      'failed before and assigned again',
      listingOf('0r2'),
      { quarantine: new Map([[v('0r2'), 'not ready in time']]) },
      assigned('0r2'),
      'quarantined',
      '0r2 is quarantined on this host: not ready in time',
    ],
    [
      'behind a barrier that failed before',
      listingOf('0r3 0r5', { barriers: barrier }),
      { quarantine: new Map([[v('0r3'), 'not ready in time']]) },
      named('0r5'),
      'barrier_first',
      '0r3 must be installed before 0r5, but 0r3 is quarantined on this host: not ready in time',
    ],
    [
      'behind a barrier that is not listed any more',
      listingOf('0r5', { barriers: barrier }),
      {},
      latest,
      'barrier_first',
      '0r3 must be installed before 0r5, but 0r3 is not published any more',
    ],
    [
      'itself a barrier that is not listed any more',
      listingOf('', { barriers: barrier }),
      {},
      assigned('0r3'),
      'incompatible',
      '0r3 is not published any more',
    ],
    [
      'behind a barrier that was withdrawn',
      listingOf('0r5', { barriers: barrier, withdrawn: because('0r3', 'eats data') }),
      {},
      latest,
      'barrier_first',
      '0r3 must be installed before 0r5 and was withdrawn: eats data',
    ],
    [
      'behind a dead end',
      listingOf('0r1 0r2', { deadEnds: because('0r1', 'reinstall') }),
      {},
      latest,
      'dead_end',
      'nothing later can be reached from 0r1: reinstall',
    ],
    [
      'behind a dead end of a channel that the host does not follow',
      listingOf('0r2', { deadEnds: because('0a1', 'reinstall') }),
      { installed: v('0a1'), floor: v('0a1') },
      latest,
      'dead_end',
      'nothing later can be reached from 0a1: reinstall',
    ],
  ])('%s', (_words, listing, host, goal, reason, detail) => {
    const version = goal.kind === 'latest' ? listing.releases.at(-1)?.version : 'version' in goal ? goal.version : null
    const expected = { kind: 'waiting', version, reason, detail, until: null }
    expect(ask(listing, host, { goal })).toEqual(expected)
    // What keeps a host from starting does not hide why it could not anyway.
    const asked = byItself({ minimumSoakMs: 99 * 86_400_000 })
    expect(ask(listing, { ...host, engine: 'running' }, { goal, asked })).toEqual(expected)
  })

  test('of the platform, with all that it is made for', () => {
    const releases = [
      { version: v('0r2'), platforms: ['linux-arm64', 'darwin-arm64'], releasedAt: '2026-11-20T00:00:00Z' },
    ]
    expect(ask({ ...listingOf(''), releases }, {})).toEqual({
      kind: 'waiting',
      version: '0r2',
      reason: 'incompatible',
      detail: '0r2 is made for linux-arm64, darwin-arm64, and this host is linux-x64',
      until: null,
    })
    expect(ask({ ...listingOf(''), releases }, { platform: 'darwin-arm64' })).toEqual(available('0r2'))
  })

  test('of its manifest', () => {
    const unfit = new Map([[v('0r2'), { reason: 'disk', detail: 'needs 2.0 GB, 1.1 GB are free' } as const]])
    expect(ask(listingOf('0r2'), {}, { unfit })).toEqual({
      kind: 'waiting',
      version: '0r2',
      reason: 'disk',
      detail: 'needs 2.0 GB, 1.1 GB are free',
      until: null,
    })
    const links = new Map([[v('0r2'), { version: v('0r2'), upgradeFrom: parseRange('0b1') }]])
    expect(ask(listingOf('0r2'), {}, { links })).toMatchObject({
      reason: 'incompatible',
      detail: '0r2 can be installed over 0b1, not over 0r1',
    })
    expect(ask(listingOf('0r2'), {})).toEqual(available('0r2'))
  })
})

describe('limits include the version that they name', () => {
  test.each<[words: string, listing: Listing, host: Partial<HostState>, goal: Goal, hops: string[]]>([
    ['the minimum of a fresh host', listingOf('0r3', { minimum: { release: v('0r3') } }), fresh, latest, ['0r3']],
    ['what lies above the minimum', listingOf('0r4', { minimum: { release: v('0r3') } }), fresh, latest, ['0r4']],
    ['no minimum', listingOf('0r1', { minimum: { release: null } }), fresh, latest, ['0r1']],
    [
      'the minimum of another channel',
      listingOf('0r1', { minimum: { alpha: v('0r3') } }),
      { ...fresh, channel: 'alpha' },
      latest,
      ['0r1'],
    ],
    ['the floor', listingOf('0r3'), { floor: v('0r3') }, latest, ['0r3']],
    ['the floor, assigned', listingOf('0r3'), { floor: v('0r3') }, assigned('0r3'), ['0r3']],
    ['an assignment below the newest', listingOf('0r2 0r3'), {}, assigned('0r2'), ['0r2']],
  ])('%s', (_words, listing, host, goal, hops) => {
    expect(ask(listing, host, { goal, asked: byItself() })).toEqual(available(...hops))
  })
})

describe('what keeps an automatic update from starting', () => {
  const later = new Date('2026-11-24T08:30:15.250Z')
  const paused = (reason: string | null) => ({ brake: { paused: true, reason, since: null } })
  type Row = [
    words: string,
    host: Partial<HostState>,
    policy: Partial<(typeof auto)['policy']>,
    reason: string,
    detail: string,
    until: Date | null,
  ]
  test.each<Row>([
    [
      'a recovery',
      { engine: 'undecided' },
      { mode: 'off' },
      'undecided',
      'an update that was cut off has to be recovered first',
      null,
    ],
    ['another update', { engine: 'running' }, { mode: 'off' }, 'locked', 'another update runs', null],
    ['the policy', paused(null), { mode: 'off' }, 'automatic_off', 'automatic updates are off', null],
    [
      'a hold without end, before the brake',
      { ...paused(null), hold: { until: null, reason: null } },
      {},
      'hold',
      'this host is held until it is lifted',
      null,
    ],
    [
      'a hold with a reason',
      { hold: { until: null, reason: 'a fair' } },
      {},
      'hold',
      'this host is held until it is lifted: a fair',
      null,
    ],
    [
      'a hold with an end',
      { hold: { until: later, reason: null } },
      {},
      'hold',
      'this host is held until 2026-11-24T08:30Z',
      later,
    ],
    [
      'a hold with both',
      { hold: { until: later, reason: 'a fair' } },
      {},
      'hold',
      'this host is held until 2026-11-24T08:30Z: a fair',
      later,
    ],
    ['the brake', paused(null), { mode: 'notify' }, 'paused', 'the fleet is paused', null],
    ['the brake with a reason', paused('looking into it'), {}, 'paused', 'the fleet is paused: looking into it', null],
    [
      'a policy that only tells',
      {},
      { mode: 'notify', window: parseTimeWindow('22:00-04:00') },
      'notify_only',
      'run: netlink update upgrade --to 0r2',
      null,
    ],
    [
      'the window',
      {},
      { window: parseTimeWindow('22:00-04:00'), jitterMs: 600_000 },
      'window_closed',
      'automatic updates may start again at 2026-11-23T22:00Z',
      new Date('2026-11-23T22:00:00Z'),
    ],
    [
      'too little of the window',
      {},
      { window: parseTimeWindow('11:00-12:30'), minRemainingMs: 3_600_000 },
      'window_closed',
      'automatic updates may start again at 2026-11-24T11:00Z',
      new Date('2026-11-24T11:00:00Z'),
    ],
    ['the jitter', {}, { jitterMs: 600_000 }, 'jitter', 'starts in 5m 00s', new Date('2026-11-23T12:05:00Z')],
    [
      'the soak, before all of these',
      { engine: 'running' },
      { minimumSoakMs: 4 * 86_400_000 + 90_000 },
      'soak',
      '0r2 was published 2026-11-20T00:00:00Z, and this host waits until 2026-11-24T00:01Z',
      new Date('2026-11-24T00:01:30Z'),
    ],
  ])('%s', (_words, host, policy, reason, detail, until) => {
    const asked = byItself(policy)
    const listing = listingOf('0r2')
    expect(ask(listing, host, { asked })).toEqual({ kind: 'waiting', version: '0r2', reason, detail, until })
    // None of it keeps a person from it.
    expect(ask(listing, host)).toEqual(available('0r2'))
  })

  test('a hold and a soak that end now are over, and a moment before they are not', () => {
    const moment = new Date(noon.getTime() - 1)
    const soaked = { asked: byItself({ minimumSoakMs: 3.5 * 86_400_000 }) }
    expect(ask(listingOf('0r2'), {}, soaked)).toEqual(available('0r2'))
    expect(ask(listingOf('0r2'), {}, { ...soaked, now: moment })).toMatchObject({ reason: 'soak', until: noon })

    const held = { hold: { until: noon, reason: null } }
    expect(ask(listingOf('0r2'), held, { asked: byItself() })).toEqual(available('0r2'))
    expect(ask(listingOf('0r2'), held, { asked: byItself(), now: moment })).toMatchObject({
      reason: 'hold',
      until: noon,
    })
  })

  test('the soak is that of the release in question, and only of what installs itself', () => {
    const [old] = listingOf('0r2').releases
    const young = { version: v('0r3'), platforms: ['any'], releasedAt: '2026-11-23T11:00:00Z' }
    const listing = { ...listingOf(''), releases: [...(old ? [old] : []), young] }
    const policy = { minimumSoakMs: 7_200_000 }
    expect(ask(listing, {}, { asked: byItself(policy) })).toEqual(available('0r2'))
    expect(ask(listing, {}, { asked: byItself(policy), goal: assigned('0r3') })).toMatchObject({
      reason: 'soak',
      detail: '0r3 was published 2026-11-23T11:00:00Z, and this host waits until 2026-11-23T13:00Z',
    })
    expect(ask(listing, {}, { asked: byItself({ ...policy, mode: 'notify' }) })).toMatchObject({
      reason: 'notify_only',
      version: '0r3',
    })
    expect(ask(listing, {})).toEqual(available('0r3'))
  })
})

describe('a hold', () => {
  test('holds without an end or before it, and is said in words either way', () => {
    const until = new Date('2026-11-23T12:00:00.001Z')
    expect(activeHold(null, noon)).toBeNull()
    expect(activeHold({ until, reason: null }, noon)).toEqual({ until, reason: null })
    expect(activeHold({ until, reason: null }, until)).toBeNull()
    expect(activeHold({ until: null, reason: 'a fair' }, noon)).toEqual({ until: null, reason: 'a fair' })
    expect(holdWords({ until, reason: 'a fair' })).toBe('this host is held until 2026-11-23T12:00Z: a fair')
    expect(holdWords({ until: null, reason: null })).toBe('this host is held until it is lifted')
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Asked,
  type Decision,
  decide,
  type Goal,
  type HostState,
  type Listing,
  type Question,
} from '../../agent/decide.ts'
import { parseTimeWindow } from '../../schema/time-window.ts'
import { channelOffers, compareVersions, parseVersion, type Version } from '../../schema/version.ts'
import { parseRange } from '../../schema/version-range.ts'
import { hostOf } from './decide-world.ts'

const v = parseVersion
const noon = new Date('2026-11-23T12:00:00Z')
const byPerson: Asked = { by: 'person' }

function listingOf(versions: readonly string[], more: Partial<Listing> = {}): Listing {
  const releases = versions.map((version) => ({
    version: v(version),
    platforms: ['any'],
    releasedAt: '2026-11-20T00:00:00Z',
  }))
  return { releases, withdrawn: [], barriers: [], deadEnds: [], minimum: {}, ...more }
}

function remarks(...versions: string[]) {
  return versions.map((version) => ({ version: v(version), reason: `about ${version}` }))
}

function ask(listing: Listing, host: HostState, more: Partial<Question> = {}): Decision {
  return decide({
    listing,
    host,
    goal: { kind: 'latest' },
    asked: byPerson,
    now: noon,
    links: new Map(),
    unfit: new Map(),
    twins: new Map(),
    ...more,
  })
}

function named(version: string, allowChannelChange = false): Goal {
  return { kind: 'version', version: v(version), allowChannelChange }
}

function short(decision: Decision): string {
  if (decision.kind === 'available') return `available ${decision.hops.join(' ')}`
  return decision.kind === 'waiting' ? `waiting ${decision.reason} ${decision.version}` : 'up-to-date'
}

describe('what a person at the command line is offered', () => {
  const all = listingOf(['0a1', '0b1', '0r1', '0a2', '0b2', '0r2', '0a3'])
  const table: readonly [words: string, listing: Listing, host: Partial<HostState>, goal: Goal, expected: string][] = [
    ['the newest of its channel', all, {}, { kind: 'latest' }, 'available 0r2'],
    [
      'not alpha, although it is greater',
      all,
      { installed: v('0r2'), floor: v('0r2') },
      { kind: 'latest' },
      'up-to-date',
    ],
    ['everything, on alpha', all, { channel: 'alpha' }, { kind: 'latest' }, 'available 0a3'],
    ['b and r, on beta', all, { channel: 'beta' }, { kind: 'latest' }, 'available 0r2'],
    ['the newest stable, on alpha', all, { channel: 'alpha' }, { kind: 'stable' }, 'available 0r2'],
    [
      'nothing stable below the installed version',
      all,
      { channel: 'alpha', installed: v('0a3') },
      { kind: 'stable' },
      'up-to-date',
    ],
    [
      'nothing, from an empty repository',
      listingOf([]),
      { installed: null, floor: null },
      { kind: 'latest' },
      'up-to-date',
    ],
    ['the newest, on a fresh host', all, { installed: null, floor: null }, { kind: 'latest' }, 'available 0r2'],
    ['no less stable version by name', all, {}, named('0a3'), 'waiting incompatible 0a3'],
    ['the same if it is meant', all, {}, named('0a3', true), 'available 0a3'],
    ['no version that is not there', all, {}, named('7r7'), 'waiting incompatible 7r7'],
    ['nothing to do for the installed version', all, {}, named('0r1'), 'up-to-date'],
    ['no older version by upgrade', all, { channel: 'alpha' }, named('0a1'), 'waiting incompatible 0a1'],
  ]
  test.each(table)('%s', (_words, listing, host, goal, expected) => {
    expect(short(ask(listing, hostOf(host), { goal }))).toBe(expected)
  })
})

describe('versions that are never offered', () => {
  test('a withdrawn one: the next below is offered, by name it is refused', () => {
    const listing = listingOf(['0r1', '0r2', '0r3'], { withdrawn: remarks('0r3') })
    expect(short(ask(listing, hostOf()))).toBe('available 0r2')
    expect(short(ask(listing, hostOf(), { goal: named('0r3') }))).toBe('waiting withdrawn 0r3')
  })

  test('if every newer one was withdrawn the host says so, and the control is offered', () => {
    expect(short(ask(listingOf(['0r2'], { withdrawn: remarks('0r2') }), hostOf()))).toBe('waiting withdrawn 0r2')
    expect(short(ask(listingOf(['0r2']), hostOf()))).toBe('available 0r2')
  })

  test('one that is not made for this platform', () => {
    const listing = listingOf([])
    const releases = [{ version: v('0r2'), platforms: ['linux-arm64'], releasedAt: '2026-11-20T00:00:00Z' }]
    expect(short(ask({ ...listing, releases }, hostOf()))).toBe('waiting incompatible 0r2')
    expect(short(ask({ ...listing, releases }, hostOf({ platform: 'linux-arm64' })))).toBe('available 0r2')
  })

  test('one below the signed minimum, on a host without a floor only', () => {
    const listing = listingOf(['0r2'], { minimum: { release: v('0r3') } })
    expect(short(ask(listing, hostOf({ installed: null, floor: null })))).toBe('waiting incompatible 0r2')
    expect(short(ask(listing, hostOf()))).toBe('available 0r2')
  })

  test('one below what this host once committed, unless a person names it', () => {
    const host = hostOf({ installed: v('0r1'), floor: v('0r4') })
    expect(short(ask(listingOf(['0r3']), host))).toBe('waiting quarantined 0r3')
    expect(short(ask(listingOf(['0r3']), host, { goal: named('0r3') }))).toBe('available 0r3')
    expect(short(ask(listingOf(['0r5']), host))).toBe('available 0r5')
  })

  test('one that failed here before, until a newer one comes or somebody names it', () => {
    const host = hostOf({ quarantine: new Map([[v('0r2'), 'not ready in time']]) })
    expect(short(ask(listingOf(['0r2']), host))).toBe('waiting quarantined 0r2')
    expect(short(ask(listingOf(['0r2', '0r3']), host))).toBe('available 0r3')
    expect(short(ask(listingOf(['0r2']), host, { goal: named('0r2') }))).toBe('available 0r2')
  })

  test('one with the bytes of another that failed here, unless somebody names it', () => {
    const twins = new Map([[v('0r3'), 'it has the same bytes as 0r2: not ready in time']])
    const listing = listingOf(['0r3'])
    expect(short(ask(listing, hostOf()))).toBe('available 0r3')
    expect(short(ask(listing, hostOf(), { twins }))).toBe('waiting quarantined 0r3')
    expect(short(ask(listing, hostOf(), { twins, goal: named('0r3') }))).toBe('available 0r3')
  })

  test('one that asks for what this agent can’t do', () => {
    const unfit = new Map([[v('0r2'), { reason: 'needs_engine', detail: 'needs a database engine' } as const]])
    expect(short(ask(listingOf(['0r2']), hostOf(), { unfit }))).toBe('waiting needs_engine 0r2')
  })
})

describe('barriers', () => {
  const listing = listingOf(['0r2', '0r3', '0r4', '0r5'], { barriers: remarks('0r3', '0r4') })

  test('are passed hop by hop', () => {
    expect(short(ask(listing, hostOf()))).toBe('available 0r3 0r4 0r5')
    expect(short(ask(listing, hostOf({ installed: v('0r3') })))).toBe('available 0r4 0r5')
  })

  test('that failed here before hold up everything above them, and the least version below is offered', () => {
    const host = hostOf({ quarantine: new Map([[v('0r3'), 'not ready']]) })
    expect(short(ask(listing, host, { goal: named('0r5') }))).toBe('waiting barrier_first 0r5')
    expect(short(ask(listing, host))).toBe('available 0r2')
  })

  test('that were withdrawn hold up everything above them', () => {
    const withdrawn = { ...listing, withdrawn: remarks('0r3') }
    expect(short(ask(withdrawn, hostOf(), { goal: named('0r5') }))).toBe('waiting barrier_first 0r5')
  })

  test('a dead end leads nowhere', () => {
    expect(short(ask({ ...listing, deadEnds: remarks('0r1') }, hostOf()))).toMatch(/^waiting dead_end/)
  })

  test('what a manifest says about where one may come from counts once it was loaded', () => {
    const links = new Map([[v('0r5'), { version: v('0r5'), upgradeFrom: parseRange('>=0r4') }]])
    const plain = listingOf(['0r5'])
    expect(short(ask(plain, hostOf()))).toBe('available 0r5')
    expect(short(ask(plain, hostOf(), { links }))).toBe('waiting incompatible 0r5')
  })
})

describe('what a host does by itself', () => {
  const listing = listingOf(['0r2'])
  const auto: Extract<Asked, { by: 'host' }> = {
    by: 'host',
    policy: { mode: 'auto', window: { kind: 'always' }, minRemainingMs: 0, jitterMs: 0, minimumSoakMs: 0 },
    firstSeen: () => null,
    place: () => 0.5,
  }
  const paused = { paused: true, reason: 'looking into it', since: null }
  const table: readonly [
    words: string,
    host: Partial<HostState>,
    policy: Partial<(typeof auto)['policy']>,
    expected: string,
  ][] = [
    ['installs with auto', {}, {}, 'available 0r2'],
    ['only tells with notify', {}, { mode: 'notify' }, 'waiting notify_only 0r2'],
    ['does nothing with off', {}, { mode: 'off' }, 'waiting automatic_off 0r2'],
    ['waits while held', { hold: { until: null, reason: null } }, {}, 'waiting hold 0r2'],
    [
      'goes on once a hold is over',
      { hold: { until: new Date('2026-11-23T11:59:59Z'), reason: null } },
      {},
      'available 0r2',
    ],
    ['waits for the fleet’s brake', { brake: paused }, {}, 'waiting paused 0r2'],
    ['waits for another update', { engine: 'running' }, {}, 'waiting locked 0r2'],
    ['waits for a recovery', { engine: 'undecided' }, {}, 'waiting undecided 0r2'],
    ['waits for its window', {}, { window: parseTimeWindow('22:00-04:00') }, 'waiting window_closed 0r2'],
    ['goes on within its window', {}, { window: parseTimeWindow('Mon 11:00-13:00') }, 'available 0r2'],
    ['waits for its place in the jitter', {}, { jitterMs: 600_000 }, 'waiting jitter 0r2'],
  ]
  test.each(table)('%s', (_words, host, policy, expected) => {
    const asked: Asked = { ...auto, policy: { ...auto.policy, ...policy } }
    expect(short(ask(listing, hostOf(host), { asked }))).toBe(expected)
  })

  test('the jitter counts from the first sight, and ends', () => {
    const policy = { ...auto.policy, jitterMs: 600_000 }
    const seen = (minutes: number): Asked => ({
      ...auto,
      policy,
      firstSeen: () => new Date(noon.getTime() - minutes * 60_000),
    })
    expect(ask(listing, hostOf(), { asked: seen(4) })).toMatchObject({
      reason: 'jitter',
      until: new Date('2026-11-23T12:01:00Z'),
    })
    expect(short(ask(listing, hostOf(), { asked: seen(5) }))).toBe('available 0r2')
  })

  test('a first sight in the future, from a clock that was set back, delays no longer than the jitter', () => {
    const asked: Asked = {
      ...auto,
      policy: { ...auto.policy, jitterMs: 600_000 },
      firstSeen: () => new Date('2031-01-01T00:00:00Z'),
    }
    expect(ask(listing, hostOf(), { asked })).toMatchObject({
      reason: 'jitter',
      until: new Date('2026-11-23T12:10:00Z'),
    })
  })

  test('none of this keeps a person from it', () => {
    expect(short(ask(listing, hostOf({ brake: paused, engine: 'running' })))).toBe('available 0r2')
  })
})

describe('for whatever is published', () => {
  const version = fc
    .tuple(fc.integer({ min: 0, max: 2 }), fc.constantFrom('a', 'b', 'r'), fc.integer({ min: 1, max: 6 }))
    .map(([major, letter, minor]) => v(`${major}${letter}${minor}`))
  const some = fc.uniqueArray(version, { maxLength: 12 })
  const world = fc.record({
    releases: some,
    withdrawn: some,
    barriers: some,
    quarantined: some,
    installed: fc.option(version),
    floor: fc.option(version),
    channel: fc.constantFrom('alpha' as const, 'beta' as const, 'release' as const),
  })

  test('what is offered goes up, was not withdrawn, failed nowhere, is offered by the channel, and every barrier on the way is a hop', () => {
    fc.assert(
      fc.property(world, (one) => {
        const listing = listingOf(one.releases, {
          withdrawn: remarks(...one.withdrawn),
          barriers: remarks(...one.barriers),
        })
        const quarantine = new Map(one.quarantined.map((bad): [Version, string] => [bad, 'failed']))
        const decision = ask(
          listing,
          hostOf({ installed: one.installed, floor: one.floor, channel: one.channel, quarantine }),
        )
        if (decision.kind !== 'available') return
        const way = one.installed === null ? decision.hops : [one.installed, ...decision.hops]
        for (const [index, hop] of way.entries()) {
          const before = way[index - 1]
          if (before) expect(compareVersions(hop, before)).toBe(1)
        }
        for (const hop of decision.hops) {
          expect(one.releases).toContain(hop)
          expect(one.withdrawn).not.toContain(hop)
          expect(one.quarantined).not.toContain(hop)
          expect(channelOffers(one.channel, hop)).toBe(true)
        }
        const { installed } = one
        const passed = one.barriers.filter(
          (barrier) =>
            installed !== null &&
            channelOffers(one.channel, barrier) &&
            compareVersions(barrier, installed) > 0 &&
            compareVersions(barrier, decision.version) < 0,
        )
        for (const barrier of passed) expect(decision.hops).toContain(barrier)
        if (one.floor) expect(compareVersions(decision.version, one.floor)).toBeGreaterThanOrEqual(0)
      }),
      { numRuns: 500 },
    )
  })
})

// Whole decisions about what to install: whoever is refused is told by a code and in words why.
import { describe, expect, test } from 'vitest'
import type { Goal, HostState, Listing } from '../../agent/decide.ts'
import { parseRange } from '../../schema/version-range.ts'
import { ask, assigned, available, because, byItself, fresh, latest, listingOf, named, v } from './decide-world.ts'

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

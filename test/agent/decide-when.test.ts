// Whole decisions about when: what installs itself is told what keeps it from starting, and until when if that is known.
import { describe, expect, test } from 'vitest'
import { activeHold, type HostState, holdWords } from '../../agent/decide.ts'
import { parseTimeWindow } from '../../schema/time-window.ts'
import { ask, assigned, type auto, available, byItself, listingOf, noon, v } from './decide-world.ts'

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

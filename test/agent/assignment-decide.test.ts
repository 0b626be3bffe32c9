// What an assignment and the minimum soak make of a decision: the same rules as for everything that comes by itself, for one version.
import { describe, expect, test } from 'vitest'
import { type Asked, decide, type Goal, type HostState, type Listing, type Question } from '../../agent/decide.ts'
import { parseVersion } from '../../schema/version.ts'

const v = parseVersion
const noon = new Date('2026-11-23T12:00:00Z')
const HOUR_MS = 3_600_000

const auto: Extract<Asked, { by: 'host' }> = {
  by: 'host',
  policy: { mode: 'auto', window: { kind: 'always' }, minRemainingMs: 0, jitterMs: 0, minimumSoakMs: 0 },
  firstSeen: () => null,
  place: () => 0,
}
const soaking = (hours: number, mode: 'auto' | 'notify' | 'off' = 'auto'): Asked => ({
  ...auto,
  policy: { ...auto.policy, mode, minimumSoakMs: hours * HOUR_MS },
})

/** Published so many hours ago. */
function listingOf(ages: Readonly<Record<string, number>>, more: Partial<Listing> = {}): Listing {
  const releases = Object.entries(ages).map(([version, hours]) => ({
    version: v(version),
    platforms: ['any'],
    releasedAt: `${new Date(noon.getTime() - hours * HOUR_MS).toISOString().slice(0, 19)}Z`,
  }))
  return { releases, withdrawn: [], barriers: [], deadEnds: [], minimum: {}, ...more }
}

const host: HostState = {
  channel: 'alpha',
  platform: 'linux-x64',
  installed: v('0a2'),
  floor: v('0a2'),
  quarantine: new Map(),
  hold: null,
  brake: { paused: false, reason: null, since: null },
  engine: 'idle',
}

function ask(listing: Listing, goal: Goal, more: Partial<Question> = {}): string {
  const decision = decide({
    ...{ listing, host, goal, asked: auto, now: noon },
    ...{ links: new Map(), unfit: new Map(), twins: new Map() },
    ...more,
  })
  if (decision.kind === 'available') return `available ${decision.hops.join(' ')}`
  return decision.kind === 'waiting' ? `waiting ${decision.reason} ${decision.version}` : 'up-to-date'
}

const to = (version: string): Goal => ({ kind: 'assigned', version: v(version) })

describe('an assigned version', () => {
  const all = listingOf({ '0a1': 99, '0a3': 10, '0a4': 1 })

  test('is taken although a newer one is there, and over its barriers', () => {
    expect(ask(all, to('0a3'))).toBe('available 0a3')
    const barriers = [{ version: v('0a3'), reason: 'moves the files' }]
    expect(ask({ ...all, barriers }, to('0a4'))).toBe('available 0a3 0a4')
  })

  test('is held to what a person may go past: floor and quarantine', () => {
    const left = { ...host, floor: v('0a4') }
    expect(ask(all, to('0a3'), { host: left })).toBe('waiting quarantined 0a3')
    expect(
      ask(
        all,
        { kind: 'version', version: v('0a3'), allowChannelChange: false },
        { host: left, asked: { by: 'person' } },
      ),
    ).toBe('available 0a3')
    const failed = { ...host, quarantine: new Map([[v('0a3'), 'it failed']]) }
    expect(ask(all, to('0a3'), { host: failed })).toBe('waiting quarantined 0a3')
  })

  test('is never a way down, nor one that was withdrawn, nor one for another machine', () => {
    expect(ask(all, to('0a1'), { host: { ...host, floor: v('0a1') } })).toBe('waiting incompatible 0a1')
    const withdrawn = [{ version: v('0a3'), reason: 'bad' }]
    expect(ask({ ...all, withdrawn }, to('0a3'))).toBe('waiting withdrawn 0a3')
    const foreign = { ...all, releases: all.releases.map((one) => ({ ...one, platforms: ['plan9-mips'] })) }
    expect(ask(foreign, to('0a3'))).toBe('waiting incompatible 0a3')
  })

  test('on a fresh host is not below the signed minimum', () => {
    const fresh = { ...host, installed: null, floor: null }
    expect(ask({ ...all, minimum: { alpha: v('0a4') } }, to('0a3'), { host: fresh })).toBe('waiting incompatible 0a3')
    expect(ask({ ...all, minimum: { alpha: v('0a3') } }, to('0a3'), { host: fresh })).toBe('available 0a3')
  })
})

describe('the minimum soak', () => {
  const all = listingOf({ '0a3': 10, '0a4': 1 })
  const latest: Goal = { kind: 'latest' }

  test('passes over what is too new and takes the newest that is old enough', () => {
    expect(ask(all, latest, { asked: soaking(0) })).toBe('available 0a4')
    expect(ask(all, latest, { asked: soaking(1) })).toBe('available 0a4')
    expect(ask(all, latest, { asked: soaking(2) })).toBe('available 0a3')
    expect(ask(all, latest, { asked: soaking(10) })).toBe('available 0a3')
    expect(ask(all, latest, { asked: soaking(11) })).toBe('waiting soak 0a4')
  })

  test('holds for what is assigned too, and not for a person', () => {
    expect(ask(all, to('0a4'), { asked: soaking(2) })).toBe('waiting soak 0a4')
    expect(ask(all, to('0a3'), { asked: soaking(2) })).toBe('available 0a3')
    expect(ask(all, latest, { asked: { by: 'person' } })).toBe('available 0a4')
  })

  test('is not what is said where nothing is installed by itself anyway', () => {
    expect(ask(all, latest, { asked: soaking(11, 'notify') })).toBe('waiting notify_only 0a4')
    expect(ask(all, latest, { asked: soaking(11, 'off') })).toBe('waiting automatic_off 0a4')
  })

  test('says until when', () => {
    const question = { listing: all, host, goal: to('0a4'), asked: soaking(2), now: noon }
    const decision = decide({ ...question, links: new Map(), unfit: new Map(), twins: new Map() })
    expect(decision).toMatchObject({ reason: 'soak', until: new Date('2026-11-23T13:00:00Z') })
  })
})

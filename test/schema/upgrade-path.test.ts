import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { manifestShape } from '../../schema/manifest.ts'
import { decideDowngrade, decideUpgradePath, linkOf, type ReleaseLink } from '../../schema/upgrade-path.ts'
import { compareVersions, parseVersion, type Version } from '../../schema/version.ts'
import { parseRange } from '../../schema/version-range.ts'
import * as arbitrary from './arbitraries.ts'

const v = parseVersion
const link = (version: string, facts: Omit<ReleaseLink, 'version'> = {}): ReleaseLink => ({
  version: v(version),
  ...facts,
})
const because = (reason: string) => ({ reason })
const plain = ['0r1', '0r2', '0r3', '0r4', '0r5'].map((version) => link(version))
/** The plain history with some releases replaced. */
const history = (...changed: ReleaseLink[]) =>
  plain.map((release) => changed.find(({ version }) => version === release.version) ?? release)
const decide = (from: string | null, to: string, releases: ReleaseLink[]) =>
  decideUpgradePath({ from: from === null ? null : v(from), to: v(to), releases })

describe('the way up', () => {
  it('is direct where nothing stands between', () => {
    expect(decide('0r1', '0r5', plain)).toEqual({ kind: 'direct', hops: ['0r5'] })
  })

  it('leads through every barrier in order, each a hop of its own', () => {
    const releases = history(
      link('0r4', { barrier: because('new database') }),
      link('0r2', { barrier: because('new keys') }),
    )
    expect(decide('0r1', '0r5', releases.reverse())).toEqual({ kind: 'hops', hops: ['0r2', '0r4', '0r5'] })
    expect(decide('0r2', '0r5', releases)).toEqual({ kind: 'hops', hops: ['0r4', '0r5'] })
    expect(decide('0r2', '0r4', releases)).toEqual({ kind: 'direct', hops: ['0r4'] })
    expect(decide('0r4', '0r5', releases)).toEqual({ kind: 'direct', hops: ['0r5'] })
  })

  it('of a fresh host is direct, whatever lies below', () => {
    const releases = history(link('0r2', { barrier: because('x') }), link('0r5', { upgradeFrom: parseRange('>=0r3') }))
    expect(decide(null, '0r5', releases)).toEqual({ kind: 'direct', hops: ['0r5'] })
  })

  it('takes one step for a barrier that was promoted, and none where one stands on its bytes or ends on them', () => {
    const barrier = because('new database')
    const releases = [
      link('0a1'),
      link('0a5', { barrier }),
      link('0b5', { barrier, promotedFrom: v('0a5') }),
      link('0r5', { barrier, promotedFrom: v('0b5') }),
      link('0a6'),
    ]
    expect(decide('0a1', '0a6', releases)).toEqual({ kind: 'hops', hops: ['0a5', '0a6'] })
    expect(decide('0b5', '0a6', releases)).toEqual({ kind: 'direct', hops: ['0a6'] })
    expect(decide('0a1', '0r5', releases)).toEqual({ kind: 'direct', hops: ['0r5'] })
    // Control: without the promotions these are three barriers.
    expect(
      decide(
        '0a1',
        '0a6',
        releases.map(({ promotedFrom: _, ...rest }) => rest),
      ),
    ).toMatchObject({ hops: ['0a5', '0b5', '0r5', '0a6'] })
  })

  it('uses the promotion of a barrier that was withdrawn', () => {
    const barrier = because('new database')
    const releases = [
      link('0a5', { barrier, withdrawn: because('broken') }),
      link('0b5', { barrier, promotedFrom: v('0a5') }),
      link('0a6'),
    ]
    expect(decide('0a1', '0a6', releases)).toEqual({ kind: 'hops', hops: ['0b5', '0a6'] })
  })

  it('goes by the version of a barrier that can be used, not by the first of its promotions', () => {
    const barrier = because('new database')
    const withdrawn = because('broken')
    const last = [link('0a2', { barrier, withdrawn }), link('0r2', { barrier, promotedFrom: v('0a2') })]
    const between = [link('0b2', { barrier }), link('0a3')]
    for (const releases of [
      [...last, ...between],
      [...between, ...last],
    ])
      expect(decide('0a1', '0a3', releases)).toEqual({ kind: 'hops', hops: ['0b2', '0r2', '0a3'] })

    const crossed = [
      link('0b2+x', { barrier, promotedFrom: v('0a2+x') }),
      link('0b2', { barrier, promotedFrom: v('0a2') }),
      link('0a2+x', { barrier, withdrawn }),
      link('0a2', { barrier, withdrawn }),
      link('0a3'),
    ]
    for (const releases of [crossed, crossed.toReversed()])
      expect(decide('0a1', '0a3', releases)).toEqual({ kind: 'hops', hops: ['0b2', '0b2+x', '0a3'] })
  })

  it('uses the least of a barrier’s promotions, however the releases come', () => {
    const barrier = because('new database')
    const releases = [
      link('0r2', { barrier, promotedFrom: v('0b2') }),
      link('0b2', { barrier, promotedFrom: v('0a2') }),
      link('0a2', { barrier }),
      link('0a3'),
    ]
    for (const listed of [releases, releases.toReversed()])
      expect(decide('0a1', '0a3', listed)).toEqual({ kind: 'hops', hops: ['0a2', '0a3'] })
    const all = releases.map((release) =>
      release.version === '0a3' ? release : { ...release, withdrawn: because(`about ${release.version}`) },
    )
    for (const listed of [all, all.toReversed()])
      expect(decide('0a1', '0a3', listed)).toEqual({
        kind: 'blocked',
        code: 'barrier-withdrawn',
        reason: '0a2 must be installed before 0a3 and was withdrawn: about 0a2',
      })
  })

  it('does not hang on a promotion that claims itself', () => {
    const releases = [link('0a2', { barrier: because('b'), promotedFrom: v('0a2') }), link('0a3')]
    expect(decide('0a1', '0a3', releases)).toEqual({ kind: 'hops', hops: ['0a2', '0a3'] })
  })

  test.each<[string, string, string, ReleaseLink[], string, RegExp]>([
    ['the same version', '0r5', '0r5', plain, 'not-newer', /0r5 is not newer than 0r5/],
    ['an older version', '0r5', '0r4', plain, 'not-newer', /not newer/],
    ['an unknown release', '0r1', '0r9', plain, 'unknown-release', /no release 0r9/],
    [
      'a withdrawn target',
      '0r1',
      '0r5',
      history(link('0r5', { withdrawn: because('eats data') })),
      'withdrawn',
      /0r5 was withdrawn: eats data/,
    ],
    [
      'a withdrawn barrier',
      '0r1',
      '0r5',
      history(link('0r3', { barrier: because('b'), withdrawn: because('eats data') })),
      'barrier-withdrawn',
      /0r3 must be installed before 0r5 and was withdrawn: eats data/,
    ],
    [
      'a dead end under its feet',
      '0r1',
      '0r5',
      history(link('0r1', { deadEnd: because('reinstall') })),
      'dead-end',
      /from 0r1: reinstall/,
    ],
    [
      'a dead end on the way',
      '0r1',
      '0r5',
      history(link('0r3', { barrier: because('b'), deadEnd: because('reinstall') })),
      'dead-end',
      /from 0r3: reinstall/,
    ],
    [
      'a range that leaves it out',
      '0r1',
      '0r5',
      history(link('0r5', { upgradeFrom: parseRange('>=0r3') })),
      'upgrade-from',
      /0r5 can be installed over >=0r3, not over 0r1/,
    ],
    [
      'a barrier that leaves it out',
      '0r1',
      '0r5',
      history(link('0r3', { barrier: because('b'), upgradeFrom: parseRange('0r2') })),
      'upgrade-from',
      /0r3 can be installed over 0r2, not over 0r1/,
    ],
  ])('is blocked by %s', (_what, from, to, releases, code, reason) => {
    const decision = decide(from, to, releases)
    expect(decision).toMatchObject({ kind: 'blocked', code })
    if (decision.kind === 'blocked') expect(decision.reason).toMatch(reason)
  })

  it('checks a range against where one stands after the hops', () => {
    const releases = history(link('0r3', { barrier: because('b') }), link('0r5', { upgradeFrom: parseRange('>=0r3') }))
    expect(decide('0r1', '0r5', releases)).toEqual({ kind: 'hops', hops: ['0r3', '0r5'] })
  })

  it('does not mind a dead end or a withdrawn release beside the road', () => {
    const releases = history(
      link('0r3', { deadEnd: because('x') }),
      link('0r4', { withdrawn: because('y') }),
      link('0r5', { deadEnd: because('the last one') }),
    )
    expect(decide('0r1', '0r5', releases)).toEqual({ kind: 'direct', hops: ['0r5'] })
  })

  it('does not hang on promotions that claim each other', () => {
    const barrier = because('b')
    const releases = [
      link('0a2', { barrier, promotedFrom: v('0b2') }),
      link('0b2', { barrier, promotedFrom: v('0a2') }),
      link('0a3'),
    ]
    expect(decide('0a1', '0a3', releases)).toEqual({ kind: 'hops', hops: ['0a2', '0a3'] })
  })

  it('always climbs, ends at the target and leaves no barrier out', () => {
    const release: fc.Arbitrary<ReleaseLink> = fc.record({
      version: arbitrary.version,
      barrier: fc.option(fc.constant(because('b')), { nil: null }),
      withdrawn: fc.option(fc.constant(because('w')), { nil: null, freq: 8 }),
    })
    const releases = fc.uniqueArray(release, { selector: ({ version }) => version, minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(releases, arbitrary.version, fc.nat(), (known, from, pick) => {
        const to = known[pick % known.length]?.version as Version
        const decision = decideUpgradePath({ from, to, releases: known })
        if (decision.kind === 'blocked') return
        expect(decision.hops.at(-1)).toBe(to)
        const road = [from, ...decision.hops]
        for (const [index, hop] of decision.hops.entries()) expect(compareVersions(hop, road[index] as Version)).toBe(1)
        const barriers = known.filter(
          ({ version, barrier }) => barrier && compareVersions(version, from) > 0 && compareVersions(version, to) < 0,
        )
        expect(new Set(decision.hops)).toEqual(new Set([...barriers.map(({ version }) => version), to]))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('the link of a manifest', () => {
  const document = {
    schema: 'netlink.manifest/v1',
    product: 'demo',
    version: '0b2',
    channel: 'beta',
    released_at: '2026-11-23T12:00:00Z',
    artifacts: [
      {
        platform: 'linux-x64',
        format: 'tar+zstd',
        length: 1,
        sha256: 'ab'.repeat(32),
        sha512: 'ab'.repeat(64),
        unpacked_bytes: 1,
        entries: 1,
        tree_sha256: 'ab'.repeat(32),
      },
    ],
    requirements: { os: ['linux'], arch: ['x64'], disk_bytes: 1, agent_version: '0.1.0' },
    compatibility: {},
    changelog: {
      schema: 'netlink.changelog/v1',
      version: '0b2',
      previous: null,
      date: '2026-11-23',
      summary: 'Second',
      entries: [],
    },
  }

  it('says all that the rules ask for', () => {
    const compatibility = { upgrade_from: '>=0a1', barrier: because('new database'), dead_end: because('reinstall') }
    const manifest = manifestShape.parse({ ...document, promoted_from: '0a2', compatibility })
    expect(linkOf(manifest, because('eats data'))).toEqual({
      version: '0b2',
      upgradeFrom: parseRange('>=0a1'),
      barrier: because('new database'),
      deadEnd: because('reinstall'),
      withdrawn: because('eats data'),
      promotedFrom: '0a2',
    })
  })

  it('lets everything pass that the manifest is silent about', () => {
    expect(linkOf(manifestShape.parse(document))).toEqual({
      version: '0b2',
      upgradeFrom: parseRange('*'),
      barrier: null,
      deadEnd: null,
      withdrawn: null,
      promotedFrom: null,
    })
  })
})

describe('the way down', () => {
  const downgradeTo = [v('0r1'), v('0r2')]

  it('is open to what the installed release allows', () => {
    expect(decideDowngrade({ from: v('0r3'), to: v('0r2'), downgradeTo })).toEqual({ kind: 'direct', hops: ['0r2'] })
  })

  test.each([
    ['something newer', '0r4', downgradeTo, 'not-older', /0r4 is not older than 0r3/],
    ['the same version', '0r3', [v('0r3')], 'not-older', /not older/],
    ['what is not listed', '0b2', downgradeTo, 'downgrade-to', /0r3 allows a downgrade only to 0r1, 0r2, not to 0b2/],
    ['anything, where nothing is listed', '0r2', [], 'downgrade-to', /0r3 allows no downgrade, not to 0r2/],
  ])('is closed to %s', (_what, to, allowed, code, reason) => {
    const decision = decideDowngrade({ from: v('0r3'), to: v(to), downgradeTo: allowed })
    expect(decision).toMatchObject({ kind: 'blocked', code })
    if (decision.kind === 'blocked') expect(decision.reason).toMatch(reason)
  })
})

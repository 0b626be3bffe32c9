import { describe, expect, test } from 'vitest'
import { displayWidth } from '../../schema/cli/text-width.ts'
import { type FleetSummary, fleetSummaryShape, type Host, hostShape } from '../../schema/rest.ts'
import { renderFleet } from '../../server/admin/fleet-page.ts'
import { renderHistory, renderHost, renderHostList, renderWayBack } from '../../server/admin/host-pages.ts'

const PIPE = { color: false, width: null }
const TERMINAL = { color: false, width: 80 }
const NOW = new Date('2026-11-23T12:00:00Z')

function summaryOf(changes: object = {}): FleetSummary {
  return fleetSummaryShape.parse({
    product: 'pages',
    hosts: 3,
    online: 2,
    by_version: [
      { key: '0r2', hosts: 2 },
      { key: '0a5', hosts: 1 },
    ],
    by_channel: [
      { key: 'release', hosts: 2 },
      { key: 'alpha', hosts: 1 },
    ],
    by_group: [{ key: '(none)', hosts: 3 }],
    by_state: [
      { key: 'succeeded', hosts: 2 },
      { key: 'reverted', hosts: 1 },
    ],
    by_waiting: [{ key: 'window_closed', hosts: 1 }],
    forked: 0,
    newest: { alpha: '0a5', beta: '0r3', release: '0r3' },
    brake: { paused: false, reason: null, since: null },
    at: '2026-11-23T12:00:00Z',
    ...changes,
  })
}

function hostOf(
  name: string,
  changes: { inventory?: object | null; attempt?: object | null; [field: string]: unknown } = {},
): Host {
  const { inventory, attempt = null, ...rest } = changes
  return hostShape.parse({
    host_id: `h_${'0'.repeat(32)}`,
    name,
    group: null,
    labels: {},
    platform: 'linux-x64',
    channel: 'release',
    online: true,
    enrolled_at: '2026-11-20T10:00:00Z',
    last_seen: '2026-11-23T11:58:00Z',
    identity: { state: 'single' },
    inventory:
      inventory === null
        ? null
        : {
            version: '0r2',
            since: '2026-11-22T10:00:00Z',
            channel: 'release',
            database_version: null,
            config_version: null,
            generation: 3,
            platform: 'linux-x64',
            agent_version: '0.1.0',
            service: 'healthy',
            target: null,
            waiting: null,
            waiting_detail: null,
            root_version: 1,
            timestamp_version: 9,
            ...inventory,
          },
    attempt: attempt && {
      update_id: 'update_0r1_0r2_20261122_100000',
      kind: 'upgrade',
      from: '0r1',
      to: '0r2',
      state: 'succeeded',
      ...attempt,
    },
    ...rest,
  })
}

const hosts = [
  hostOf('web-1', { channel: 'alpha', inventory: { version: '0a5' }, attempt: { to: '0a5' } }),
  hostOf('web-2', { attempt: { to: '0r3', state: 'reverted', reason: 'health page answered 500' } }),
  hostOf('web-3', { online: false, attempt: {}, inventory: { waiting: 'window_closed', target: '0r3' } }),
]

describe('the fleet', () => {
  test('of a few hosts is shown with all of them', () => {
    expect(renderFleet({ summary: summaryOf(), hosts, by: 'version' }, PIPE)).toBe(
      `Fleet of pages: 3 hosts, 2 online                        2026-11-23 12:00:00 UTC

newest  alpha 0a5   beta 0r3   release 0r3
brake   off

VERSION  HOSTS  SHARE                    NEWEST OF
0r2          2    67%  ████████████████
0a5          1    33%  ████████          alpha

HOST   VERSION  OFFERED  CHANNEL  SERVICE  LAST UPDATE    WAITS          SEEN
web-1  0a5      -        alpha    healthy  succeeded 0a5  -              online
web-2  0r2      0r3      release  healthy  reverted 0r3!  -              online
web-3  0r2      0r3      release  healthy  succeeded 0r2  window_closed  2m ago

1 host waits: its update window is closed (window_closed)

web-2 reverted 0r3: health page answered 500`,
    )
  })

  test('a forgotten host’s way back keeps to the width, and its commands stay whole', () => {
    const lines = renderWayBack(hostOf('web-1'), 'web-1 is forgotten. '.repeat(9), 'https://u.example', TERMINAL).split(
      '\n',
    )
    const isCommand = (line: string) => line.startsWith('  netlink ')
    expect(lines.filter((line) => !isCommand(line) && displayWidth(line) > 80)).toEqual([])
    expect(lines.filter(isCommand)).toEqual([
      '  netlink agent leave --yes',
      '  netlink agent enroll --server https://u.example --token-file FILE --trust-root FILE --channel release --name web-1',
    ])
  })

  test('of many is shown in counts, with the way to more', () => {
    const summary = summaryOf({
      hosts: 1_234_567,
      online: 1_200_000,
      by_version: [
        { key: '0r2', hosts: 1_234_566 },
        { key: '0a5', hosts: 1 },
      ],
    })
    const text = renderFleet({ summary, hosts: null, by: 'version' }, PIPE)
    expect(text).toContain('1,234,567 hosts, 1,200,000 online')
    expect(text).toContain('0r2      1,234,566    99%')
    expect(text).toContain('0a5              1     1%')
    expect(text).toContain('1 host reverted: netlink-admin hosts list --where state=reverted')
    expect(text).toContain("Next: netlink-admin hosts list --where 'version=…'")
  })

  test('is counted by what was asked for', () => {
    const text = renderFleet({ summary: summaryOf(), hosts, by: 'state' }, PIPE)
    expect(text).toContain('STATE      HOSTS  SHARE')
    expect(text).toContain('reverted       1    33%')
  })

  test('with the brake on says so, since when and why', () => {
    const brake = { paused: true, reason: 'looking into web-2', since: '2026-11-23T11:50:00Z' }
    const text = renderFleet({ summary: summaryOf({ brake }), hosts, by: 'version' }, PIPE)
    expect(text).toContain('brake   ON since 2026-11-23 11:50:00 UTC: looking into web-2')
  })

  test('tells a host that went back from one that failed', () => {
    const back = hostOf('web-7', { attempt: { kind: 'rollback', from: '0r3', to: '0r2', state: 'succeeded' } })
    const text = renderFleet({ summary: summaryOf(), hosts: [back], by: 'version' }, PIPE)
    expect(text).toMatch(/^web-7 .* back to 0r2 /m)
    expect(text).not.toContain('!')
  })

  test('without hosts or releases says what comes next', () => {
    const empty = {
      product: null,
      hosts: 0,
      online: 0,
      by_version: [],
      by_waiting: [],
      by_state: [],
      newest: { alpha: null, beta: null, release: null },
    }
    const text = renderFleet({ summary: summaryOf(empty), hosts: [], by: 'version' }, PIPE)
    expect(text).toContain('Fleet: 0 hosts, 0 online')
    expect(text).toContain('netlink-publish init')
    expect(text).toContain('netlink agent enroll')
  })

  test('fits a terminal of 80 columns, whatever hosts are called', () => {
    const long = hostOf('a-host-with-a-very-long-name-indeed.example.com', {
      inventory: { version: '123a456+a-rather-long-build.1', waiting: 'barrier_first' },
      attempt: { state: 'downloading' },
      online: false,
    })
    const text = renderFleet({ summary: summaryOf(), hosts: [...hosts, long], by: 'version' }, TERMINAL)
    for (const line of text.split('\n')) expect(displayWidth(line), line).toBeLessThanOrEqual(80)
  })

  test('never lets foreign text obey itself: no escape sequence reaches the terminal', () => {
    const evil = '\u001b]52;c;ZXZpbA==\u0007\u001b[2Jgone\u202e'
    const brake = { paused: true, reason: evil, since: '2026-11-23T11:50:00Z' }
    const summary = summaryOf({ brake, by_group: [{ key: evil, hosts: 3 }], by_waiting: [{ key: evil, hosts: 1 }] })
    const trouble = hostOf('web-9', { attempt: { state: 'failed', reason: evil }, inventory: { waiting_detail: evil } })
    const text = renderFleet({ summary, hosts: [trouble], by: 'group' }, PIPE) + renderHost(trouble, NOW, PIPE)
    expect(text).toContain('gone')
    expect([...text].filter((character) => character < ' ' && character !== '\n')).toEqual([])
    expect(text).not.toContain('\u202e')
  })
})

describe('hosts', () => {
  test('in a list', () => {
    expect(renderHostList(hosts.slice(0, 1), NOW, PIPE)).toBe(
      `HOST   VERSION  CHANNEL  GROUP  SERVICE  LAST UPDATE    WAITS  SEEN
web-1  0a5      alpha    -      healthy  succeeded 0a5  -      online
`,
    )
    expect(renderHostList([], NOW, PIPE)).toBe('')
  })

  test('one by one, also one that has reported nothing', () => {
    const text = renderHost(hosts[2] ?? hostOf('x'), NOW, PIPE)
    expect(text).toContain('waits        its update window is closed (window_closed)')
    expect(text).toContain('last update  upgrade 0r1 → 0r2: succeeded')
    expect(renderHost(hostOf('new', { inventory: null, last_seen: null, online: false }), NOW, PIPE)).toContain(
      'reported  nothing yet',
    )
  })

  test('with what they reported', () => {
    const at = '2026-11-23T11:00:00Z'
    const signed = { epoch: '0'.repeat(32), seq: 1, at, previous: null, body: '{}', signature: '0'.repeat(128) }
    const text = renderHistory(
      [
        {
          seq: 3,
          at,
          received_at: at,
          signed,
          body: { type: 'refusal', refusal: { code: 'hash', message: 'one byte is another', version: null } },
        },
        {
          seq: 2,
          at,
          received_at: at,
          signed,
          body: { type: 'attempt', attempt: hosts[1]?.attempt as NonNullable<Host['attempt']> },
        },
        {
          seq: 1,
          at,
          received_at: at,
          signed,
          body: { type: 'inventory', inventory: hosts[2]?.inventory as NonNullable<Host['inventory']> },
        },
      ],
      PIPE,
    )
    expect(text).toBe(
      `#  AT (UTC)             WHAT
3  2026-11-23 11:00:00  refused what it was offered: one byte is another (hash)
2  2026-11-23 11:00:00  upgrade 0r1 → 0r3: reverted (health page answered 500)
1  2026-11-23 11:00:00  runs 0r2, service healthy, waits: its update window is closed
`,
    )
  })
})

test('a host for which two machines speak is named wherever hosts are shown, and no other', () => {
  const identity = {
    state: 'forked',
    since: '2026-11-23T11:00:00Z',
    kind: 'same_number',
    seq: 7,
    detail: 'report 7 came with two contents',
  }
  const [copied, single] = [hostOf('web-1', { identity }), hostOf('web-2')]
  const words = 'forked since 2026-11-23 11:00:00 UTC: report 7 came with two contents'
  expect(renderHostList([copied, single], NOW, PIPE)).toContain(`web-1 is ${words}`)
  expect(renderHostList([single], NOW, PIPE)).not.toContain('forked')
  expect(renderHost(copied, NOW, PIPE)).toContain(words)
  expect(renderHost(single, NOW, PIPE)).not.toContain('forked')
  const page = (forked: number) => renderFleet({ summary: summaryOf({ forked }), hosts: null, by: 'version' }, PIPE)
  expect(page(1)).toContain('1 host forked')
  expect(page(0)).not.toContain('forked')
})

describe('what expires', () => {
  const page = (expiring: readonly object[]) =>
    renderFleet({ summary: summaryOf({ expiring }), hosts: null, by: 'version' }, PIPE)

  test('stands under the brake, the most urgent first; a well repository has no such line', () => {
    const lines = page([
      { role: 'alpha', expires: '2026-11-22T12:00:00Z', within_days: null },
      { role: 'root', expires: '2026-11-29T13:00:00Z', within_days: 7 },
    ]).split('\n')
    expect(lines.filter((line) => line.startsWith('expiry'))).toEqual([
      'expiry  alpha expired 1 day ago',
      'expiry  root expires in 6 days',
    ])
    expect(page([])).not.toContain('expiry')
  })
})

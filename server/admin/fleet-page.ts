// `netlink-admin fleet status`: what runs where, who waits and why, whether the brake is on. Pure: counts and hosts in, text out.
import { createPaint, type Paint } from '../../schema/cli/paint.ts'
import { plainLine } from '../../schema/cli/plain-text.ts'
import { type Column, renderTable } from '../../schema/cli/table.ts'
import { displayWidth } from '../../schema/cli/text-width.ts'
import { expiryWords } from '../../schema/expiry.ts'
import type { FleetSummary, Host } from '../../schema/rest.ts'
import { channels } from '../../schema/version.ts'
import type { Style } from './output.ts'
import {
  attemptWords,
  countOf,
  groupDigits,
  isTrouble,
  isWaitingReason,
  seenWords,
  timeWords,
  waitingWords,
} from './words.ts'

/** By what hosts are counted. */
export const dimensions = ['version', 'channel', 'group', 'state'] as const
export type Dimension = (typeof dimensions)[number]

export interface FleetFacts {
  readonly summary: FleetSummary
  /** All hosts, where they are few enough to be named; null: there are more. */
  readonly hosts: readonly Host[] | null
  readonly by: Dimension
}

const BAR = 24

export function renderFleet({ summary, hosts, by }: FleetFacts, style: Style): string {
  const paint = createPaint(style.color)
  const now = new Date(summary.at)
  const parts = [
    titleLine(summary, paint, style.width),
    [newestLine(summary, paint), brakeLine(summary, paint), ...expiryLines(summary, paint)].join('\n'),
    summary.hosts === 0 ? emptyWords(summary) : renderCounts(summary, by, style),
    hosts === null ? '' : renderHosts(hosts, summary, now, style),
    renderWaiting(summary),
    renderTrouble(summary, hosts, paint),
    renderForked(summary, paint),
    hosts === null ? moreLine(by, paint) : '',
  ]
  return parts
    .map((part) => part.trimEnd())
    .filter((part) => part !== '')
    .join('\n\n')
}

function titleLine({ product, hosts, online, at }: FleetSummary, paint: Paint, width: number | null): string {
  const name = product === null ? 'Fleet' : `Fleet of ${plainLine(product)}`
  const words = `${name}: ${countOf(hosts, 'host')}, ${groupDigits(online)} online`
  const time = `${timeWords(at)} UTC`
  const gap = Math.max(3, (width ?? 80) - displayWidth(words) - displayWidth(time))
  return `${paint('strong', words)}${' '.repeat(gap)}${paint('dim', time)}`
}

function newestLine({ newest }: FleetSummary, paint: Paint): string {
  const words = channels.map((channel) => `${channel} ${newest[channel] ?? '-'}`)
  return `${paint('dim', 'newest')}  ${words.join('   ')}`
}

function brakeLine({ brake }: FleetSummary, paint: Paint): string {
  const label = paint('dim', 'brake ')
  if (!brake.paused) return `${label}  off`
  const since = brake.since === null ? '' : ` since ${timeWords(brake.since)} UTC`
  return `${label}  ${paint('warning', 'ON')}${since}: ${plainLine(brake.reason ?? 'no reason given')}`
}

/** What nobody can be given any more, or soon can't, until the holders of the keys sign it anew. */
function expiryLines({ expiring, at }: FleetSummary, paint: Paint): readonly string[] {
  return expiring.map(({ role, expires, within_days: days }) => {
    const words = expiryWords(plainLine(role), new Date(expires), new Date(at))
    return `${paint('dim', 'expiry')}  ${paint(days === null || days <= 1 ? 'error' : 'warning', words)}`
  })
}

function emptyWords({ product }: FleetSummary): string {
  const publish = product === null ? 'Nothing is published yet; netlink-publish init begins.\n' : ''
  return `${publish}No host is enrolled yet.\nNext: netlink agent enroll --server URL --token-file FILE --trust-root FILE`
}

function renderCounts(summary: FleetSummary, by: Dimension, style: Style): string {
  const counts = {
    version: summary.by_version,
    channel: summary.by_channel,
    group: summary.by_group,
    state: summary.by_state,
  }[by]
  const columns: Column[] = [
    { title: by.toUpperCase(), shrinkTo: 12 },
    { title: 'HOSTS', align: 'right' },
    { title: 'SHARE', align: 'right' },
    { title: '' },
    { title: by === 'version' ? 'NEWEST OF' : '' },
  ]
  const rows = counts.map(({ key, hosts }) => {
    const share = hosts / Math.max(1, summary.hosts)
    const newestOf = by === 'version' ? channels.filter((channel) => summary.newest[channel] === key).join(', ') : ''
    return [key, groupDigits(hosts), percent(share), '█'.repeat(Math.max(1, Math.round(share * BAR))), newestOf]
  })
  return renderTable(columns, rows, style)
}

/** 100 % only where it is everybody, 0 % never. */
function percent(share: number): string {
  if (share === 1) return '100%'
  return `${Math.min(99, Math.max(1, Math.round(share * 100)))}%`
}

function renderHosts(hosts: readonly Host[], { newest }: FleetSummary, now: Date, style: Style): string {
  const columns: Column[] = [
    { title: 'HOST', shrinkTo: 8 },
    { title: 'VERSION', shrinkTo: 7 },
    { title: 'OFFERED', shrinkTo: 7 },
    { title: 'CHANNEL' },
    { title: 'SERVICE' },
    { title: 'LAST UPDATE', shrinkTo: 12 },
    { title: 'WAITS', shrinkTo: 8 },
    { title: 'SEEN' },
  ]
  const rows = hosts.map((host) => {
    const version = host.inventory?.version ?? null
    const best = newest[host.channel]
    return [
      host.name,
      version ?? '-',
      best === null || best === version ? '-' : best,
      host.channel,
      host.inventory?.service ?? 'unknown',
      attemptWords(host.attempt),
      host.inventory?.waiting ?? '-',
      seenWords(host, now),
    ]
  })
  return renderTable(columns, rows, style)
}

function renderWaiting({ by_waiting }: FleetSummary): string {
  return by_waiting
    .map(({ key, hosts }) => {
      const verb = hosts === 1 ? 'waits' : 'wait'
      return `${countOf(hosts, 'host')} ${verb}: ${isWaitingReason(key) ? waitingWords[key] : plainLine(key)} (${plainLine(key)})`
    })
    .join('\n')
}

function renderTrouble({ by_state }: FleetSummary, hosts: readonly Host[] | null, paint: Paint): string {
  const lines = (hosts ?? [])
    .filter((host) => isTrouble(host.attempt))
    .map(
      (host) =>
        `${plainLine(host.name)} ${host.attempt?.state} ${host.attempt?.to}: ${plainLine(host.attempt?.reason ?? 'no reason given')}`,
    )
  const states =
    hosts === null ? by_state.filter(({ key }) => ['failed', 'reverted', 'stranded', 'timed_out'].includes(key)) : []
  const counted = states.map(
    ({ key, hosts: count }) => `${countOf(count, 'host')} ${key}: netlink-admin hosts list --where state=${key}`,
  )
  return [...lines, ...counted].map((line) => paint('warning', line)).join('\n')
}

/** Of all of it this is what somebody has to look at first: one of the machines is not ours, or a disk was copied. */
function renderForked({ forked }: FleetSummary, paint: Paint): string {
  if (forked === 0) return ''
  const words = `${countOf(forked, 'host')} forked, two machines speak with one key`
  return paint('warning', `${words}: netlink-admin hosts list --where identity=forked`)
}

function moreLine(by: Dimension, paint: Paint): string {
  return `Next: ${paint('command', `netlink-admin hosts list --where '${by}=…'`)}`
}

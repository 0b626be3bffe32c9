// What `netlink-admin hosts …` shows. Pure.
import { plainLine } from '../../schema/cli/plain-text.ts'
import { type Column, renderFields, renderTable } from '../../schema/cli/table.ts'
import { wrap } from '../../schema/cli/text-width.ts'
import type { Host, HostEvent } from '../../schema/rest.ts'
import { unreachable } from '../../schema/unreachable.ts'
import type { Style } from './output.ts'
import { attemptWords, forkWords, seenWords, timeWords, waitingWords } from './words.ts'

const hostColumns: readonly Column[] = [
  { title: 'HOST', shrinkTo: 8 },
  { title: 'VERSION', shrinkTo: 7 },
  { title: 'CHANNEL' },
  { title: 'GROUP', shrinkTo: 5 },
  { title: 'SERVICE' },
  { title: 'LAST UPDATE', shrinkTo: 12 },
  { title: 'WAITS', shrinkTo: 8 },
  { title: 'SEEN' },
]

export function renderHostList(hosts: readonly Host[], now: Date, style: Style): string {
  const rows = hosts.map((host) => [
    host.name,
    host.inventory?.version ?? '-',
    host.channel,
    host.group ?? '-',
    host.inventory?.service ?? 'unknown',
    attemptWords(host.attempt),
    host.inventory?.waiting ?? '-',
    seenWords(host, now),
  ])
  const forked = hosts.flatMap((host) => {
    const words = forkWords(host)
    return words === null ? [] : [`${plainLine(host.name)} is forked ${words}\n`]
  })
  const table = renderTable(hostColumns, rows, style)
  return forked.length === 0 ? table : `${table}\n${forked.join('')}`
}

export function renderHost(host: Host, now: Date, style: Style): string {
  const { inventory, attempt } = host
  const labels = Object.entries(host.labels).map(([name, value]) => `${name}=${value}`)
  const fork = forkWords(host)
  const fields: [string, string][] = [
    ['host', host.name],
    ['id', host.host_id],
    ...(fork === null ? [] : ([['identity', `forked ${fork}`]] satisfies [string, string][])),
    ['seen', seenWords(host, now)],
    ['channel', host.channel],
    ['group', host.group ?? '-'],
    ['labels', labels.join(', ') || '-'],
    ['platform', host.platform],
    ['enrolled', `${timeWords(host.enrolled_at)} UTC`],
  ]
  if (inventory) {
    const since = inventory.since === null ? '' : ` since ${timeWords(inventory.since)} UTC`
    fields.push(['version', inventory.version === null ? 'none installed' : `${inventory.version}${since}`])
    fields.push(['service', inventory.service])
    fields.push(['newer', inventory.target ?? 'nothing'])
    if (inventory.waiting) fields.push(['waits', `${waitingWords[inventory.waiting]} (${inventory.waiting})`])
    if (inventory.waiting_detail) fields.push(['', inventory.waiting_detail])
    fields.push(['agent', inventory.agent_version])
    fields.push(['database', inventory.database_version ?? '-'])
    fields.push(['config', inventory.config_version ?? '-'])
    fields.push(['verified', `root ${inventory.root_version}, timestamp ${inventory.timestamp_version}`])
  } else fields.push(['reported', 'nothing yet'])
  if (attempt) {
    fields.push(['last update', `${attempt.kind} ${attempt.from ?? 'none'} → ${attempt.to}: ${attempt.state}`])
    if (attempt.reason) fields.push(['', attempt.reason])
    fields.push(['update id', attempt.update_id])
  }
  return renderFields(fields, style)
}

/**
 * After `words`, how a host that is forgotten comes back: under a new key, because the old one may be why it was forgotten. The commands stay whole.
 */
export function renderWayBack({ name, channel }: Host, words: string, server: string, { width }: Style): string {
  const back =
    'To bring the host back, with a new key and without its history, run on it these two. (agent enroll --force alone would keep the old key, which somebody else may have.)'
  const again = `netlink agent enroll --server ${server} --token-file FILE --trust-root FILE --channel ${channel} --name ${plainLine(name)}`
  const told = [words, back].flatMap((line) => (width === null ? [line] : wrap(line, width)))
  return `${[...told, '  netlink agent leave --yes', `  ${again}`].join('\n')}\n`
}

export function renderHistory(events: readonly HostEvent[], style: Style): string {
  const columns: Column[] = [{ title: '#', align: 'right' }, { title: 'AT (UTC)' }, { title: 'WHAT', shrinkTo: 20 }]
  return renderTable(
    columns,
    events.map((event) => [String(event.seq), timeWords(event.at), eventWords(event)]),
    style,
  )
}

function eventWords({ body }: HostEvent): string {
  switch (body.type) {
    case 'inventory': {
      const { version, service, waiting } = body.inventory
      return `runs ${version ?? 'nothing'}, service ${service}${waiting ? `, waits: ${waitingWords[waiting]}` : ''}`
    }
    case 'attempt': {
      const { kind, from, to, state, reason } = body.attempt
      return `${kind} ${from ?? 'none'} → ${to}: ${state}${reason ? ` (${plainLine(reason)})` : ''}`
    }
    case 'refusal': {
      const { version, code, message } = body.refusal
      return `refused ${version ?? 'what it was offered'}: ${plainLine(message)} (${plainLine(code)})`
    }
    case 'trust_reset': {
      const { old_sha256, new_sha256, root_version } = body.trust_reset
      const before = old_sha256 === null ? 'none' : `${old_sha256.slice(0, 12)}…`
      return `trusts another root, by hand: ${before} → ${new_sha256.slice(0, 12)}… (version ${root_version})`
    }
    default:
      return unreachable(body)
  }
}

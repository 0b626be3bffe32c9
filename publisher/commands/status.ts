import type { Command } from 'commander'
import { parseDocument } from '../../keys/document.ts'
import { isThere } from '../../keys/platform/if-there.ts'
import { countSignatures, type RoleKeys } from '../../keys/threshold.ts'
import { roleKeysOf } from '../../keys/verified.ts'
import { formatAgo } from '../../schema/cli/format.ts'
import { plainLine } from '../../schema/cli/plain-text.ts'
import { type Column, renderTable } from '../../schema/cli/table.ts'
import { type EventState, isSubject, type SigningEvent, type Subject } from '../../schema/signing-event.ts'
import { unreachable } from '../../schema/unreachable.ts'
import { channelOf, channels, isVersion, type Version } from '../../schema/version.ts'
import { type Fate, fateIn, undertakingOf } from '../change-fate.ts'
import { eventStanding, gatherSignatures } from '../event/event.ts'
import { findEvent, isFileName, type OpenEvent, openBase, openEvents } from '../event/place.ts'
import { changeName, eventFields, eventTitle, isComplete, standingLines } from '../event/standing.ts'
import { type Aborted, loadEvent } from '../event/store.ts'
import { trustedNames } from '../holder-names.ts'
import type { Streams } from '../output.ts'
import { loadPending } from '../pending.ts'
import type { Repository } from '../repository.ts'
import type { RootStanding } from '../root/change.ts'
import { standingWords } from '../signing.ts'
import { lackingWords, waitingHere } from '../waiting-here.ts'
import type { Workshop } from '../workshop.ts'
import type { CommandContext } from './context.ts'
import { type LookOptions, openRepository, withOffline, withReading } from './reading.ts'

interface RoleStatus {
  readonly role: string
  readonly version: number
  readonly expires: string
  readonly have: readonly string[]
  readonly missing: readonly string[]
  readonly threshold: number
  readonly complete: boolean
}

/** Adds `status [VERSION]`. */
export function addStatus(program: Command, context: CommandContext): void {
  withOffline(program.command('status').argument('[what]', 'a version, a signing event, or its file'))
    .description('signatures: who has signed, who could, how many are needed, when they expire')
    .action((what: string | undefined, options: LookOptions) =>
      context.perform(options, 'answer', (output) =>
        withReading(context.machine, output, options, 'status', (workshop) =>
          what === undefined
            ? status(workshop, context.streams, options)
            : statusOfOne(workshop, context.streams, what, options),
        ),
      ),
    )
}

/** What waits in this folder or is published comes before an event of the same name. */
async function statusOfOne(workshop: Workshop, streams: Streams, what: string, options: LookOptions): Promise<void> {
  const { machine, layout } = workshop
  if (!isVersion(what) && !isSubject(what)) return statusOfEvent(workshop, what, options)
  const waits = (await loadPending(machine.disk, layout.pending, what)) !== undefined
  if (!isVersion(what)) return waits ? statusOfWaiting(workshop, what, options) : statusOfEvent(workshop, what, options)
  const repository = await openRepository(workshop, options)
  const isEvent = !waits && (await eventsToSign(workshop, repository, options)).some(({ subject }) => subject === what)
  return isEvent ? statusOfEvent(workshop, what, options) : statusOf(workshop, repository, streams, what)
}

/** A change of the root, or documents signed again, that wait in this folder. */
async function statusOfWaiting(workshop: Workshop, subject: Subject, options: LookOptions): Promise<void> {
  const repository = options.offline ? await workshop.offline() : await workshop.refresh(undefined, 'report')
  for (const one of await waitingHere(workshop, repository)) {
    if (one.subject !== subject) continue
    const { state, missing, standing, words } = one
    workshop.output.answer(
      'netlink.publish.status/v1',
      { subject, state, missing, roles: standing },
      [words, ...standingLines(standing).map((line) => `  ${line}`)].join('\n'),
    )
  }
}

async function statusOfEvent(workshop: Workshop, name: string, options: LookOptions): Promise<void> {
  const { machine, output } = workshop
  const offline = options.offline ?? isFileName(name)
  const found = await findEvent(workshop, name, { offline })
  const repository = await openBase(workshop, found.event, { offline })
  const { event } = await gatherSignatures(repository, found.event, found.signatures)
  const standing = eventStanding(workshop, repository, event)
  const { aborted = null } = found
  const { state, words } = stateOf(event, aborted, await fateIn(workshop, repository, undertakingOf(event)), {
    now: machine.clock.now(),
  })
  const next = state === 'open' ? [nextWords(event, standing)] : []
  output.answer(
    'netlink.publish.status/v1',
    { ...eventFields(event, standing), state, aborted },
    [eventTitle(event), `  ${words}`, ...standingLines(standing).map((line) => `  ${line}`), ...next].join('\n'),
  )
}

/** What is published was not stopped in time, whoever wrote that it was. */
function stateOf(
  { until }: SigningEvent,
  aborted: Aborted | null,
  fate: Fate,
  { now }: { readonly now: Date },
): { readonly state: EventState; readonly words: string } {
  switch (fate.kind) {
    case 'published':
      return { state: 'published', words: 'published; nothing is left to do' }
    case 'overtaken':
      return { state: 'overtaken', words: `overtaken: ${fate.by}, so this can't be published any more` }
    case 'open':
      if (aborted !== null) return { state: 'aborted', words: `stopped: ${plainLine(aborted.reason)}` }
      return new Date(until) <= now ? { state: 'expired', words: 'expired' } : { state: 'open', words: 'open' }
    default:
      return unreachable(fate)
  }
}

function nextWords({ id }: SigningEvent, standing: readonly RootStanding[]): string {
  if (isComplete(standing)) return `every signature is there: netlink-publish publish ${id}`
  return `missing: ${lackingWords(standing)}`
}

/** The server is asked where there is a token: whoever only reads has none. */
async function knownEvents(workshop: Workshop, { offline }: LookOptions): Promise<readonly OpenEvent[]> {
  const { machine, config } = workshop
  const hasToken = machine.environment.token !== undefined || (await isThere(machine.disk, config.tokenFile))
  return openEvents(workshop, offline === true || !hasToken)
}

async function status(workshop: Workshop, streams: Streams, options: LookOptions): Promise<void> {
  const { config, machine, output } = workshop
  const repository = await openRepository(workshop, options)
  const roles = await repositoryStatus(workshop, repository)
  const waiting = await waitingHere(workshop, repository)
  const pending = waiting.map(({ subject }) => subject)
  const events = await eventsToSign(workshop, repository, options)
  const { trusted } = repository
  output.answer(
    'netlink.publish.status/v1',
    {
      product: config.product,
      server: config.server,
      root_version: trusted.root.value.version,
      timestamp_version: trusted.timestampVersion,
      roles,
      pending,
      waiting: waiting.map(({ subject, state, missing }) => ({ subject, state, missing })),
      events: events.map(({ id, kind, subject, proposed_by, until }) => ({ id, kind, subject, proposed_by, until })),
    },
    [
      `${config.product} at ${config.server}, root v${trusted.root.value.version}, timestamp v${trusted.timestampVersion}`,
      statusTable(roles, streams, machine.clock.now()).trimEnd(),
      ...(waiting.length === 0 ? ['nothing waits to be published'] : waiting.map(({ words }) => words)),
      ...events.map(
        ({ id, kind, subject, until }) => `to be signed: ${id}, ${changeName(kind, subject)}, until ${until}`,
      ),
    ].join('\n'),
  )
}

/** Events that can still be signed: what this folder has of one says whether it is published, or can't be any more. */
async function eventsToSign(
  workshop: Workshop,
  repository: Repository,
  options: LookOptions,
): Promise<readonly OpenEvent[]> {
  const { machine, layout } = workshop
  const open: OpenEvent[] = []
  for (const one of await knownEvents(workshop, options)) {
    const event = await loadEvent(machine.disk, layout.events, one.id)
    const fate = event && (await fateIn(workshop, repository, undertakingOf(event)))
    if (fate === undefined || fate.kind === 'open') open.push(one)
  }
  return open
}

async function repositoryStatus(workshop: Workshop, repository: Repository): Promise<readonly RoleStatus[]> {
  const { trusted, targets } = repository
  const nameOf = trustedNames(workshop.config.holders, repository)
  const roles: RoleStatus[] = [
    roleStatus('root', trusted.root.bytes, roleKeysOf(trusted.root, 'root'), nameOf),
    roleStatus('targets', targets.bytes, roleKeysOf(trusted.root, 'targets'), nameOf),
  ]
  for (const channel of channels) {
    const role = await repository.loadChannel(channel)
    if (role !== undefined) roles.push(roleStatus(channel, role.bytes, roleKeysOf(targets, channel), nameOf))
  }
  return roles
}

function roleStatus(role: string, bytes: Uint8Array, keys: RoleKeys, nameOf: (keyid: string) => string): RoleStatus {
  const document = parseDocument(bytes)
  const { valid, threshold, missing } = countSignatures(document, keys)
  const others = keys.keys.map(({ keyid }) => keyid).filter((keyid) => !valid.includes(keyid))
  return {
    role,
    version: Number(document.signed.version),
    expires: String(document.signed.expires),
    have: valid.map(nameOf),
    missing: others.map(nameOf),
    threshold,
    complete: missing === 0,
  }
}

const STATUS: readonly Column[] = [
  { title: 'role' },
  { title: 'version', align: 'right' },
  { title: 'signed by' },
  { title: 'could sign' },
  { title: 'needed', align: 'right' },
  { title: 'expires' },
]

function statusTable(roles: readonly RoleStatus[], streams: Streams, now: Date): string {
  const rows = roles.map(({ role, version, have, missing, threshold, expires }) => [
    role,
    `v${version}`,
    have.join(' ') || 'nobody',
    missing.join(' '),
    String(threshold),
    `${formatAgo(new Date(expires), now)} (${expires.slice(0, 10)})`,
  ])
  return renderTable(STATUS, rows, { color: streams.color, width: streams.columns })
}

async function statusOf(workshop: Workshop, repository: Repository, streams: Streams, version: Version): Promise<void> {
  const { machine, layout, output } = workshop
  const nameOf = trustedNames(workshop.config.holders, repository)
  const channel = channelOf(version)
  const pending = await loadPending(machine.disk, layout.pending, version)
  const bytes = pending?.change.documents.get(channel)
  if (pending !== undefined && bytes !== undefined) {
    const role = roleStatus(channel, bytes, roleKeysOf(repository.targets, channel), nameOf)
    const words = role.complete
      ? `${version} has every signature it needs (${role.have.join(', ')}) and is not published yet: netlink-publish publish ${version}`
      : standingWords(version, role)
    return output.answer(
      'netlink.publish.status/v1',
      { version, published: false, signed_at: pending.signedAt, roles: [role] },
      `${words}\n${statusTable([role], streams, machine.clock.now())}`,
    )
  }
  await repository.loadManifest(version)
  const listed = await repository.loadChannel(channel)
  const role = roleStatus(channel, listed?.bytes ?? new Uint8Array(), roleKeysOf(repository.targets, channel), nameOf)
  output.answer(
    'netlink.publish.status/v1',
    { version, published: true, signed_at: null, roles: [role] },
    `${version} is published, signed by ${role.have.join(', ')} (${role.threshold} needed)\n${statusTable([role], streams, machine.clock.now())}`,
  )
}

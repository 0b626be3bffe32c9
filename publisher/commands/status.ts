import type { Command } from 'commander'
import { parseDocument } from '../../keys/document.ts'
import type { Disk } from '../../keys/platform/disk.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { roleKeysOf } from '../../keys/verified.ts'
import { formatAgo } from '../../schema/cli/format.ts'
import { plainLine } from '../../schema/cli/plain-text.ts'
import { type Column, renderTable } from '../../schema/cli/table.ts'
import { isSubject } from '../../schema/signing-event.ts'
import { channelOf, channels, isVersion, type Version } from '../../schema/version.ts'
import { eventStanding, gatherSignatures } from '../event.ts'
import { findEvent, isFileName, type OpenEvent, openBase, openEvents } from '../event-place.ts'
import { eventFields, eventTitle, isComplete, missingNames, standingLines } from '../event-standing.ts'
import type { Streams } from '../output.ts'
import { listPending, loadPending } from '../pending.ts'
import type { Repository } from '../repository.ts'
import { standingOf, standingWords } from '../signing.ts'
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
  const isEvent = !waits && (await knownEvents(workshop, options)).some(({ subject }) => subject === what)
  if (isEvent || !isVersion(what)) return statusOfEvent(workshop, what, options)
  return statusOf(workshop, streams, what, options)
}

async function statusOfEvent(workshop: Workshop, name: string, options: LookOptions): Promise<void> {
  const { machine, output } = workshop
  const offline = options.offline ?? isFileName(name)
  const found = await findEvent(workshop, name, { offline })
  const repository = await openBase(workshop, found.event, { offline })
  const { event } = await gatherSignatures(repository, found.event, found.signatures)
  const standing = eventStanding(workshop, repository, event)
  const isOver = new Date(event.until) <= machine.clock.now()
  const { aborted = null } = found
  const state = aborted !== null ? `stopped: ${plainLine(aborted.reason)}` : isOver ? 'expired' : 'open'
  const names = missingNames(standing)
  const next = isComplete(standing)
    ? [`every signature is there: netlink-publish publish ${event.id}`]
    : [`missing: ${names.join(', ')}`]
  output.answer(
    'netlink.publish.status/v1',
    { ...eventFields(event, standing), state: aborted !== null ? 'aborted' : isOver ? 'expired' : 'open', aborted },
    [eventTitle(event), `  ${state}`, ...standingLines(standing).map((line) => `  ${line}`), ...next].join('\n'),
  )
}

/** The server is asked where there is a token: whoever only reads has none. */
async function knownEvents(workshop: Workshop, { offline }: LookOptions): Promise<readonly OpenEvent[]> {
  const { machine, config } = workshop
  const hasToken = machine.environment.token !== undefined || (await exists(machine.disk, config.tokenFile))
  return openEvents(workshop, offline === true || !hasToken)
}

async function exists(disk: Disk, path: string): Promise<boolean> {
  try {
    await disk.stat(path)
    return true
  } catch (error) {
    if (error instanceof PlatformError && error.code === 'not-found') return false
    throw error
  }
}

async function status(workshop: Workshop, streams: Streams, options: LookOptions): Promise<void> {
  const { config, machine, layout, output } = workshop
  const repository = await openRepository(workshop, options)
  const roles = await repositoryStatus(workshop, repository)
  const pending = await listPending(machine.disk, layout.pending)
  const events = await knownEvents(workshop, options)
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
      events: events.map(({ id, kind, subject, proposed_by, until }) => ({ id, kind, subject, proposed_by, until })),
    },
    [
      `${config.product} at ${config.server}, root v${trusted.root.value.version}, timestamp v${trusted.timestampVersion}`,
      statusTable(roles, streams, machine.clock.now()).trimEnd(),
      pending.length === 0 ? 'nothing waits to be published' : `signed and not published: ${pending.join(', ')}`,
      ...events.map(({ id, kind, subject, until }) => `to be signed: ${id}, ${kind} of ${subject}, until ${until}`),
    ].join('\n'),
  )
}

async function repositoryStatus({ config }: Workshop, repository: Repository): Promise<readonly RoleStatus[]> {
  const { trusted, targets } = repository
  const roles: RoleStatus[] = [
    roleStatus('root', trusted.root.bytes, roleKeysOf(trusted.root, 'root'), config.holders),
    roleStatus('targets', targets.bytes, roleKeysOf(trusted.root, 'targets'), config.holders),
  ]
  for (const channel of channels) {
    const role = await repository.loadChannel(channel)
    if (role !== undefined) roles.push(roleStatus(channel, role.bytes, roleKeysOf(targets, channel), config.holders))
  }
  return roles
}

function roleStatus(role: string, bytes: Uint8Array, ...[keys, holders]: StandingOf): RoleStatus {
  const document = parseDocument(bytes)
  const standing = standingOf(document, keys, holders)
  return { role, version: Number(document.signed.version), expires: String(document.signed.expires), ...standing }
}

type StandingOf = [keys: Parameters<typeof standingOf>[1], holders: Parameters<typeof standingOf>[2]]

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

async function statusOf(workshop: Workshop, streams: Streams, version: Version, options: LookOptions): Promise<void> {
  const { machine, layout, config, output } = workshop
  const repository = await openRepository(workshop, options)
  const channel = channelOf(version)
  const pending = await loadPending(machine.disk, layout.pending, version)
  const bytes = pending?.change.documents.get(channel)
  if (pending !== undefined && bytes !== undefined) {
    const role = roleStatus(channel, bytes, roleKeysOf(repository.targets, channel), config.holders)
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
  const role = roleStatus(
    channel,
    listed?.bytes ?? new Uint8Array(),
    roleKeysOf(repository.targets, channel),
    config.holders,
  )
  output.answer(
    'netlink.publish.status/v1',
    { version, published: true, signed_at: null, roles: [role] },
    `${version} is published, signed by ${role.have.join(', ')} (${role.threshold} needed)\n${statusTable([role], streams, machine.clock.now())}`,
  )
}

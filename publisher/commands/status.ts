import type { Command } from 'commander'
import { parseDocument } from '../../keys/document.ts'
import { roleKeysOf } from '../../keys/verified.ts'
import { formatAgo } from '../../schema/cli/format.ts'
import { type Column, renderTable } from '../../schema/cli/table.ts'
import { channelOf, channels, type Version } from '../../schema/version.ts'
import type { Streams } from '../output.ts'
import { listPending, loadPending } from '../pending.ts'
import type { Repository } from '../repository.ts'
import { standingOf, standingWords } from '../signing.ts'
import type { Workshop } from '../workshop.ts'
import { type CommandContext, versionArgument } from './context.ts'
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
  withOffline(program.command('status').argument('[version]', 'such as 0a1', versionArgument))
    .description('signatures: who has signed, who could, how many are needed, when they expire')
    .action((version: Version | undefined, options: LookOptions) =>
      context.perform(options, 'answer', (output) =>
        withReading(context.machine, output, options, 'status', (workshop) =>
          version === undefined
            ? status(workshop, context.streams, options)
            : statusOf(workshop, context.streams, version, options),
        ),
      ),
    )
}

async function status(workshop: Workshop, streams: Streams, options: LookOptions): Promise<void> {
  const { config, machine, layout, output } = workshop
  const repository = await openRepository(workshop, options)
  const roles = await repositoryStatus(workshop, repository)
  const pending = await listPending(machine.disk, layout.pending)
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
    },
    [
      `${config.product} at ${config.server}, root v${trusted.root.value.version}, timestamp v${trusted.timestampVersion}`,
      statusTable(roles, streams, machine.clock.now()).trimEnd(),
      pending.length === 0 ? 'nothing waits to be published' : `signed and not published: ${pending.join(', ')}`,
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

import { EXIT, type ExitCode } from '../../../schema/cli/exit-code.ts'
import { brakeShape } from '../../../schema/protocol.ts'
import { type FleetSummary, fleetSummaryShape, type Host, hostShape, pageShape } from '../../../schema/rest.ts'
import type { AdminClient } from '../client.ts'
import type { CommandContext } from '../context.ts'
import { usageFailure } from '../failures.ts'
import { type Dimension, dimensions, renderFleet } from '../fleet-page.ts'
import { prose } from '../words.ts'

/** So many hosts are named one by one; of more only the counts are shown. */
const NAMED_HOSTS = 25
const WATCH_MS = 2_000

export interface StatusOptions {
  readonly by: string
  readonly watch?: boolean
}

export async function fleetStatus(context: CommandContext, options: StatusOptions): Promise<ExitCode> {
  const { client, output, deps } = context
  const by = dimensions.find((dimension) => dimension === options.by)
  if (!by) {
    throw usageFailure(
      `hosts are not counted by ${JSON.stringify(options.by)}`,
      `expected one of ${dimensions.join(', ')}`,
      ['netlink-admin fleet status --by version'],
    )
  }
  if (!options.watch) {
    const page = await loadPage(client, by, output.style)
    output.answer(SCHEMA, page.fields, page.text)
    return EXIT.ok
  }
  while (!deps.signal.aborted) {
    const page = await loadPage(client, by, output.style)
    output.refresh(SCHEMA, page.fields, page.text)
    await deps.sleep(WATCH_MS)
  }
  return EXIT.interrupted
}

const SCHEMA = 'netlink.fleet.status/v1'

async function loadPage(client: AdminClient, by: Dimension, style: Parameters<typeof renderFleet>[1]) {
  const summary = await client.ask('GET', '/fleet/summary', fleetSummaryShape)
  const hosts = await loadFew(client, summary)
  return { fields: { ...summary, hosts_listed: hosts }, text: renderFleet({ summary, hosts, by }, style) }
}

async function loadFew(client: AdminClient, { hosts }: FleetSummary): Promise<readonly Host[] | null> {
  if (hosts > NAMED_HOSTS) return null
  const query = { limit: NAMED_HOSTS, sort: 'name' }
  const { items } = await client.ask('GET', '/hosts', pageShape(hostShape), { query })
  return items
}

export async function setBrake(
  context: CommandContext,
  paused: boolean,
  options: { readonly reason: string },
): Promise<ExitCode> {
  const { client, output } = context
  const brake = await client.ask('PUT', '/fleet/brake', brakeShape, { body: { paused, reason: options.reason } })
  const words = paused
    ? `The brake is on: no automatic update starts anywhere until netlink-admin resume --reason WHY.`
    : 'The brake is off: hosts go on by their own policy.'
  output.answer('netlink.fleet.brake/v1', brake, prose(words, output.style))
  return EXIT.ok
}

// `expire list|refresh`: until when what is published holds, and signing it anew before.
import type { Command } from 'commander'
import { type Column, renderTable } from '../../schema/cli/table.ts'
import { decideExpiry, expiryWords } from '../../schema/expiry.ts'
import { decideRenewals, findWaitingRefresh, publishedRoles, refreshSubject } from '../expire.ts'
import type { Streams } from '../output.ts'
import { openForRoot, type RootWorkOptions, renewRoles, signWaiting } from '../root/work.ts'
import { type Workshop, withLockedWorkshop } from '../workshop.ts'
import { type CommandContext, type SharedOptions, withConsent, withShared, withSigners } from './context.ts'
import { answerRoot } from './root.ts'

type ExpireOptions = SharedOptions & RootWorkOptions

/** Adds `expire list|refresh`. */
export function addExpireCommands(program: Command, context: CommandContext): void {
  const expire = program.command('expire').description('until when signed metadata holds')
  withShared(expire.command('list'))
    .description('every role and when it expires')
    .option('--offline', 'from the trusted copy in the folder, without the server')
    .action((options: ExpireOptions) =>
      context.perform(options, 'answer', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish expire list', (workshop) =>
          list(workshop, context.streams, options),
        ),
      ),
    )
  withConsent(
    withSigners(withShared(expire.command('refresh').argument('[roles...]', 'root, targets, alpha, beta, release'))),
  )
    .description('sign anew what expires within 30 days, or the roles that are named')
    .option('--offline', 'without a network: sign and keep, publish nothing')
    .option('--dry-run', 'say what would be signed, change nothing')
    .option('--reason <words>', "why, for the server's audit log")
    .action((roles: readonly string[], options: ExpireOptions) =>
      context.perform(options, 'answer', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish expire refresh', (workshop) =>
          refresh(workshop, roles, options),
        ),
      ),
    )
}

const COLUMNS: readonly Column[] = [
  { title: 'role' },
  { title: 'version', align: 'right' },
  { title: 'expires' },
  { title: 'state' },
]

async function list(workshop: Workshop, streams: Streams, options: ExpireOptions): Promise<void> {
  const { output, machine } = workshop
  const now = machine.clock.now()
  const published = await publishedRoles(await openForRoot(workshop, options))
  const roles = published.map((one) => ({ ...one, ...stateOf(one.role, one.expires, now) }))
  const rows = roles.map(({ role, version, expires, state }) => {
    const words = state === 'ok' ? 'ok' : expiryWords(role, new Date(expires), now)
    return [role, `v${version}`, expires.slice(0, 10), words]
  })
  const table = renderTable(COLUMNS, rows, { color: streams.color, width: streams.columns })
  const due = roles.some(({ role, state }) => state !== 'ok' && role !== 'timestamp' && role !== 'snapshot')
  output.answer(
    'netlink.publish.expire.list/v1',
    { roles },
    due ? `${table}Next: netlink-publish expire refresh` : table,
  )
}

function stateOf(role: string, expires: string, now: Date) {
  const expiry = decideExpiry(role, new Date(expires), now)
  return { state: expiry.kind, within_days: expiry.kind === 'soon' ? expiry.days : null }
}

async function refresh(workshop: Workshop, named: readonly string[], options: ExpireOptions): Promise<void> {
  const { machine } = workshop
  const repository = await openForRoot(workshop, options)
  const waiting = options.dryRun ? undefined : await findWaitingRefresh(workshop, repository)
  if (waiting !== undefined) {
    const what = { subject: waiting, command: 'netlink-publish expire refresh' }
    return answerRoot(workshop, await signWaiting(workshop, options, repository, what))
  }
  const now = machine.clock.now()
  const subject = refreshSubject(now)
  const roles = decideRenewals(await publishedRoles(repository), named, now)
  if (roles.length === 0)
    return answerRoot(workshop, { subject, changes: [], forced: [], standings: [], state: 'unchanged' })
  answerRoot(workshop, await renewRoles(workshop, options, repository, { subject, roles }))
}

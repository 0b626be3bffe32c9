// `resend`: a server that was put back from a backup gets what it lacks.
import type { Command } from 'commander'
import { parseDocument } from '../../keys/document.ts'
import { PublishError } from '../publish-error.ts'
import { findLack, isNothing, type Lack, resend } from '../resend.ts'
import { type Workshop, withLockedWorkshop } from '../workshop.ts'
import { type CommandContext, type SharedOptions, withShared } from './context.ts'

interface ResendOptions extends SharedOptions {
  readonly dryRun?: boolean
  readonly reason?: string
  readonly overOthers?: boolean
}

/** Adds `resend`. */
export function addResend(program: Command, context: CommandContext): void {
  withShared(program.command('resend'))
    .description('give a server that was put back from a backup what it lacks and this folder has; nothing is signed')
    .option('--dry-run', 'say what it lacks, send nothing')
    .option('--over-others', 'also where the server has a release or a withdrawal that this folder has not')
    .option('--reason <words>', "why, for the server's audit log")
    .action((options: ResendOptions) =>
      context.perform(options, 'events', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish resend', (workshop) =>
          perform(workshop, options),
        ),
      ),
    )
}

async function perform(
  workshop: Workshop,
  { dryRun = false, reason, overOthers = false }: ResendOptions,
): Promise<void> {
  const { output, config } = workshop
  output.phase('compare', `compare ${config.server} with the trusted copy`)
  const lack = await findLack(workshop, overOthers)
  const lines = [...documentsOf(lack).map(({ role, version }) => `${role} v${version}`), ...versionsOf(lack)]
  if (!dryRun && !isNothing(lack)) await resend(workshop, lack, reason)
  if (lack.notKept.length > 0) throw notKept(lack, dryRun)
  const summary = isNothing(lack)
    ? 'the server has all that this folder knows'
    : dryRun
      ? 'the server lacks, and nothing was sent:'
      : 'the server lacked, and has now:'
  output.answer(
    'netlink.publish.resend/v1',
    {
      dry_run: dryRun,
      unchanged: isNothing(lack),
      documents: documentsOf(lack),
      versions: versionsOf(lack),
    },
    [summary, ...lines.map((line) => `  ${line}`)].join('\n'),
  )
}

/** Not all is there again, so this is no success, whatever was sent. */
function notKept(lack: Lack, dryRun: boolean): PublishError {
  const sent = isNothing(lack) || dryRun ? 'Nothing was sent.' : 'What this folder has of it was sent.'
  return new PublishError(
    'mismatch',
    `there was something newer in ${lack.notKept.join(', ')}, and this folder has not kept it`,
    {
      state: sent,
      next: ['netlink-publish resend, in the folder of whoever published it'],
    },
  )
}

function documentsOf({ roots, roles }: Lack): readonly { readonly role: string; readonly version: number }[] {
  const named = [...roots.map((bytes) => ['root', bytes] as const), ...roles]
  return named.map(([role, bytes]) => ({ role, version: Number(parseDocument(bytes, role).signed.version) }))
}

function versionsOf({ manifests }: Lack): readonly string[] {
  return manifests.map(({ value }) => value.version)
}

import type { Command } from 'commander'
import { utcSeconds } from '../edit.ts'
import { findEvent } from '../event-place.ts'
import { saveAborted, saveEvent } from '../event-store.ts'
import { PublishError } from '../publish-error.ts'
import { type Workshop, withLockedWorkshop } from '../workshop.ts'
import { type CommandContext, type SharedOptions, withShared } from './context.ts'

interface AbortOptions extends SharedOptions {
  readonly reason: string
  readonly offline?: boolean
}

/** Adds `abort EVENT --reason WORDS`. */
export function addAbort(program: Command, context: CommandContext): void {
  withShared(program.command('abort').argument('<event>', 'id of a signing event, its version, or its file'))
    .description('stop a signing event: nobody signs or publishes it any more')
    .requiredOption('--reason <words>', 'why')
    .option('--offline', 'in this folder only')
    .action((name: string, options: AbortOptions) =>
      context.perform(options, 'events', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish abort', (workshop) =>
          abort(workshop, name, options),
        ),
      ),
    )
}

async function abort(workshop: Workshop, name: string, options: AbortOptions): Promise<void> {
  const { machine, output, layout } = workshop
  const reason = options.reason.trim()
  if (reason === '') throw new PublishError('usage', 'abort needs --reason: why it is stopped')
  const { event, from } = await findEvent(workshop, name, { offline: options.offline ?? false })
  if (from === 'server') await (await workshop.events()).abort(event.id, reason)
  await saveEvent(machine.disk, layout.events, event)
  await saveAborted(machine.disk, layout.events, event.id, { at: utcSeconds(machine.clock.now()), reason })
  const where = from === 'server' ? 'on the server and here' : 'in this folder; others who have its file do not know'
  output.answer(
    'netlink.publish.abort/v1',
    { event: event.id, kind: event.kind, subject: event.subject, reason, everywhere: from === 'server' },
    `${event.id} (${event.subject}) is stopped ${where}\nSignatures that were given stay good for the documents that they are over: propose the next one soon.`,
  )
}

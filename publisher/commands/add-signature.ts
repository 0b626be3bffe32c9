import { resolve } from 'node:path'
import type { Command } from 'commander'
import { requireUnpublished } from '../change-fate.ts'
import { checkEvent, openEvent } from '../event/check.ts'
import { eventStanding, gatherSignatures } from '../event/event.ts'
import { findEvent, openBase, requireOpen } from '../event/place.ts'
import { eventFields, isComplete, missingNames, standingLines } from '../event/standing.ts'
import { readSignatureFile, saveEvent } from '../event/store.ts'
import { PublishError } from '../publish-error.ts'
import { type Workshop, withLockedWorkshop } from '../workshop.ts'
import { type CommandContext, type SharedOptions, withShared } from './context.ts'

interface AddOptions extends SharedOptions {
  readonly offline?: boolean
}

/** Adds `add-signature FILE`. */
export function addAddSignature(program: Command, context: CommandContext): void {
  withShared(program.command('add-signature').argument('<file>', 'what sign --out has written'))
    .description('take in a signature that was carried by hand')
    .option('--offline', 'keep it in the folder, without the server')
    .action((file: string, options: AddOptions) =>
      context.perform(
        options,
        'events',
        (output) =>
          withLockedWorkshop(context.machine, output, options, 'netlink-publish add-signature', (workshop) =>
            addSignature(workshop, file, options),
          ),
        'Nothing was kept.',
      ),
    )
}

async function addSignature(workshop: Workshop, file: string, options: AddOptions): Promise<void> {
  const { machine, output, layout } = workshop
  const offline = options.offline ?? false
  const brought = await readSignatureFile(machine.disk, resolve(machine.cwd, file))
  const found = await findEvent(workshop, brought.event, { offline })
  requireOpen(found)
  const repository = await openBase(workshop, found.event, { offline })
  await requireUnpublished(workshop, repository, found.event, 'add')
  await checkEvent(repository, openEvent(found.event), machine.clock.now())
  const before = await gatherSignatures(repository, found.event, found.signatures)
  const gathered = await gatherSignatures(repository, before.event, brought.signatures)
  const { event, added, known, dropped } = gathered
  if (added.length === 0 && known.length === 0) throw notGood(brought.signed_by, event.subject)
  for (const { role, keyid } of dropped)
    output.warn(`the signature of ${keyid.slice(0, 8)} over ${role} is not good and was left out`)
  await saveEvent(machine.disk, layout.events, { ...event, repository: found.event.repository })
  if (!offline && found.from === 'server') await (await workshop.events()).sign(event.id, [...added, ...known])
  const standing = eventStanding(workshop, repository, event)
  const names = missingNames(standing)
  output.answer(
    'netlink.publish.add-signature/v1',
    { ...eventFields(event, standing), added: added.length, known: known.length, dropped: dropped.length },
    [
      added.length === 0
        ? `${event.id} (${event.subject}) had this signature already`
        : `${event.id} (${event.subject}) has ${added.length} more good signature${added.length === 1 ? '' : 's'}`,
      ...standingLines(standing).map((line) => `  ${line}`),
      'Next:',
      isComplete(standing)
        ? `  netlink-publish publish ${event.id}`
        : `  netlink-publish sign ${event.id}      (where the keys of ${names.join(' or ')} are)`,
    ].join('\n'),
  )
}

function notGood(name: string | null, subject: string): PublishError {
  return new PublishError(
    'altered',
    `no signature in this file is good for ${subject}: made over something else, or with a key that may not sign it${name === null ? '' : ` (it says that it is ${name}'s)`}`,
    { state: 'Nothing was kept.', next: ['netlink-publish status'] },
  )
}

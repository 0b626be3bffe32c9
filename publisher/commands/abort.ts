import { relative } from 'node:path'
import type { Command } from 'commander'
import { isThere } from '../../keys/platform/if-there.ts'
import { signatureNeeds } from '../../keys/signing-event.ts'
import { TrustError } from '../../keys/trust-error.ts'
import { isSubject } from '../../schema/signing-event.ts'
import { requireUnpublished } from '../change-fate.ts'
import type { PublisherConfig } from '../config.ts'
import { utcSeconds } from '../edit.ts'
import { type FoundToStop, findToStop, openEvents } from '../event/place.ts'
import { standingLines } from '../event/standing.ts'
import { loadEvent, saveAborted, saveEvent } from '../event/store.ts'
import { keyNamer, signersOf } from '../holder-names.ts'
import { loadPending, type Pending, removePending } from '../pending.ts'
import { PublishError } from '../publish-error.ts'
import { standingsOf } from '../root/change.ts'
import { holderRoles, keysNamedFor, type RootDraft } from '../root/edit.ts'
import { changeWords } from '../root/words.ts'
import { draftOf } from '../root/work.ts'
import { type Machine, type Workshop, withLockedWorkshop } from '../workshop.ts'
import { type CommandContext, type SharedOptions, withShared } from './context.ts'

interface AbortOptions extends SharedOptions {
  readonly reason: string
  readonly offline?: boolean
}

/** Adds `abort EVENT --reason WORDS`. */
export function addAbort(program: Command, context: CommandContext): void {
  withShared(
    program
      .command('abort')
      .argument('<event>', 'id of a signing event, its version or file, or what waits, such as root-2'),
  )
    .description('stop a signing event, or discard what waits in this folder')
    .requiredOption('--reason <words>', 'why')
    .option('--offline', 'in this folder only')
    .action((name: string, options: AbortOptions) =>
      context.perform(
        options,
        'events',
        (output) =>
          withLockedWorkshop(context.machine, output, options, 'netlink-publish abort', (workshop) =>
            abort(workshop, name, options),
          ),
        'Nothing was stopped or discarded.',
      ),
    )
}

/** What waits in this folder under the name, and an open event of it. */
async function abort(workshop: Workshop, name: string, options: AbortOptions): Promise<void> {
  const { machine, layout } = workshop
  const reason = options.reason.trim()
  if (reason === '') throw new PublishError('usage', 'abort needs --reason: why it is stopped')
  const pending = isSubject(name) ? await loadPending(machine.disk, layout.pending, name) : undefined
  if (pending === undefined) return stopEvent(workshop, name, reason, options)
  const isEvent = (await openEvents(workshop, options.offline ?? false)).some(({ subject }) => subject === name)
  // First what others take part in: if it can't be stopped, nothing was discarded.
  if (isEvent) await stopEvent(workshop, name, reason, options)
  await discard(workshop, pending, reason, isEvent)
}

async function stopEvent(workshop: Workshop, name: string, reason: string, options: AbortOptions): Promise<void> {
  const { machine, output, layout } = workshop
  const found = await findToStop(workshop, name, { offline: options.offline ?? false })
  const { event, from } = found
  await refusePublished(workshop, found, options)
  if (from === 'server') await (await workshop.events()).abort(event.id, reason)
  await keep(workshop, found)
  await saveAborted(machine.disk, layout.events, event.id, { at: utcSeconds(machine.clock.now()), reason })
  const where = from === 'server' ? 'on the server and here' : 'in this folder; others who have its file do not know'
  output.answer(
    'netlink.publish.abort/v1',
    { event: event.id, kind: event.kind, subject: event.subject, reason, everywhere: from === 'server' },
    `${event.id} (${event.subject}) is stopped ${where}\n${STILL_GOOD}`,
  )
}

const STILL_GOOD =
  'Signatures that were given stay good for the documents that they are over: propose the next one soon.'

/** What this folder has of it stays, with the signatures that were made here: these are good for ever. Nothing else is kept under its name. */
async function keep({ machine, layout }: Workshop, { event, isNamed }: FoundToStop): Promise<void> {
  const own = await loadEvent(machine.disk, layout.events, event.id)
  if (own === undefined && isNamed) await saveEvent(machine.disk, layout.events, event)
}

/** The server says for itself what it has accepted; of what only this folder or a file has, the repository tells. */
async function refusePublished(
  workshop: Workshop,
  { event, from, isNamed }: FoundToStop,
  { offline }: AbortOptions,
): Promise<void> {
  if (!isNamed) return
  const asks = !offline && from !== 'server'
  const repository = await (asks ? workshop.refresh(undefined, 'report') : workshop.offline()).catch(neverSeen)
  if (repository !== undefined) await requireUnpublished(workshop, repository, event, 'stop')
}

/** A folder whose trusted copy is not there yet. */
function neverSeen(error: unknown): undefined {
  if (error instanceof TrustError && error.code === 'missing') return undefined
  throw error
}

/** Removes what waits, after saying what it was: nobody can be asked for it again. */
async function discard(workshop: Workshop, pending: Pending, reason: string, isEvent: boolean): Promise<void> {
  const { machine, output, layout } = workshop
  const { subject } = pending
  const told = await tell(workshop, pending)
  const kept = told.keyrings.map(
    ({ name, file }) => `The keyring of ${name} keeps the keys that were made for it: ${relative(machine.cwd, file)}`,
  )
  output.show([`discards what waits as ${subject} in ${layout.pending}`, ...told.lines.map((line) => `  ${line}`)])
  await removePending(machine.disk, layout.pending, subject)
  // One answer a command: the event's, where there is one.
  if (isEvent) return output.show(kept)
  output.answer(
    'netlink.publish.abort/v1',
    { event: null, kind: null, subject, reason, everywhere: false, keyrings: told.keyrings.map(({ file }) => file) },
    [`what waited here as ${subject} is discarded`, ...kept, STILL_GOOD].join('\n'),
  )
}

interface Told {
  readonly lines: readonly string[]
  /** Keyrings in this folder that got keys for it: these stay, and the next rotation takes them. */
  readonly keyrings: readonly { readonly name: string; readonly file: string }[]
}

async function tell({ machine, config, ...workshop }: Workshop, { change, signedAt }: Pending): Promise<Told> {
  const made = `made at ${signedAt}: ${[...change.documents.keys()].join(', ')}`
  const repository = await workshop.offline().catch(neverSeen)
  if (repository === undefined) return { lines: [made], keyrings: [] }
  const draft = draftOf(repository, change.documents)
  const nameOf = keyNamer(config.holders, [draft.published], draft)
  const needs = signatureNeeds({ root: repository.trusted.root, targets: repository.targets }, change.documents)
  const standing = standingsOf(change.documents, needs, nameOf)
  const keyrings = await keyringsMade(machine, config, draft)
  return { lines: [made, ...changeWords(draft.published, draft, nameOf), ...standingLines(standing)], keyrings }
}

async function keyringsMade(machine: Machine, config: PublisherConfig, draft: RootDraft): Promise<Told['keyrings']> {
  const added = holderRoles.flatMap((role) => {
    const before = keysNamedFor(draft.published, role).map(({ keyid }) => keyid)
    return keysNamedFor(draft, role).filter(({ keyid }) => !before.includes(keyid))
  })
  const names = new Set(added.flatMap(({ name }) => name ?? []))
  const holders = await signersOf(machine.disk, config, draft)
  const found: { name: string; file: string }[] = []
  for (const { name, keyring } of holders.filter((holder) => names.has(holder.name)))
    if (keyring !== null && (await isThere(machine.disk, keyring))) found.push({ name, file: keyring })
  return found
}

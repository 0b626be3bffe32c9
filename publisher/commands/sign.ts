import { resolve } from 'node:path'
import type { Command } from 'commander'
import { parseDocument } from '../../keys/document.ts'
import { eventDocuments } from '../../keys/signing-event.ts'
import { plainLine } from '../../schema/cli/plain-text.ts'
import type { EventSignature, SignatureFile, SigningEvent } from '../../schema/signing-event.ts'
import { eventHolders, eventStanding, gatherSignatures, signEvent } from '../event.ts'
import { type FoundEvent, findEvent, isFileName, openBase, requireOpen } from '../event-place.ts'
import { reviewEvent } from '../event-review.ts'
import { eventFields, eventTitle, isComplete, missingNames, sectionsText, standingLines } from '../event-standing.ts'
import { listEvents, saveEvent, writeJson } from '../event-store.ts'
import type { Section } from '../event-words.ts'
import { PublishError } from '../publish-error.ts'
import { type SignerOptions, type Workshop, withLockedWorkshop } from '../workshop.ts'
import { type CommandContext, type SharedOptions, withShared, withSigners } from './context.ts'

interface SignOptions extends SharedOptions, SignerOptions {
  readonly out?: string
  readonly offline?: boolean
  readonly yes?: boolean
  readonly allFiles?: boolean
}

/** Adds `sign EVENT`. */
export function addSign(program: Command, context: CommandContext): void {
  withSigners(
    withShared(program.command('sign').argument('<event>', 'id of a signing event, its version, or its file')),
  )
    .description('look at what would change, recomputed from what this machine trusts, and sign it')
    .option('--out <file>', 'write the signature into a file instead of sending it')
    .option('--offline', 'without the server; a file is always signed so')
    .option('--yes', 'sign without being asked; not for changes of the root')
    .option('--all-files', 'name every file that changes')
    .action((name: string, options: SignOptions) =>
      context.perform(options, 'events', (output) =>
        withLockedWorkshop(context.machine, output, options, 'netlink-publish sign', (workshop) =>
          sign(workshop, name, options),
        ),
      ),
    )
}

const MAX_FILES = 50

async function sign(workshop: Workshop, name: string, options: SignOptions): Promise<void> {
  const { machine, output, layout } = workshop
  const offline = options.offline ?? isFileName(name)
  const found = await findEvent(workshop, name, { offline })
  requireOpen(found)
  refuseYes(found.event, options)
  const repository = await openBase(workshop, found.event, { offline })
  const maxFiles = options.allFiles ? Number.POSITIVE_INFINITY : MAX_FILES
  const { sections } = await reviewEvent(workshop, repository, found.event, { offline, maxFiles })
  const { event } = await gatherSignatures(repository, found.event, found.signatures)
  const warnings = [
    ...(await equivocations(workshop, event, options)),
    ...(name === event.id ? [] : [hearsay(event, found.from)]),
  ]
  const holders = await eventHolders(workshop, repository, event)
  show(workshop, { event, sections, warnings, standing: eventStanding(repository, event, holders) })
  await confirm(workshop, event, name, options)
  const keyrings = await workshop.openKeyrings(options, holders)
  const signed = await signEvent(repository, event, keyrings)
  await saveEvent(machine.disk, layout.events, { ...signed.event, repository: found.event.repository })
  const file = await handBack(
    workshop,
    signed,
    keyrings.map(({ holder }) => holder),
    { ...options, offline },
  )
  const standing = eventStanding(repository, signed.event, holders)
  output.answer(
    'netlink.publish.sign/v1',
    { ...eventFields(event, standing), signatures: signed.signatures, file, changes: sections, warnings },
    [
      `${event.id} (${event.subject}) is signed by ${keyrings.map(({ holder }) => holder).join(', ')}`,
      ...standingLines(standing).map((line) => `  ${line}`),
      'Next:',
      `  ${nextStep(event, file, isComplete(standing), missingNames(standing))}`,
    ].join('\n'),
  )
}

/** What everybody who could be asked to click has to be asked: a change of the root is signed by a person at a terminal. */
function refuseYes({ kind, subject }: SigningEvent, { yes }: SignOptions): void {
  if (!yes || kind !== 'root') return
  throw new PublishError('policy', `${subject} changes who may sign: --yes is not taken for that`, {
    state: 'Nothing was signed.',
    next: [`netlink-publish sign ${subject}      (on a terminal, without --yes)`],
  })
}

interface Shown {
  readonly event: SigningEvent
  readonly sections: readonly Section[]
  readonly warnings: readonly string[]
  readonly standing: ReturnType<typeof eventStanding>
}

function show({ output }: Workshop, { event, sections, warnings, standing }: Shown): void {
  const { root, roles } = event.base
  const base = Object.entries(roles).map(([role, version]) => `${role} v${version}`)
  output.show(
    [
      eventTitle(event),
      `made from root v${root.version} (${root.sha256.slice(0, 16)}…), ${base.join(', ')}, as this machine trusts them`,
      sectionsText(sections),
      'signed so far',
      ...standingLines(standing).map((line) => `  ${line}`),
    ].join('\n'),
  )
  for (const warning of warnings) output.warn(warning)
}

async function confirm(workshop: Workshop, event: SigningEvent, name: string, options: SignOptions): Promise<void> {
  if (options.yes) return
  const { confirm: ask } = workshop.machine
  if (ask !== undefined && (await ask(`Sign ${event.id}, ${event.subject}?`))) return
  const why = ask === undefined ? 'there is no terminal to ask on' : 'it was not confirmed'
  const next =
    event.kind === 'root' ? `netlink-publish sign ${name}      (on a terminal)` : `netlink-publish sign ${name} --yes`
  throw new PublishError('unconfirmed', `${event.id} was not signed: ${why}`, {
    state: 'Nothing was signed.',
    next: [next],
  })
}

/** Whoever carries an event can make up one too: only the id, heard by another way, tells that this is what the proposer meant. */
function hearsay({ id, proposed_by: by }: SigningEvent, from: FoundEvent['from']): string {
  const whose = from === 'server' ? "the server's word" : 'what the file says'
  return `that ${by ?? 'anybody'} proposed this is ${whose}: compare the id ${id} with what you were told`
}

/** Another document of the same role and number that the same holder has signed: if both were published, hosts would see two truths. */
async function equivocations(
  { machine, layout, config }: Workshop,
  event: SigningEvent,
  { signer = [] }: SignOptions,
): Promise<readonly string[]> {
  const mine = new Set(
    config.holders
      .filter(({ name }) => signer.length === 0 || signer.includes(name))
      .flatMap(({ keys }) => Object.values(keys)),
  )
  const versionsOf = (one: SigningEvent) =>
    [...eventDocuments(one)].map(([role, bytes]) => ({ role, document: parseDocument(bytes, role) }))
  const wanted = new Set(versionsOf(event).map(({ role, document }) => `${role} v${document.signed.version}`))
  const found: string[] = []
  for (const other of await listEvents(machine.disk, layout.events)) {
    if (other.id === event.id) continue
    for (const { role, document } of versionsOf(other)) {
      const what = `${role} v${document.signed.version}`
      if (!wanted.has(what) || !document.signatures.some(({ keyid }) => mine.has(keyid))) continue
      found.push(`another ${what} was signed here before: ${other.id} (${other.subject}, open until ${other.until})`)
    }
  }
  return found
}

async function handBack(
  workshop: Workshop,
  signed: { readonly event: SigningEvent; readonly signatures: readonly EventSignature[] },
  names: readonly string[],
  options: SignOptions & { readonly offline: boolean },
): Promise<string | null> {
  const { machine, output, config } = workshop
  const { event, signatures } = signed
  if (options.out === undefined && !options.offline) {
    output.phase('send', `send the signature to ${config.server}`)
    await (await workshop.events()).sign(event.id, signatures)
    return null
  }
  const file = resolve(machine.cwd, options.out ?? `${event.id}.${names.join('-')}.json`)
  const content: SignatureFile = {
    schema: 'netlink.signature/v1',
    event: event.id,
    signed_by: names[0] ?? null,
    signatures: [...signatures],
  }
  await writeJson(machine.disk, file, content)
  return file
}

function nextStep(event: SigningEvent, file: string | null, complete: boolean, names: readonly string[]): string {
  if (file !== null) return `netlink-publish add-signature ${plainLine(file)}      (where it was proposed)`
  if (complete) return `netlink-publish publish ${event.id}`
  return `netlink-publish sign ${event.id}      (where the keys of ${names.join(' or ')} are)`
}

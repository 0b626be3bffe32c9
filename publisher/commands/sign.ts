import { resolve } from 'node:path'
import type { Command } from 'commander'
import { eventDocuments } from '../../keys/signing-event.ts'
import { plainLine } from '../../schema/cli/plain-text.ts'
import type { EventSignature, SignatureFile, SigningEvent } from '../../schema/signing-event.ts'
import { findAuthorization } from '../authorization/file.ts'
import { requireUnpublished } from '../change-fate.ts'
import { askConsent, type ConsentOptions, type Petition } from '../event/consent.ts'
import { eventStanding, signEvent } from '../event/event.ts'
import { type FoundEvent, findEvent, isFileName, openBase, requireOpen } from '../event/place.ts'
import { eventFields, eventTitle, isComplete, missingNames, standingLines } from '../event/standing.ts'
import { saveEvent, writeJson } from '../event/store.ts'
import { findTwins } from '../twins.ts'
import { typedAgain } from '../typed-again.ts'
import { type Workshop, withLockedWorkshop } from '../workshop.ts'
import { requireWritable } from '../written-file.ts'
import { type CommandContext, type SharedOptions, withConsent, withShared, withSigners } from './context.ts'
import { signDowngrade } from './sign-downgrade.ts'

interface SignOptions extends SharedOptions, ConsentOptions {
  readonly out?: string
  readonly offline?: boolean
}

/** Adds `sign EVENT`. */
export function addSign(program: Command, context: CommandContext): void {
  withConsent(
    withSigners(
      withShared(
        program
          .command('sign')
          .argument('<event>', 'id of a signing event, its version, its file; or the file of authorize-downgrade'),
      ),
    ),
  )
    .description('look at what would change, recomputed from what this machine trusts, and sign it')
    .option('--out <file>', 'write the signature into a file instead of sending it; an authorisation, all of it')
    .option('--offline', "without the server; an event's file is always signed so")
    .action((name: string, options: SignOptions) =>
      context.perform(
        options,
        'events',
        (output) =>
          withLockedWorkshop(context.machine, output, options, 'netlink-publish sign', (workshop) =>
            sign(workshop, name, options),
          ),
        'Nothing was signed.',
      ),
    )
}

async function sign(workshop: Workshop, name: string, options: SignOptions): Promise<void> {
  const { machine, output, layout } = workshop
  const bytes = isFileName(name) ? await findAuthorization(machine.disk, resolve(machine.cwd, name)) : undefined
  if (bytes !== undefined) return signDowngrade(workshop, { name, bytes }, options)
  const offline = options.offline ?? isFileName(name)
  const found = await findEvent(workshop, name, { offline })
  requireOpen(found)
  const repository = await openBase(workshop, found.event, { offline })
  await requireUnpublished(workshop, repository, found.event, 'sign')
  if (options.out !== undefined) await requireWritable(machine.disk, resolve(machine.cwd, options.out))
  const consent = await askConsent(workshop, repository, petitionOf(workshop, found, name, options, offline), options)
  const { event, holders, sections, warnings } = consent
  const keyrings = await workshop.openKeyrings(options, holders)
  const signed = await signEvent(repository, event, keyrings)
  await saveEvent(machine.disk, layout.events, { ...signed.event, repository: found.event.repository })
  const file = await handBack(
    workshop,
    signed,
    keyrings.map(({ holder }) => holder),
    { ...options, offline },
  )
  const standing = eventStanding(workshop, repository, signed.event)
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

function petitionOf(
  workshop: Workshop,
  { event, signatures, from }: FoundEvent,
  name: string,
  given: SignOptions,
  offline: boolean,
): Petition {
  return {
    ...{ event, signatures, offline },
    title: eventTitle(event),
    name: `${event.id}, ${event.subject}`,
    command: typedAgain(`netlink-publish sign ${name}`, given),
    warnings: async (good) => [
      ...(await twinWarnings(workshop, good, given)),
      ...(name === good.id ? [] : [hearsay(good, from)]),
    ],
  }
}

/** Whoever carries an event can make up one too: only the id, heard by another way, tells that this is what the proposer meant. */
function hearsay({ id, proposed_by: by }: SigningEvent, from: FoundEvent['from']): string {
  const carrier = from === 'server' ? 'the server' : 'the file'
  if (by === null) return `${carrier} does not say who proposed this: compare the id ${id} with what you were told`
  const whose = from === 'server' ? "the server's word" : 'what the file says'
  return `that ${by} proposed this is ${whose}: compare the id ${id} with what you were told`
}

/** If both were published, hosts would see two truths. What was stopped counts too: its signatures are good for ever. */
async function twinWarnings(workshop: Workshop, event: SigningEvent, { signer = [] }: SignOptions): Promise<string[]> {
  const holders = workshop.config.holders.filter(({ name }) => signer.length === 0 || signer.includes(name))
  const mine = holders.flatMap(({ keys }) => Object.values(keys))
  const twins = await findTwins(workshop, eventDocuments(event), mine)
  return twins.map(({ what, where }) => `another ${what} was signed here before: ${where}`)
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

// What stands between a change that somebody else may have made and a holder's keys: it is made again from what this machine trusts, shown in words, and
// answered. No key is opened before that.
import type { EventSignature, SigningEvent } from '../../schema/signing-event.ts'
import type { Holder } from '../config.ts'
import type { Pending } from '../pending.ts'
import { PublishError } from '../publish-error.ts'
import type { Repository } from '../repository.ts'
import type { RootStanding } from '../root/change.ts'
import { typedAgain, unanswered } from '../typed-again.ts'
import type { SignerOptions, Workshop } from '../workshop.ts'
import { eventHolders, eventStanding, gatherSignatures, inBase64, signaturesIn } from './event.ts'
import { eventOfPending } from './pending.ts'
import { reviewEvent } from './review.ts'
import { sectionLines, standingLines } from './standing.ts'
import type { Section } from './words.ts'

/** Flags of commands that sign what others may have made. */
export interface ConsentOptions extends SignerOptions {
  readonly yes?: boolean
  readonly allFiles?: boolean
}

/** What somebody is asked to sign. */
export interface Petition {
  readonly event: SigningEvent
  /** Signatures that came beside it. */
  readonly signatures: readonly EventSignature[]
  readonly offline: boolean
  /** The first line that is shown. */
  readonly title: string
  /** What the question calls it. */
  readonly name: string
  /** What was typed, to be typed again with another flag. */
  readonly command: string
  /** What a person should know besides, of the event with its good signatures. */
  readonly warnings: (event: SigningEvent) => Promise<readonly string[]>
}

/** It was looked at and answered with yes. */
export interface Consent {
  /** With the signatures that are good, and no others. */
  readonly event: SigningEvent
  readonly holders: readonly Holder[]
  readonly sections: readonly Section[]
  readonly warnings: readonly string[]
}

/** Files of each kind that are named unless all of them are asked for. */
const MAX_FILES = 50

/**
 * Checks, shows and asks. A change of the root is never signed on `--yes`, and nothing whose files were not all shown. Throws PublishError `policy`,
 * `unconfirmed`, and as reviewEvent.
 */
export async function askConsent(
  workshop: Workshop,
  repository: Repository,
  petition: Petition,
  options: ConsentOptions,
): Promise<Consent> {
  refuseYes(petition, options)
  const { offline } = petition
  const maxFiles = options.allFiles ? Number.POSITIVE_INFINITY : MAX_FILES
  const { sections, hiddenFiles } = await reviewEvent(workshop, repository, petition.event, { offline, maxFiles })
  const { event } = await gatherSignatures(repository, petition.event, petition.signatures)
  const warnings = await petition.warnings(event)
  const holders = await eventHolders(workshop, repository, event)
  await workshop.requireSigners(options, holders)
  show(workshop, petition, { event, sections, warnings, standing: eventStanding(workshop, repository, event) })
  refuseHidden(petition, hiddenFiles)
  await confirm(workshop, petition, options)
  return { event, holders, sections, warnings }
}

/** The same for what waits in this folder. `command`: as it was typed, without its signers. */
export async function askConsentToPending(
  workshop: Workshop,
  repository: Repository,
  pending: Pending,
  {
    command,
    offline,
    options,
  }: { readonly command: string; readonly offline: boolean; readonly options: ConsentOptions },
): Promise<Consent> {
  const event = await eventOfPending(repository, pending)
  const { kind, subject, proposed_at: made } = event
  const petition: Petition = {
    event,
    signatures: signaturesIn({ documents: inBase64(pending.change.documents) }),
    offline,
    title: `${subject}, as it waits in ${workshop.layout.pending}: ${kind}, made at ${made}`,
    name: subject,
    command: typedAgain(command, options),
    warnings: async () => [],
  }
  return askConsent(workshop, repository, petition, options)
}

/** What everybody who could be asked to click has to be asked: a change of the root is signed by a person at a terminal. */
function refuseYes({ event: { kind, subject }, command }: Petition, { yes }: ConsentOptions): void {
  if (!yes || kind !== 'root') return
  throw new PublishError('policy', `${subject} changes who may sign: --yes is not taken for that`, {
    state: 'Nothing was signed.',
    next: [`${command}      (on a terminal, without --yes)`],
  })
}

interface Shown {
  readonly event: SigningEvent
  readonly sections: readonly Section[]
  readonly warnings: readonly string[]
  readonly standing: readonly RootStanding[]
}

/** The base is that of the event, which was compared with what is trusted here name by name. */
function show(
  { output }: Workshop,
  { title }: Petition,
  { event: { base }, sections, warnings, standing }: Shown,
): void {
  const others = Object.entries(base.roles).filter(([role]) => role !== 'root')
  const roles = others.map(([role, version]) => `${role} v${version}`)
  const root = `root v${base.root.version} (${base.root.sha256.slice(0, 16)}…)`
  output.show([
    title,
    `made from ${[root, ...roles].join(', ')}, as this machine trusts them`,
    ...sectionLines(sections),
    'signed so far',
    ...standingLines(standing).map((line) => `  ${line}`),
  ])
  for (const warning of warnings) output.warn(warning)
}

/** What was not shown is not signed, whoever says yes. */
function refuseHidden({ event: { subject }, command }: Petition, hiddenFiles: number): void {
  if (hiddenFiles === 0) return
  const many = hiddenFiles === 1 ? '1 file of it was' : `${hiddenFiles} files of it were`
  throw new PublishError('unconfirmed', `${subject} was not signed: ${many} not shown`, {
    state: 'Nothing was signed.',
    next: [`${command} --all-files`],
  })
}

async function confirm(
  { machine }: Workshop,
  { event: { kind, subject }, name, command }: Petition,
  { yes }: ConsentOptions,
): Promise<void> {
  if (yes) return
  const { confirm: ask } = machine
  if (ask !== undefined && (await ask(`Sign ${name}?`))) return
  throw unanswered(subject, { isAsked: ask !== undefined, command, allowsYes: kind !== 'root' })
}

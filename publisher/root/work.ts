// A change of root from the first edit to what the public sees:
//
//   edit -> what has to be signed -> kept under pending/root-N -> signed by those who are here -> complete? -> handed over
//
// Edits add up until it is published; every edit takes back the signatures that were there, because they spoke for something else. Without a network it
// ends after signing, and the folder or a signing event carries what is there to the next holder.
import { parseDocument } from '../../keys/document.ts'
import { signatureNeeds } from '../../keys/signing-event.ts'
import type { JsonObject } from '../../schema/json-value.ts'
import type { Subject } from '../../schema/signing-event.ts'
import { channels } from '../../schema/version.ts'
import type { Holder } from '../config.ts'
import { utcSeconds } from '../edit.ts'
import { equalBytes } from '../equal-bytes.ts'
import { askConsentToPending, type ConsentOptions } from '../event/consent.ts'
import { bareName, followHolders, keyNamer, signersOf } from '../holder-names.ts'
import { checkThreshold } from '../init.ts'
import { loadPending, removePending, savePending } from '../pending.ts'
import { PublishError } from '../publish-error.ts'
import type { Repository } from '../repository.ts'
import { missingWords } from '../signing.ts'
import { asksToSign, type Workshop } from '../workshop.ts'
import {
  type ClosedChange,
  closeChange,
  type Forced,
  type RootStanding,
  signChange,
  standingsOf,
  unsignedDocuments,
  verifyRootChange,
} from './change.ts'
import { deliverRoot, requireNext } from './delivery.ts'
import { holderRoles, keysNamedFor, openRoot, type RootDraft, roleKeysInRoot, roleKeysInTargets } from './edit.ts'
import { changeWords } from './words.ts'

export interface RootWorkOptions extends ConsentOptions {
  /** Ends after signing: nothing is asked of the server, nothing told. */
  readonly offline?: boolean
  readonly dryRun?: boolean
  readonly allowThresholdEqualsKeys?: boolean
  readonly reason?: string
}

/** How a change stands afterwards. */
export interface RootOutcome {
  readonly subject: Subject
  /** What it does, a line each. */
  readonly changes: readonly string[]
  readonly forced: readonly Forced[]
  readonly standings: readonly RootStanding[]
  readonly state: 'unchanged' | 'checked' | 'waiting' | 'complete' | 'published'
}

/**
 * The repository to work on, with what has expired: whoever renews it must be able to read it. With a network, all that a later change could force to be
 * signed again is brought into the trusted copy: the ceremony may go on where there is none.
 */
export async function openForRoot(workshop: Workshop, { offline }: RootWorkOptions): Promise<Repository> {
  if (offline) return workshop.offline()
  const repository = await workshop.refresh(undefined, 'report')
  for (const channel of channels) await repository.openDraft(channel)
  return repository
}

/** The draft that waits over this repository, or a fresh one. */
export async function openDraft(
  { machine, layout }: Workshop,
  repository: Repository,
): Promise<{ readonly subject: Subject; readonly draft: RootDraft; readonly isWaiting: boolean }> {
  const published = { root: repository.trusted.root.signed, targets: repository.targets.signed }
  const subject: Subject = `root-${repository.trusted.root.value.version + 1}`
  const pending = await loadPending(machine.disk, layout.pending, subject)
  const signed = (role: string) => {
    const bytes = pending?.change.documents.get(role)
    return bytes && parseDocument(bytes, role).signed
  }
  const [root, targets] = [signed('root'), signed('targets')]
  const draft = openRoot(published, { ...(root ? { root } : {}), ...(targets ? { targets } : {}) })
  return { subject, draft, isWaiting: pending !== undefined }
}

/** Edits, signs and, if that is enough, publishes. What waited before is shown and confirmed with the edit: somebody else may have made it. */
export async function changeRoot(
  workshop: Workshop,
  options: RootWorkOptions & { readonly command: string },
  edit: (draft: RootDraft) => Promise<RootDraft>,
): Promise<RootOutcome> {
  const { machine, layout, config } = workshop
  const repository = await openForRoot(workshop, options)
  const opened = await openDraft(workshop, repository)
  const draft = await edit(opened.draft)
  requireThresholds(draft, options.allowThresholdEqualsKeys ?? false)
  const change = await closeChange(repository, draft, { now: machine.clock.now() })
  const { subject } = opened
  const origin: Origin = opened.isWaiting ? { kind: 'waiting', command: options.command } : { kind: 'built' }
  const changes = changeWords(draft.published, draft, namerOf(config.holders, draft, origin))
  if (change.closed.length === 0) {
    if (opened.isWaiting && !options.dryRun) await removePending(machine.disk, layout.pending, subject)
    return { subject, changes, forced: [], standings: [], state: 'unchanged' }
  }
  return advance(workshop, repository, options, {
    ...{ subject, changes, change, origin },
    holders: await signersOf(machine.disk, config, draft),
  })
}

/** Gives these roles a fresh expiry, signs and, if that is enough, publishes. */
export async function renewRoles(
  workshop: Workshop,
  options: RootWorkOptions,
  repository: Repository,
  request: { readonly subject: Subject; readonly roles: readonly string[] },
): Promise<RootOutcome> {
  const { machine, config } = workshop
  const published = { root: repository.trusted.root.signed, targets: repository.targets.signed }
  const change = await closeChange(repository, openRoot(published), { now: machine.clock.now(), renew: request.roles })
  const { subject } = request
  const origin: Origin = { kind: 'built' }
  return advance(workshop, repository, options, { subject, changes: [], change, origin, holders: config.holders })
}

/**
 * Adds signatures to what waits, once it was shown and confirmed, and publishes it if that is enough. `command`: what was typed. Throws PublishError
 * `unknown-version` if nothing waits under this name, `conflict`, and as askConsent.
 */
export async function signWaiting(
  workshop: Workshop,
  options: RootWorkOptions,
  repository: Repository,
  { subject, command }: { readonly subject: Subject; readonly command: string },
): Promise<RootOutcome> {
  const { machine, layout, config } = workshop
  const pending = await loadPending(machine.disk, layout.pending, subject)
  if (pending === undefined) {
    throw new PublishError('unknown-version', `no change of the name ${subject} waits here`, {
      next: ['netlink-publish status', 'netlink-publish root show'],
    })
  }
  const { documents } = pending.change
  const root = documents.get('root')
  if (root !== undefined && equalBytes(root, repository.trusted.root.bytes)) {
    // The server had taken it, and the answer was lost on the way.
    await publishWaiting(workshop, repository, subject, documents)
    return { subject, changes: [], forced: [], standings: [], state: 'published' }
  }
  await requireNext(repository, { subject, documents })
  const draft = draftOf(repository, documents)
  const origin: Origin = { kind: 'waiting', command }
  const changes = changeWords(draft.published, draft, namerOf(config.holders, draft, origin))
  const holders = await signersOf(machine.disk, config, draft)
  const { signedAt } = pending
  return finish(workshop, repository, options, {
    ...{ subject, changes, forced: [], documents, signedAt, origin, holders },
    toPublish: true,
  })
}

/** Publishes what waits and has all its signatures. Whoever published it meanwhile, it is over then. */
export async function publishWaiting(
  workshop: Workshop,
  repository: Repository,
  subject: Subject,
  documents: ReadonlyMap<string, Uint8Array>,
  reason?: string,
): Promise<Repository> {
  const { machine, layout, config } = workshop
  const root = documents.get('root')
  const isThere = root !== undefined && equalBytes(root, repository.trusted.root.bytes)
  const after = isThere ? repository : await deliverRoot(workshop, repository, { subject, documents, reason })
  await followHolders(machine.disk, config, after)
  await removePending(machine.disk, layout.pending, subject)
  return after
}

/** Whether this very command has made all of it, from what is published and from its own arguments, or whether something waited in the folder. */
type Origin = { readonly kind: 'built' } | { readonly kind: 'waiting'; readonly command: string }

/** Names that a person has just typed need no doubt. */
function namerOf(holders: readonly Holder[], draft: RootDraft, { kind }: Origin): (keyid: string) => string {
  return kind === 'built' ? keyNamer(holders, [draft.published, draft]) : keyNamer(holders, [draft.published], draft)
}

interface Advance {
  readonly subject: Subject
  readonly changes: readonly string[]
  readonly change: ClosedChange
  readonly origin: Origin
  readonly holders: readonly Holder[]
}

async function advance(
  workshop: Workshop,
  repository: Repository,
  options: RootWorkOptions,
  { change, ...facts }: Advance,
): Promise<RootOutcome> {
  const documents = await unsignedDocuments(change.closed)
  const signedAt = utcSeconds(workshop.machine.clock.now())
  return finish(workshop, repository, options, {
    ...facts,
    forced: change.forced,
    ...{ documents, signedAt, toPublish: false },
  })
}

interface Finish {
  readonly subject: Subject
  readonly changes: readonly string[]
  readonly forced: readonly Forced[]
  readonly documents: ReadonlyMap<string, Uint8Array>
  /** When the documents were made: what they have to say depends on it. */
  readonly signedAt: string
  readonly origin: Origin
  readonly holders: readonly Holder[]
  /** It is to be published now: too few signatures are a refusal, also where nobody signs with this command. */
  readonly toPublish: boolean
}

async function finish(
  workshop: Workshop,
  repository: Repository,
  options: RootWorkOptions,
  { subject, changes, forced, documents: before, signedAt, origin, holders, toPublish }: Finish,
): Promise<RootOutcome> {
  const { machine, layout, config } = workshop
  const needs = signatureNeeds({ root: repository.trusted.root, targets: repository.targets }, before)
  const nameOf = namerOf(config.holders, draftOf(repository, before), origin)
  const told = (documents: ReadonlyMap<string, Uint8Array>, state: RootOutcome['state']): RootOutcome => ({
    ...{ subject, changes, forced, state },
    standings: standingsOf(documents, needs, nameOf),
  })
  if (options.dryRun) return toPublish ? tried(workshop, told(before, 'complete')) : told(before, 'checked')
  const waiting = { subject, signedAt, change: { documents: before, manifests: new Map() }, artifacts: [] }
  if (asksToSign(options) && origin.kind === 'waiting')
    await askConsentToPending(workshop, repository, waiting, { ...origin, offline: options.offline ?? false, options })
  const keyrings = asksToSign(options) ? await workshop.openKeyrings(options, holders) : []
  const documents = await signChange(before, needs, keyrings)
  await savePending(machine.disk, layout.pending, { ...waiting, change: { ...waiting.change, documents } })
  const outcome = told(documents, 'waiting')
  if (outcome.standings.some(({ complete }) => !complete)) {
    const here = keyrings.map(({ holder }) => holder)
    if (toPublish || here.length > 0) throw unsigned(workshop, outcome, here)
    return outcome
  }
  await verifyRootChange(repository, subject, documents, machine.clock.now())
  if (options.offline) return { ...outcome, state: 'complete' }
  await publishWaiting(workshop, repository, subject, documents, options.reason)
  return { ...outcome, state: 'published' }
}

/** How publishing would end. */
function tried(workshop: Workshop, outcome: RootOutcome): RootOutcome {
  if (outcome.standings.every(({ complete }) => complete)) return outcome
  throw unsigned(workshop, outcome, [])
}

function unsigned({ config }: Workshop, { subject, standings }: RootOutcome, here: readonly string[]): PublishError {
  const open = standings.filter(({ complete }) => !complete)
  const [first] = open
  const next =
    open.flatMap(({ missing }) => missing.map(bareName)).find((name) => !here.includes(name)) ??
    first?.missing.map(bareName)[0] ??
    'NAME'
  return new PublishError('unsigned', `${subject} lacks signatures: ${first === undefined ? '' : lackWords(first)}`, {
    ...(first ? { role: first.role, standing: first } : {}),
    state: `Nothing was published; ${subject} waits in ${config.folder}.`,
    next: [signCommand(subject, config.folder, next), `netlink-publish propose ${subject} --dir ${config.folder}`],
  })
}

function lackWords({ role, by, have, missing, threshold }: RootStanding): string {
  const keys = by === null ? '' : ` by ${by}`
  const who = have.length === 0 ? 'signed by nobody yet' : `signed by ${have.join(', ')}`
  return `${role}${keys} has ${have.length} of ${threshold}, ${who}, missing ${missingWords(threshold - have.length, missing)}`
}

/** What the next holder runs on this machine. */
export function signCommand(subject: Subject, folder: string, name: string): string {
  const signer = `--dir ${folder} --signer ${name} --passphrase-file ${name}=FILE`
  return subject.startsWith('root-')
    ? `netlink-publish root sign ${signer}`
    : `netlink-publish expire refresh ${signer}`
}

function publishedOf(repository: Repository): { root: JsonObject; targets: JsonObject } {
  return { root: repository.trusted.root.signed, targets: repository.targets.signed }
}

/** The draft that these documents make over the repository, as far as they are root and targets. */
export function draftOf(repository: Repository, documents: ReadonlyMap<string, Uint8Array>): RootDraft {
  const signed = (role: string) => {
    const bytes = documents.get(role)
    return bytes && parseDocument(bytes, role).signed
  }
  const [root, targets] = [signed('root'), signed('targets')]
  return openRoot(publishedOf(repository), { ...(root ? { root } : {}), ...(targets ? { targets } : {}) })
}

/** A threshold stays below the number of keys from two keys on, unless somebody insists; only what this draft changes is looked at. */
function requireThresholds(draft: RootDraft, allowEqual: boolean): void {
  for (const role of holderRoles) {
    const facts = (document: RootDraft['published']) => {
      const keys = role === 'root' ? roleKeysInRoot(document.root, 'root') : roleKeysInTargets(document.targets, role)
      return { count: keysNamedFor(document, role).length, threshold: keys?.threshold ?? 0 }
    }
    const [before, after] = [facts(draft.published), facts(draft)]
    if (before.count === after.count && before.threshold === after.threshold) continue
    checkThreshold(after.count, after.threshold, allowEqual, (to) => `netlink-publish root set-threshold ${to}`)
  }
}

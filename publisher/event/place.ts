// Where a signing event is found and what it is checked against: the server and a fresh repository, or a file and what was carried with it.
import { resolve } from 'node:path'
import type { MetadataSource } from '../../keys/refresh.ts'
import type { TargetSource } from '../../keys/release.ts'
import { fingerprintOf } from '../../keys/release.ts'
import { TrustError } from '../../keys/trust-error.ts'
import {
  type CarriedEvent,
  type CarriedRepository,
  type EventRecord,
  type EventSignature,
  eventIdShape,
  isSubject,
  type SigningEvent,
} from '../../schema/signing-event.ts'
import { buildLocalRepository } from '../public-repository.ts'
import { PublishError } from '../publish-error.ts'
import { manifestsFolder, type Repository } from '../repository.ts'
import type { Workshop } from '../workshop.ts'
import { checkTimes, openEvent, requireNamed, trustedRole } from './check.ts'
import { signaturesIn } from './event.ts'
import { altered, expectedOf } from './expected.ts'
import { type Aborted, listEvents, loadAborted, loadEvent, readEventFile } from './store.ts'

/** An event that was found, and whatever is said about it. Nothing of it has been checked but its id. */
export interface FoundEvent {
  readonly event: CarriedEvent
  readonly from: 'file' | 'folder' | 'server'
  /** Signatures that came beside it. */
  readonly signatures: readonly EventSignature[]
  readonly aborted: Aborted | undefined
}

/** An event that somebody wants to stop. */
export interface FoundToStop extends FoundEvent {
  /** Whether its content is what its id stands for, here or in an earlier version. Otherwise it says nothing about the event. */
  readonly isNamed: boolean
}

/**
 * The event of this id, of this subject, or in this file. `offline`: nobody is asked but this folder. Throws PublishError `event` if there is none, if it is
 * not clear which is meant or if an earlier version made it; `altered` if the server answers with another one.
 */
export async function findEvent(
  workshop: Workshop,
  name: string,
  { offline }: { readonly offline: boolean },
): Promise<FoundEvent> {
  const found = await locate(workshop, name, offline)
  if (requireNamed(found.event) === 'earlier') requireOpen(found)
  openEvent(found.event)
  return found
}

/**
 * As `findEvent`, for whoever signs nothing: an id is enough to stop what it names, whatever lies under it. Of a file the content has to have that name, because
 * it is the file that says which event is meant.
 */
export async function findToStop(
  workshop: Workshop,
  name: string,
  { offline }: { readonly offline: boolean },
): Promise<FoundToStop> {
  const found = await locate(workshop, name, offline)
  if (found.from === 'file') requireNamed(found.event)
  return { ...found, isNamed: isNamed(found.event) }
}

function isNamed(event: SigningEvent): boolean {
  try {
    requireNamed(event)
    return true
  } catch (error) {
    if (error instanceof TrustError || (error instanceof PublishError && error.code === 'altered')) return false
    throw error
  }
}

async function locate(workshop: Workshop, name: string, offline: boolean): Promise<FoundEvent> {
  if (isFileName(name)) return fromFile(workshop, name)
  const id = eventIdShape.safeParse(name).success ? name : await idOfSubject(workshop, name, offline)
  const found = offline ? await fromFolder(workshop, id) : await fromServer(workshop, id)
  if (found === undefined) throw unknownEvent(name)
  if (found.event.id !== id) throw altered(`${id} was asked for, and ${found.event.id} came`)
  return found
}

/** A path, and no name of an event or a version. */
export function isFileName(name: string): boolean {
  return /[/\\]/.test(name) || name.endsWith('.json')
}

/** Refuses what was stopped. */
export function requireOpen({ event, aborted }: FoundEvent): void {
  if (aborted === undefined) return
  throw new PublishError('event', `${event.id} was stopped at ${aborted.at}: ${aborted.reason}`, {
    state: 'Nothing was signed or published.',
  })
}

async function fromFile(workshop: Workshop, name: string): Promise<FoundEvent> {
  const { machine, layout } = workshop
  const event = await readEventFile(machine.disk, resolve(machine.cwd, name))
  const aborted = await loadAborted(machine.disk, layout.events, event.id)
  return { event, from: 'file', signatures: [], aborted }
}

async function fromFolder({ machine, layout }: Workshop, id: string): Promise<FoundEvent | undefined> {
  const event = await loadEvent(machine.disk, layout.events, id)
  const aborted = await loadAborted(machine.disk, layout.events, id)
  return event && { event, from: 'folder', signatures: [], aborted }
}

async function fromServer(workshop: Workshop, id: string): Promise<FoundEvent | undefined> {
  const own = await fromFolder(workshop, id)
  const record = await loadRecord(workshop, id)
  if (record === undefined) return own
  const { summary, event } = record
  return {
    event,
    from: 'server',
    signatures: [...summary.signatures, ...(own === undefined ? [] : signaturesIn(own.event))],
    aborted: own?.aborted ?? summary.aborted ?? undefined,
  }
}

async function loadRecord(workshop: Workshop, id: string): Promise<EventRecord | undefined> {
  try {
    return await (await workshop.events()).load(id)
  } catch (error) {
    if (error instanceof PublishError && error.facts.status === 404) return undefined
    throw error
  }
}

async function idOfSubject(workshop: Workshop, subject: string, offline: boolean): Promise<string> {
  if (!isSubject(subject)) throw unknownEvent(subject)
  const open = await openEvents(workshop, offline)
  const ids = [...new Set(open.filter((one) => one.subject === subject).map(({ id }) => id))]
  const [id, ...others] = ids
  if (id === undefined) throw unknownEvent(subject)
  if (others.length === 0) return id
  throw new PublishError('event', `several signing events are about ${subject}: ${ids.join(', ')}`, {
    state: 'Nothing was signed or published.',
    next: ['say which one is meant, by the id that its proposer told you', 'netlink-publish status'],
  })
}

/** What is known of an event without its documents. */
export interface OpenEvent {
  readonly id: string
  readonly kind: string
  readonly subject: string
  readonly proposed_by: string | null
  readonly until: string
}

/** Events that can still be signed, those of the server first. */
export async function openEvents(workshop: Workshop, offline: boolean): Promise<readonly OpenEvent[]> {
  const { machine, layout } = workshop
  const now = machine.clock.now()
  const known = offline ? [] : await (await workshop.events()).list()
  const closed = new Set(known.filter(({ state }) => state !== 'open').map(({ id }) => id))
  const own: OpenEvent[] = []
  for (const event of await listEvents(machine.disk, layout.events)) {
    const isOver =
      new Date(event.until) <= now || (await loadAborted(machine.disk, layout.events, event.id)) !== undefined
    if (isOver) closed.add(event.id)
    own.push(event)
  }
  const all = new Map([...known, ...own].map((event) => [event.id, event]))
  return [...all.values()].filter(({ id }) => !closed.has(id))
}

function unknownEvent(name: string): PublishError {
  return new PublishError('event', `no open signing event is called ${name}`, {
    state: 'Nothing was signed or published.',
    next: ['netlink-publish status'],
  })
}

// ---- what it is checked against ----------------------------------------------------------------------------------------------------

/**
 * What this machine trusts: asked from the server, or, for an event that came in a file, its own copy, brought up to the event's base with what was carried
 * along where it is behind. That is verified like anything else, as of the time at which the event was proposed: paper is slower than a day-old timestamp.
 */
export async function openBase(
  workshop: Workshop,
  event: CarriedEvent,
  { offline }: { readonly offline: boolean },
): Promise<Repository> {
  if (!offline) {
    workshop.output.phase('refresh', `refresh and verify ${workshop.config.server}`)
    return workshop.refresh(undefined, expiryFor(event))
  }
  const targets = carriedTargets(workshop, event.repository)
  const own = await workshop.offline(targets).catch(missingOnly)
  if (own !== undefined && (await isBaseOf(own, event)) && (await canFollow(own, event))) return own
  if (event.repository === undefined) {
    if (own !== undefined && (await hasSeen(own, event))) return own
    throw altered(`this machine has not seen what ${event.id} was made from, and its file brings nothing of it`)
  }
  checkTimes(event, workshop.machine.clock.now())
  workshop.output.phase('refresh', `verify the repository that came with ${event.id}`)
  const metadata = carriedMetadata(event.repository)
  try {
    return await workshop.refresh({ metadata, targets }, expiryFor(event), new Date(event.proposed_at))
  } catch (error) {
    // This machine has seen more than the proposer had: what it knows says in which role.
    if (own !== undefined && error instanceof TrustError && error.code === 'rollback') return own
    throw error
  }
}

/** A root can be renewed after it has expired, and so can whatever it names. */
function expiryFor({ kind }: SigningEvent): 'enforce' | 'report' {
  return kind === 'root' || kind === 'refresh' ? 'report' : 'enforce'
}

/** Whether this machine has every document that the event replaces, in some version. */
async function hasSeen(repository: Repository, { documents }: SigningEvent): Promise<boolean> {
  try {
    for (const role of Object.keys(documents)) await trustedRole(repository, role)
    return true
  } catch (error) {
    return missingOnly(error) ?? false
  }
}

/**
 * Whether this machine knows what the event only reads, too: a promotion changes one channel and takes from another, which may have gone on without this
 * machine. Whatever else is wrong with the event is said where it is checked.
 */
async function canFollow(repository: Repository, event: SigningEvent): Promise<boolean> {
  try {
    await expectedOf(repository, openEvent(event))
    return true
  } catch (error) {
    const isUnknown = error instanceof PublishError && error.code === 'unknown-version'
    return !isUnknown && !(error instanceof TrustError && error.code === 'missing')
  }
}

function missingOnly(error: unknown): undefined {
  if (error instanceof TrustError && error.code === 'missing') return undefined
  throw error
}

async function isBaseOf(repository: Repository, { base, documents }: SigningEvent): Promise<boolean> {
  const { root } = repository.trusted
  if (root.value.version !== base.root.version || fingerprintOf(root.bytes) !== base.root.sha256) return false
  for (const role of new Set([...Object.keys(base.roles), ...Object.keys(documents)])) {
    const signed = await trustedRole(repository, role).catch(missingOnly)
    if (signed?.version !== base.roles[role]) return false
  }
  return true
}

function carriedMetadata({ metadata }: CarriedRepository): MetadataSource {
  return { load: async (file) => decoded(metadata, file) }
}

/** Manifests that came along, else those of the folder. */
function carriedTargets({ machine, layout }: Workshop, carried: CarriedRepository | undefined): TargetSource {
  const folders = { manifests: manifestsFolder(layout.repository), artifacts: layout.artifacts }
  const local = buildLocalRepository(machine.disk, folders)
  return {
    load: async (path, maxBytes, signal) => {
      const found = carried === undefined ? 'missing' : decoded(carried.manifests, path)
      return found === 'missing' ? local.targets.load(path, maxBytes, signal) : found
    },
  }
}

function decoded(files: Readonly<Record<string, string>>, name: string): Uint8Array | 'missing' {
  const text = Object.hasOwn(files, name) ? files[name] : undefined
  return text === undefined ? 'missing' : new Uint8Array(Buffer.from(text, 'base64'))
}

// Whether a signing event follows from what is trusted on this machine. Whoever carried it here, a server or a person, is believed in nothing:
//
//   1. its id is that of its content             4. it was made from the root and the roles that are trusted here
//   2. it has not expired                        5. every document is the one that this machine would have made (expected.ts)
//   3. it was not proposed in time to come       6. all of them are there, and no other
import { parseDocument } from '../../keys/document.ts'
import type { JsonObject } from '../../keys/json.ts'
import { fingerprintOf } from '../../keys/release.ts'
import { earlierEventIdOf, eventDocuments, eventIdOf, eventManifests } from '../../keys/signing-event.ts'
import { rootShape, targetsShape } from '../../schema/metadata.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { ShapeError } from '../../schema/shape-error.ts'
import type { SigningEvent } from '../../schema/signing-event.ts'
import { type Channel, channels } from '../../schema/version.ts'
import { lineNames } from '../edit.ts'
import { differencesOf, differenceWords, visible } from '../json-difference.ts'
import { requireLifetime } from '../lifetime.ts'
import { type Problem, PublishError } from '../publish-error.ts'
import type { Repository } from '../repository.ts'
import { altered, type Expected, expectedOf, type OpenedEvent } from './expected.ts'

const DAY_MS = 86_400_000
/** Clocks of people differ. */
const AHEAD_MS = 10 * 60_000
/** Longest time that an event may stay open: what was signed long ago is looked at again. */
export const MAX_OPEN_MS = 90 * DAY_MS

/** An event that follows from what is trusted here. */
export interface CheckedEvent extends OpenedEvent {
  readonly expected: Expected
  /** What each document replaces; undefined for a role that was never published. */
  readonly before: ReadonlyMap<string, JsonObject | undefined>
}

/**
 * The event taken apart. Throws PublishError `altered` if its id is another one's, `event` if an earlier version gave it; TrustError for documents that are
 * none.
 */
export function openEvent(event: SigningEvent): OpenedEvent {
  if (requireNamed(event) === 'earlier') throw madeEarlier(event)
  return { event, documents: eventDocuments(event), manifests: eventManifests(event) }
}

/** Whose way of naming gave the event its id: this version's, or an earlier one's. Throws PublishError `altered` if neither did; TrustError as openEvent. */
export function requireNamed(event: SigningEvent): 'now' | 'earlier' {
  const { schema: _schema, id, ...proposal } = event
  const actual = eventIdOf(proposal)
  if (actual === id) return 'now'
  if (earlierEventIdOf(proposal) === id) return 'earlier'
  throw altered(`what came as ${id} is another proposal, ${actual}`)
}

/** Its id leaves lists of files open, so it says too little of what would be signed. */
function madeEarlier({ id, subject }: SigningEvent): PublishError {
  return new PublishError('event', `${id} was made by an earlier version: abort it, and propose it again`, {
    state: 'Nothing was signed or published.',
    next: [
      `netlink-publish abort ${id} --reason WORDS      (where it was proposed)`,
      `propose it again: netlink-publish propose ${subject}`,
    ],
  })
}

/**
 * All of the checks above. Throws PublishError: `event` (expired), `conflict` (others have published since), `altered` naming what does not follow, and
 * whatever a release or a promotion is refused for.
 */
export async function checkEvent(repository: Repository, opened: OpenedEvent, now: Date): Promise<CheckedEvent> {
  try {
    return await checkAll(repository, opened, now)
  } catch (error) {
    // What is trusted was read before: whatever has no shape here is the event's.
    if (error instanceof ShapeError)
      throw altered(`something in ${opened.event.id} is not what it should be: ${visible(error.message)}`)
    throw error
  }
}

async function checkAll(repository: Repository, opened: OpenedEvent, now: Date): Promise<CheckedEvent> {
  checkTimes(opened.event, now)
  checkBase(repository, opened.event)
  const before = await trustedRoles(repository, opened)
  for (const [role, bytes] of opened.documents)
    checkVersion(opened.event, role, parseDocument(bytes, role).signed, before)
  const expected = await expectedOf(repository, opened)
  checkRoles(expected, opened)
  checkBaseRoles(opened.event, await baseVersions(repository, [...opened.documents.keys()]))
  for (const role of expected.roles) checkDocument(role, opened, now)
  return { ...opened, expected, before }
}

/** Throws PublishError `event` once its time is over; `altered` for times that nobody honest writes. */
export function checkTimes({ id, proposed_at, until }: SigningEvent, now: Date): void {
  const [from, to] = [new Date(proposed_at).getTime(), new Date(until).getTime()]
  if (from > now.getTime() + AHEAD_MS)
    throw altered(
      `${id} says that it was proposed at ${proposed_at}, which is still to come: look at this machine's clock`,
    )
  if (to <= from || to - from > MAX_OPEN_MS)
    throw altered(`${id} is open from ${proposed_at} until ${until}; at most ${MAX_OPEN_MS / DAY_MS} days are allowed`)
  if (to <= now.getTime())
    throw new PublishError('event', `${id} expired at ${until}: nobody signs or publishes it any more`, {
      state: 'Nothing was signed or published.',
      next: ['propose it again: netlink-publish propose VERSION'],
    })
}

function checkBase(repository: Repository, { id, base }: SigningEvent): void {
  const { root } = repository.trusted
  const ours = root.value.version
  if (base.root.version < ours)
    throw overtaken(`${id} was made from root v${base.root.version}, and root is at v${ours} now`)
  if (base.root.version > ours)
    throw altered(
      `${id} was made from root v${base.root.version}, and this machine trusts v${ours} and was shown no later one`,
    )
  const fingerprint = fingerprintOf(root.bytes)
  if (base.root.sha256 !== fingerprint)
    throw altered(`${id} was made from another root v${ours}: ${base.root.sha256}, this machine trusts ${fingerprint}`)
}

/** What an event says that it was made from is shown to people as what this machine trusts: so it has to be that, name by name. */
function checkBaseRoles({ id, base }: SigningEvent, ours: ReadonlyMap<string, number>): void {
  const theirs = new Map(Object.entries(base.roles))
  for (const role of new Set([...ours.keys(), ...theirs.keys()])) {
    const [trusted, told] = [ours.get(role), theirs.get(role)]
    if (trusted === told) continue
    if (trusted !== undefined && told !== undefined && told < trusted)
      throw overtaken(`${id} was made from ${role} v${told}, and ${role} is at v${trusted} by now`)
    const words = (version: number | undefined) => (version === undefined ? 'nothing' : `v${version}`)
    throw altered(
      `${id} names ${words(told)} of ${visible(role)} as its base, and this machine trusts ${words(trusted)}`,
    )
  }
}

/** What an event over these documents is made from: targets and what it replaces, as far as they were ever published. */
export async function baseVersions(
  repository: Repository,
  roles: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const versions = new Map<string, number>()
  for (const role of new Set(['targets', ...roles])) {
    const signed = await trustedRole(repository, role)
    if (signed !== undefined) versions.set(role, Number(signed.version))
  }
  return versions
}

/** The newest trusted document of every role that the event replaces. */
async function trustedRoles(
  repository: Repository,
  { documents }: OpenedEvent,
): Promise<ReadonlyMap<string, JsonObject | undefined>> {
  const found = new Map<string, JsonObject | undefined>()
  for (const role of documents.keys()) found.set(role, await trustedRole(repository, role))
  return found
}

/** What is trusted of a role; undefined if it was never published. Throws PublishError `altered` for a role that nobody signs by hand. */
export async function trustedRole(repository: Repository, role: string): Promise<JsonObject | undefined> {
  if (role === 'root') return repository.trusted.root.signed
  if (role === 'targets') return repository.targets.signed
  const channel = channels.find((name) => role === name || role.startsWith(`${name}-`))
  if (channel === undefined) throw altered(`nobody signs for ${role} here`)
  return trustedBelow(repository, channel, role)
}

async function trustedBelow(repository: Repository, channel: Channel, role: string): Promise<JsonObject | undefined> {
  const above = await repository.loadChannel(channel)
  if (above === undefined) return undefined
  if (role === channel) return parseDocument(above.bytes, role).signed
  if (!lineNames(above.value).includes(role)) return undefined
  return parseDocument(await repository.loadLine(role, above.value), role).signed
}

function checkVersion(
  { id }: SigningEvent,
  role: string,
  signed: JsonObject,
  before: ReadonlyMap<string, JsonObject | undefined>,
): void {
  const ours = Number(before.get(role)?.version ?? 0)
  const version = Number(signed.version)
  if (version === ours + 1) return
  if (version <= ours) throw overtaken(`${id} has ${role} v${version}, and ${role} is at v${ours} by now`)
  throw altered(`${id} raises ${role} from v${ours} to v${version}, and v${ours + 1} is the next`)
}

function overtaken(message: string): PublishError {
  return new PublishError('conflict', message, {
    state: 'Nothing was signed; somebody else has published since it was proposed.',
    next: ['netlink-publish list', 'propose it again: it starts from what is published now'],
  })
}

function checkRoles({ roles }: Expected, { event, documents }: OpenedEvent): void {
  const wanted = roles.map(({ role }) => role)
  const missing = wanted.filter((role) => !documents.has(role))
  const more = [...documents.keys()].filter((role) => !wanted.includes(role))
  if (missing.length > 0) throw altered(`${event.subject} has to change ${missing.join(', ')} too, and does not`)
  if (more.length > 0)
    throw altered(`${event.subject} changes ${more.join(', ')}, and a ${event.kind} has no business there`)
}

function checkDocument(
  { role, signed, free }: Expected['roles'][number],
  { event, documents }: OpenedEvent,
  now: Date,
): void {
  const bytes = documents.get(role)
  if (bytes === undefined) throw altered(`${role} is missing`)
  const actual = parseDocument(bytes, role).signed
  parseShape<unknown>(role === 'root' ? rootShape : targetsShape, actual, role)
  const fixed = (tree: JsonObject) => Object.fromEntries(Object.entries(tree).filter(([name]) => !free.includes(name)))
  const differences = differencesOf(fixed(signed), fixed(actual))
  if (differences.length > 0) {
    const problems: Problem[] = differences.map((one) => ({ where: role, what: differenceWords(one) }))
    throw altered(`${role} is not what ${event.subject} makes of it: ${problemWords(differences, role)}`, problems)
  }
  requireLifetime(role, actual, now)
}

/** The first differences in words that need no knowledge of the format. */
function problemWords(differences: ReturnType<typeof differencesOf>, role: string): string {
  const words = new Set(
    differences.map(({ pointer, before, after }) =>
      placeWords(pointer, before === undefined ? 'added' : after === undefined ? 'taken out' : 'changed'),
    ),
  )
  return `${[...words].join(', ')} (${role})`
}

function placeWords(pointer: string, how: 'added' | 'taken out' | 'changed'): string {
  if (pointer.startsWith('/delegations')) return `a delegation was ${how}`
  if (pointer.startsWith('/channel/withdrawn')) return `a withdrawal was ${how}`
  if (pointer.startsWith('/channel')) return `${visible(pointer.slice('/channel/'.length))} was ${how}`
  if (pointer.startsWith('/targets')) return `a listed file was ${how}`
  return `${visible(pointer.slice(1))} was ${how}`
}

// What the documents of a signing event have to say, made again from what is trusted here and from the few facts that the proposer chose: the manifest, the
// withdrawal, the minimum, the keys. Whatever differs from that was put in by somebody.
//
//   release, promote, yank,
//   minimum                  channel and line roles, byte for byte, their expiry included
//   refresh                  the same documents one version up
//   root                     keys and thresholds of root, and what has to be signed again because of them
import { parseDocument } from '../../keys/document.ts'
import { type JsonObject, parseJson } from '../../keys/json.ts'
import { proposedKeys } from '../../keys/signing-event.ts'
import { plainLine } from '../../schema/cli/plain-text.ts'
import { type Manifest, manifestShape } from '../../schema/manifest.ts'
import { channelFactsShape } from '../../schema/metadata.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { manifestPath } from '../../schema/release-path.ts'
import type { SigningEvent } from '../../schema/signing-event.ts'
import { unreachable } from '../../schema/unreachable.ts'
import {
  type Channel,
  channelOf,
  channels,
  compareVersions,
  isVersion,
  maxVersion,
  type Version,
} from '../../schema/version.ts'
import {
  applyMinimum,
  applyReinstatement,
  applyWithdrawal,
  type ChannelDraft,
  type ChannelKeys,
  closeChannel,
  versionsIn,
} from '../edit.ts'
import { differencesOf, differenceWords } from '../json-difference.ts'
import { promoteManifest } from '../manifest.ts'
import { type Problem, PublishError } from '../publish-error.ts'
import { closeDrafts, requireNewer, withManifest } from '../release.ts'
import type { Repository } from '../repository.ts'

/** A document as it has to be. */
export interface ExpectedRole {
  readonly role: string
  readonly signed: JsonObject
  /** What the proposer may choose: fields whose change is shown instead of refused. */
  readonly free: readonly string[]
}

/** An event taken apart: nothing in it has been checked yet. */
export interface OpenedEvent {
  readonly event: SigningEvent
  readonly documents: ReadonlyMap<string, Uint8Array>
  readonly manifests: ReadonlyMap<string, Uint8Array>
}

/** What is released, and what it is compared with. */
export interface ReleaseFacts {
  readonly manifest: Manifest
  /** The newest release of the channel until now that is not withdrawn. */
  readonly previous: Manifest | undefined
  /** Where the bytes come from, of a promotion. */
  readonly source: Manifest | undefined
}

export interface Expected {
  readonly roles: readonly ExpectedRole[]
  readonly release: ReleaseFacts | undefined
  /** Published releases that it was made from: nobody can make it again without their manifests. */
  readonly cited: readonly Version[]
}

const DAY_MS = 86_400_000
/** Between making a release and proposing it lie packing, looking and a night's sleep; and a clock may be set meanwhile. */
const MADE_BEFORE_MS = DAY_MS
const MADE_AFTER_MS = 5 * 60_000

/** Throws PublishError `altered` for what can't have come from an honest proposer, `policy` and `not-newer` for what must not be signed. */
export async function expectedOf(repository: Repository, opened: OpenedEvent): Promise<Expected> {
  const { event } = opened
  switch (event.kind) {
    case 'release':
    case 'promote':
      return expectedRelease(repository, opened, versionOf(event))
    case 'yank':
      return expectedYank(repository, opened, versionOf(event))
    case 'minimum':
      return noRelease(await expectedMinimum(repository, opened, versionOf(event)))
    case 'refresh':
      requireSubject(event.subject.startsWith('refresh-'), event)
      return noRelease(await expectedRefresh(repository, opened))
    case 'root':
      requireSubject(event.subject.startsWith('root-'), event)
      return noRelease(await expectedRoot(repository, opened))
    default:
      return unreachable(event.kind)
  }
}

function noRelease(roles: readonly ExpectedRole[], cited: readonly Version[] = []): Expected {
  return { roles, release: undefined, cited }
}

function versionOf({ kind, subject }: SigningEvent): Version {
  if (isVersion(subject)) return subject
  throw altered(`a ${kind} is about a version, and this one is about ${subject}`)
}

function requireSubject(isRight: boolean, { kind, subject }: SigningEvent): void {
  if (!isRight) throw altered(`${subject} is no name for a change of the kind ${kind}`)
}

// ---- releases --------------------------------------------------------------------------------------------------------------------

async function expectedRelease(repository: Repository, opened: OpenedEvent, version: Version): Promise<Expected> {
  const { manifest, bytes } = readManifest(repository, opened, version)
  requireMadeThen(version, manifest.released_at, opened.event)
  const draft = await repository.openDraft(channelOf(version))
  const before = requireNewer(draft, version)
  const standing = await newestStanding(repository, draft, version)
  const previous = standing && (await repository.loadManifest(standing)).value
  if (manifest.changelog.version !== version || manifest.changelog.previous !== before) {
    throw altered(`the changelog says that ${manifest.changelog.version} follows ${manifest.changelog.previous}`)
  }
  const isPromotion = opened.event.kind === 'promote'
  if (isPromotion === (manifest.promoted_from === null))
    throw altered(isPromotion ? `${version} promotes nothing` : `${version} claims the bytes of another release`)
  const source = await expectedSource(repository, manifest, before)
  checkArtifacts(opened.event, isPromotion ? [] : manifest.artifacts)
  const closed = await closeDrafts(repository, withManifest(draft, manifest, bytes), proposedAt(opened.event))
  const cited = [previous?.version, source?.version].filter((one) => one !== undefined)
  return { roles: exactly(closed), release: { manifest, previous, source }, cited }
}

/** What hosts have that get this version: one that was withdrawn for what is in it does not make that look like nothing new. */
async function newestStanding(
  repository: Repository,
  draft: ChannelDraft,
  version: Version,
): Promise<Version | undefined> {
  const role = await repository.loadChannel(draft.channel)
  const withdrawn = new Set(role?.value.channel.withdrawn.map((one) => one.version))
  return maxVersion(versionsIn(draft).filter((one) => compareVersions(one, version) < 0 && !withdrawn.has(one)))
}

/**
 * Hosts go by this time: one to come stops those that believe their clocks, and one long ago ends `minimum_soak` before it has begun. So a proposer has no more
 * choice in it than honest work needs.
 */
function requireMadeThen(version: Version, time: string, { proposed_at: proposed }: SigningEvent): void {
  const distance = Date.parse(time) - Date.parse(proposed)
  if (distance >= -MADE_BEFORE_MS && distance <= MADE_AFTER_MS) return
  throw altered(
    `${version} says that it was made at ${time}, and it was proposed at ${proposed}: expected a time within the day before`,
  )
}

function readManifest(repository: Repository, { manifests }: OpenedEvent, version: Version) {
  const [entry, ...others] = manifests
  if (entry === undefined || others.length > 0) throw altered(`expected one manifest, found ${manifests.size}`)
  const [path, bytes] = entry
  if (path !== manifestPath(version)) throw altered(`the manifest lies at ${path} and not where ${version} belongs`)
  const manifest = parseShape(manifestShape, parseJson(bytes, { subject: path }), path)
  const expected = { product: repository.trusted.product, version, channel: channelOf(version) }
  for (const [what, wanted] of Object.entries(expected)) {
    const found = manifest[what]
    if (found !== wanted) throw altered(`the manifest of ${version} names the ${what} ${String(found)}, not ${wanted}`)
  }
  return { manifest, bytes }
}

/** A promotion changes the letter and perhaps the changelog; everything else is what the trusted manifest of its source says. */
async function expectedSource(
  repository: Repository,
  manifest: Manifest,
  previous: Version | null,
): Promise<Manifest | undefined> {
  const from = manifest.promoted_from
  if (from === null) return undefined
  const source = (await repository.loadManifest(from)).value
  const role = await repository.loadChannel(channelOf(from))
  const withdrawn = role?.value.channel.withdrawn.find(({ version }) => version === from)
  if (withdrawn !== undefined)
    throw new PublishError('policy', `${from} was withdrawn: ${plainLine(withdrawn.reason)}`, {
      state: 'Nothing was signed.',
    })
  const now = new Date(manifest.released_at)
  const promoted = promoteManifest(source, { to: manifest.channel, previous, now, changelog: undefined })
  const [first] = differencesOf(asJson({ ...promoted, changelog: null }), asJson({ ...manifest, changelog: null }))
  if (first !== undefined)
    throw altered(`${manifest.version} is not ${from} under another letter: ${differenceWords(first)}`)
  return source
}

function checkArtifacts(event: SigningEvent, artifacts: readonly { sha256: string; length: number }[]): void {
  const spelledList = (list: readonly { sha256: string; length: number }[]) =>
    [...new Set(list.map(({ sha256, length }) => `${sha256} ${length}`))].sort().join()
  if (spelledList(event.artifacts) !== spelledList(artifacts))
    throw altered(`the artifacts to be uploaded are not those of the manifest of ${event.subject}`)
}

// ---- withdrawals -----------------------------------------------------------------------------------------------------------------

async function expectedYank(repository: Repository, opened: OpenedEvent, version: Version): Promise<Expected> {
  requireNothingNew(opened)
  const channel = channelOf(version)
  const facts = parseShape(channelFactsShape, documentOf(opened, channel).channel, channel)
  const entry = facts.withdrawn.find((one) => one.version === version)
  const draft = await repository.openDraft(channel)
  const { replace_with: replaceWith, ...rest } = entry ?? { replace_with: null }
  const cited = replaceWith ? [replaceWith] : []
  for (const one of cited) await repository.loadManifest(one)
  const after =
    entry === undefined
      ? applyReinstatement(draft, version)
      : applyWithdrawal(draft, { ...entry, ...rest, replaceWith: replaceWith ?? null })
  return noRelease(exactly(await closeDrafts(repository, after, proposedAt(opened.event))), cited)
}

// ---- minimums --------------------------------------------------------------------------------------------------------------------

/** A lower one than before is shown as such; whether it is meant was asked where it was proposed. */
async function expectedMinimum(
  repository: Repository,
  opened: OpenedEvent,
  version: Version,
): Promise<readonly ExpectedRole[]> {
  requireNothingNew(opened)
  const draft = await repository.openDraft(channelOf(version))
  return exactly(await closeDrafts(repository, applyMinimum(draft, version, true), proposedAt(opened.event)))
}

// ---- documents signed again ------------------------------------------------------------------------------------------------------

const EXPIRES = ['expires'] as const

async function expectedRefresh(repository: Repository, opened: OpenedEvent): Promise<readonly ExpectedRole[]> {
  requireNothingNew(opened)
  const own: ExpectedRole[] = []
  if (opened.documents.has('root')) own.push({ ...next('root', repository.trusted.root.signed), free: EXPIRES })
  if (opened.documents.has('targets')) own.push({ ...next('targets', repository.targets.signed), free: EXPIRES })
  return [...own, ...(await untouched(repository, opened, (draft) => draft.keys))]
}

async function expectedRoot(repository: Repository, opened: OpenedEvent): Promise<readonly ExpectedRole[]> {
  requireNothingNew(opened)
  const free = ['expires', 'key_names']
  const own: ExpectedRole[] = []
  if (opened.documents.has('root'))
    own.push({ ...next('root', repository.trusted.root.signed), free: [...free, 'keys', 'roles'] })
  if (!opened.documents.has('targets')) return [...own, ...(await untouched(repository, opened, ({ keys }) => keys))]
  own.push({ ...next('targets', repository.targets.signed), free: [...free, 'delegations'] })
  const document = documentOf(opened, 'targets')
  const keysOf = (draft: ChannelDraft) => channelKeys(document, draft.channel)
  return [...own, ...(await untouched(repository, opened, keysOf))]
}

function channelKeys(targets: JsonObject, channel: Channel): ChannelKeys {
  const { keys, threshold } = proposedKeys(targets, channel)
  return {
    keyids: keys.map(({ keyid }) => keyid),
    threshold,
    keys: Object.fromEntries(keys.map(({ keyid, object }) => [keyid, object])),
  }
}

/** The channels of the event with all that they list, under the keys that are to be. */
async function untouched(
  repository: Repository,
  opened: OpenedEvent,
  keysOf: (draft: ChannelDraft) => ChannelKeys,
): Promise<readonly ExpectedRole[]> {
  const roles: ExpectedRole[] = []
  for (const channel of channels.filter((name) => opened.documents.has(name))) {
    const draft = await repository.openDraft(channel)
    const closed = closeChannel({ ...draft, keys: keysOf(draft) }, proposedAt(opened.event))
    roles.push(...closed.map((one) => ({ ...one, free: EXPIRES })))
  }
  return roles
}

function next(role: string, signed: JsonObject): Omit<ExpectedRole, 'free'> {
  return { role, signed: { ...signed, version: Number(signed.version) + 1 } }
}

// ---- parts -----------------------------------------------------------------------------------------------------------------------

function requireNothingNew({ event, manifests }: OpenedEvent): void {
  if (manifests.size > 0 || event.artifacts.length > 0)
    throw altered(`a change of the kind ${event.kind} brings no release, and this one does`)
}

function documentOf({ documents, event }: OpenedEvent, role: string): JsonObject {
  const bytes = documents.get(role)
  if (bytes === undefined) throw altered(`${event.subject} has to change ${role}, and that is not among its documents`)
  return parseDocument(bytes, role).signed
}

function exactly(closed: readonly { role: string; signed: JsonObject }[]): readonly ExpectedRole[] {
  return closed.map((one) => ({ ...one, free: [] }))
}

function proposedAt({ proposed_at }: SigningEvent): Date {
  return new Date(proposed_at)
}

function asJson(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value))
}

/** The event is not what an honest proposer would have made. Nothing of it is signed. */
export function altered(what: string, problems: readonly Problem[] = []): PublishError {
  return new PublishError('altered', what, {
    state: 'Nothing was signed.',
    ...(problems.length === 0 ? {} : { problems }),
  })
}

// What became of a change that was signed or proposed: it can go on, it is published, or others were faster. By what is trusted here, whoever says otherwise.
import { canonicalBytes } from '../keys/canonical.ts'
import { parseDocument } from '../keys/document.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../keys/json.ts'
import type { Disk } from '../keys/platform/disk.ts'
import { TrustError } from '../keys/trust-error.ts'
import { parseManifestPath } from '../schema/release-path.ts'
import type { SigningEvent, Subject } from '../schema/signing-event.ts'
import { channelOf, isVersion } from '../schema/version.ts'
import { equalBytes } from './equal-bytes.ts'
import { trustedRole } from './event/check.ts'
import { changeOf } from './event/event.ts'
import { PublishError } from './publish-error.ts'
import type { Repository } from './repository.ts'
import { loadKeptRoot } from './root/kept.ts'
import type { Change } from './signing.ts'
import type { Workshop } from './workshop.ts'

/** `overtaken`: another document has its number, so it can't be published; `by` says which, as `alpha is at v6`. */
export type Fate = { readonly kind: 'open' | 'published' } | { readonly kind: 'overtaken'; readonly by: string }

/** What is asked about. `baseRoot`: the number of the root that it was made from, where that is known. */
export interface Undertaking {
  readonly subject: Subject
  readonly change: Change
  readonly baseRoot?: number
}

/** An event as such. */
export function undertakingOf(event: SigningEvent): Undertaking {
  return { subject: event.subject, change: changeOf(event), baseRoot: event.base.root.version }
}

/** Refuses what is done already. `left`: what there is nothing left to do. Throws PublishError `event`. */
export async function requireUnpublished(
  workshop: Pick<Workshop, 'machine' | 'layout'>,
  repository: Repository,
  event: SigningEvent,
  left: string,
): Promise<void> {
  const { id, subject } = event
  const fate = await fateIn(workshop, repository, undertakingOf(event))
  if (fate.kind !== 'published') return
  throw new PublishError('event', `${id} (${subject}) is published: there is nothing left to ${left}`, {
    state: 'Nothing was changed.',
    next: isVersion(subject) ? [`netlink-publish show ${subject}`] : ['netlink-publish root show'],
  })
}

/** As `fateOf`, by this folder's copy. */
export function fateIn(
  { machine: { disk }, layout }: Pick<Workshop, 'machine' | 'layout'>,
  repository: Repository,
  undertaking: Undertaking,
): Promise<Fate> {
  return fateOf({ disk, folder: layout.repository }, repository, undertaking)
}

/**
 * What became of it. The trusted copy has the newest documents only: what was published before these is found by what it brought (manifests, a withdrawal, a
 * minimum, a root that was kept). Throws TrustError `malformed` for documents that are none.
 */
async function fateOf(
  { disk, folder }: { readonly disk: Disk; readonly folder: string },
  repository: Repository,
  { subject, change, baseRoot }: Undertaking,
): Promise<Fate> {
  const standings = await Promise.all([...change.documents].map((one) => compare(repository, one)))
  if (standings.length > 0 && standings.every(({ is }) => is === 'the trusted one')) return { kind: 'published' }
  const root = repository.trusted.root.value.version
  const past = standings.find(({ is }) => is === 'past')
  const isLeftBehind = baseRoot !== undefined && baseRoot < root
  if (past === undefined && !isLeftBehind) return { kind: 'open' }
  if (await isInEffect({ disk, folder }, repository, { subject, change })) return { kind: 'published' }
  return { kind: 'overtaken', by: past?.words ?? `root is at v${root}` }
}

interface Standing {
  readonly is: 'next' | 'the trusted one' | 'past'
  readonly words: string
}

async function compare(repository: Repository, [role, bytes]: readonly [string, Uint8Array]): Promise<Standing> {
  const document = parseDocument(bytes, role)
  const trusted = await trustedOrUnknown(repository, role)
  const version = Number(trusted?.version ?? 0)
  const words = `${role} is at v${version}`
  if (trusted !== undefined && equalBytes(canonicalBytes(trusted), document.message))
    return { is: 'the trusted one', words }
  return { is: Number(document.signed.version) > version ? 'next' : 'past', words }
}

/** A copy that was never refreshed holds no channels yet: nothing is known against the change then. */
async function trustedOrUnknown(repository: Repository, role: string): Promise<JsonObject | undefined> {
  try {
    return await trustedRole(repository, role)
  } catch (error) {
    if (error instanceof TrustError && error.code === 'missing') return undefined
    throw error
  }
}

/** Whether what it brought is what is published, also where other changes came after it. */
async function isInEffect(
  { disk, folder }: { readonly disk: Disk; readonly folder: string },
  repository: Repository,
  { subject, change }: Undertaking,
): Promise<boolean> {
  const root = change.documents.get('root')
  if (root !== undefined) {
    const document = parseDocument(root, 'root')
    const kept = await loadKeptRoot(disk, folder, Number(document.signed.version))
    return kept !== undefined && equalBytes(parseDocument(kept, 'root').message, document.message)
  }
  if (change.manifests.size > 0) return listsAll(repository, change.manifests)
  if (!isVersion(subject)) return false
  const bytes = change.documents.get(channelOf(subject))
  const trusted = await trustedOrUnknown(repository, channelOf(subject))
  if (bytes === undefined || trusted === undefined) return false
  const [ours, theirs] = [parseDocument(bytes, subject).signed, trusted].map((signed) => factsOf(signed, subject))
  return (
    ours !== undefined &&
    theirs !== undefined &&
    ours.withdrawal === theirs.withdrawal &&
    theirs.isMinimum === ours.isMinimum
  )
}

async function listsAll(repository: Repository, manifests: Change['manifests']): Promise<boolean> {
  for (const [path, bytes] of manifests) {
    const published = await repository.loadManifest(parseManifestPath(path)).catch(unknownOnly)
    if (published === undefined || !equalBytes(published.bytes, bytes)) return false
  }
  return true
}

function unknownOnly(error: unknown): undefined {
  const isUnknown = error instanceof PublishError && error.code === 'unknown-version'
  if (isUnknown || (error instanceof TrustError && error.code === 'missing')) return undefined
  throw error
}

/** What a channel says of one version besides listing it. */
function factsOf({ channel }: JsonObject, version: string): { withdrawal: string; isMinimum: boolean } {
  const facts: JsonObject = isJsonObject(channel) ? channel : {}
  const list: readonly JsonValue[] = Array.isArray(facts.withdrawn) ? facts.withdrawn : []
  const entry = list.find((one) => isJsonObject(one) && one.version === version)
  return { withdrawal: JSON.stringify(entry ?? null), isMinimum: facts.minimum === version }
}

// What waits in the folder as a signing event. Whoever could write there, another holder's machine or a stick, could have put in anything: so what waits is
// looked at exactly as if it had come from a server.
import { parseDocument } from '../../keys/document.ts'
import { isJsonObject, type JsonValue, parseJson } from '../../keys/json.ts'
import type { EventKind, SigningEvent, Subject } from '../../schema/signing-event.ts'
import { channelOf, isVersion } from '../../schema/version.ts'
import { utcSeconds } from '../edit.ts'
import type { Pending } from '../pending.ts'
import type { Repository } from '../repository.ts'
import { MAX_OPEN_MS, trustedRole } from './check.ts'
import { buildEvent, type Draft } from './event.ts'

/** What a change that waits proposes. Throws TrustError `malformed` for documents that are none. */
export async function draftOfPending(repository: Repository, { subject, change, artifacts }: Pending): Promise<Draft> {
  const closed = [...change.documents].map(([role, bytes]) => ({ role, signed: parseDocument(bytes, role).signed }))
  const kind = await kindOf(repository, subject, change)
  const uploads = kind === 'release' ? artifacts : []
  return { kind, subject, closed, manifests: change.manifests, artifacts: uploads }
}

/** The event of a change that waits, as of when it was made; open for as long as any event may be. */
export async function eventOfPending(repository: Repository, pending: Pending): Promise<SigningEvent> {
  const { signedAt: proposedAt } = pending
  const until = utcSeconds(new Date(new Date(proposedAt).getTime() + MAX_OPEN_MS))
  return buildEvent(repository, await draftOfPending(repository, pending), { proposedBy: null, proposedAt, until })
}

/** A guess from what it contains; a wrong one is refused when the documents are made again. */
async function kindOf(repository: Repository, subject: Subject, change: Pending['change']): Promise<EventKind> {
  if (!isVersion(subject)) return subject.startsWith('root-') ? 'root' : 'refresh'
  const [path, bytes] = [...change.manifests][0] ?? []
  if (bytes !== undefined) {
    const manifest = parseJson(bytes, { subject: path ?? subject })
    return isJsonObject(manifest) && typeof manifest.promoted_from === 'string' ? 'promote' : 'release'
  }
  const channel = channelOf(subject)
  const document = change.documents.get(channel)
  const minimumOf = (facts: JsonValue | undefined) => (isJsonObject(facts) ? facts.minimum : undefined)
  const before = minimumOf((await trustedRole(repository, channel))?.channel)
  const after = document && minimumOf(parseDocument(document, channel).signed.channel)
  return after === subject && before !== subject ? 'minimum' : 'yank'
}

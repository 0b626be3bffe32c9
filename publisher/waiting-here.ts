// What waits in a publisher's folder, and for what: signatures, somebody to publish it, or somebody to discard it because others were faster.
import { signatureNeeds } from '../keys/signing-event.ts'
import type { Subject } from '../schema/signing-event.ts'
import { type Fate, fateIn } from './change-fate.ts'
import { isComplete, missingNames } from './event/standing.ts'
import { keyNamer } from './holder-names.ts'
import { listPending, loadPending } from './pending.ts'
import type { Repository } from './repository.ts'
import { type RootStanding, standingsOf } from './root/change.ts'
import { draftOf } from './root/work.ts'
import { missingWords } from './signing.ts'
import type { Workshop } from './workshop.ts'

export interface Waiting {
  readonly subject: Subject
  readonly state: 'complete' | 'waiting' | 'published' | 'overtaken'
  readonly standing: readonly RootStanding[]
  /** Whose signature would still help. */
  readonly missing: readonly string[]
  readonly words: string
}

/** Everything that waits in this folder. Not verified: whoever goes on with it does. Throws ShapeError, TrustError `malformed`, PlatformError. */
export async function waitingHere(workshop: Workshop, repository: Repository): Promise<readonly Waiting[]> {
  const { machine, layout, config } = workshop
  const found: Waiting[] = []
  for (const subject of await listPending(machine.disk, layout.pending)) {
    const pending = await loadPending(machine.disk, layout.pending, subject)
    if (pending === undefined) continue
    const { change } = pending
    const fate = await fateIn(workshop, repository, { subject, change })
    const draft = draftOf(repository, change.documents)
    const nameOf = keyNamer(config.holders, [draft.published], draft)
    const needs = signatureNeeds({ root: repository.trusted.root, targets: repository.targets }, change.documents)
    const standing = standingsOf(change.documents, needs, nameOf)
    found.push({ subject, standing, ...waitingWords(subject, fate, standing) })
  }
  return found
}

function waitingWords(
  subject: Subject,
  fate: Fate,
  standing: readonly RootStanding[],
): Omit<Waiting, 'subject' | 'standing'> {
  if (fate.kind === 'published')
    return { state: 'published', missing: [], words: `published already: ${subject}, which still lies in pending` }
  if (fate.kind === 'overtaken')
    return {
      state: 'overtaken',
      missing: [],
      words: `overtaken: ${subject}, because ${fate.by}; netlink-publish abort ${subject} --reason WORDS discards it`,
    }
  if (isComplete(standing)) return { state: 'complete', missing: [], words: `signed and not published: ${subject}` }
  const words = `waits for signatures: ${subject}, missing ${lackingWords(standing)}`
  return { state: 'waiting', missing: missingNames(standing), words }
}

/** Who could still sign: once where every document waits for the same people, else document by document. */
export function lackingWords(standing: readonly RootStanding[]): string {
  const open = standing.filter(({ complete }) => !complete)
  const words = open.map(({ role, by, threshold, have, missing }) => ({
    what: by === null ? role : `${role} by ${by}`,
    who: missingWords(threshold - have.length, missing),
  }))
  if (new Set(words.map(({ who }) => who)).size === 1) return words[0]?.who ?? ''
  return words.map(({ what, who }) => `${what}: ${who}`).join('; ')
}

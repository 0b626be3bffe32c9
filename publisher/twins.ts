// Two documents of one role and number, both signed: whichever is published, the other's signatures stay good for ever, and hosts could be shown two truths.
import { parseDocument, type SignedDocument } from '../keys/document.ts'
import { eventDocuments } from '../keys/signing-event.ts'
import { equalBytes } from './equal-bytes.ts'
import { listEvents, loadAborted } from './event/store.ts'
import { listPending, loadPending } from './pending.ts'
import type { Workshop } from './workshop.ts'

/** Another document of the same role and number that one of the keys has signed, as far as this folder knows. */
export interface Twin {
  /** `alpha v5` */
  readonly what: string
  /** In words: which event, or what waits. */
  readonly where: string
  /** What `abort` takes. */
  readonly name: string
  /** Its event was stopped or its time is over: nobody is to publish it any more. */
  readonly isOver: boolean
}

/** Every twin of these documents among the events and changes of this folder, by the keys of these ids. Throws ShapeError, TrustError `malformed`. */
export async function findTwins(
  { machine, layout }: Pick<Workshop, 'machine' | 'layout'>,
  documents: ReadonlyMap<string, Uint8Array>,
  keyids: readonly string[],
): Promise<readonly Twin[]> {
  const wanted = parsed(documents)
  const found: Twin[] = []
  for (const event of await listEvents(machine.disk, layout.events)) {
    const isStopped = (await loadAborted(machine.disk, layout.events, event.id)) !== undefined
    const isOver = isStopped || new Date(event.until) <= machine.clock.now()
    const where = `${event.id} (${event.subject}, ${isStopped ? 'stopped' : `open until ${event.until}`})`
    for (const what of twinsIn(wanted, parsed(eventDocuments(event)), keyids))
      found.push({ what, where, name: event.id, isOver })
  }
  for (const subject of await listPending(machine.disk, layout.pending)) {
    const pending = await loadPending(machine.disk, layout.pending, subject)
    const where = `what waits as ${subject}`
    for (const what of twinsIn(wanted, parsed(pending?.change.documents ?? new Map()), keyids))
      found.push({ what, where, name: subject, isOver: false })
  }
  return found
}

function parsed(documents: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, SignedDocument> {
  return new Map([...documents].map(([role, bytes]) => [role, parseDocument(bytes, role)]))
}

function twinsIn(
  wanted: ReadonlyMap<string, SignedDocument>,
  others: ReadonlyMap<string, SignedDocument>,
  keyids: readonly string[],
): readonly string[] {
  return [...wanted].flatMap(([role, ours]) => {
    const other = others.get(role)
    const isTwin =
      other !== undefined &&
      other.signed.version === ours.signed.version &&
      !equalBytes(other.message, ours.message) &&
      other.signatures.some(({ keyid }) => keyids.includes(keyid))
    return isTwin ? [`${role} v${String(ours.signed.version)}`] : []
  })
}

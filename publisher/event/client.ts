// The server's part in signing events (`/api/v1/signing-events`). It keeps and hands round; what it says is verified by whoever signs.

import { pageShape } from '../../schema/rest.ts'
import {
  type EventRecord,
  type EventSignature,
  type EventSignaturesAnswer,
  type EventSummary,
  eventRecordShape,
  eventSignaturesAnswerShape,
  eventSummaryShape,
  type SigningEvent,
} from '../../schema/signing-event.ts'
import { ask, type ClientDeps, json } from '../ask-server.ts'

/** As PublishClient: every method may be repeated, and throws PlatformError or PublishError `server`. */
export interface EventClient {
  /** The newest hundred. */
  list(): Promise<readonly EventSummary[]>
  load(id: string): Promise<EventRecord>
  propose(event: SigningEvent): Promise<EventSummary>
  sign(id: string, signatures: readonly EventSignature[]): Promise<EventSignaturesAnswer>
  abort(id: string, reason: string): Promise<EventSummary>
}

/** More than the server takes in. */
const MAX_EVENT_BYTES = 24 * 1_048_576

export function buildEventClient(deps: ClientDeps): EventClient {
  const at = (id: string, rest = '') => `/signing-events/${encodeURIComponent(id)}${rest}`
  const listShape = pageShape(eventSummaryShape)
  return {
    list: async () =>
      (await ask(deps, 'GET', '/signing-events?limit=100', listShape, undefined, MAX_EVENT_BYTES)).items,
    load: (id) => ask(deps, 'GET', at(id), eventRecordShape, undefined, MAX_EVENT_BYTES),
    propose: (event) => ask(deps, 'POST', '/signing-events', eventSummaryShape, json(event)),
    sign: (id, signatures) =>
      ask(deps, 'POST', at(id, '/signatures'), eventSignaturesAnswerShape, json({ signatures })),
    abort: (id, reason) => ask(deps, 'POST', at(id, '/abort'), eventSummaryShape, json({ reason })),
  }
}

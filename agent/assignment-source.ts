// Where assignments come from: the socket, whose daemon leaves what it heard in a file, and the server itself for hosts without one. Neither is believed.
import { PlatformError } from '../keys/platform/platform-error.ts'
import { agentAssignmentShape, MAX_ASSIGNMENT_BYTES } from '../schema/assignment.ts'
import { readShape } from '../schema/read-shape.ts'
import type { Host } from './host.ts'
import { readAll, signRequest } from './report/http.ts'
import { loadState } from './state-file.ts'

const PATH = '/api/v1/agent/assignment'
const DEADLINE_MS = 5_000

/** What the daemon heard last, undefined if it heard nothing. */
export async function loadOffered({ disk, files }: Pick<Host, 'disk' | 'files'>): Promise<string | undefined> {
  const value = await loadState(disk, files.assignmentOffered).catch((error: unknown) => {
    // Cut off while it was written down: the server says it again with the next connection.
    if (error instanceof SyntaxError) return undefined
    throw error
  })
  if (typeof value !== 'object' || value === null || !('document' in value)) return undefined
  return typeof value.document === 'string' ? value.document : undefined
}

/** Asks the server. undefined if it has none, is of a version that knows none, or does not answer: what was accepted before stays. */
export async function fetchAssignment(host: Host): Promise<string | undefined> {
  const { fetcher, clock, enrolment, key } = host
  const url = new URL(PATH, enrolment.server).href
  const sender = { hostId: enrolment.host_id, key, clock }
  try {
    const answer = await fetcher.request('GET', url, {
      // JSON escapes every quote and line end of the document.
      maxBytes: 2 * MAX_ASSIGNMENT_BYTES + 1_024,
      deadlineMs: DEADLINE_MS,
      answerMs: DEADLINE_MS,
      headers: signRequest(sender, 'GET', PATH, new Uint8Array()),
    })
    const bytes = await readAll(answer.body)
    if (answer.status !== 200) return undefined
    return readShape(agentAssignmentShape, parseText(bytes)).data?.document ?? undefined
  } catch (error) {
    if (error instanceof PlatformError && error.code !== 'cancelled') return undefined
    throw error
  }
}

function parseText(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined // not an answer of our server: there is none
  }
}

// Reports over plain HTTP, for commands that run without a daemon. Each request is signed with the host's key; the answer is only an acknowledgement.

import type { KeyObject } from 'node:crypto'
import { createHash } from 'node:crypto'
import type { Clock } from '../../keys/platform/clock.ts'
import type { Fetcher } from '../../keys/platform/fetch.ts'
import { PlatformError } from '../../keys/platform/platform-error.ts'
import { parseShape } from '../../schema/parse-shape.ts'
import { type Brake, HOST_HEADERS, MAX_REPORTS, requestStatement } from '../../schema/protocol.ts'
import { readShape } from '../../schema/read-shape.ts'
import { problemShape, reportsAnswerShape } from '../../schema/rest.ts'
import { signStatement } from '../enrolment.ts'
import type { Outbox } from './outbox.ts'

export interface ReportSender {
  readonly fetcher: Fetcher
  readonly clock: Clock
  readonly server: string
  readonly hostId: string
  readonly key: KeyObject
  readonly outbox: Outbox
}

/** The server says that it does not know this host, or not with this key. */
export class HostForgotten extends Error {
  override readonly name = 'HostForgotten'
}

const MAX_ANSWER_BYTES = 65_536
const REPORTS_PATH = '/api/v1/agent/reports'

/** Sends what waits, up to some batches, within `deadlineMs` each. Resolves with the fleet's brake as the server says it. Throws PlatformError, HostForgotten, or OutboxTaken. */
export async function sendReports(sender: ReportSender, deadlineMs: number, batches = 10): Promise<Brake | undefined> {
  let brake: Brake | undefined
  for (let batch = 0; batch < batches; batch++) {
    const isFirstHeard = batch === 0 && (await sender.outbox.strayed())
    const items = isFirstHeard ? [] : await sender.outbox.take(MAX_REPORTS)
    if (items.length === 0 && brake) return brake
    const answer = await post(sender, Buffer.from(JSON.stringify({ items })), deadlineMs)
    await sender.outbox.resumeAfter(answer.stored_seq)
    brake = answer.brake
  }
  return brake
}

async function post(sender: ReportSender, body: Uint8Array, deadlineMs: number) {
  const url = new URL(REPORTS_PATH, sender.server).href
  const answer = await sender.fetcher.request('POST', url, {
    body,
    maxBytes: MAX_ANSWER_BYTES,
    deadlineMs,
    answerMs: deadlineMs,
    headers: { 'content-type': 'application/json', ...signRequest(sender, 'POST', REPORTS_PATH, body) },
  })
  const bytes = await readAll(answer.body)
  const text = Buffer.from(bytes).toString('utf8')
  if (answer.status === 401 && reasonIn(text) === 'unknown-host')
    throw new HostForgotten(`${url}: the server does not know ${sender.hostId} with its key`)
  if (answer.status !== 200) {
    throw new PlatformError('http-status', `${url}: status ${answer.status}`, { url, status: answer.status })
  }
  return parseShape(reportsAnswerShape, JSON.parse(text), url)
}

/** The finer reason of a problem, undefined where it has none, or where it is some proxy's page. */
function reasonIn(text: string): string | undefined {
  try {
    return readShape(problemShape, JSON.parse(text)).data?.reason
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** The headers by which this host proves that the request is its own. */
export function signRequest(
  { hostId, key, clock }: Pick<ReportSender, 'hostId' | 'key' | 'clock'>,
  method: string,
  path: string,
  body: Uint8Array,
): Record<string, string> {
  const time = Math.floor(clock.now().getTime() / 1000)
  const bodySha256 = createHash('sha256').update(body).digest('hex')
  const signature = signStatement(key, requestStatement({ hostId, time, method, path, bodySha256 }))
  return { [HOST_HEADERS.host]: hostId, [HOST_HEADERS.time]: String(time), [HOST_HEADERS.signature]: signature }
}

/** The whole body, which the fetcher has bounded. */
export async function readAll(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

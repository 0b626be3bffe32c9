// A server in an attacker's hands: it passes everything on but what it says of signing events, which it alters first, and what it says is not there.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import { eventIdOf } from '../../keys/signing-event.ts'
import type { EventRecord, SigningEvent } from '../../schema/signing-event.ts'

export interface LyingServer {
  readonly url: string
  /** From now on this stands in the place of every event, and these signatures are said to belong to it. undefined: the truth. */
  tell(record: EventRecord | undefined): void
  /** From now on there is nothing under these paths. undefined: everything is there again. */
  withhold(paths: RegExp | undefined): void
}

/** In front of the server on this port. */
export async function openLyingServer(port: number): Promise<LyingServer> {
  let lie: EventRecord | undefined
  let gone: RegExp | undefined
  const server = createServer(async (request, response) => {
    const parts: Uint8Array[] = []
    for await (const part of request) parts.push(part)
    if (request.method === 'GET' && gone?.test(request.url ?? '')) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end()
      return
    }
    const isEvent = request.method === 'GET' && /^\/api\/v1\/signing-events/.test(request.url ?? '')
    if (isEvent && lie !== undefined) {
      const isList = !request.url?.includes('/e_')
      const told = isList ? { items: [lie.summary], next_cursor: null } : lie
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(told))
      return
    }
    const { host: _host, connection: _connection, ...headers } = request.headers
    const answer = await fetch(`http://127.0.0.1:${port}${request.url}`, {
      method: request.method ?? 'GET',
      headers: headers as Record<string, string>,
      ...(parts.length > 0 ? { body: Buffer.concat(parts) } : {}),
    })
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' })
    response.end(Buffer.from(await answer.arrayBuffer()))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tell: (next) => {
      lie = next
    },
    withhold: (paths) => {
      gone = paths
    },
  }
}

/** What a server says that has altered this event: under the id that the altered one gives itself. */
export function altered(honest: EventRecord, alter: (event: SigningEvent) => SigningEvent): EventRecord {
  const event = alter(honest.event)
  const { documents: _documents, manifests: _manifests, artifacts: _artifacts, trees: _trees, ...facts } = event
  return { event, summary: { ...honest.summary, ...facts } }
}

/** The event with this done to it, under the id that its content then has. */
export function renamed(event: SigningEvent): SigningEvent {
  const { schema: _schema, id: _id, ...proposal } = event
  return { ...event, id: eventIdOf(proposal) }
}

/** The event with one of its documents edited; nobody has signed it. */
export function withDocument<T extends Pick<SigningEvent, 'documents'>>(
  event: T,
  role: string,
  edit: (signed: Tree) => Tree,
): T {
  const before = JSON.parse(Buffer.from(event.documents[role] ?? '', 'base64').toString('utf8'))
  const after = { signatures: [], signed: edit(before.signed) }
  return { ...event, documents: { ...event.documents, [role]: inBase64(after) } }
}

/** The event with its manifest edited, and nothing else. */
export function withManifest<T extends Pick<SigningEvent, 'manifests'>>(event: T, edit: (manifest: Tree) => Tree): T {
  const [path = '', text = ''] = Object.entries(event.manifests)[0] ?? []
  const manifest = edit(JSON.parse(Buffer.from(text, 'base64').toString('utf8')))
  return { ...event, manifests: { [path]: inBase64(manifest) } }
}

export function inBase64(value: object): string {
  return Buffer.from(`${JSON.stringify(value, null, 1)}\n`).toString('base64')
}

// biome-ignore lint/suspicious/noExplicitAny: trees of other people's documents, edited freely
export type Tree = Record<string, any>

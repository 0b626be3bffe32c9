// The specification's REST paths, on a socket that only this host's own user and root can reach: the folder around it is 0700, and the kernel asks nobody
// else in. `netlink` itself comes this way where its user may not write by itself.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { readCurrentVersion } from '../current-version.ts'
import type { Paths } from '../paths.ts'
import { booleanIn, optionalTextIn, type Record, recordOf } from '../record.ts'
import type { WorkerFailure, WorkerTask } from '../worker-protocol.ts'
import type { Resident } from './resident.ts'
import type { WorkerRun } from './worker-process.ts'

export interface LocalApiDeps {
  readonly daemon: Pick<Resident, 'look' | 'start'>
  readonly paths: Paths
  readonly about: () => object
}

interface Answer {
  readonly status: number
  readonly body: object
  readonly headers?: Readonly<{ [name: string]: string }>
}

/** The name of the socket in the daemon's own folder. */
export const LOCAL_SOCKET = 'agent.sock'

const ORIGIN = 'http://local'
const MAX_BODY_BYTES = 65_536
const PLAN_WAIT_MS = 120_000
const UPDATE_ID = /^update_[0-9A-Za-z.+-]+_[0-9A-Za-z.+-]+_\d{8}_\d{6}$/

/** A server that is not listening yet. Every error is a problem document (RFC 9457). */
export function buildLocalApi(deps: LocalApiDeps): Server {
  // Not by import: that reads every name of node:http, WebSocket among them, which brings all of undici into memory for good (5 MB).
  const { createServer } = process.getBuiltinModule('node:http')
  const server = createServer(
    { requestTimeout: 30_000, headersTimeout: 10_000, maxHeaderSize: 8_192 },
    (request, response) => {
      respond(deps, request).then(
        (answer) => send(response, answer),
        (error: unknown) =>
          send(response, problem(500, 'E-UNEXPECTED', error instanceof Error ? error.message : String(error))),
      )
    },
  )
  server.maxConnections = 64
  return server
}

async function respond(deps: LocalApiDeps, request: IncomingMessage): Promise<Answer> {
  const target = request.url ?? '/'
  // `//` is a path to HTTP and half an address to URL.
  const url = URL.canParse(target, ORIGIN) ? new URL(target, ORIGIN) : undefined
  const route = url && routeOf(url.pathname)
  if (!route) return problem(404, 'E-NOT-FOUND', `there is nothing at ${url?.pathname ?? target}`)
  if (request.method !== route.method)
    return { ...problem(405, 'E-METHOD', `expected ${route.method}`), headers: { allow: route.method } }
  if (route.method === 'GET') return route.answer(deps, url, undefined)
  const body = await readBody(request)
  return 'status' in body ? body : route.answer(deps, url, body)
}

interface Route {
  readonly method: 'GET' | 'POST'
  readonly answer: (deps: LocalApiDeps, url: URL, body: Record | undefined) => Promise<Answer>
}

const STATUS_PREFIX = '/api/v1/system/updates/status/'
const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['/api/v1/agent', { method: 'GET', answer: async ({ about }) => ok(about()) }],
  ['/api/v1/agent/look', { method: 'POST', answer: look }],
  ['/api/v1/system/updates/check', { method: 'GET', answer: ({ daemon }) => finish(daemon.start({ task: 'check' })) }],
  ['/api/v1/system/version', { method: 'GET', answer: version }],
  ['/api/v1/system/updates/upgrade', { method: 'POST', answer: upgrade }],
  ['/api/v1/system/updates/rollback', { method: 'POST', answer: rollback }],
])

function routeOf(path: string): Route | undefined {
  if (path.startsWith(STATUS_PREFIX)) return { method: 'GET', answer: status }
  return routes.get(path)
}

/** Something about this host changed at a command line: look again. */
async function look({ daemon }: LocalApiDeps): Promise<Answer> {
  daemon.look()
  return { status: 202, body: { status: 'started' } }
}

async function version({ daemon, paths }: LocalApiDeps, url: URL): Promise<Answer> {
  if (url.searchParams.get('detailed') === 'true') return finish(daemon.start({ task: 'details' }))
  return ok({ current_version: readCurrentVersion(paths) })
}

async function status({ daemon }: LocalApiDeps, url: URL): Promise<Answer> {
  const id = decoded(url.pathname.slice(STATUS_PREFIX.length))
  if (!UPDATE_ID.test(id)) return problem(404, 'E-NO-UPDATE', 'that is no update id')
  const end = await daemon.start({ task: 'status', update_id: id }).end
  if (end.kind === 'failed') return failed(end.failure)
  if (typeof end.result !== 'object' || end.result === null)
    return problem(404, 'E-NO-UPDATE', `there is no ${id} on this host`)
  return ok({ ...end.result, status: 'state' in end.result ? end.result.state : 'unknown' })
}

/** As it came where its percent signs mean nothing: then it is no id. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    if (error instanceof URIError) return text
    throw error
  }
}

function upgrade({ daemon }: LocalApiDeps, _url: URL, body: Record | undefined): Promise<Answer> {
  return orBadRequest(async () => {
    if (!body) return problem(400, 'E-BODY', 'expected an object')
    const target = optionalTextIn(body, 'target_version') ?? 'latest'
    const flag = (name: string) => body.fields[name] !== undefined && booleanIn(body, name)
    const deadline = body.fields.deadline_ms
    const task: WorkerTask = {
      task: 'upgrade',
      target,
      force: flag('force'),
      allow_channel_change: flag('allow_channel_change'),
      deadline_ms: typeof deadline === 'number' && Number.isSafeInteger(deadline) && deadline > 0 ? deadline : null,
    }
    return accepted(daemon.start(task))
  })
}

function rollback({ daemon }: LocalApiDeps, _url: URL, body: Record | undefined): Promise<Answer> {
  return orBadRequest(async () => {
    const id = body ? optionalTextIn(body, 'update_id') : null
    if (id !== null && !UPDATE_ID.test(id)) return problem(400, 'E-BODY', 'update_id: expected an update id')
    return accepted(daemon.start({ task: 'rollback', update_id: id }))
  })
}

/** 202 as soon as there is a plan; the end itself where it comes before one. */
async function accepted(run: WorkerRun): Promise<Answer> {
  const timer = Promise.withResolvers<undefined>()
  const timeout = setTimeout(() => timer.resolve(undefined), PLAN_WAIT_MS)
  const updateId = await Promise.race([run.planned, timer.promise])
  clearTimeout(timeout)
  if (updateId === undefined) return finish(run)
  return {
    status: 202,
    body: { update_id: updateId, status: 'started' },
    headers: { location: `${STATUS_PREFIX}${updateId}` },
  }
}

async function finish(run: WorkerRun): Promise<Answer> {
  const end = await run.end
  if (end.kind === 'failed') return failed(end.failure)
  return ok(typeof end.result === 'object' && end.result !== null ? end.result : { result: end.result })
}

function ok(body: object): Answer {
  return { status: 200, body }
}

const statusOfExit: Readonly<{ [exit: number]: number }> = { 2: 400, 3: 409, 5: 403, 6: 503, 7: 422, 8: 409, 12: 409 }

function failed(failure: WorkerFailure): Answer {
  const { code, title, detail, state, next, exit } = failure
  const status = statusOfExit[exit] ?? 500
  return { status, body: { type: 'about:blank', title, status, code, detail, state, next, exit } }
}

function problem(status: number, code: string, detail: string): Answer {
  return { status, body: { type: 'about:blank', title: detail, status, code, detail, next: [] } }
}

async function orBadRequest(answer: () => Promise<Answer>): Promise<Answer> {
  try {
    return await answer()
  } catch (error) {
    if (error instanceof Error && error.name === 'ShapeError') return problem(400, 'E-BODY', error.message)
    throw error
  }
}

/** The body as an object; an answer where it is none. An empty one is an empty object. */
async function readBody(request: IncomingMessage): Promise<Record | Answer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request) {
    length += chunk.length
    if (length > MAX_BODY_BYTES) return problem(413, 'E-TOO-LARGE', `expected at most ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  try {
    const text = Buffer.concat(chunks).toString('utf8')
    return recordOf(text.trim() === '' ? {} : JSON.parse(text), 'body')
  } catch (error) {
    return problem(400, 'E-BODY', error instanceof Error ? error.message : 'expected JSON')
  }
}

function send(response: ServerResponse, { status, body, headers = {} }: Answer): void {
  const text = `${JSON.stringify(body)}\n`
  const type = status >= 400 ? 'application/problem+json' : 'application/json'
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...headers,
  })
  response.end(text)
}

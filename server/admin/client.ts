import { type Problem, problemShape } from '../../schema/rest.ts'
import { foreignFailure, problemFailure, unreachableFailure } from './failures.ts'
import type { Connection } from './settings.ts'

/** What of a zod shape is needed here. */
interface Shape<T> {
  safeParse(
    value: unknown,
  ): { readonly success: true; readonly data: T } | { readonly success: false; readonly error: Error }
}

export interface Ask {
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly body?: object
}

/** The server's REST API. Both methods throw Failure: the server said no, did not answer, or is not what it should be. */
export interface AdminClient {
  readonly server: string
  /** The answer, as its shape. `path` below /api/v1. */
  ask<T>(method: string, path: string, shape: Shape<T>, ask?: Ask): Promise<T>
  /** The answer as text, whatever it is. `path` from the root. */
  raw(method: string, path: string, body: string | undefined): Promise<string>
}

export interface ClientDeps {
  readonly fetch: typeof globalThis.fetch
  readonly signal: AbortSignal
  readonly timeoutMs?: number
}

const MAX_ANSWER_BYTES = 32 * 1_048_576

export function buildClient({ server, token }: Connection, deps: ClientDeps): AdminClient {
  async function send(method: string, url: string, body: string | undefined): Promise<string> {
    const answer = await reach(url, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body }),
      // The token must not follow a redirect to somewhere else.
      redirect: 'manual',
      signal: AbortSignal.any([deps.signal, AbortSignal.timeout(deps.timeoutMs ?? 30_000)]),
    })
    if (answer.status >= 300 && answer.status < 400) {
      throw foreignFailure(
        server,
        `it wanted to send this program to ${answer.headers.get('location') ?? 'somewhere else'}`,
      )
    }
    const text = await readBounded(answer)
    if (answer.ok) return text
    const problem = readProblem(text)
    if (!problem)
      throw foreignFailure(
        server,
        `it answered ${method} ${new URL(url).pathname} with status ${answer.status} and no explanation`,
      )
    throw problemFailure(problem, answer.headers.get('retry-after'), server)
  }

  async function reach(url: string, request: RequestInit): Promise<Response> {
    try {
      return await deps.fetch(url, request)
    } catch (cause) {
      if (deps.signal.aborted) throw deps.signal.reason
      throw unreachableFailure(server, cause)
    }
  }

  async function readBounded(answer: Response): Promise<string> {
    const parts: Uint8Array[] = []
    let length = 0
    try {
      for await (const part of answer.body ?? []) {
        length += part.length
        if (length > MAX_ANSWER_BYTES)
          throw foreignFailure(server, `its answer is longer than ${MAX_ANSWER_BYTES} bytes`)
        parts.push(part)
      }
    } catch (cause) {
      if (cause instanceof Error && cause.name === 'Failure') throw cause
      throw unreachableFailure(server, cause)
    }
    return Buffer.concat(parts).toString('utf8')
  }

  return {
    server,
    ask: async (method, path, shape, { query = {}, body } = {}) => {
      const url = new URL(`${server}/api/v1${path}`)
      for (const [name, value] of Object.entries(query))
        if (value !== undefined) url.searchParams.set(name, String(value))
      const text = await send(method, url.href, body === undefined ? undefined : JSON.stringify(body))
      const parsed = shape.safeParse(readJson(text))
      if (parsed.success) return parsed.data
      throw foreignFailure(
        server,
        `its answer to ${method} ${url.pathname} is not what this version expects: ${parsed.error.message.slice(0, 500)}`,
      )
    },
    raw: (method, path, body) => send(method, `${server}${path}`, body),
  }
}

function readProblem(text: string): Problem | undefined {
  return problemShape.safeParse(readJson(text)).data
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

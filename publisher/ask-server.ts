// One question to the server's API and its answer, or its refusal in this program's words.
import type { z } from 'zod'
import type { Fetcher, Response } from '../keys/platform/fetch.ts'
import { parseShape } from '../schema/parse-shape.ts'
import { type Problem, problemShape } from '../schema/rest.ts'
import { PublishError } from './publish-error.ts'

export interface ClientDeps {
  readonly fetcher: Fetcher
  /** Address of the server, without a slash at its end. */
  readonly server: string
  readonly token: string
  /** Where the token is from: the path of its file, or the variable NETLINK_TOKEN. */
  readonly tokenFrom: string
  readonly signal?: AbortSignal | undefined
}

const MAX_ANSWER_BYTES = 1_048_576
const DEADLINE_MS = 60_000
/** A chunk on a slow line; a whole artifact is many of them. */
const CHUNK_DEADLINE_MS = 600_000

/** A token in the environment comes after one that the command line names. */
export const TOKEN_VARIABLE = 'NETLINK_TOKEN'

/** A body and what it is. */
export interface Content {
  readonly type: string
  readonly body: Uint8Array
}

/** A body of JSON. */
export function json(value: object): Content {
  return { type: 'application/json', body: new TextEncoder().encode(JSON.stringify(value)) }
}

/**
 * One question to the server's API, answered in this shape. Throws PlatformError where the network fails, and PublishError `server` where the server says no.
 * `maxBytes`: of the answer.
 */
export async function ask<T>(
  deps: ClientDeps,
  method: string,
  path: string,
  shape: z.ZodType<T>,
  content?: Content,
  maxBytes = MAX_ANSWER_BYTES,
): Promise<T> {
  const url = `${deps.server}/api/v1${path}`
  const answer = await deps.fetcher.request(method, url, {
    maxBytes,
    deadlineMs: content?.type === 'application/octet-stream' ? CHUNK_DEADLINE_MS : DEADLINE_MS,
    headers: {
      authorization: `Bearer ${deps.token}`,
      accept: 'application/json',
      ...(content ? { 'content-type': content.type } : {}),
    },
    ...(content ? { body: content.body } : {}),
    signal: deps.signal,
  })
  const parts: Uint8Array[] = []
  for await (const chunk of answer.body) parts.push(chunk)
  const bytes = Buffer.concat(parts)
  if (answer.status < 200 || answer.status > 299) throw refusalOf(deps, answer, bytes)
  return parseShape(shape, readJson(bytes, url), `answer of ${url}`)
}

function readJson(bytes: Buffer, url: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new PublishError('server', `${url} answered with something that is not JSON`, {}, { cause })
  }
}

function refusalOf({ server, tokenFrom }: ClientDeps, { status }: Response, bytes: Buffer): PublishError {
  const problem = problemOf(bytes)
  const token = status === 401 || status === 403 ? `; the token is from ${tokenFrom}` : ''
  if (problem === undefined) {
    return new PublishError('server', `${server} answered with status ${status} and no explanation${token}`, { status })
  }
  const places = problem.errors?.map(({ pointer, detail }) => ({ where: pointer, what: detail }))
  const next = nextOf(problem, token === '' ? undefined : tokenFrom)
  return new PublishError('server', `${server} refused: ${problem.detail ?? problem.title}${token}`, {
    status,
    problem: problem.code,
    ...(problem.reason === undefined ? {} : { reason: problem.reason }),
    ...(problem.expected === undefined ? {} : { expected: problem.expected }),
    ...(next === undefined ? {} : { next }),
    ...(places === undefined ? {} : { problems: places }),
  })
}

/** A variable that was set long ago is easily forgotten. `refused`: where the token is from that was not good enough. */
function nextOf({ next }: Problem, refused: string | undefined): readonly string[] | undefined {
  if (refused !== TOKEN_VARIABLE) return next
  return [`the same command with --token-file FILE, or after: unset ${TOKEN_VARIABLE}`, ...(next ?? [])]
}

function problemOf(bytes: Buffer): Problem | undefined {
  try {
    return problemShape.parse(JSON.parse(bytes.toString('utf8')))
  } catch {
    // A proxy's page, or nothing at all: the status is what there is to say.
    return undefined
  }
}
